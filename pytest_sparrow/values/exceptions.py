"""Writes a tool's exception as JSON and makes it again; no name from a golden is ever imported."""

from __future__ import annotations

import builtins
import sys
from asyncio import CancelledError
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_sparrow.errors import NotRecordable, RecordedToolError
from pytest_sparrow.values.noted import Notes, noted, restored
from pytest_sparrow.values.restore import DoesNotFit, innermost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_sparrow.exchange import Json

    _Way = Callable[[type[Exception], tuple[Any, ...] | None, str], Exception | None]


Raised = Exception | SystemExit | CancelledError
"""What a tool may raise as its answer: command-line tools exit, and a tool may give up work that it awaits."""

_NO_EXCEPTIONS: dict[tuple[str, str], type[SystemExit | CancelledError]] = {
    (kind.__module__, kind.__qualname__): kind for kind in (SystemExit, CancelledError)
}

_MEMBERS: dict[type[Exception], tuple[str, ...]] = {
    AttributeError: ("name",),
    NameError: ("name",),
    ImportError: ("name", "name_from"),
}
"""What these builtins keep outside ``args`` and ``__dict__``; a module's path is the machine's."""

_DEEPEST = 8
"""How many causes and groups are written below each other; more are left out."""


def error_to_json(error: Raised, depth: int = 0) -> dict[str, Json]:
    """``{"type", "module", "message", "bases"?, "args"?, "attributes"?, "types"?, "cause"?, "exceptions"?}``.

    ``bases`` are the types that it stems from, where its own is found by no name. ``args`` are the arguments of its
    constructor (left out where JSON cannot hold them), ``attributes`` the instance attributes that JSON can hold,
    notes among them, ``types`` what their JSON does not show. ``cause`` is what it was raised from, ``exceptions`` what
    a group holds, each written as an exception.
    """
    kind = type(error)
    found: dict[str, Json] = {"type": kind.__qualname__, "module": kind.__module__, "message": _text(error)}
    if (
        isinstance(error, Exception)
        and _loaded(kind.__qualname__, kind.__module__) is not kind
        and (bases := _bases(kind))
    ):
        found["bases"] = bases
    types: dict[str, Json] = {}
    args = _held(list(constructor_args(error)))
    if args is not None:
        found["args"], types["args"] = args
    own = {name: value for name, member in _members(error) if (value := member.__get__(error)) is not None}
    held = {name: _held(value) for name, value in {**own, **vars(error)}.items()}
    kept = {name: each for name, each in held.items() if each is not None}
    if kept:
        found["attributes"] = {name: value for name, (value, _) in kept.items()}
        types["attributes"] = {
            f"[{name!r}]{path}": kind for name, (_, notes) in kept.items() for path, kind in notes.items()
        }
    if any(types.values()):
        found["types"] = {place: notes for place, notes in types.items() if notes}
    if depth < _DEEPEST:
        found.update(_related(error, depth + 1))
    return found


def _related(error: Raised, depth: int) -> dict[str, Json]:
    found: dict[str, Json] = {}
    if isinstance(error.__cause__, Exception):
        found["cause"] = error_to_json(error.__cause__, depth)
    if isinstance(error, ExceptionGroup):
        found["exceptions"] = [error_to_json(each, depth) for each in error.exceptions]
    return found


def error_from_json(
    recorded: dict[str, Json], *, fn: Callable[..., Any] | None = None, raises: Iterable[type[Exception]] = ()
) -> Raised:
    """The exception to raise in a replay: of the recorded type if that is known here, with the recorded text.

    Known are ``raises``, the builtins, the globals of the tool's own module, and those of modules that it imported. A
    type of another loaded module, or one that stems from a loaded type (``bases``), is made without its constructor.
    Names are looked up, nothing is imported. Only subclasses of Exception count, SystemExit, with which command-line
    tools end (argparse, click), and asyncio's CancelledError.

    Args:
        recorded: what `error_to_json` gave; ``module`` is "" where the golden's events alone don't name it.
        fn: the tool.
        raises: further known types.

    Returns:
        The exception; a `RecordedToolError` where the type is unknown or can't be made with that text.
    """
    raises = tuple(raises)
    error = _of_known_type(recorded, fn, raises)
    cause = recorded.get("cause")
    if isinstance(cause, dict):
        error.__cause__ = error_from_json(cause, fn=fn, raises=raises)
    return error


def _of_known_type(
    recorded: dict[str, Json], fn: Callable[..., Any] | None, raises: tuple[type[Exception], ...]
) -> Raised:
    message = str(recorded.get("message", ""))
    name, module = str(recorded.get("type", "")), str(recorded.get("module", ""))
    members = recorded.get("exceptions")
    if isinstance(members, list):
        made = [error_from_json(each, fn=fn, raises=raises) for each in members if isinstance(each, dict)]
        args: Any = (message.rpartition(" (")[0], made)
    else:
        args = _restored(recorded, "args")
        args = tuple(args) if isinstance(args, list) else None
    if (module, name) in _NO_EXCEPTIONS:
        return _NO_EXCEPTIONS[module, name](*args or ())
    ways: tuple[_Way, ...] = (_constructed, _bare)
    kind = _known_type(name, module, fn, raises)
    if kind is None:
        kind = _loaded(name, module) or _derived(name, module, recorded.get("bases"))
        if kind is None:
            return RecordedToolError(name, message)
        if not _is_of_pydantic(kind):
            ways = (_unbuilt, _unbuilt_of_text)
    attributes = _restored(recorded, "attributes")
    for build in ways:
        error = build(kind, args, message)
        if error is not None:
            _set_attributes(error, attributes if isinstance(attributes, dict) else {})
            if _text(error) == message:
                return error
    return RecordedToolError(name, message)


def _members(error: BaseException) -> Iterator[tuple[str, Any]]:
    for kind, names in _MEMBERS.items():
        if isinstance(error, kind):
            yield from ((name, vars(kind)[name]) for name in names if name in vars(kind))


def _set_attributes(error: Exception, attributes: dict[str, Any]) -> None:
    """Set the attributes without the type's own ``__setattr__``, which is code."""
    members = dict(_members(error))
    for name, value in attributes.items():
        if name in members:
            members[name].__set__(error, value)
        else:
            vars(error)[name] = value


def _text(error: Raised) -> str:
    try:
        return str(error).encode("utf-8", "backslashreplace").decode()
    except Exception:  # noqa: BLE001 - a user's __str__ may fail; that must not hide the exception itself
        return ""


def constructor_args(error: Any) -> tuple[Any, ...]:
    """The arguments to call the type with: those of pickle, which knows more than ``args`` (OSError's file name)."""
    if _is_of_pydantic(type(error)):
        return error.title, [_line(each) for each in error.errors(include_url=False)]
    try:
        reduced = error.__reduce__()
    except Exception:  # noqa: BLE001 - as in _text
        reduced = None
    own = isinstance(reduced, tuple) and reduced[0] is type(error) and isinstance(reduced[1], tuple)
    args: tuple[Any, ...] = reduced[1] if own else error.args
    return args


def _is_of_pydantic(kind: type[BaseException]) -> bool:
    """Whether a type is the one of all pydantic's validations, which only its own factory makes."""
    return kind is getattr(sys.modules.get("pydantic_core"), "ValidationError", None)


def _line(found: dict[str, Any]) -> dict[str, Any]:
    """What one line of a validation's error is made of; of an exception that a validator raised only its text."""
    line = {name: value for name, value in found.items() if name != "msg"}
    if "ctx" in line:
        line["ctx"] = {
            name: str(value) if isinstance(value, Exception) else value for name, value in line["ctx"].items()
        }
    return line


_RAISED_BY_VALIDATORS = {"value_error": ValueError, "assertion_error": AssertionError}


def _validation_error(kind: Any, title: str, lines: list[dict[str, Any]]) -> Exception:
    for line in lines:
        raised = _RAISED_BY_VALIDATORS.get(line["type"])
        if raised is not None:
            line["ctx"] = {**line["ctx"], "error": raised(line["ctx"]["error"])}
    error: Exception = kind.from_exception_data(title, lines)
    return error


def _held(value: Any) -> tuple[Json, Notes] | None:
    try:
        return noted(value, where="")
    except NotRecordable:
        return None


def _restored(recorded: dict[str, Json], place: str) -> Any:
    types = recorded.get("types")
    try:
        return restored(recorded.get(place), types.get(place, {}) if isinstance(types, dict) else {})
    except DoesNotFit:
        return None


def _known_type(name: str, module: str, fn: Any, raises: Iterable[type[Exception]]) -> type[Exception] | None:
    for kind in raises:
        if kind.__qualname__ == name and module in ("", kind.__module__):
            return kind
    places = [vars(builtins)]
    space = getattr(innermost(fn), "__globals__", None) if fn is not None else None
    if space is not None:
        places.append(space)
        places.extend(vars(value) for value in list(space.values()) if isinstance(value, ModuleType))
    for place in places:
        found = _walk(place, name)
        if not (isinstance(found, type) and issubclass(found, Exception)):
            continue
        # The module must agree, where it is known: two modules may each have their own TimeoutError.
        if found.__qualname__ == name and module in ("", found.__module__):
            return found
    return None


def _bases(kind: type[BaseException]) -> list[Json]:
    """The types that one stems from, as ``module:name``, the nearest first."""
    bases = [base for base in kind.__mro__[1:] if base not in (Exception, BaseException, object)]
    return [f"{base.__module__}:{base.__qualname__}" for base in bases]


def _loaded(name: str, module: str) -> type[Exception] | None:
    """An exception's type in a loaded module."""
    found = _walk(getattr(sys.modules.get(module), "__dict__", {}), name)
    return found if isinstance(found, type) and issubclass(found, Exception) else None


def _derived(name: str, module: str, bases: Json) -> type[Exception] | None:
    """A type of this name that stems from the nearest loaded one: some are made while a program runs (boto3's)."""
    for base in bases if isinstance(bases, list) else ():
        of_module, _, of_name = str(base).partition(":")
        found = _loaded(of_name, of_module)
        if found is not None:
            kind: type[Exception] = type(
                name.rpartition(".")[2], (found,), {"__module__": module, "__qualname__": name}
            )
            return kind
    return None


def _walk(place: dict[str, Any], name: str) -> Any:
    """The object behind ``Client.Refused`` in a namespace, without getattr, which might run code; None if not there."""
    first, *rest = name.split(".")
    found = place.get(first)
    for part in rest:
        found = vars(found).get(part) if isinstance(found, type) else None
    return found


def _constructed(kind: type[Exception], args: tuple[Any, ...] | None, _: str) -> Exception | None:
    if args is None:
        return None
    try:
        error = _validation_error(kind, *args) if _is_of_pydantic(kind) else kind(*args)
    except Exception:  # noqa: BLE001 - a constructor with other parameters than the args that it passes on
        return None
    return error if type(error) is kind else None


def _bare(kind: type[Exception], args: tuple[Any, ...] | None, message: str) -> Exception | None:
    """The exception made without its constructor, where that refuses the recorded args."""
    given = (message,) if args is None else args
    try:
        error = kind.__new__(kind, *given)
        if not isinstance(error, ExceptionGroup):
            error.args = given
    except Exception:  # noqa: BLE001 - types that cannot be made this way (pydantic's ValidationError)
        return None
    return error if type(error) is kind else None


def _unbuilt(kind: type[Exception], args: tuple[Any, ...] | None, message: str) -> Exception | None:
    """The exception made without any code of its type, which only a golden names."""
    builtin = next(base for base in kind.__mro__ if base.__module__ == "builtins")
    given = (message,) if args is None else args
    try:
        error: Exception = builtin.__new__(kind, *given)
        if not isinstance(error, ExceptionGroup):
            error.args = given
    except Exception:  # noqa: BLE001 - a builtin that does not accept these arguments
        return None
    return error


def _unbuilt_of_text(kind: type[Exception], _: tuple[Any, ...] | None, message: str) -> Exception | None:
    """The same with the text alone, which a constructor would have made of its arguments (boto3's errors)."""
    return _unbuilt(kind, None, message)
