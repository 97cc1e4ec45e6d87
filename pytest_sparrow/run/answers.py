"""What a crossing of a replay is given: the recorded answer, or what a fork or a fault has in its place."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_sparrow.providers.codec import ModelRequest
from pytest_sparrow.run.crossing import faulted
from pytest_sparrow.run.replay.replayer import patience_with
from pytest_sparrow.run.replay.violations import Finding, Kind
from pytest_sparrow.run.whatif.faults import Overlay
from pytest_sparrow.run.whatif.fork import Departure
from pytest_sparrow.settings import Policy, policy_of
from pytest_sparrow.wire.jsonrpc import addressed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.providers.dispatch import Wire
    from pytest_sparrow.redact import Redactor
    from pytest_sparrow.run.crossing import OpenCrossing
    from pytest_sparrow.run.emitter import ToolFacts
    from pytest_sparrow.run.replay.base import Feeding
    from pytest_sparrow.run.replay.violations import Ledger
    from pytest_sparrow.run.whatif.faults import Fault
    from pytest_sparrow.run.whatif.fork import Branch
    from pytest_sparrow.settings import Settings

__all__ = ["Answers"]


class Answers:
    """The answers of one run's replay. Not thread safe: the run's lock guards it.

    Args:
        feeder: the golden's answers; None: the run does not replay.
        ledger: the run's.
        events: the run's, as they grow.
        settings: what the user said.
        tools: the wrapped tools.
        wire: reads requests.
        redactor: puts this machine's directories back.

    Attributes:
        feeder: see above.
        feeding: whether the world is shut.
        branch: the fork, or None.
        overlay: the faults.
        departure: where the run left its golden, by fork or fault; None: it has not.
    """

    def __init__(
        self,
        feeder: Feeding | None,
        *,
        ledger: Ledger,
        events: Sequence[Event],
        settings: Settings,
        tools: ToolFacts,
        wire: Wire,
        redactor: Redactor,
    ) -> None:
        self.feeder = feeder
        self.feeding = feeder is not None
        self.branch: Branch | None = None
        self.overlay = Overlay()
        self.departure: Departure | None = None
        self._ledger = ledger
        self._events = events
        self._settings = settings
        self._tools = tools
        self._wire = wire
        self._redactor = redactor

    @property
    def denied(self) -> Counter[str]:
        """How many calls of each tool were answered that the agent must not make."""
        denied: Counter[str] = Counter()
        for feeder in (self.feeder, self.overlay.then):
            denied += Counter() if feeder is None else feeder.denied
        return denied

    @property
    def served_nothing(self) -> bool:
        """Whether the golden holds answers, and not one was asked for."""
        return self.feeder is not None and self.feeder.size > 0 and self.feeder.served == 0

    def settle(self) -> None:
        """The run is over: what nobody asked for is a finding, and so is a fork or a fault that never came."""
        if self.feeder is None:
            return
        self.feeder.settle(self.departure)
        if self.overlay.then is not None:
            self.overlay.then.settle()
        for finding in self._unreached():
            self._ledger.add(finding)

    def _unreached(self) -> Iterator[Finding]:
        branch = self.branch
        if branch is not None and not branch.reached:
            summary = f"sparrow.{branch.said} was never reached: the run made {branch.how_many}"
            yield Finding(kind=Kind.UNREACHED, summary=summary, hint=branch.reachable)
        yield from self.overlay.settle()

    def feed(
        self, crossing: OpenCrossing, number: int, conversation: Sequence[Json] | None
    ) -> dict[str, Json] | None:
        """The answer to a crossing, the run's ``number``-th; None: the boundary goes to the world, or runs the tool.

        Raises:
            ReplayDivergence: there is none.
        """
        feeder, branch = self.feeder, self.branch
        if feeder is None:
            return None
        fault = self.overlay.meets(crossing.kind, crossing.asked)
        if branch is not None and branch.meets(crossing.kind, crossing.asked):
            return self._forked(feeder, branch, crossing, number, conversation)
        feeder = self._feeder_of(feeder, crossing)
        if fault is not None and not fault.delay:
            failing = self._fail(feeder, fault, crossing, number, conversation)
            if failing is not None:
                return failing
        if branch is not None and branch.opened:
            return None
        exchange = self._recorded(feeder, crossing, number, conversation)
        if exchange is None:
            return None
        crossing.recorded = exchange
        crossing.patience = patience_with(exchange)
        if fault is not None and fault.delay:
            crossing.delay = fault.delay
            self._laid(fault, crossing, exchange)
        return self._answer_to(crossing, exchange)

    def _recorded(
        self, feeder: Feeding, crossing: OpenCrossing, number: int, conversation: Sequence[Json] | None
    ) -> Exchange | None:
        """The exchange that answers; None: a tool is meant to run."""
        lane = crossing.lane.label
        match crossing.kind:
            case "http":
                owed = self.overlay.owed(crossing.asked)
                return owed or feeder.http(number, crossing.asked, conversation, lane)
            case "tool":
                pending = crossing.call_id if crossing.proposed else None
                policy = self._policy(crossing.asked["name"])
                if policy is Policy.RUN:
                    crossing.recorded = feeder.ran(crossing.asked, pending, lane)
                    return None
                crossing.checked = policy is Policy.VERIFY
                return feeder.tool(crossing.asked, pending, lane)
            case _:
                return feeder.call(crossing.asked, lane)

    def _forked(
        self,
        feeder: Feeding,
        branch: Branch,
        crossing: OpenCrossing,
        number: int,
        conversation: Sequence[Json] | None,
    ) -> dict[str, Json]:
        """The fork is reached."""
        pending, lane = crossing.call_id if crossing.proposed else None, crossing.lane.label
        crossing.recorded = feeder.skip(crossing.kind, number, crossing.asked, conversation, pending, lane)
        crossing.error = branch.error
        self._leave(crossing, crossing.recorded)
        self.feeding = not branch.live
        return branch.answered

    def _answer_to(self, crossing: OpenCrossing, exchange: Exchange) -> dict[str, Json]:
        fed: dict[str, Json] = self._redactor.put_back(exchange.answered or {})
        return addressed(crossing.asked, exchange.asked, fed) if crossing.kind == "http" else fed

    def _feeder_of(self, feeder: Feeding, crossing: OpenCrossing) -> Feeding:
        """What answers a crossing: the golden, or what a test wrote for after a fault."""
        then = self.overlay.then
        if then is None:
            return feeder
        is_models = crossing.model is not None and isinstance(crossing.model.request, ModelRequest)
        return then if is_models or (crossing.kind == "tool" and then.says(crossing.call_id)) else feeder

    def _fail(
        self,
        feeder: Feeding,
        fault: Fault,
        crossing: OpenCrossing,
        number: int,
        conversation: Sequence[Json] | None,
    ) -> dict[str, Json] | None:
        """The crossing's failing answer; None: there is nothing to lay the fault over.

        Once the run has left its golden, it may ask for what that doesn't hold: this fails as well.
        """
        pending = crossing.call_id if crossing.proposed else None
        lane, asked = crossing.lane.label, crossing.asked
        exchange = feeder.lay_over(crossing.kind, number, asked, conversation, pending, lane)
        if exchange is None and self.departure is None:
            return None
        recorded = None if exchange is None else self._answer_to(crossing, exchange)
        answered = faulted(fault, asked, crossing.model, recorded)
        if answered is not None:
            crossing.error = fault.error
            self._laid(fault, crossing, exchange)
        return answered

    def _laid(self, fault: Fault, crossing: OpenCrossing, exchange: Exchange | None) -> None:
        self.overlay.came(fault)
        crossing.fault = fault
        if crossing.kind == "tool":
            crossing.hides.append(len(self._events) - 1)
            self.overlay.failed(crossing.asked, crossing.call_id, proposed=crossing.proposed)
        if not fault.recovers:
            self._leave(crossing, exchange)
        if fault.then is not None and self.overlay.then is None:
            self.overlay.then = fault.then(self._wire.read, self._ledger)

    def failed(self, fault: Fault, crossing: OpenCrossing, *, complete: bool) -> None:
        """A crossing with a fault is over. An answer that came late and whole has not failed."""
        if fault.delay and complete:
            return
        if fault.delay and crossing.recorded is not None:
            self.overlay.owe(crossing.asked, crossing.recorded)
        if fault.recovers:
            self.overlay.hidden.update(crossing.hides)

    def _leave(self, crossing: OpenCrossing, exchange: Exchange | None) -> None:
        """What was told and found so far is judged, what comes now is not."""
        if self.departure is None:
            self.departure = Departure(
                by="fork" if crossing.fault is None else "fault",
                kind=crossing.kind,
                lane=crossing.lane.label,
                told=len(self._events),
                known=tuple(self._ledger.findings),
                exchange=exchange,
                lanes={} if self.feeder is None else dict(self.feeder.lanes),
            )

    def _policy(self, name: str) -> Policy:
        if self.feeder is not None and self.feeder.size == 0:
            # A fixture runs before a missing golden is told: it must not reach the world either.
            return Policy.FEED
        return self._tools.policy(name) or policy_of(self._settings.policy, name, self._tools.risk(name))
