"""Turns crossings into events: one mapping, the same in record and in replay.

What a run needs of others: a place for what it records, facts about the wrapped tools, and its watchers.

A recorded run on its way to a store.

From crossings to events: the one mapping of ``docs/format.md``, the same in record and in replay.
"""

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
from pytest_sparrow.providers.reading import blocks_of_answer
from pytest_sparrow.run.lanes import Lane, in_lane
from pytest_sparrow.run.proposals import Proposals

if TYPE_CHECKING:
    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.run.crossing import Crossing
    from pytest_sparrow.settings import Policy
    from pytest_sparrow.store import FsRecorder

__all__ = ["Emitter", "RecorderSink", "Sink", "ToolFacts", "Watcher"]


class Sink(Protocol):
    """Where a recorded run goes as it happens."""

    def event(self, event: Event) -> None:
        """Keep an event."""
        ...

    def exchange(self, exchange: Exchange) -> None:
        """Keep an exchange."""
        ...


class ToolFacts(Protocol):
    """What the run asks about the tools that were wrapped."""

    def risk(self, name: str) -> str:
        """A tool's risk; "Mutating" where nobody said."""
        ...

    def policy(self, name: str) -> Policy | None:
        """What becomes of a tool's calls in a replay; None where nobody said it of this tool."""
        ...

    def wrapped(self, name: str) -> bool:
        """Whether a tool of this name is wrapped."""
        ...


class Watcher(Protocol):
    """What follows a run's crossings (the clock, randomness), record and replay alike. Called under the run's lock."""

    def asked(self, crossing: Crossing) -> None:
        """A crossing has begun, and in a replay its answer is chosen; the agent doesn't have it yet."""
        ...

    def answered(self, crossing: Crossing, answered: dict[str, Json] | None) -> None:
        """The agent has its answer: a stream when it was exhausted or closed. None: there was none."""
        ...


class RecorderSink:
    """Hands the events and exchanges of one run to the store's journal."""

    def __init__(self, store: FsRecorder, run_id: str) -> None:
        self._store = store
        self._run_id = run_id

    def event(self, event: Event) -> None:
        """Keep an event."""
        self._store.record(event, run_id=self._run_id)

    def exchange(self, exchange: Exchange) -> None:
        """Keep an exchange."""
        self._store.record_exchange(self._run_id, exchange)


_MOST_TOKENS = 2**64 - 1
"""What the cockpit's counters hold: a sum of absurd counts must not crash a run."""

RiskOf = Callable[[str], str]


class Emitter:
    """Tells a run's crossings as events. Not thread safe: the run's lock guards it.

    Attributes:
        task: the first user text, once known.
        model: the first model asked, once known.
        proposals: what the model proposed.
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
        self._input = 0
        self._output = 0

    def _tell(self, lane: Lane, event: Event) -> None:
        self._emit(in_lane(event, lane.label))

    def begin(self, task: str = "") -> None:
        """The first crossing: the run has begun. Later calls do nothing."""
        if not self._begun:
            self._begun = True
            self.task = task
            self._emit(ev.RunStarted(run=self._run, task=task, agent=self._agent))

    def own_event(self, event: Event) -> None:
        """An event of the user's own: it happens within the run, unless it is what begins the run."""
        if isinstance(event, ev.RunStarted):
            self._begun = True
        self.begin()

    def asked_model(self, lane: Lane, request: ModelRequest) -> None:
        """A request to a model goes out: the route, and outputs of tools that nobody wrapped."""
        self.begin(request.task)
        self.task = self.task or request.task
        if request.model and request.model != lane.model:
            lane.model = request.model
            self.model = self.model or request.model
            self._tell(lane, ev.RouteSelected(run=self._run, chain=[request.model], context_window=0))
        newest: dict[str, Output] = {result.id: result for result in request.results}
        for result in newest.values():
            if self.proposals.answered_on_wire(result.id, lane):
                self._output_event(lane, result.id, list(result.blocks), is_error=result.is_error)

    def model_is_answering(self, lane: Lane, answer: ModelAnswer, told: int) -> int:
        """The agent acts on a stream that is still open: what it must have read is told now.

        That is everything up to the last whole proposal; a text that nothing follows may still grow.

        Args:
            lane: the lane of the stream.
            answer: the answer, as far as it was read.
            told: how many of its parts were told before.

        Returns:
            How many of its parts have been told now.
        """
        whole = [
            number
            for number, part in enumerate(answer.parts, start=1)
            if isinstance(part, Proposal) and not isinstance(part.args, str)
        ]
        ready = max([told, *whole])
        for part in answer.parts[told:ready]:
            self._part(lane, part)
        return ready

    def model_answered(self, lane: Lane, answer: ModelAnswer, told: int = 0) -> None:
        """A model's answer has come, whole or broken off; the first ``told`` parts were told before."""
        for part in answer.parts[told:]:
            self._part(lane, part)
        texts = [part.text for part in answer.parts if isinstance(part, Text)]
        if texts and not any(isinstance(part, Proposal) and not part.hosted for part in answer.parts):
            self._tell(lane, ev.Message(run=self._run, role="assistant", text="".join(texts)))
        if answer.usage is not None:
            self._input += answer.usage.input
            self._output += answer.usage.output
            self._tell(
                lane, ev.TokenUsage(run=self._run, input=answer.usage.input, output=answer.usage.output)
            )
        if answer.failure is not None:
            self._tell(lane, ev.Error(run=self._run, message=answer.failure.message))

    def _part(self, lane: Lane, part: Part) -> None:
        match part:
            case Text(text):
                self._tell(lane, ev.ThinkingDelta(run=self._run, text=text))
            case Reasoning(text):
                self._tell(lane, ev.ReasoningDelta(run=self._run, text=text))
            case Proposal(call_id, name, args, hosted):
                self._propose(lane, call_id, name, args, hosted=hosted)
            case Output(call_id, blocks, is_error):
                self._output_event(lane, call_id, list(blocks), is_error=is_error)

    def _propose(self, lane: Lane, call_id: str, name: str, args: Json, *, hosted: bool = False) -> None:
        if not hosted:  # a hosted tool's call waits for nobody
            self.proposals.add(call_id, name, args, lane)
        # The tools check risks when they are wrapped; the model checks them again.
        risk: Any = self._risk_of(name)
        self._tell(lane, ev.ToolUseProposed(run=self._run, id=call_id, name=name, args=args, risk=risk))
        if hosted:
            self.hosted.add((call_id, name))
            self._tell(lane, ev.ToolUseStarted(run=self._run, id=call_id, name=name, args=args))

    def tool_called_again(self, lane: Lane, call_id: str, name: str, args: Json) -> None:
        """A wrapped tool's call, which has failed, is made again."""
        self._tell(lane, ev.ToolUseStarted(run=self._run, id=call_id, name=name, args=args))

    def tool_called(self, lane: Lane, name: str, args: Json) -> tuple[str, bool]:
        """A wrapped tool is called; gives the call's id, and whether a model had proposed it."""
        self.begin()
        call_id = self.proposals.start(name, args, lane)
        proposed = call_id is not None
        if call_id is None:
            call_id = f"unproposed_{next(self._own_ids)}"
            self._propose(lane, call_id, name, args)
            self.proposals.start(name, args, lane)
        self._tell(lane, ev.ToolUseStarted(run=self._run, id=call_id, name=name, args=args))
        return call_id, proposed

    def remote_tool_called(self, lane: Lane, name: str, args: Json) -> tuple[str, Lane]:
        """A tool is called over HTTP; gives the call's id, and the lane that it belongs to.

        A client may send from a task of its own: a call that a model proposed belongs to the lane of that.
        """
        self.begin()
        call_id = self.proposals.start(self.proposals.waiting_as(name), args, lane)
        if call_id is None:
            return self.tool_called(lane, name, args)[0], lane
        lane = self.proposals.lane_of(call_id, lane)
        self._tell(lane, ev.ToolUseStarted(run=self._run, id=call_id, name=name, args=args))
        return call_id, lane

    def tool_answered(self, lane: Lane, call_id: str, answered: dict[str, Json] | None) -> None:
        """A wrapped tool gave its output, or (None) never will."""
        if answered is None:
            return
        self.proposals.finished(call_id, lane)
        blocks, is_error = blocks_of_answer(answered)
        self._output_event(lane, call_id, blocks, is_error=is_error)

    def remote_tool_answered(self, lane: Lane, call_id: str, answer: ModelAnswer) -> None:
        """A tool that was called over HTTP gave its output, or failed."""
        outputs = [part for part in answer.parts if isinstance(part, Output)]
        self.proposals.finished(call_id, lane)
        for output in outputs:
            self._output_event(lane, call_id, list(output.blocks), is_error=output.is_error)
        if not outputs and answer.failure is not None:
            self._output_event(lane, call_id, [{"Text": answer.failure.message}], is_error=True)

    def _output_event(self, lane: Lane, call_id: str, blocks: list[Json], *, is_error: bool) -> None:
        self._tell(lane, ev.ToolOutput(run=self._run, id=call_id, blocks=blocks, is_error=is_error))

    def end(self, *, failed: bool) -> None:
        """The run is over; nothing is told of a run in which nothing happened."""
        if not self._begun:
            return
        outcome = ev.Outcome(
            status="failed" if failed else "completed",
            diffs=[],
            cost_usd=0.0,
            tokens=ev.Tokens(input=min(self._input, _MOST_TOKENS), output=min(self._output, _MOST_TOKENS)),
        )
        self._emit(ev.RunFinished(run=self._run, outcome=outcome))
