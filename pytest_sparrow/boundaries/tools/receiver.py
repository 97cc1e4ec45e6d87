"""Says on whom a tool is called: the object or class of a method, a callable object, what a partial has bound."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
from collections import deque
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.tools.hidden import beside, is_leaf, is_moment, is_plain, is_secret, plain_json
from pytest_sparrow.boundaries.tools.outside import closure_of
from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events.jsontext import encode
from pytest_sparrow.redact.names import field_rule
from pytest_sparrow.run.users_code import is_users_class
from pytest_sparrow.values.changes import is_data
from pytest_sparrow.values.stores import OUTSIDE
from pytest_sparrow.values.to_json import jsonable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.crossing import OpenRun

KEY = "__sparrow_key__"
"""The attribute or method by which a class says which of its objects this one is."""

GIVEN = "with"
"""The key of what a framework gives a tool beside the model's arguments: no attribute has this name."""

_MOST_GIVEN = 20_000
"""How many characters of JSON one such object may have: it is written with each call."""

NOTHING: Any = object()
"""In place of an object: the tool is called on none."""


def receiver_of(fn: Any, args: tuple[Any, ...], *, method: bool) -> Any:
    """What a function is called on; `NOTHING` for a plain function.

    Args:
        fn: what was wrapped.
        args: the positional arguments of the call.
        method: whether the first of them is the object or class.
    """
    if method:
        return args[0] if args else NOTHING
    if isinstance(fn, functools.partial):
        return fn
    bound = getattr(fn, "__self__", None)
    if bound is not None and not isinstance(bound, ModuleType):
        return bound
    if inspect.isroutine(fn) or inspect.isclass(fn) or hasattr(fn, "__wrapped__"):
        return NOTHING
    return fn


def roots_of(receiver: Any) -> dict[str, Any]:
    """The objects behind a receiver that a call may change: the user's own, data, and what a partial has bound."""
    if isinstance(receiver, functools.partial):
        bound = {f"bound[{number}]": value for number, value in enumerate(receiver.args)}
        return {**roots_of(receiver_of(receiver.func, (), method=False)), **bound, **receiver.keywords}
    kind = receiver if isinstance(receiver, type) else type(receiver)
    return (
        {"self": receiver} if receiver is not NOTHING and (is_users_class(kind) or is_data(receiver)) else {}
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Receiver:
    """On whom a tool is called.

    Attributes:
        json: the object or class as JSON.
        identified: whether that says which object it is.
        left_out: what of it is not compared: ``Account.history``.
    """

    json: dict[str, Json]
    identified: bool = True
    left_out: tuple[str, ...] = ()


def called_on(
    run: OpenRun, name: str, receiver: Any, fn: Any, ignore: Collection[str] = ()
) -> dict[str, Json]:
    """On whom a tool is called, and what its function closes over, as JSON; names what of these is not compared.

    Args:
        run: the open run.
        name: the tool's name.
        receiver: what the tool is called on, or `NOTHING`.
        fn: the tool's function.
        ignore: names of variables to leave out; "self" leaves out all.
    """
    found: dict[str, Json] = {}
    if "self" in ignore:
        return found
    if receiver is not NOTHING:
        on = receiver_json(receiver)
        found = on.json
        if not on.identified:
            run.not_compared("receiver", name, type(receiver).__qualname__)
        elif on.left_out:
            run.not_compared("state", name, ", ".join(on.left_out))
    held, left_out = _closure_json(fn, ignore)
    # Most closures hold such an object: a recording says so, and no later run.
    if left_out and not run.replaying:
        run.not_compared("closure", name, ", ".join(left_out))
    return {**found, OUTSIDE: held} if held and run.notes_on(name, OUTSIDE) else found


def given_with(run: OpenRun, name: str, given: Mapping[str, Any]) -> dict[str, Json]:
    """What a framework gives a tool beside the model's arguments (its context, its state), as JSON, under `GIVEN`.

    Names what of the user's objects is not compared.

    Args:
        run: the open run.
        name: the tool's name.
        given: the objects by name.
    """
    found: dict[str, Json] = {}
    left_out: list[str] = []
    for shown, value in given.items():
        held, rest = _given_json(shown, value)
        if len(encode(held)) > _MOST_GIVEN:
            held, rest = {}, [shown]
        found |= held
        left_out += rest
    if left_out:
        run.not_compared("given", name, ", ".join(left_out))
    return {GIVEN: found} if found else {}


def _given_json(shown: str, value: Any) -> tuple[dict[str, Json], list[str]]:
    """An object by its name as JSON, without secrets, and what is left out; empty for a library's object."""
    if isinstance(value, Mapping):
        items = {str(key): item for key, item in value.items()}
        kept = {name: json for name, json in _compared(items).items() if not _is_new(name, items[name])}
        rest = [name for name, item in items.items() if name not in kept and _is_state(item)]
        return {shown: kept}, [f"{shown}[{name!r}]" for name in rest if field_rule(name) is None]
    if is_users_class(type(value)):
        on = receiver_json(value)
        kept = {name: json for name, json in on.json.items() if not _is_new(name, json)}
        return {shown: kept}, list(on.left_out) if on.identified else [shown]
    if isinstance(value, list) or is_plain(shown, value):
        return _compared({shown: value}), []
    return {}, []


def _is_new(name: str, value: Any) -> bool:
    """Whether an item of a context is another one on each machine, or in each run: a secret, a port, a moment."""
    return field_rule(name) is not None or is_moment(value) or (is_leaf(value) and not is_plain(name, value))


def _closure_json(fn: Any, ignore: Collection[str]) -> tuple[dict[str, Json], list[str]]:
    """The plain values and the user's objects that a function closes over, as JSON, and what of them is left out."""
    found: dict[str, Json] = {}
    left_out: list[str] = []
    for shown, value in closure_of(fn).items():
        name = shown.rpartition(".")[2]
        if shown in ignore or field_rule(name) is not None:
            continue  # a machine without the secret has another value
        if is_plain(name, value) or _is_plain_tuple(name, value):
            found[shown] = plain_json(name, value)
        elif isinstance(value, type):
            if is_users_class(value):
                found[shown] = {"class": value.__qualname__}
        elif is_users_class(type(value)) and not _is_test(value):
            on = receiver_json(value)
            if on.identified:
                found[shown] = on.json
            left_out += (
                on.left_out
                if on.identified
                else [f"which {type(value).__qualname__.rpartition('<locals>.')[2]} it is"]
            )
    return found, left_out


def _is_plain_tuple(name: str, value: Any) -> bool:
    return isinstance(value, tuple | frozenset) and all(
        is_plain(name, item) or _is_plain_tuple(name, item) for item in value
    )


def _is_test(value: Any) -> bool:
    """Whether an object seems to be the one whose test runs: what it keeps is chosen for no tool."""
    return type(value).__name__.startswith("Test") or hasattr(value, "_testMethodName")


def receiver_json(receiver: Any) -> Receiver:
    """The object or class as JSON.

    ``{"class": name, …}`` with the fields of a dataclass, an attrs class or a pydantic model, with ``key`` where the
    class has a `KEY`, else with the attributes that are plain values. ``class`` is no attribute's name in Python.
    """
    if isinstance(receiver, functools.partial):
        return _of_partial(receiver)
    if isinstance(receiver, type):
        return Receiver({"class": receiver.__qualname__})
    kind = type(receiver).__qualname__
    key = getattr(receiver, KEY, None)
    if key is not None:
        value = key() if callable(key) else key
        return Receiver({"class": kind, "key": jsonable(value, where=f"{kind}.{KEY}")})
    declared, others = _attributes(receiver)
    plain = {name: value for name, value in others.items() if is_plain(name, value)}
    found = {"class": kind, **_compared({**declared, **plain})}
    left_out = [
        f"{kind.rpartition('<locals>.')[2]}.{name}"
        for name, value in {**declared, **others}.items()
        if is_secret(value) or (name not in found and _is_state(value))
    ]
    of_user = is_users_class(type(receiver))
    return Receiver(found, len(found) > 1 or not (declared or others), tuple(left_out if of_user else ()))


def _is_state(value: Any) -> bool:
    """Whether a value that is not compared may decide what a call does: data, and objects of the user's."""
    if is_leaf(value):
        return isinstance(value, str)
    data = isinstance(value, float | bytes | Mapping | list | tuple | AbstractSet | deque)
    return data or is_users_class(type(value))


def _compared(values: dict[str, Any]) -> dict[str, Json]:
    """Values as JSON, without those that have no form in it."""
    found: dict[str, Json] = {}
    for name, value in values.items():
        with contextlib.suppress(NotRecordable):
            found[name] = plain_json(name, value)
    return found


def _of_partial(partial: functools.partial[Any]) -> Receiver:
    """What a partial has bound by position; what it has bound by name is among the arguments."""
    found: list[Json] = []
    known = True
    left_out: tuple[str, ...] = ()
    fn: Callable[..., Any] = partial.func
    inner = receiver_of(fn, (), method=False)
    for value in (*(() if inner is NOTHING else (inner,)), *partial.args):
        if is_leaf(value) or isinstance(value, float | list | dict | tuple):
            try:
                found.append(jsonable(value, where="partial"))
                continue
            except NotRecordable:
                pass
        on = receiver_json(value)
        found.append(on.json)
        known = known and on.identified
        left_out += on.left_out
    return Receiver({"bound": found} if found else {}, known, left_out)


def _attributes(receiver: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an object holds by name: the fields by which data classes and models are compared, and the rest."""
    kind: Any = type(receiver)
    if dataclasses.is_dataclass(receiver):
        every = {field.name: field.compare for field in dataclasses.fields(receiver)}
    elif isinstance(getattr(kind, "model_fields", None), dict):
        every = {name: True for name, field in kind.model_fields.items() if field.exclude is not True}
    elif isinstance(getattr(kind, "__attrs_attrs__", None), tuple):
        every = {attribute.name: bool(attribute.eq) for attribute in kind.__attrs_attrs__}
    else:
        return {}, dict(_of_plain(receiver))
    held = {name: getattr(receiver, name) for name in every if hasattr(receiver, name)}
    others = {name: value for name, value in held.items() if not every[name] and value is not None}
    return {name: value for name, value in held.items() if every[name]}, {**others, **beside(receiver)}


def _of_plain(receiver: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(receiver, "__dict__", {}).items()
    for kind in type(receiver).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(receiver, name):
                yield name, getattr(receiver, name)
