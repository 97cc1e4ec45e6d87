"""Makes the events of crossings, at once, or when somebody asks for them where a replay does what its golden did."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from pytest_sparrow.providers.codec import ModelRequest, ToolRequest
from pytest_sparrow.run.emitter import Emitter
from pytest_sparrow.run.lanes import in_lane
from pytest_sparrow.run.postponed import InStep, Postponed
from pytest_sparrow.run.violations import Unread, unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.findings import Finding
    from pytest_sparrow.providers.codec import ModelAnswer, Part
    from pytest_sparrow.run.answers import Answers
    from pytest_sparrow.run.crossing import Crossing
    from pytest_sparrow.run.emitter import RiskOf
    from pytest_sparrow.run.lanes import Lane

Read = tuple["ModelAnswer", "Sequence[Part] | None"]
"""What a codec reads of an answer, and what the answer held before it failed."""


class CrossingEvents:
    """The events of one run's crossings. Not thread safe: the run's lock guards it.

    Args:
        run_id: the run's id.
        agent: the agent's name.
        keep: gets each event when it is made.
        risk_of: gives a tool's risk.
        golden: the exchanges that the run follows, in the order in which they began.
        lines: the lines of the golden's events, if they are what a recording wrote.

    Attributes:
        made: the events that were made so far.
        postponed: the steps that make events.
        emitter: makes the events.
        unread: what makes no events.
    """

    def __init__(
        self,
        run_id: str,
        agent: str,
        keep: Callable[[Event], None],
        risk_of: RiskOf,
        golden: Sequence[Exchange] = (),
        lines: Sequence[bytes] = (),
    ) -> None:
        self.postponed = Postponed()
        self.made = self.postponed.made
        self.unread = Unread()
        self._keep = keep
        self.emitter = Emitter(run_id, agent, self._emit, risk_of)
        self._in_step = InStep(golden, lines, agent)

    def all(self) -> list[Event]:
        """The events, all of them made."""
        return self.postponed.all()

    def _emit(self, event: Event) -> None:
        self.made.append(event)
        self._keep(event)

    def own(self, event: Event, lane: Lane) -> None:
        """Add an event of the user's own."""
        self.all()
        self._in_step.left()
        self.emitter.own_event(event)
        self._emit(in_lane(event, lane.label))

    def note(self, event: Event, lane: Lane) -> None:
        """Add what only a framework knows."""
        self._in_step.left()
        self.postponed.do(functools.partial(self.emitter.note, lane, event))

    def failed(self, call_id: str, lane: Lane) -> None:
        """A framework gives the model an error as a call's output."""
        self.postponed.do(functools.partial(self.emitter.proposals.failed, call_id, lane))

    def end(self, answers: Answers, *, failed: bool, clean: bool) -> bool:
        """Add the run's end; gives whether all events are the golden's, whatever they are.

        Args:
            answers: the run's.
            failed: whether the test has failed.
            clean: whether nothing went wrong at the boundaries.
        """
        what_if = answers.fork is not None or answers.fault_plan.faults
        are_goldens = clean and not (failed or what_if) and self._in_step.is_whole
        self.postponed.works = are_goldens
        self.postponed.do(functools.partial(self.emitter.end, failed=failed))
        return are_goldens

    def findings(
        self, denied: Mapping[str, int], wrapped: Callable[[str], bool], *, went_on: bool
    ) -> Iterator[Finding]:
        """Find the tools whose outputs came past their wrappers; see `unwrapped`. The run is over.

        Args:
            denied: how many calls of each name the agent was not to make.
            wrapped: whether a tool of a name is wrapped.
            went_on: whether the agent has had the time to call what a model proposed last.
        """
        proposals = self.emitter.proposals
        return unwrapped(proposals.unwrapped, denied, wrapped, proposals.unanswered() if went_on else {})

    def asked(self, crossing: Crossing, asked: dict[str, Json], answers: Answers) -> None:
        """A crossing begins.

        Args:
            crossing: the crossing.
            asked: its *asked* half as the agent made it.
            answers: the run's.
        """
        if crossing.kind == "tool":
            self.all()  # a proposal that the call answers
            again = answers.fault_plan.again(crossing.asked)
            if again is None:
                call_id, proposed = self.emitter.tool_called(crossing.lane, asked)
            else:
                call_id, proposed = again
                self.emitter.tool_called_again(crossing.lane, call_id, asked)
            crossing.call_id, crossing.proposed = call_id, proposed
            crossing.asked = {**crossing.asked, "id": call_id}
        elif (
            crossing.reads_model is None
            and (model := crossing.model) is not None
            and isinstance(request := model.request, ToolRequest)
        ):
            self.all()
            crossing.call_id, crossing.emits_in = self.emitter.remote_tool_called(
                crossing.lane, request.name, request.args
            )
        elif not crossing.optional:
            self.postponed.do(functools.partial(self._request, crossing, asked))

    def _request(self, crossing: Crossing, asked: dict[str, Json]) -> None:
        model = crossing.model
        if model is not None and isinstance(model.request, ModelRequest):
            self.emitter.asked_model(crossing.lane, model.request)
            return
        self.emitter.begin()
        if crossing.kind == "http":
            self.unread.add(asked)

    def begun(self, crossing: Crossing, *, alone: bool) -> None:
        """A crossing has its answer; ``alone``: no other one is under way."""
        self._in_step.asked(crossing, alone=alone)

    def is_as_recorded(self, crossing: Crossing, answered: dict[str, Json] | None, *, complete: bool) -> bool:
        """Whether the agent has got the recorded answer of a model, whole and untouched, and none of it is emitted."""
        return (
            self.postponed.works
            and complete
            and answered is not None
            and answered is crossing.replayed
            and crossing.recorded is not None
            and not (crossing.call_id or crossing.emitted or crossing.fault)
            # A codec of a plugin may break on an answer, and a remark says so.
            and (crossing.reads_model is not None or (crossing.model is not None and crossing.model.is_ours))
        )

    def read(self, crossing: Crossing, answered: dict[str, Json] | None, *, complete: bool) -> Read | None:
        """Read a model's answer; None where no model answers. The run's lock is not needed."""
        model = crossing.model
        if model is None or answered is None:
            return None
        answer = model.answer(crossing.asked, answered)
        before_failure = model.before_failure(crossing.asked, answered, answer)
        if complete and model.is_silent(answered, answer):
            self.unread.add_silent(crossing.asked)
        return answer, before_failure

    def answered_as_recorded(self, crossing: Crossing) -> None:
        """A crossing is over, by `is_as_recorded`: its answer is read when somebody asks for its events."""
        self._in_step.answered(as_recorded=True)
        self.postponed.do(functools.partial(self._read_answer, crossing))

    def _read_answer(self, crossing: Crossing) -> None:
        read = self.read(crossing, crossing.replayed, complete=True)
        if read is not None:
            self.emitter.model_answered(crossing.lane, read[0], 0, read[1])

    def answered(self, crossing: Crossing, answered: dict[str, Json] | None, read: Read | None) -> None:
        """A crossing is over."""
        self._in_step.answered(as_recorded=False)
        if read is None and crossing.kind != "tool":
            return
        before = len(self.all())
        if read is None:
            self.emitter.tool_answered(crossing.lane, crossing.call_id, answered)
        elif crossing.call_id:
            self.emitter.remote_tool_answered(crossing.emits_in, crossing.call_id, read[0])
        else:
            self.emitter.model_answered(crossing.lane, read[0], crossing.emitted, read[1])
        if crossing.fault is not None:
            crossing.hides.extend(range(before, len(self.made)))

    def catch_up(self, crossing: Crossing) -> None:
        """The strand goes on while its stream is open: emit what the strand acts on."""
        if crossing.call_id:
            return  # a tool's output is one event, once it is whole
        so_far = None if crossing.model is None or crossing.peek is None else crossing.peek()
        if crossing.model is not None and so_far is not None:
            answer = crossing.model.answer(crossing.asked, so_far)
            before = len(self.all())
            crossing.emitted = self.emitter.model_is_answering(crossing.lane, answer, crossing.emitted)
            crossing.hides.extend(range(before, len(self.made)))
