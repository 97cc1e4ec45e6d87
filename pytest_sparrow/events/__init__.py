"""Reads and writes one event as one line of JSON: the cockpit's types, and `UnknownEvent` for any other line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pydantic import ValidationError

from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events import types
from pytest_sparrow.events.base import Block
from pytest_sparrow.events.jsontext import canonical, decode, encode, equal
from pytest_sparrow.events.types import *  # noqa: F403
from pytest_sparrow.events.types import EVENT_TYPES, KnownEvent

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["Block", "Event", "UnknownEvent", "dump_event", "parse_event"]
__all__ += types.__all__


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnknownEvent:
    """A line of an unknown type, or of a known type that doesn't fit its model; written back unchanged.

    Attributes:
        value: the whole line as parsed: nearly always an object.
    """

    value: Json

    @property
    def type(self) -> str:
        """The line's ``type``, or "" where it has none."""
        kind = self.fields.get("type")
        return kind if isinstance(kind, str) else ""

    @property
    def run(self) -> str | None:
        """The line's ``run``, or None where it has none."""
        run = self.fields.get("run")
        return run if isinstance(run, str) else None

    @property
    def fields(self) -> dict[str, Json]:
        """The line's keys and values, ``type`` and ``run`` among them; empty where it is no object."""
        return self.value if isinstance(self.value, dict) else {}

    def to_json(self) -> Json:
        """The line as it is written."""
        return self.value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, UnknownEvent):
            return NotImplemented
        return equal(self.value, other.value)

    def __hash__(self) -> int:
        return hash(canonical(self.value))


Event: TypeAlias = KnownEvent | UnknownEvent
"""Any event: has ``type``, ``run`` (None where it belongs to no run) and ``to_json()``."""


def parse_event(data: bytes | str | dict[str, Json]) -> Event:
    """Read one line, or the object that a line was parsed to (whose parts the event then holds).

    A type that this version doesn't know, or one that doesn't fit its model, gives an `UnknownEvent`.

    Raises:
        BrokenJson: the line is no JSON, or no JSON that can be kept faithfully; see `jsontext.decode`.
    """
    value = decode(data) if isinstance(data, bytes | str) else data
    model = EVENT_TYPES.get(_type_of(value))
    if model is not None:
        try:
            event: Event = model.__pydantic_validator__.validate_python(value)
        except ValidationError:
            pass
        else:
            return event
    return UnknownEvent(value=value)


def dump_event(event: Event) -> bytes:
    """The event's line, without the newline: compact JSON, ``type`` first, ``run`` second.

    Raises:
        NotRecordable: it holds something that JSON can't; the path begins with the event's type, like
            ``ToolUseStarted.args['when']``.
    """
    wire = event.to_json()
    try:
        return encode(wire, where=event.type)
    except NotRecordable:
        # Only now is it worth knowing which field.
        for name, value in wire.items() if isinstance(wire, dict) else ():
            encode(value, where=f"{event.type}.{name}")
        raise


def _type_of(value: Json) -> str:
    kind = value.get("type") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else ""
