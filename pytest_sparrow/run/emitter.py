"""Turns crossings into events: one mapping (``docs/format.md``), the same in record and in replay."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from pytest_sparrow import events as ev
from pytest_sparrow.providers.codec import (
    ModelAnswer,
    ModelRequest,
    Output,
    Part,
    Proposal,
    Reasoning,
    Text,
)
from pytest_sparrow.providers.failing import parted
from pytest_sparrow.providers.reading import blocks_of_answer
from pytest_sparrow.run.lanes import Lane, in_lane
from pytest_sparrow.run.proposals import Proposals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.events import Event
    from pytest_sparrow.events.pieces import Piece
    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.run.crossing import Crossing
    from pytest_sparrow.settings import Policy
    from pytest_sparrow.store import FsRecorder


class ToolFacts(Protocol):
    """What a run asks about the wrapped tools."""

    def risk(self, name: str) -> str:
        """A tool's risk; "Mutating" where no setting says it."""
        ...

    def policy(self, name: str) -> Policy | None:
        """What becomes of a tool's calls in a replay; None where nobody said it of this tool."""
        ...

    def wrapped(self, name: str) -> bool:
        """Whether a tool of this name is wrapped."""
        ...

    def is_wrapped(self, fn: object) -> bool:
        """Whether a function is wrapped."""
        ...


class Watcher(Protocol):
    """Follows a run's crossings in record and in replay: the clock, randomness. Called under the run's lock."""

    def asked(self, crossing: Crossing) -> None:
        """A crossing has begun, and in a replay its answer is chosen; the agent doesn't have the answer yet."""
        ...

    def answered(self, crossing: Crossing, answered: dict[str, Json] | None) -> None:
        """The agent has its answer: of a stream, when the stream was exhausted or closed. None: there was no answer."""
        ...


class Sink(Protocol):
    """Keeps what happens in a run."""

    def event(self, event: Event) -> None:
        """Keep an event."""
        ...

    def exchange(self, exchange: Exchange, *, redacted: bool, body: Piece | None) -> None:
        """Keep an exchange.

        Args:
            exchange: the exchange.
            redacted: as for `FsRecorder.record_exchange`.
            body: the same.
        """
        ...


class RecorderSink:
    """Hands the events and exchanges of one run to the store's journal."""

    def __init__(self, store: FsRecorder, run_id: str) -> None:
        self._store = store
        self._run_id = run_id

    def event(self, event: Event) -> None:
        """Keep an event."""
        self._store.record(event, run_id=self._run_id)

    def exchange(self, exchange: Exchange, *, redacted: bool, body: Piece | None) -> None:
        """Keep an exchange; see `FsRecorder.record_exchange`."""
        self._store.record_exchange(self._run_id, exchange, redacted=redacted, body=body)


Gathered = list[tuple["Exchange", "Exchange | None"]]
"""The exchanges of a run in memory, each with the golden's that answered; None where the golden has none."""


_MOST_TOKENS = 2**64 - 1
"""The most that the cockpit's counters hold: a sum of absurd counts must not crash a run."""

RiskOf = Callable[[str], str]


class Emitter:
    """Emits a run's crossings as events. Not thread safe: the run's lock guards it.

    Attributes:
        task: the first user text, once known.
        model: the first model asked, once known.
        proposals: the calls that models proposed.
        hosted: ids and names of the calls that providers ran themselves.
    """

    def __init__(self, run_id: str, agent: str, emit: Callable[[Event], None], risk_of: RiskOf) -> None:
        self.task = ""
        self.model = ""
        self.proposals = Proposals()
        self.hosted: set[tuple[str, str]] = set()
        self._run = run_id
        self._agent = agent
        self._emit = emit
        self._risk_of = risk_of
        self._begun = False
        self._own_ids = itertools.count(1)
        self._approvals: dict[str, str] = {}
        self._input = 0
        self._output = 0

    def _emit_in(self, lane: Lane, event: Event) -> None:
        self._emit(in_lane(event, lane.label))

    def begin(self, task: str = "") -> None:
        """The first crossing: the run has begun. Later calls do nothing."""
        if not self._begun:
            self._begun = True
            self.task = task
            self._emit(ev.RunStarted(run=self._run, task=task, agent=self._agent))

    def own_event(self, event: Event) -> None:
        """Prepare for an event of the user's own, which happens within the run unless it begins the run."""
        if isinstance(event, ev.RunStarted):
            self._begun = True
        self.begin()

    def asked_model(self, lane: Lane, request: ModelRequest) -> None:
        """Emit that a request to a model goes out: the route, and the outputs of unwrapped tools."""
        self.begin(request.task)
        self.task = self.task or request.task
        if request.model and request.model != lane.model:
            lane.model = request.model
            self.model = self.model or request.model
            self._emit_in(lane, ev.RouteSelected(run=self._run, chain=[request.model], context_window=0))
        if request.forced:
            self.proposals.forced.add(request.forced)
        newest: dict[str, Output] = {result.id: result for result in request.results}
        for result in newest.values():
            if self.proposals.answered_on_wire(result, lane):
                is_error = result.is_error or self.proposals.has_failed(result.id, lane)
                self._output_event(lane, result.id, list(result.blocks), is_error=is_error)

    def note(self, lane: Lane, event: Event) -> None:
        """Emit what a framework says; of an approval that is asked or decided once more nothing new."""
        if isinstance(event, ev.ApprovalRequested | ev.ApprovalResolved):
            if self._approvals.get(event.id) == event.type:
                return
            self._approvals[event.id] = event.type
        if isinstance(event, ev.ApprovalRequested) and event.tool is not None:
            event = event.model_copy(update={"risk": self._risk_of(event.tool)})
        self.begin()
        self._emit_in(lane, event)

    def model_is_answering(self, lane: Lane, answer: ModelAnswer, emitted: int) -> int:
        """Emit the parts of an open stream that the agent must have read, since it acts on them.

        These are all parts up to the last whole proposal; a text that nothing follows may still grow.

        Args:
            lane: the lane of the stream.
            answer: the answer, as far as the agent read it.
            emitted: how many parts were emitted before.

        Returns:
            How many parts have been emitted now.
        """
        whole = [
            number
            for number, part in enumerate(answer.parts, start=1)
            if isinstance(part, Proposal) and not isinstance(part.args, str)
        ]
        ready = max([emitted, *whole])
        for part in answer.parts[emitted:ready]:
            self._part(lane, part)
        return ready

    def model_answered(
        self, lane: Lane, answer: ModelAnswer, emitted: int = 0, before: Sequence[Part] | None = None
    ) -> None:
        """Emit a model's answer, whole or broken off.

        Args:
            lane: the lane that asked.
            answer: the answer.
            emitted: how many of its parts were emitted before.
            before: the parts as they were when the answer failed, where it went on after that; else None.
        """
        first, rest = parted(answer.parts[emitted:], (answer.parts if before is None else before)[emitted:])
        for part in first:
            self._part(lane, part)
        if rest:
            self._failed(lane, answer)
        for part in rest:
            self._part(lane, part)
        texts = [part.text for part in answer.parts if isinstance(part, Text)]
        if texts and not any(isinstance(part, Proposal) and not part.hosted for part in answer.parts):
            self._emit_in(lane, ev.Message(run=self._run, role="assistant", text="".join(texts)))
        if answer.usage is not None:
            self._input += answer.usage.input
            self._output += answer.usage.output
            self._emit_in(
                lane, ev.TokenUsage(run=self._run, input=answer.usage.input, output=answer.usage.output)
            )
        if not rest:
            self._failed(lane, answer)

    def _failed(self, lane: Lane, answer: ModelAnswer) -> None:
        if answer.failure is not None:
            self._emit_in(lane, ev.Error(run=self._run, message=answer.failure.message))

    def _part(self, lane: Lane, part: Part) -> None:
        match part:
            case Text(text):
                self._emit_in(lane, ev.ThinkingDelta(run=self._run, text=text))
            case Reasoning(text):
                self._emit_in(lane, ev.ReasoningDelta(run=self._run, text=text))
            case Proposal(call_id, name, args, hosted):
                self._propose(lane, call_id, name, args, hosted=hosted)
            case Output(call_id, blocks, is_error):
                self._output_event(lane, call_id, list(blocks), is_error=is_error)

    def _propose(self, lane: Lane, call_id: str, name: str, args: Json, *, hosted: bool = False) -> None:
        if not hosted:  # a hosted tool's call waits for nobody
            self.proposals.add(call_id, name, args, lane)
        # The tools check risks when they are wrapped; the model checks them again.
        risk: Any = self._risk_of(name)
        self._emit_in(lane, ev.ToolUseProposed(run=self._run, id=call_id, name=name, args=args, risk=risk))
        if hosted:
            self.hosted.add((call_id, name))
            self._emit_in(lane, ev.ToolUseStarted(run=self._run, id=call_id, name=name, args=args))

    def tool_called_again(self, lane: Lane, call_id: str, asked: dict[str, Json]) -> None:
        """Emit that a wrapped tool's call, which has failed, is made again."""
        self._started(lane, call_id, asked)

    def tool_called(self, lane: Lane, asked: dict[str, Json]) -> tuple[str, bool]:
        """Emit a tool's call, an *asked* half; returns the call's id, and whether a model had proposed the call."""
        self.begin()
        name, args = asked["name"], asked["args"]
        call_id = self.proposals.start(name, args, lane, asked.get("id", ""))
        proposed = call_id is not None
        if call_id is None:
            call_id = f"unproposed_{next(self._own_ids)}"
            self._propose(lane, call_id, name, args)
            self.proposals.start(name, args, lane)
        self._started(lane, call_id, asked)
        return call_id, proposed

    def _started(self, lane: Lane, call_id: str, asked: dict[str, Json]) -> None:
        said = {key: asked[key] for key in ("name", "args", "on", "types") if key in asked}
        self._emit_in(lane, ev.ToolUseStarted(run=self._run, id=call_id, **said))

    def remote_tool_called(self, lane: Lane, name: str, args: Json) -> tuple[str, Lane]:
        """Emit a tool's call over HTTP; returns the call's id, and the lane that the call belongs to.

        A client may send from a task of its own: a call that a model proposed belongs to the proposal's lane.
        """
        self.begin()
        call_id = self.proposals.start(self.proposals.waiting_as(name), args, lane)
        if call_id is None:
            return self.tool_called(lane, {"name": name, "args": args})[0], lane
        lane = self.proposals.lane_of(call_id, lane)
        self._emit_in(lane, ev.ToolUseStarted(run=self._run, id=call_id, name=name, args=args))
        return call_id, lane

    def tool_answered(self, lane: Lane, call_id: str, answered: dict[str, Json] | None) -> None:
        """Emit a wrapped tool's output; None: the tool returns nothing, ever.

        What steers a framework is no output, and that of a tool which a replay runs stands in the next request.
        """
        if answered is None or "steers" in answered or "runs" in answered:
            return
        self.proposals.finished(call_id, lane)
        blocks, is_error = blocks_of_answer(answered)
        self._output_event(lane, call_id, blocks, is_error=is_error)

    def remote_tool_answered(self, lane: Lane, call_id: str, answer: ModelAnswer) -> None:
        """Emit the output, or the failure, of a tool that was called over HTTP."""
        outputs = [part for part in answer.parts if isinstance(part, Output)]
        self.proposals.finished(call_id, lane)
        for output in outputs:
            self._output_event(lane, call_id, list(output.blocks), is_error=output.is_error)
        if not outputs and answer.failure is not None:
            self._output_event(lane, call_id, [{"Text": answer.failure.message}], is_error=True)

    def _output_event(self, lane: Lane, call_id: str, blocks: list[Json], *, is_error: bool) -> None:
        self._emit_in(lane, ev.ToolOutput(run=self._run, id=call_id, blocks=blocks, is_error=is_error))

    def end(self, *, failed: bool) -> None:
        """Emit the run's end; a run in which nothing happened has no events."""
        if not self._begun:
            return
        outcome = ev.Outcome(
            status="failed" if failed else "completed",
            diffs=[],
            cost_usd=0.0,
            tokens=ev.Tokens(input=min(self._input, _MOST_TOKENS), output=min(self._output, _MOST_TOKENS)),
        )
        self._emit(ev.RunFinished(run=self._run, outcome=outcome))
