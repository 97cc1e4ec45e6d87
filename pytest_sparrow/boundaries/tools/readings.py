"""Two readings of one output: events don't tell text of JSON from the value itself, a declared type does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.tools import hints
from pytest_sparrow.events.jsontext import encode

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["as_declared"]


def as_declared(value: Json, otherwise: Json, annotation: Any) -> Json:
    """The reading that is of the declared type; ``value`` where both are, or neither, or nothing is declared."""
    if annotation is hints.ABSENT or annotation is Any:
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
