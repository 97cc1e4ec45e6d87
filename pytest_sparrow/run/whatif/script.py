"""Holds what a run's events alone say of it: the model's turns, and what came of each call."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_sparrow.errors import SparrowError
from pytest_sparrow.providers.codec import Failure, ModelAnswer, Output, Proposal, Reasoning, Text, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import Part


@dataclass(slots=True, eq=False, kw_only=True)
class ScriptedCall:
    """One call of a tool.

    Attributes:
        proposal: the call as it was proposed.
        lane: the lane of the proposal.
        at: the number of the event that proposed the call, from 0.
        made: name and arguments as the agent called the tool, where the events say so.
        started: whether the events say that the agent called the tool.
        denied: whether somebody forbade the call.
        output: what the tool gave; None: the events don't say.
    """

    proposal: Proposal
    lane: str
    at: int
    made: tuple[str, Json] | None = None
    started: bool = False
    denied: bool = False
    output: Output | None = None

    @property
    def called(self) -> bool:
        """Whether the agent made the call: the events say so, or the call was not forbidden and has an output."""
        return self.started or (self.output is not None and not self.denied)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedTurn:
    """One answer of the model.

    Attributes:
        number: from 1, in the order in which turns begin.
        lane: the lane that asked.
        at: the number of the turn's first event, from 0.
        answer: what the model said.
        calls: the calls that the answer proposed, in their order.
    """

    number: int
    lane: str
    at: int
    answer: ModelAnswer
    calls: tuple[ScriptedCall, ...] = ()

    def gist(self) -> dict[str, Json]:
        """What a finding says of the turn: its number, and what it proposes, how it fails, or what it says."""
        calls = [part for part in self.answer.parts if isinstance(part, Proposal)]
        if calls:
            first = {"name": calls[0].name, "args": calls[0].args}
            return {"number": self.number, "proposes": first, "more": len(calls) - 1}
        if self.answer.failure is not None:
            return {"number": self.number, "fails": self.answer.failure.message}
        texts = [part.text for part in self.answer.parts if isinstance(part, Text | Reasoning)]
        return {"number": self.number, "says": texts[-1] if texts else ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A run, as far as its events can answer an agent.

    Attributes:
        turns: the model's answers, in the order in which they begin.
        unproposed: calls that the agent made without a proposal of the model.
        others: the events that belong to no turn and no call, each with its number, from 0.
    """

    turns: tuple[ScriptedTurn, ...] = ()
    unproposed: tuple[ScriptedCall, ...] = ()
    others: tuple[tuple[int, Event], ...] = ()


UNPROPOSED = re.compile(r"unproposed_\d+\Z")
"""Ids that a recording gives to calls that no model proposed (`docs/format.md`, 9)."""


class UnreadableEvent(SparrowError):
    """An event that lacks what a replay needs of its type.

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
    """The script that a run's events hold: which answers the model gave, and what came of each call.

    A turn is one answer. It begins with the first text, reasoning or proposal of a lane, and ends at an event that
    follows a whole answer: the assistant's Message, a TokenUsage, an Error, the first event of one of its calls besides
    the proposal, or where an agent, a route or a run begins. No text is invented: a text that the events have lost is
    not in the script.

    Raises:
        UnreadableEvent: an event of a turn or of a call lacks what its type needs.
    """
    reader = _ScriptReader()
    for number, event in enumerate(events):
        reader.read(number, event)
    return reader.script()


@dataclass(slots=True)
class _OpenTurn:
    """A turn that is being read, and may still grow."""

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
        """Join texts of one kind that stand side by side: the cockpit writes a provider's chunks."""
        if kind is not self._kind:
            self._join()
            self._kind = kind
        self._pieces.append(text)

    def propose(self, call: ScriptedCall) -> None:
        """Add a call; it stands between texts."""
        self._join()
        self.parts.append(call.proposal)
        self.calls.append(call)

    def _join(self) -> None:
        """End the text whose pieces were collected."""
        if self._pieces:
            self.parts.append(self._kind("".join(self._pieces)))
            self._pieces = []

    def turn(self) -> ScriptedTurn:
        self._join()
        return ScriptedTurn(
            number=self.number,
            lane=self.lane,
            at=self.at,
            answer=ModelAnswer(parts=tuple(self.parts), usage=self.usage, failure=self.failure),
            calls=tuple(self.calls),
        )


@dataclass(slots=True)
class _ScriptedLane:
    """A lane that is being read.

    Attributes:
        open: the turn that may still grow.
        last: the last turn, open or not.
        unsaid: whether the turn's text waits for the Message that repeats it.
    """

    open: _OpenTurn | None = None
    last: _OpenTurn | None = None
    unsaid: bool = False


class _ScriptReader:
    """Reads events one by one, each with its number."""

    def __init__(self) -> None:
        self._answers: list[_OpenTurn] = []
        self._lanes: dict[str, _ScriptedLane] = {}
        self._calls: dict[str, ScriptedCall] = {}
        self._unproposed: list[ScriptedCall] = []
        self._others: list[tuple[int, Event]] = []

    def script(self) -> Script:
        return Script(
            turns=tuple([answer.turn() for answer in self._answers]),
            unproposed=tuple(self._unproposed),
            others=tuple(self._others),
        )

    def read(self, number: int, event: Event) -> None:
        wire = event.to_json()
        fields = wire if isinstance(wire, dict) else {}
        kind = fields.get("type")
        read_by = _READERS.get(kind) if isinstance(kind, str) else None
        if read_by is None:
            if kind in _TURN_ENDS:
                for lane in self._lanes.values():
                    lane.open = None
            self._others.append((number, event))
            return
        try:
            if not read_by(self, number, _EventFields(fields)):
                self._others.append((number, event))
        except _BadField as bad:
            raise UnreadableEvent(number + 1, f"this is no {kind}: {bad}") from None

    def lane(self, fields: _EventFields) -> _ScriptedLane:
        return self._lanes.setdefault(fields.lane, _ScriptedLane())

    def speaking(self, number: int, fields: _EventFields) -> _OpenTurn:
        """The turn that an event belongs to: the lane's open one, or a new one."""
        lane = self.lane(fields)
        if lane.open is None:
            lane.open = lane.last = _OpenTurn(len(self._answers) + 1, fields.lane, number)
            lane.unsaid = False
            self._answers.append(lane.open)
        return lane.open

    def text(self, number: int, fields: _EventFields) -> bool:
        text = fields.text("text")
        if text:
            self.speaking(number, fields).add(Text, text)
            self.lane(fields).unsaid = True
        return True

    def reasoning(self, number: int, fields: _EventFields) -> bool:
        text = fields.text("text")
        if text:
            self.speaking(number, fields).add(Reasoning, text)
        return True

    def message(self, number: int, fields: _EventFields) -> bool:
        """The whole text again; or, where no delta held it, the text itself."""
        if fields.text("role") != "assistant":
            return False
        lane, text = self.lane(fields), fields.text("text")
        if text and not lane.unsaid:
            if lane.open is not None and lane.open.calls:
                lane.open = None
            self.speaking(number, fields).add(Text, text)
        lane.open, lane.unsaid = None, False
        return True

    def proposed(self, number: int, fields: _EventFields) -> bool:
        call = ScriptedCall(
            proposal=Proposal(fields.text("id"), fields.text("name"), fields.value("args")),
            lane=fields.lane,
            at=number,
        )
        self._calls[call.proposal.id] = call
        if UNPROPOSED.match(call.proposal.id):
            self._unproposed.append(call)
            return True
        self.speaking(number, fields).propose(call)
        return True

    def usage(self, number: int, fields: _EventFields) -> bool:  # noqa: ARG002 - as all readers
        """The usage belongs to the lane's last turn: one that is given once for several turns is right in the sum."""
        lane = self.lane(fields)
        if lane.last is not None and lane.last.usage is None:
            lane.last.usage = Usage(fields.count("input"), fields.count("output"))
        lane.open = None
        return True

    def error(self, number: int, fields: _EventFields) -> bool:
        """The end of the open turn, or a turn of its own."""
        self.speaking(number, fields).failure = Failure(fields.text("message"))
        lane = self.lane(fields)
        lane.open, lane.unsaid = None, False
        return True

    def asked_approval(self, number: int, fields: _EventFields) -> bool:  # noqa: ARG002
        self._of_call(fields)
        return False

    def approved(self, number: int, fields: _EventFields) -> bool:  # noqa: ARG002
        call = self._of_call(fields)
        if call is not None and fields.text("decision") == "Deny":
            call.denied = True
        return False

    def started(self, number: int, fields: _EventFields) -> bool:  # noqa: ARG002
        call = self._of_call(fields)
        if call is not None:
            call.started = True
            if isinstance(name := fields.get("name"), str):
                call.made = name, fields.get("args")
        return True

    def output(self, number: int, fields: _EventFields) -> bool:  # noqa: ARG002
        call = self._of_call(fields)
        blocks = fields.value("blocks")
        if not isinstance(blocks, list):
            raise _BadField("'blocks' is no array")
        if call is not None and call.output is None:
            call.output = Output(call.proposal.id, blocks, is_error=fields.get("is_error") is True)
        return True

    def _of_call(self, fields: _EventFields) -> ScriptedCall | None:
        """The call that an event belongs to; the call's turn is over."""
        call = self._calls.get(fields.text("id"))
        for label in (fields.lane, *([call.lane] if call is not None else [])):
            if (lane := self._lanes.get(label)) is not None:
                lane.open, lane.unsaid = None, False
        return call


class _BadField(Exception):
    """A field that a line lacks, or whose value has the wrong type."""


class _EventFields:
    """The fields of one event."""

    def __init__(self, fields: dict[str, Json]) -> None:
        self._fields = fields
        self.lane = fields["lane"] if isinstance(fields.get("lane"), str) else ""

    def get(self, name: str) -> Json:
        return self._fields.get(name)

    def value(self, name: str) -> Json:
        if name not in self._fields:
            raise _BadField(f"{name!r} is missing")
        return self._fields[name]

    def text(self, name: str) -> str:
        value = self.value(name)
        if not isinstance(value, str):
            raise _BadField(f"{name!r} is no text")
        return value

    def count(self, name: str) -> int:
        value = self.value(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _BadField(f"{name!r} is no whole number")
        return value


_READERS: dict[str, Callable[[_ScriptReader, int, _EventFields], bool]] = {
    "ThinkingDelta": _ScriptReader.text,
    "ReasoningDelta": _ScriptReader.reasoning,
    "Message": _ScriptReader.message,
    "ToolUseProposed": _ScriptReader.proposed,
    "TokenUsage": _ScriptReader.usage,
    "Error": _ScriptReader.error,
    "ApprovalRequested": _ScriptReader.asked_approval,
    "ApprovalResolved": _ScriptReader.approved,
    "ToolUseStarted": _ScriptReader.started,
    "ToolOutput": _ScriptReader.output,
}
"""Each reads an event, and returns whether the script holds all of it; else the event is one of the others, too."""

_TURN_ENDS = frozenset(
    {"RunStarted", "RunFinished", "RouteSelected", "ModelSwitched", "AgentSpawned", "Compacted"}
)
"""Where these stand, no answer is under way."""
