"""Answers the crossings of a run that follows a golden: with the recorded answer, or with that of a fork or a fault."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import canonical
from pytest_sparrow.findings import Finding, Kind, Location
from pytest_sparrow.matching import order
from pytest_sparrow.matching.server_state import listens, named_state
from pytest_sparrow.run.arrivals import Arrivals
from pytest_sparrow.run.replayer import ExchangeReplayer, cancellation_wait_of
from pytest_sparrow.run.violations import divergence
from pytest_sparrow.run.whatif.faults import FaultPlan, faulted
from pytest_sparrow.run.whatif.fork import DivergencePoint
from pytest_sparrow.settings import Policy, policy_of
from pytest_sparrow.wire.asking import addressed, describe, tool_in_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sparrow.exchange import Asked, Exchange, Json
    from pytest_sparrow.providers.registry import Wire
    from pytest_sparrow.redact import Redactor
    from pytest_sparrow.run.arrivals import Arrival
    from pytest_sparrow.run.crossing import Crossing
    from pytest_sparrow.run.emitter import ToolFacts
    from pytest_sparrow.run.lanes import Lane
    from pytest_sparrow.run.replayer import GoldenReplayer
    from pytest_sparrow.run.violations import Violations
    from pytest_sparrow.run.whatif.faults import Fault
    from pytest_sparrow.run.whatif.fork import Fork
    from pytest_sparrow.settings import Settings


def runs_in_replay(exchange: Exchange) -> bool:
    """Whether a recorded tool must run: nothing restores what it gave."""
    return exchange.kind == "tool" and "runs" in (exchange.answered or {})


def _tool_here(asked: Asked) -> str:
    """The name of the tool that a call means, where its code is at hand; "" for any other."""
    return tool_in_memory(asked.content) if asked.kind == "http" else str(asked.content["name"])


class Answers:
    """The answers of one run. Not thread safe: the run's lock guards it.

    Args:
        replayer: replays the golden; None: the run follows no golden.
        live: the world answers all the same, and the replayer only notes what differs from the golden.
        extends: the world answers from the first call on that the golden does not answer as recorded.
        violations: the run's.
        count_events: how many events the run has so far.
        settings: what the user said.
        tools: the wrapped tools.
        wire: reads requests.
        redactor: puts this machine's directories back.

    Attributes:
        replayer: replays the golden, or observes for it; None: the run follows no golden.
        replaying: whether the world is shut.
        live: whether the world answers, and what is asked is compared all the same.
        extended: whether the world has answered in place of the golden, in a run that extends it.
        fork: the fork, or None.
        fault_plan: the faults.
        arrivals: replays the order in which the recorded answers arrived; None: there are none.
        divergence_point: where the run left its golden, by a fork or a fault; None: nowhere.
        verified: names of tools that ran beside their recorded answers.
    """

    def __init__(
        self,
        replayer: GoldenReplayer | None,
        *,
        violations: Violations,
        count_events: Callable[[], int],
        settings: Settings,
        tools: ToolFacts,
        wire: Wire,
        redactor: Redactor,
        live: bool = False,
        extends: bool = False,
    ) -> None:
        self.replayer = replayer
        self.replaying = replayer is not None and not live
        self.live = live
        self.extended = False
        self._extends = extends
        self._answered = b""
        self.fork: Fork | None = None
        self.fault_plan = FaultPlan()
        self.arrivals: Arrivals | None = None
        if self.replaying and isinstance(replayer, ExchangeReplayer):
            self.arrivals = Arrivals(replayer.exchanges)
        self.divergence_point: DivergencePoint | None = None
        self.verified: set[str] = set()
        self._violations = violations
        self._count_events = count_events
        self._settings = settings
        self._level = settings.level_in_force
        self._tools = tools
        self._wire = wire
        self._redactor = redactor

    @property
    def denied(self) -> Counter[str]:
        """How many calls of each tool were replayed that the agent must not make."""
        denied: Counter[str] = Counter()
        for replayer in (self.replayer, self.fault_plan.then):
            denied += Counter() if replayer is None else replayer.denied
        return denied

    @property
    def served_nothing(self) -> bool:
        """Whether a replay has answers, and none was asked for."""
        if self.replayer is None or self.live:
            return False
        return self.replayer.size > 0 and self.replayer.served == 0

    def settle(self) -> None:
        """The run is over: add what nobody asked for to the violations, and a fork or a fault that never came."""
        if self.replayer is None or self._extends:
            return
        self.replayer.settle(self.divergence_point)
        if self.fault_plan.then is not None:
            self.fault_plan.then.settle()
        for finding in self._unreached():
            self._violations.add(finding)

    def _unreached(self) -> Iterator[Finding]:
        fork = self.fork
        if fork is not None and not fork.reached:
            yield fork.unreached("fork")
        yield from self.fault_plan.settle()

    def replay(self, crossing: Crossing, asked: Asked) -> dict[str, Json] | None:
        """The answer to a crossing; None: the boundary goes to the world, or runs the tool.

        Raises:
            ReplayDivergence: the golden holds no answer.
        """
        replayer, fork = self.replayer, self.fork
        if replayer is None:
            return None
        if not self._in_order(crossing):
            asked = replace(asked, after=-1)
        if self._left_to_world(replayer, crossing, asked):
            return None
        fault = self.fault_plan.meets(asked.kind, asked.content)
        if fork is not None and fork.meets(asked.kind, asked.content):
            return self._forked(replayer, fork, crossing, asked)
        replayer = self._replayer_of(replayer, crossing)
        if fault is not None and not fault.delay:
            failing = self._fail(replayer, fault, crossing, asked)
            if failing is not None:
                return failing
        if fork is not None and fork.opened:
            return None
        exchange = self._recorded(replayer, crossing, asked)
        if exchange is None:
            return None
        crossing.recorded = exchange
        crossing.read_whole = exchange.read_whole and fault is None and not listens(exchange.asked)
        crossing.cancellation_wait = cancellation_wait_of(exchange)
        if fault is not None and fault.delay:
            crossing.delay = fault.delay
            self._injected(fault, crossing, exchange)
        return self._answer_to(crossing, exchange)

    def _left_to_world(self, replayer: GoldenReplayer, crossing: Crossing, asked: Asked) -> bool:
        """Whether the world answers: all of it, or from the first call on that the golden does not answer as recorded.

        Raises:
            ReplayDivergence: a request leans on what its server keeps of the part that the golden answered.
        """
        if self.live:
            replayer.observe(asked)
        if not self._extends:
            return self.live
        tool = _tool_here(asked)
        runs = bool(tool) and self._policy(tool) is not Policy.FEED
        if not self.extended and (runs or asked.optional or replayer.fits(asked)):
            return False
        if crossing.kind == "http" and replayer.served:
            self._refuse_server_state(asked)
        self.extended = True
        self.replaying = False
        self.arrivals = None  # what the golden has still to answer is not asked for any more
        return True

    def _refuse_server_state(self, asked: Asked) -> None:
        if not self._answered and isinstance(self.replayer, ExchangeReplayer):
            self._answered = canonical([exchange.answered for exchange in self.replayer.exchanges])
        for name, value in named_state(asked.content):
            if canonical(value)[1:-1] in self._answered:
                detail = {"request": describe("http", asked.content), "name": name}
                raise divergence(
                    self._violations.add(
                        Finding(
                            kind=Kind.REFUSED,
                            case="server-state",
                            new_at=Location(lane=asked.lane),
                            detail=detail,
                        )
                    )
                )

    def asked(self, crossing: Crossing) -> None:
        """A crossing has its answer: note which recorded exchange its lane has asked for."""
        number = crossing.number = None if crossing.optional else self.number_of(crossing.recorded)
        if number is None:
            return
        if self._in_order(crossing):
            crossing.lane.latest = max(crossing.lane.latest, number)
        if self.arrivals is not None:
            arrival = self.arrivals.asked(number, crossing.lane)
            waits = crossing.cancellation_wait is None and crossing.fault is None
            crossing.arrival = arrival if waits else None

    def settled(self, crossing: Crossing, *, complete: bool) -> None:
        """The agent has an answer: note it in the lanes that may wait for the crossing's, and what it left unread."""
        number = crossing.number
        if number is None or crossing.recorded is None:
            return
        if crossing.read_whole and not complete:
            recorded = crossing.recorded
            self._violations.add(
                Finding(
                    kind=Kind.UNPLAYED,
                    case="unread",
                    boundary=crossing.kind,
                    golden=recorded.asked,
                    golden_at=Location(exchange=number + 1, lane=recorded.lane),
                )
            )
        for lane in crossing.lane.line() if self._in_order(crossing) else ():
            lane.latest = max(lane.latest, number)
        if self.arrivals is not None:
            self.arrivals.ended(number, crossing.lane.label)

    def moved_on(self, lane: Lane, *, made: bool = False) -> None:
        """A lane has gone on with the answers that it has: it has made a strand, or is done."""
        if self.arrivals is not None:
            self.arrivals.moved_on(lane.label, made=made)

    def turn(self, lane: Lane) -> Arrival | None:
        """What a lane must wait for before it takes something from a queue; None: for nothing."""
        if self.arrivals is None or self.replayer is None:
            return None
        return self.arrivals.turn(lane.label, self.replayer.lanes.get(lane.label, lane.label))

    def _in_order(self, crossing: Crossing) -> bool:
        """Whether the crossing's place among the others counts."""
        return order.counts(self._level, of_model=lambda: crossing.asks_model)

    def number_of(self, recorded: Exchange | None) -> int | None:
        """The number of a recorded exchange in the golden, by beginning from 0; None where it is not the golden's."""
        return self.replayer.number_of(recorded) if isinstance(self.replayer, ExchangeReplayer) else None

    def _recorded(self, replayer: GoldenReplayer, crossing: Crossing, asked: Asked) -> Exchange | None:
        """The exchange that answers; None: a tool is meant to run."""
        if tool := _tool_here(asked):
            policy = self._policy(tool)
            if policy is Policy.RUN:
                crossing.recorded = replayer.skip(asked)
                return None
            if policy is Policy.VERIFY:
                crossing.checked = True
                self.verified.add(tool)
        deferred = self.fault_plan.deferred(asked.content) if asked.kind == "http" else None
        exchange = deferred or replayer.answer(asked)
        if exchange is not None and runs_in_replay(exchange):
            crossing.recorded, crossing.checked = exchange, False
            crossing.runs = str((exchange.answered or {})["runs"])
            return None
        return exchange

    def _forked(
        self, replayer: GoldenReplayer, fork: Fork, crossing: Crossing, asked: Asked
    ) -> dict[str, Json]:
        """The fork's answer: the crossing is the divergence point."""
        crossing.recorded = replayer.skip(asked)
        crossing.error = fork.error
        self._leave(crossing, crossing.recorded)
        self.replaying = not fork.live
        return fork.answered

    def _answer_to(self, crossing: Crossing, exchange: Exchange) -> dict[str, Json]:
        replayed: dict[str, Json] = self._redactor.to_serve(exchange.answered or {})
        return addressed(crossing.asked, exchange.asked, replayed) if crossing.kind == "http" else replayed

    def _replayer_of(self, replayer: GoldenReplayer, crossing: Crossing) -> GoldenReplayer:
        """The replayer that answers a crossing: the golden's, or that of the turns that a test wrote after a fault."""
        then = self.fault_plan.then
        if then is None:
            return replayer
        return (
            then
            if crossing.asks_model or (crossing.kind == "tool" and then.says(crossing.call_id))
            else replayer
        )

    def _fail(
        self, replayer: GoldenReplayer, fault: Fault, crossing: Crossing, asked: Asked
    ) -> dict[str, Json] | None:
        """The crossing's failing answer; None: there is no answer that the fault could be injected into.

        Once the run has left its golden, it may ask for what the golden doesn't hold: such a call fails as well.
        """
        exchange = replayer.preview(asked)
        if exchange is None and self.divergence_point is None:
            return None
        recorded = None if exchange is None else self._answer_to(crossing, exchange)
        answered = faulted(fault, asked.content, crossing.model, recorded)
        if answered is not None:
            crossing.error = fault.error
            self._injected(fault, crossing, exchange)
        return answered

    def _injected(self, fault: Fault, crossing: Crossing, exchange: Exchange | None) -> None:
        self.fault_plan.came(fault)
        crossing.fault = fault
        if crossing.kind == "tool":
            crossing.hides.append(self._count_events() - 1)
            self.fault_plan.failed(crossing.asked, crossing.call_id, proposed=crossing.proposed)
        if not fault.recovers:
            self._leave(crossing, exchange)
        if fault.then is not None and self.fault_plan.then is None:
            self.fault_plan.then = fault.then(self._wire.read, self._violations)

    def failed(self, fault: Fault, crossing: Crossing, *, complete: bool) -> None:
        """A crossing with a fault is over. A late answer that came whole has not failed."""
        if fault.delay and complete:
            return
        if fault.delay and crossing.recorded is not None:
            self.fault_plan.defer(crossing.asked, crossing.recorded)
        if fault.recovers:
            self.fault_plan.hidden.update(crossing.hides)

    def _leave(self, crossing: Crossing, exchange: Exchange | None) -> None:
        """Make the crossing the divergence point: events and violations so far are judged, later ones are not."""
        if self.divergence_point is None:
            self.divergence_point = DivergencePoint(
                by="fork" if crossing.fault is None else "fault",
                kind=crossing.kind,
                lane=crossing.lane.label,
                emitted=self._count_events(),
                known=tuple(self._violations.findings),
                exchange=exchange,
                lanes={} if self.replayer is None else dict(self.replayer.lanes),
            )

    def _policy(self, name: str) -> Policy:
        if self.replayer is not None and self.replayer.size == 0:
            # A fixture runs before the missing golden fails the test: it must not reach the world either.
            return Policy.FEED
        risk, own = self._tools.risk(name), self._tools.policy(name)
        return policy_of(self._settings.policy, name, risk, own)
