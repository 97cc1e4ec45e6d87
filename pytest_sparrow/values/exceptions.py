"""Writes a tool's exception as JSON and makes it again; no name from a golden is ever imported."""

from __future__ import annotations

import builtins
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_sparrow.errors import NotRecordable, RecordedToolError
from pytest_sparrow.values.noted import Notes, noted, restored
from pytest_sparrow.values.restore import DoesNotFit, innermost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_sparrow.exchange import Json


def error_to_json(error: Exception) -> dict[str, Json]:
    """``{"type", "module", "message", "args"?, "attributes"?, "types"?}`` of an exception.

    ``args`` are the arguments of its constructor (left out where JSON cannot hold them), ``attributes`` the instance
    attributes that JSON can hold, ``types`` what their JSON does not show.
    """
    kind = type(error)
    found: dict[str, Json] = {"type": kind.__qualname__, "module": kind.__module__, "message": _text(error)}
    types: dict[str, Json] = {}
    args = _held(list(_constructor_args(error)))
    if args is not None:
        found["args"], types["args"] = args
    held = {name: _held(value) for name, value in vars(error).items() if name != "__notes__"}
    kept = {name: each for name, each in held.items() if each is not None}
    if kept:
        found["attributes"] = {name: value for name, (value, _) in kept.items()}
        types["attributes"] = {
            f"[{name!r}]{path}": kind for name, (_, notes) in kept.items() for path, kind in notes.items()
        }
    if any(types.values()):
        found["types"] = {place: notes for place, notes in types.items() if notes}
    return found


def error_from_json(
    recorded: dict[str, Json], *, fn: Callable[..., Any] | None = None, raises: Iterable[type[Exception]] = ()
) -> Exception:
    """The exception to raise in a replay: of the recorded type if that is known here, with the recorded text.

    Known are ``raises``, the builtins, the globals of the tool's own module, and those of modules that it imported.
    Names are looked up, nothing is imported. Only subclasses of Exception count.

    Args:
        recorded: what `error_to_json` gave; ``module`` is "" where the golden's events alone don't name it.
        fn: the tool.
        raises: further known types.

    Returns:
        The exception; a `RecordedToolError` where the type is unknown or can't be made with that text.
    """
    message = str(recorded.get("message", ""))
    name = str(recorded.get("type", ""))
    kind = _known_type(name, str(recorded.get("module", "")), fn, raises)
    args = _restored(recorded, "args")
    args = tuple(args) if isinstance(args, list) else None
    attributes = _restored(recorded, "attributes")
    if kind is None:
        return RecordedToolError(name, message)
    for build in (_constructed, _bare):
        error = build(kind, args, message)
        if error is not None:
            vars(error).update(attributes if isinstance(attributes, dict) else {})
            if _text(error) == message:
                return error
    return RecordedToolError(name, message)


def _text(error: Exception) -> str:
    try:
        return str(error).encode("utf-8", "backslashreplace").decode()
    except Exception:  # noqa: BLE001 - a user's __str__ may fail; that must not hide the exception itself
        return ""


def _constructor_args(error: Exception) -> tuple[Any, ...]:
    """The arguments to call the type with: those of pickle, which knows more than ``args`` (OSError's file name)."""
    try:
        reduced = error.__reduce__()
    except Exception:  # noqa: BLE001 - as in _text
        return error.args
    if isinstance(reduced, tuple) and reduced[0] is type(error) and isinstance(reduced[1], tuple):
        return reduced[1]
    return error.args


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
        error = kind(*args)
    except Exception:  # noqa: BLE001 - a constructor with other parameters than the args that it passes on
        return None
    return error if type(error) is kind else None


def _bare(kind: type[Exception], args: tuple[Any, ...] | None, message: str) -> Exception | None:
    """The exception made without its constructor, where that refuses the recorded args."""
    given = (message,) if args is None else args
    try:
        error = kind.__new__(kind, *given)
        error.args = given
    except Exception:  # noqa: BLE001 - types that cannot be made this way (pydantic's ValidationError)
        return None
    return error if type(error) is kind else None
