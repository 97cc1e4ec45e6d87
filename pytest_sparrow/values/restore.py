"""Writes what a tool returned as JSON, and restores it through the declared type: equal, or refused when recorded."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events.jsontext import encode
from pytest_sparrow.values import type_hints
from pytest_sparrow.values.equality import difference
from pytest_sparrow.values.to_json import brief, jsonable, plain, type_name
from pytest_sparrow.values.type_hints import ABSENT, is_plain

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from pytest_sparrow.exchange import Json


__all__ = ["DoesNotFit", "as_declared", "from_json", "to_json"]


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
    if annotation is type_hints.ABSENT or annotation is Any:
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
