"""Writes what a tool returned as JSON, and restores it through the declared type: equal, or refused when recorded.

A function's annotations say the types of what it returns and yields, and whether JSON restores them unaided.
"""

from __future__ import annotations

import collections.abc as abc
import functools
import inspect
import types
import typing
from typing import TYPE_CHECKING, Any

from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events.jsontext import encode
from pytest_sparrow.values.equality import difference
from pytest_sparrow.values.to_json import brief, jsonable, plain, type_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import TypeAdapter

    from pytest_sparrow.exchange import Json

ABSENT: Any = inspect.Signature.empty
"""No annotation, or one that cannot be resolved: only plain JSON values can be restored."""


def innermost(fn: Any) -> Any:
    """The plain function beneath partials, methods, decorators (``__wrapped__``) and callable objects."""
    while True:
        if isinstance(fn, functools.partial):
            fn = fn.func
        elif inspect.ismethod(fn) or isinstance(fn, classmethod | staticmethod):
            fn = fn.__func__
        elif callable(getattr(fn, "__wrapped__", None)):
            fn = fn.__wrapped__
        elif (
            inspect.isroutine(fn) or inspect.isclass(fn) or not inspect.isfunction(call := type(fn).__call__)
        ):
            return fn
        else:
            fn = call


def return_annotation(fn: Callable[..., Any]) -> Any:
    """The return annotation, resolved in the function's own module; `ABSENT` where there is none."""
    try:
        annotation = inspect.signature(fn).return_annotation
    except (TypeError, ValueError):
        return ABSENT
    if annotation is ABSENT:
        return ABSENT
    inner = innermost(fn)
    # Resolved one by one: typing.get_type_hints(fn) fails altogether where a single parameter's type is only
    # imported for type checkers.
    carrier = lambda: None  # noqa: E731 - anything that may have __annotations__
    carrier.__annotations__ = {"return": annotation}
    try:
        return typing.get_type_hints(
            carrier, getattr(inner, "__globals__", {}), _closure(inner), include_extras=True
        )["return"]
    except Exception:  # noqa: BLE001 - an annotation's text is arbitrary code; unresolvable is as good as absent
        return ABSENT


def _closure(fn: Any) -> dict[str, Any]:
    code, cells = getattr(fn, "__code__", None), getattr(fn, "__closure__", None)
    found = {}
    for name, cell in zip(code.co_freevars, cells, strict=True) if code and cells else ():
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return found


_GENERATORS = (
    abc.Generator,
    abc.Iterator,
    abc.Iterable,
    abc.AsyncGenerator,
    abc.AsyncIterator,
    abc.AsyncIterable,
)


def item_annotation(annotation: Any) -> Any:
    """The type of the items of a generator with this return annotation; any other annotation is the items' type."""
    annotation = _bare(annotation)
    if annotation in _GENERATORS:
        return ABSENT
    if typing.get_origin(annotation) in _GENERATORS:
        return typing.get_args(annotation)[0]
    return annotation


def result_annotation(annotation: Any) -> Any:
    """The type of the value that a generator with this return annotation returns at its end."""
    annotation = _bare(annotation)
    args = typing.get_args(annotation)
    if typing.get_origin(annotation) is abc.Generator and len(args) == 3:
        return args[2]
    return ABSENT


def awaited_annotation(annotation: Any) -> Any:
    """The type of the result of an awaitable: ``T`` for ``Awaitable[T]`` or ``Coroutine[…, …, T]``."""
    bare = _bare(annotation)
    origin = typing.get_origin(bare)
    if isinstance(origin, type) and issubclass(origin, abc.Awaitable):
        return typing.get_args(bare)[-1]
    return annotation


_WRITTEN_AS_IS = frozenset({ABSENT, Any, object, None, type(None), str, int, float, bool, dict, list})
_LISTS = frozenset({list, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable})
_OBJECTS = frozenset({dict, abc.Mapping, abc.MutableMapping})
_QUALIFIERS = frozenset({"Annotated", "Required", "NotRequired", "ReadOnly", "Final", "ClassVar"})


def is_plain(annotation: Any, _above: tuple[Any, ...] = ()) -> bool:
    """Whether JSON gives back all values of the type as they were, so that there is nothing to restore.

    Then nothing may be restored, either: validating 40 as ``float`` would give 40.0, and the agent another text.
    """
    annotation = _bare(annotation)
    if any(annotation is above for above in _above):
        return True
    if _is_typed_dict(annotation):
        return _is_plain_typed_dict(annotation, (*_above, annotation))
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is None:
        return isinstance(annotation, abc.Hashable) and annotation in _WRITTEN_AS_IS
    if origin is typing.Literal:
        return all(type(arg) in _WRITTEN_AS_IS for arg in args)
    if origin in _OBJECTS:
        return is_plain(args[0], _above) and _bare(args[0]) in (str, Any) and is_plain(args[1], _above)
    if origin in _LISTS or origin in (typing.Union, types.UnionType):
        return all(is_plain(arg, _above) for arg in args)
    return False


def _is_typed_dict(annotation: Any) -> bool:
    # typing's and typing_extensions' are different types on 3.11; both have this.
    return isinstance(annotation, type) and hasattr(annotation, "__required_keys__")


def _is_plain_typed_dict(annotation: Any, above: tuple[Any, ...]) -> bool:
    try:
        hints = typing.get_type_hints(annotation)
    except Exception:  # noqa: BLE001 - as in return_annotation
        return True
    return all(is_plain(hint, above) for hint in hints.values())


def _bare(annotation: Any) -> Any:
    """The annotation without Annotated and the like, NewType, type aliases and type variables."""
    for _ in range(20):  # no alias is that long; a circular one ends here
        name = getattr(
            typing.get_origin(annotation), "__name__", getattr(typing.get_origin(annotation), "_name", "")
        )
        if isinstance(annotation, typing.TypeVar):
            return ABSENT
        if typing.get_origin(annotation) is not None and name in _QUALIFIERS:
            annotation = typing.get_args(annotation)[0]
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return annotation
    return annotation


def as_declared(value: Json, otherwise: Json, annotation: Any) -> Json:
    """The one of two readings of an output that fits the declared type.

    Events don't say whether an output is a text that holds JSON, or the value itself.

    Args:
        value: one reading.
        otherwise: the other.
        annotation: the declared type, or `ABSENT`.

    Returns:
        ``value`` where both readings fit, or neither, or nothing is declared.
    """
    if annotation is ABSENT or annotation is Any:
        return value
    from pydantic import TypeAdapter, ValidationError

    try:
        adapter = TypeAdapter(annotation)
    except Exception:  # noqa: BLE001 - a type that pydantic has no schema for says nothing
        return value
    for reading in (value, otherwise):
        try:
            adapter.validate_json(encode(reading), strict=True)
        except ValidationError:
            continue
        except Exception:  # noqa: BLE001 - a model's own validator
            return value
        return reading
    return value


class DoesNotFit(Exception):
    """A JSON value does not fit an annotation; the text says why."""


class NotLoaded(DoesNotFit):
    """The value is of a class that no loaded module holds."""

    def __init__(self, what: str, module: str) -> None:
        super().__init__(f"the class {what} is not loaded here")
        self.what = what
        self.module = module


def to_json(value: Any, annotation: Any = ABSENT, *, where: str = "…", hint: str = "") -> Json:
    """A value as the JSON from which `from_json` with the same annotation gives the same value.

    Args:
        value: what a tool returned.
        annotation: its declared type; `ABSENT` for none: then only plain JSON types come back.
        where: the start of the path in an error.
        hint: the way out to name in an error.

    Returns:
        JSON that shares no object with the value: the agent may change the value.

    Raises:
        NotRecordable: the value would come back as something else; names the path and the two types.
    """
    adapter = _adapter(annotation)
    if adapter is None:
        return plain(value, where=where, hint=hint)
    # Our own form first: arguments have it, and it puts sets in order, so that recording again changes nothing.
    # pydantic's form knows aliases, serializers and encodings.
    problem = "", ""
    for form in (_own_form, _pydantic_form):
        try:
            json = form(value, adapter, where)
            wrong = difference(value, from_json(json, annotation))
        except (NotRecordable, DoesNotFit) as error:
            problem = problem if problem[1] else _misfit(error, value, annotation, where)
            continue
        if wrong is None:
            return json
        problem = wrong
    raise NotRecordable(where + problem[0], problem[1], hint)


def from_json(json: Json, annotation: Any = ABSENT) -> Any:
    """The value that `to_json` wrote, restored through its declared type.

    Null is None whatever the annotation says: functions that may return None are often annotated as if they didn't.

    Raises:
        DoesNotFit: the JSON is not of this type (the annotation was changed since the recording).
    """
    adapter = _adapter(annotation)
    if adapter is None:
        return plain(json, where="…")
    from pydantic import ValidationError

    try:
        return adapter.validate_json(encode(json))
    except ValidationError as error:
        if json is None:
            return None
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = "".join(f"[{part!r}]" for part in first["loc"])
        raise DoesNotFit(f"{place}: {first['msg']}".removeprefix(": ")) from None
    except Exception as error:  # a model's own validator, or a type not fully defined
        raise DoesNotFit(f"{type_name(error)}: {error}") from error


def _own_form(value: Any, _: TypeAdapter[Any], where: str) -> Json:
    return jsonable(value, where=where)


def _pydantic_form(value: Any, adapter: TypeAdapter[Any], where: str) -> Json:
    try:
        json = adapter.dump_python(value, mode="json", by_alias=True, round_trip=True, warnings="error")
    except Exception as error:  # pydantic's own, or a serializer of the user's
        raise DoesNotFit(f"{error}") from error
    return plain(json, where=where)


def _misfit(error: Exception, value: Any, annotation: Any, where: str) -> tuple[str, str]:
    if isinstance(error, NotRecordable):
        return error.path.removeprefix(where), error.reason
    return (
        "",
        f"the {type_name(value)} {brief(value)} does not come back through {_spelled(annotation)} ({error})",
    )


def _spelled(annotation: Any) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)


def _adapter(annotation: Any) -> TypeAdapter[Any] | None:
    """The reader and writer that pydantic makes of a type; None for plain and for unknown types."""
    try:
        return _known_adapter(annotation)
    except TypeError:  # unhashable, as Annotated[int, {}] is
        return _new_adapter(annotation)


# Bounded, since it keeps types alive that tests define; pydantic keeps a model's own schema on the model.
@functools.lru_cache(maxsize=512)
def _known_adapter(annotation: Any) -> TypeAdapter[Any] | None:
    return _new_adapter(annotation)


def _new_adapter(annotation: Any) -> TypeAdapter[Any] | None:
    if is_plain(annotation):
        return None
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter

    try:
        try:
            return TypeAdapter(
                annotation, config=ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
            )
        except PydanticUserError as error:
            if error.code != "type-adapter-config-unused":
                raise
            return TypeAdapter(annotation)  # a model brings its own configuration
    except Exception:  # noqa: BLE001 - no schema, or a foreign one that fails: no better than none
        return None
