"""Event ⇄ line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias, get_args

from pydantic import Field, ValidationError

from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events import models
from pytest_sparrow.events.jsontext import decode, encode
from pytest_sparrow.events.unknown import UnknownEvent

if TYPE_CHECKING:
    from pytest_sparrow.events.base import WireModel
    from pytest_sparrow.exchange import Json

__all__ = ["EVENT_TYPES", "Event", "KnownEvent", "dump_event", "parse_event"]

KnownEvent: TypeAlias = Annotated[
    models.RunStarted
    | models.RouteSelected
    | models.ModelSwitched
    | models.ThinkingDelta
    | models.ReasoningDelta
    | models.Message
    | models.ToolUseProposed
    | models.ApprovalRequested
    | models.ApprovalResolved
    | models.ToolUseStarted
    | models.ToolOutput
    | models.DiffProposed
    | models.DiffApplied
    | models.TestResult
    | models.AgentSpawned
    | models.AgentStatus
    | models.CheckpointCreated
    | models.SkillLearned
    | models.CostUpdate
    | models.TokenUsage
    | models.TokenUsageEstimated
    | models.AutonomyChanged
    | models.RunFinished
    | models.Error
    | models.Compacted
    | models.UpdateAvailable,
    Field(discriminator="type"),
]
"""The 26 types, told apart by ``type``."""

Event: TypeAlias = KnownEvent | UnknownEvent
"""Any event: has ``type``, ``run`` (None where it belongs to no run) and ``to_json()``."""

EVENT_TYPES: dict[str, type[WireModel]] = {
    model.__name__: model for model in get_args(get_args(KnownEvent)[0])
}
"""The model of each type, by its name on the wire."""


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
