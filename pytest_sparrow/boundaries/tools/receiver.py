"""Says on whom a tool is called: the object or class of a method, a callable object, what a partial has bound."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from types import ModuleType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.run.context import is_users_class
from pytest_sparrow.values.to_json import jsonable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sparrow.exchange import Json

KEY = "__sparrow_key__"
"""The attribute or method by which a class says which of its objects this one is."""

_LEAVES = (str, int, Enum, Decimal, UUID, PurePath, date)
_LONGEST = 500
_PORT_OF_LOOPBACK = re.compile(r"\b(127\.0\.0\.1|localhost|\[::1\]):\d+")
_NEW_IN_EVERY_RUN = re.compile(r"(?:^|_)(?:port|pid|fd)$")
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
    """The objects behind a receiver that a call may change: the user's own, and what a partial has bound."""
    if isinstance(receiver, functools.partial):
        bound = {f"bound[{number}]": value for number, value in enumerate(receiver.args)}
        return {**roots_of(receiver_of(receiver.func, (), method=False)), **bound, **receiver.keywords}
    kind = receiver if isinstance(receiver, type) else type(receiver)
    return {"self": receiver} if receiver is not NOTHING and is_users_class(kind) else {}


def receiver_json(receiver: Any) -> tuple[dict[str, Json], bool]:
    """The object or class as JSON, and whether that says which object it is.

    ``{"class": name, …}`` with the fields of a dataclass, an attrs class or a pydantic model, with ``key`` where the
    class has a `KEY`, else with the attributes that are plain values. ``class`` is no attribute's name in Python.
    """
    if isinstance(receiver, functools.partial):
        return _of_partial(receiver)
    if isinstance(receiver, type):
        return {"class": receiver.__qualname__}, True
    found: dict[str, Json] = {"class": type(receiver).__qualname__}
    key = getattr(receiver, KEY, None)
    if key is not None:
        value = key() if callable(key) else key
        return {**found, "key": jsonable(value, where=f"{type(receiver).__qualname__}.{KEY}")}, True
    declared = _declared(receiver)
    attributes = dict(_attributes(receiver)) if declared is None else declared
    for name, value in attributes.items():
        if declared is None and not _is_plain(name, value):
            continue
        try:
            found[name] = _portless(jsonable(value, where=name))
        except NotRecordable:
            continue
    return found, len(found) > 1 or not attributes


def _of_partial(partial: functools.partial[Any]) -> tuple[dict[str, Json], bool]:
    """What a partial has bound by position; what it has bound by name is among the arguments."""
    found: list[Json] = []
    known = True
    fn: Callable[..., Any] = partial.func
    inner = receiver_of(fn, (), method=False)
    for value in (*(() if inner is NOTHING else (inner,)), *partial.args):
        if value is None or isinstance(value, (*_LEAVES, float, list, dict, tuple)):
            try:
                found.append(jsonable(value, where="partial"))
                continue
            except NotRecordable:
                pass
        on, identified = receiver_json(value)
        found.append(on)
        known = known and identified
    return ({"bound": found} if found else {}), known


def _declared(receiver: Any) -> dict[str, Any] | None:
    """The fields of a dataclass, an attrs class or a pydantic model; None for any other object."""
    kind: Any = type(receiver)
    if dataclasses.is_dataclass(receiver):
        names = [field.name for field in dataclasses.fields(receiver) if field.compare]
    elif isinstance(getattr(kind, "model_fields", None), dict):
        names = [name for name, field in kind.model_fields.items() if field.exclude is not True]
    elif isinstance(getattr(kind, "__attrs_attrs__", None), tuple):
        names = [attribute.name for attribute in kind.__attrs_attrs__ if attribute.eq]
    else:
        return None
    return {name: getattr(receiver, name) for name in names if hasattr(receiver, name)}


def _attributes(receiver: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(receiver, "__dict__", {}).items()
    for kind in type(receiver).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(receiver, name):
                yield name, getattr(receiver, name)


def _is_plain(name: str, value: Any) -> bool:
    """Whether an attribute of any object may say which object it is: no moment, no measure, no large state."""
    if _NEW_IN_EVERY_RUN.search(name) or isinstance(value, datetime):
        return False
    if value is None or isinstance(value, _LEAVES):
        return not isinstance(value, str) or len(value) <= _LONGEST
    return False


def _portless(value: Json) -> Json:
    """A text without the ports of this machine's own servers, which are new in every run."""
    if isinstance(value, str):
        return _PORT_OF_LOOPBACK.sub(r"\1", value)
    return value
