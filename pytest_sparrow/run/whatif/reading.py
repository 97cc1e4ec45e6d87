"""Events → script: which answers the model gave, and what each call came to. Pure.

A turn is one answer. It begins with the first text, reasoning or proposal of a lane, and ends at what only comes
after a whole answer: the assistant's Message, a TokenUsage, an Error, the first event of one of its calls besides the
proposal, or another agent's, route's or run's beginning. Nothing is made up: a text that the events have lost is not
said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_sparrow.errors import SparrowError
from pytest_sparrow.providers.codec import Failure, ModelAnswer, Proposal, Reasoning, Text, Usage
from pytest_sparrow.run.whatif.script import Given, Script, ScriptedCall, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import Part

__all__ = ["UNPROPOSED", "UnreadableEvent", "read_script"]

UNPROPOSED = re.compile(r"unproposed_\d+\Z")
"""Ids that a recording gives to calls that no model proposed (`docs/format.md`, 9)."""


class UnreadableEvent(SparrowError):
    """An event that a run cannot be fed from.

    Attributes:
        line: its line in ``events.jsonl``, from 1.
        reason: what is wrong.
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(line, reason)
        self.line = line
        self.reason = reason

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


def read_script(events: Iterable[Event]) -> Script:
    """Read a run's events.

    Raises:
        UnreadableEvent: one that tells of a turn or a call lacks what its type needs.
    """
    reader = _Reader()
    for number, event in enumerate(events):
        reader.take(number, event)
    return reader.script()


@dataclass(slots=True)
class _Answer:
    """A turn being read."""

    number: int
    lane: str
    at: int
    parts: list[Part] = field(default_factory=list)
    calls: list[ScriptedCall] = field(default_factory=list)
    usage: Usage | None = None
    failure: Failure | None = None
    _kind: type[Text | Reasoning] = Text
    _pieces: list[str] = field(default_factory=list)

    def add(self, kind: type[Text | Reasoning], text: str) -> None:
        """Texts of one kind that stand side by side are one: the cockpit writes a provider's chunks."""
        if kind is not self._kind:
            self._join()
            self._kind = kind
        self._pieces.append(text)

    def propose(self, call: ScriptedCall) -> None:
        """A call stands between texts."""
        self._join()
        self.parts.append(Proposal(call.id, call.name, call.args))
        self.calls.append(call)

    def _join(self) -> None:
        """Once for each text, however many pieces it came in."""
        if self._pieces:
            self.parts.append(self._kind("".join(self._pieces)))
            self._pieces = []

    def turn(self) -> Turn:
        self._join()
        answer = ModelAnswer(parts=tuple(self.parts), usage=self.usage, failure=self.failure)
        return Turn(number=self.number, lane=self.lane, at=self.at, answer=answer, calls=tuple(self.calls))


@dataclass(slots=True)
class _Lane:
    """One lane being read.

    Attributes:
        open: the turn that may still grow.
        last: the last turn, open or not.
        unsaid: its text waits for the Message that says it again.
    """

    open: _Answer | None = None
    last: _Answer | None = None
    unsaid: bool = False


class _Reader:
    def __init__(self) -> None:
        self._answers: list[_Answer] = []
        self._lanes: dict[str, _Lane] = {}
        self._calls: dict[str, ScriptedCall] = {}
        self._unproposed: list[ScriptedCall] = []
        self._others: list[tuple[int, Event]] = []

    def script(self) -> Script:
        return Script(
            turns=tuple([answer.turn() for answer in self._answers]),
            unproposed=tuple(self._unproposed),
            others=tuple(self._others),
        )

    def take(self, number: int, event: Event) -> None:
        wire = event.to_json()
        fields = wire if isinstance(wire, dict) else {}
        kind = fields.get("type")
        read = _READERS.get(kind) if isinstance(kind, str) else None
        if read is None:
            if kind in _BEGINNINGS:
                for lane in self._lanes.values():
                    lane.open = None
            self._others.append((number, event))
            return
        try:
            if not read(self, number, _Fields(fields)):
                self._others.append((number, event))
        except _Wrong as wrong:
            raise UnreadableEvent(number + 1, f"this is no {kind}: {wrong}") from None

    def lane(self, fields: _Fields) -> _Lane:
        return self._lanes.setdefault(fields.lane, _Lane())

    def speaking(self, number: int, fields: _Fields) -> _Answer:
        """The turn that says this: the open one, or a new one."""
        lane = self.lane(fields)
        if lane.open is None:
            lane.open = lane.last = _Answer(len(self._answers) + 1, fields.lane, number)
            lane.unsaid = False
            self._answers.append(lane.open)
        return lane.open

    def text(self, number: int, fields: _Fields) -> bool:
        text = fields.text("text")
        if text:
            self.speaking(number, fields).add(Text, text)
            self.lane(fields).unsaid = True
        return True

    def reasoning(self, number: int, fields: _Fields) -> bool:
        text = fields.text("text")
        if text:
            self.speaking(number, fields).add(Reasoning, text)
        return True

    def message(self, number: int, fields: _Fields) -> bool:
        """The whole text again; or, where no delta told it, the text itself."""
        if fields.text("role") != "assistant":
            return False
        lane, text = self.lane(fields), fields.text("text")
        if text and not lane.unsaid:
            if lane.open is not None and lane.open.calls:
                lane.open = None
            self.speaking(number, fields).add(Text, text)
        lane.open, lane.unsaid = None, False
        return True

    def proposed(self, number: int, fields: _Fields) -> bool:
        call = ScriptedCall(
            id=fields.text("id"),
            name=fields.text("name"),
            args=fields.value("args"),
            lane=fields.lane,
            at=number,
        )
        self._calls[call.id] = call
        if UNPROPOSED.match(call.id):
            self._unproposed.append(call)
            return True
        self.speaking(number, fields).propose(call)
        return True

    def usage(self, number: int, fields: _Fields) -> bool:  # noqa: ARG002 - all readers are called alike
        """Of the last turn: told once for several, it is right in the sum."""
        lane = self.lane(fields)
        if lane.last is not None and lane.last.usage is None:
            lane.last.usage = Usage(fields.count("input"), fields.count("output"))
        lane.open = None
        return True

    def error(self, number: int, fields: _Fields) -> bool:
        """The end of an answer that was broken off; else a turn of its own."""
        self.speaking(number, fields).failure = Failure(fields.text("message"))
        lane = self.lane(fields)
        lane.open, lane.unsaid = None, False
        return True

    def asked_approval(self, number: int, fields: _Fields) -> bool:  # noqa: ARG002
        self._of_call(fields)
        return False

    def approved(self, number: int, fields: _Fields) -> bool:  # noqa: ARG002
        call = self._of_call(fields)
        if call is not None and fields.text("decision") == "Deny":
            call.denied = True
        return False

    def started(self, number: int, fields: _Fields) -> bool:  # noqa: ARG002
        call = self._of_call(fields)
        if call is not None:
            call.started = True
            if isinstance(name := fields.get("name"), str):
                call.made = name, fields.get("args")
        return True

    def gave(self, number: int, fields: _Fields) -> bool:  # noqa: ARG002
        call = self._of_call(fields)
        blocks = fields.value("blocks")
        if not isinstance(blocks, list):
            raise _Wrong("'blocks' is no array")
        if call is not None and call.given is None:
            call.given = Given(blocks=blocks, is_error=fields.get("is_error") is True)
        return True

    def _of_call(self, fields: _Fields) -> ScriptedCall | None:
        """The call that this happens to: its turn is over."""
        call = self._calls.get(fields.text("id"))
        for label in (fields.lane, *([call.lane] if call is not None else [])):
            if (lane := self._lanes.get(label)) is not None:
                lane.open, lane.unsaid = None, False
        return call


class _Wrong(Exception):
    """What a line lacks."""


class _Fields:
    """The fields of one event."""

    def __init__(self, fields: dict[str, Json]) -> None:
        self._fields = fields
        self.lane = fields["lane"] if isinstance(fields.get("lane"), str) else ""

    def get(self, name: str) -> Json:
        return self._fields.get(name)

    def value(self, name: str) -> Json:
        if name not in self._fields:
            raise _Wrong(f"{name!r} is missing")
        return self._fields[name]

    def text(self, name: str) -> str:
        value = self.value(name)
        if not isinstance(value, str):
            raise _Wrong(f"{name!r} is no text")
        return value

    def count(self, name: str) -> int:
        value = self.value(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _Wrong(f"{name!r} is no whole number")
        return value


_READERS: dict[str, Callable[[_Reader, int, _Fields], bool]] = {
    "ThinkingDelta": _Reader.text,
    "ReasoningDelta": _Reader.reasoning,
    "Message": _Reader.message,
    "ToolUseProposed": _Reader.proposed,
    "TokenUsage": _Reader.usage,
    "Error": _Reader.error,
    "ApprovalRequested": _Reader.asked_approval,
    "ApprovalResolved": _Reader.approved,
    "ToolUseStarted": _Reader.started,
    "ToolOutput": _Reader.gave,
}
"""Each says whether the event is used up; else it is one of the others, too."""

_BEGINNINGS = frozenset(
    {"RunStarted", "RunFinished", "RouteSelected", "ModelSwitched", "AgentSpawned", "Compacted"}
)
"""Where these stand, no answer is under way."""
