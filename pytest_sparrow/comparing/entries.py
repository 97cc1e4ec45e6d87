"""Events as the comparison sees them: plain JSON, numbered, with lane and turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.comparing.result import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Json

__all__ = ["CALL_TYPES", "Entry", "entries"]

CALL_TYPES = frozenset(
    {"ToolUseProposed", "ToolUseStarted", "ToolOutput", "ApprovalRequested", "ApprovalResolved"}
)
"""Types whose ``id`` is a tool call's."""

_SPEAKING = frozenset({"ReasoningDelta", "ThinkingDelta", "Message", "ToolUseProposed"})
_ENDS_ANSWER = frozenset({"Message", "TokenUsage", "ToolUseStarted", "ToolOutput", "Error"})

_MASKED = frozenset({"type", "run", "lane", "timestamp", "created", "created_at", "ts", "duration_ms"})
"""Fields of an event itself (never of the data in it) that say when or where it was recorded."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event on its way through the passes.

    Attributes:
        at: its place in its run.
        type: the event's type, "" where it has none.
        lane: its lane's label, "" for the main one.
        run: its run's id, "" where it has none.
        id: its own id, or None.
        label: the tool's name or the role, "" where there is none.
        body: its other fields; masked ones are gone. Never changed in place: it may be the event's own.
    """

    at: Place
    type: str
    lane: str
    run: str
    id: str | None
    label: str
    body: dict[str, Json]

    def with_body(self, body: dict[str, Json]) -> Entry:
        """The same event with other fields."""
        return Entry(self.at, self.type, self.lane, self.run, self.id, self.label, body)


def entries(events: Iterable[tuple[int, Event]]) -> Iterator[Entry]:
    """Numbered events to entries: masks what says when or where, finds labels and counts turns.

    A turn is one answer of a model: it begins, lane by lane, with the first text, reasoning or proposal after
    a tool call, a whole message, a usage or an error. A call's events belong to the turn of its proposal; what a
    lane does before its first answer belongs to none (0).
    """
    turns = _Turns()
    names: dict[str, str] = {}
    for number, event in events:
        wire = event.to_json()
        if not isinstance(wire, dict):
            wire = {"value": wire}
        kind = _text(wire.get("type"))
        lane = _text(wire.get("lane"))
        own_id = wire.get("id") if isinstance(wire.get("id"), str) else None
        body = {key: value for key, value in wire.items() if key not in _MASKED}
        if own_id is not None:
            del body["id"]
        if (
            kind == "RunFinished"
            and isinstance(body.get("outcome"), dict)
            and "duration_ms" in body["outcome"]
        ):
            body["outcome"] = {key: value for key, value in body["outcome"].items() if key != "duration_ms"}
        label = _label(kind, own_id, body, names)
        place = Place(number, turns.of(kind, lane, own_id))
        yield Entry(place, kind, lane, _text(wire.get("run")), own_id, label, body)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _label(kind: str, own_id: str | None, body: dict[str, Json], names: dict[str, str]) -> str:
    """The tool's name for events of a call (known from its proposal), the role of who spoke or worked."""
    if kind in CALL_TYPES:
        name = body.get("name", body.get("tool"))
        if isinstance(name, str) and own_id is not None:
            if kind == "ToolUseProposed":
                names[own_id] = name
            return name
        return names.get(own_id, "") if own_id is not None else ""
    return _text(body.get("role"))


class _Turns:
    """Counts the turns of a run; numbers follow the order in which turns begin."""

    def __init__(self) -> None:
        self._count = 0
        self._current: dict[str, int] = {}
        self._speaking: set[str] = set()
        self._proposed_in: dict[str, tuple[str, int]] = {}

    def of(self, kind: str, lane: str, own_id: str | None) -> int:
        if kind in _SPEAKING and lane not in self._speaking:
            self._count += 1
            self._current[lane] = self._count
            self._speaking.add(lane)
        turn = self._current.get(lane, 0)
        if own_id is not None and kind in CALL_TYPES:
            if kind == "ToolUseProposed":
                self._proposed_in[own_id] = (lane, turn)
            lane, turn = self._proposed_in.get(own_id, (lane, turn))
        if kind in _ENDS_ANSWER:
            self._speaking.discard(lane)
        return turn
