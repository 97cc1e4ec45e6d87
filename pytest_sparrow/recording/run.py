"""One open run: every crossing of every boundary comes here, to be recorded or fed, and told as events."""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_sparrow.errors import NotRecordable, ReplayDivergence, StoreError
from pytest_sparrow.exchange import Exchange, Json
from pytest_sparrow.matching.jsonrpc import addressed
from pytest_sparrow.recording.caller import caller
from pytest_sparrow.recording.codec import ModelRequest, ToolRequest
from pytest_sparrow.recording.faulted import faulted
from pytest_sparrow.recording.hosts import Passage, passage
from pytest_sparrow.recording.lanes import Lane, Lanes, in_lane
from pytest_sparrow.recording.narrator import Narrator
from pytest_sparrow.recording.open_crossing import OpenCrossing
from pytest_sparrow.replaying.describe import describe
from pytest_sparrow.replaying.feeder import Feeder, patience_with
from pytest_sparrow.replaying.ledger import Finding, Kind, Ledger
from pytest_sparrow.replaying.overlay import Overlay
from pytest_sparrow.replaying.place import Departure
from pytest_sparrow.settings import Policy, policy_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_sparrow.events import Event
    from pytest_sparrow.matching.chooser import Essence
    from pytest_sparrow.recording.ports import Sink, ToolFacts, Watcher
    from pytest_sparrow.recording.wire import ModelCall, Wire
    from pytest_sparrow.redact import Redactor
    from pytest_sparrow.replaying.branch import Branch
    from pytest_sparrow.replaying.feeding import Feeding
    from pytest_sparrow.replaying.overlay import Fault
    from pytest_sparrow.settings import Settings

__all__ = ["Run"]


class Run:
    """A run between the opening and the closing of its window.

    Thread safe. What is slow (reading the wire, redaction) happens outside the lock.

    Attributes:
        run_id: its id, and the name of its folder.
        settings: what the user said.
        ledger: what went wrong at the boundaries.
        events: what has happened so far, as the agent saw it (the disk gets the redacted form).
        feeding: whether the world is shut.
        feeder: what feeds it, or None.
        crossings: how many crossings there were.
        branch: the fork, or None.
        overlay: the faults.
        departure: where the run left its golden, by fork or fault; None: it has not.
        started: the run's zero: what exchanges count their seconds from.
        watchers: who follows the crossings.
    """

    def __init__(
        self,
        run_id: str,
        settings: Settings,
        *,
        wire: Wire,
        redactor: Redactor,
        tools: ToolFacts,
        golden: Sequence[Exchange] | None = None,
        essence: Essence | None = None,
        feeder: Callable[[Ledger], Feeding] | None = None,
        sink: Sink | None = None,
    ) -> None:
        self.run_id = run_id
        self.settings = settings
        self.events: list[Event] = []
        self.ledger = Ledger(lambda: len(self.events), caller)
        self.crossings = 0
        self.branch: Branch | None = None
        self.overlay = Overlay()
        self.departure: Departure | None = None
        self.watchers: list[Watcher] = []
        self._wire = wire
        self._redactor = redactor
        self._tools = tools
        self._sink = sink
        self.feeder: Feeding | None = None
        if feeder is not None:
            self.feeder = feeder(self.ledger)
        elif golden is not None:
            self.feeder = Feeder(golden, wire.conversation, self.ledger, essence)
        self.feeding = self.feeder is not None
        self._narrator = Narrator(run_id, settings.agent, self._emit, tools.risk)
        self._lanes = Lanes()
        self._lock = threading.RLock()
        self.started = datetime.now(UTC)
        self._zero = time.monotonic()
        self._last = 0.0
        self._open: dict[int, OpenCrossing] = {}
        self._closed = False
        self._unread: Counter[str] = Counter()

    # What boundaries use.

    @property
    def keeps(self) -> bool:
        """Whether what crosses is written or compared."""
        return self.feeding or self._sink is not None

    @property
    def in_process(self) -> bool:
        """Whether in-process transports cross too."""
        return self.settings.in_process

    def passes_host(self, host: str, port: int | None) -> Passage:
        """What to do with traffic to a host."""
        return passage(host, port, allow=self.settings.allow_hosts, ignore=self.settings.ignore_hosts)

    def refuse(self, what: str, hint: str = "") -> ReplayDivergence:
        """Write a refused contact with the world into the ledger; returns what to raise."""
        self.ledger.add(Finding(kind=Kind.REFUSED, summary=what, hint=hint))
        return ReplayDivergence(what, (hint,) if hint else ())

    def fork(self) -> Lane:
        """A lane for work that is handed from here to another thread."""
        with self._lock:
            return self._lanes.fork()

    def body_begins(self) -> None:
        """The test's own code begins: lanes of its work are numbered from here."""
        with self._lock:
            self._lanes.body_begins()

    def within(self, lane: Lane) -> AbstractContextManager[None]:
        """In the thread that takes the work: what crosses belongs to that lane."""
        return self._lanes.within(lane)

    def lend(self) -> Callable[[], None]:
        """What gives the calling strand's lane to the strand that calls it."""
        with self._lock:
            return functools.partial(self._lanes.adopt, self._lanes.here())

    def unrecordable(self, error: NotRecordable) -> None:
        """Write down that a value cannot be held: the agent may swallow the exception, the golden must not miss it."""
        self.ledger.add(
            Finding(kind=Kind.UNRECORDABLE, summary=f"{error.path}: {error.reason}", hint=error.hint)
        )

    def ask(self, kind: str, asked: dict[str, Json]) -> OpenCrossing:
        """Begin a crossing; see `pytest_sparrow.recording.crossing.OpenRun.ask`."""
        if self.ledger.mirror is not None and self.keeps:
            raise self._asked_in_a_child(kind, asked)
        model = self._wire.read(asked) if kind == "http" else None
        clean = self._redactor.asked(kind, asked)
        conversation = None if self.feeder is None else self._conversation(model, asked, clean)
        with self._lock:
            crossing = OpenCrossing(self, kind, clean, self._lanes.here(), self._now())
            for open_one in crossing.lane.open:
                self._catch_up(open_one)
            crossing.model = model
            number = self.crossings
            self.crossings += 1
            self._tell_asked(crossing, asked)
            if self.feeder is not None:
                crossing.fed = self._feed(self.feeder, crossing, number, conversation)
            self._open[id(crossing)] = crossing
            crossing.lane.open.append(crossing)
            for watcher in self.watchers:
                watcher.asked(crossing)
            return crossing

    def settle(self, crossing: OpenCrossing, answered: dict[str, Json] | None, *, complete: bool) -> None:
        """End a crossing; what comes after the run's end is dropped, since the run has been judged."""
        if self._over(crossing):
            return
        words = None
        if crossing.model is not None and answered is not None:
            words = crossing.model.answer(crossing.asked, answered)
        keep = (
            self._redactor.answered(crossing.kind, answered) if self._sink is not None and answered else None
        )
        with self._lock:
            if self._over(crossing):  # another thread was faster
                return
            crossing.settled = True
            self._open.pop(id(crossing), None)
            crossing.lane.open.remove(crossing)
            before = len(self.events)
            if words is not None and crossing.call_id:
                self._narrator.remote_tool_answered(crossing.tells_in, crossing.call_id, words)
            elif words is not None:
                self._narrator.model_answered(crossing.lane, words, crossing.told)
            elif crossing.kind == "tool":
                self._narrator.tool_answered(crossing.lane, crossing.call_id, answered)
            if crossing.fault is not None:
                crossing.hides.extend(range(before, len(self.events)))
                self._failed(crossing.fault, crossing, complete=complete)
            for watcher in self.watchers:
                watcher.answered(crossing, answered)
            self._keep(crossing, keep, complete=complete)

    # What the fixture uses.

    def hosted(self, call_id: str, name: str) -> bool:
        """Whether a call was told that the provider ran itself: the agent did not make it."""
        return (call_id, name) in self._narrator.hosted

    def record(self, event: Event) -> None:
        """Add an event of the user's own."""
        with self._lock:
            self._narrator.own_event(event)
            self._emit(in_lane(event, self._lanes.here().label))

    def close(self, *, failed: bool) -> None:
        """End the run: unfinished crossings are settled, and what nobody asked for goes into the ledger."""
        with self._lock:
            for crossing in list(self._open.values()):
                self._end_early(crossing)
            self._narrator.end(failed=failed)
            self._closed = True
            if self.feeder is not None:
                self.feeder.settle(self.departure)
                if self.overlay.then is not None:
                    self.overlay.then.settle()
                self._tell_unreached()
            self._tell_unwrapped()
            self._tell_unread()

    @property
    def closed(self) -> bool:
        """Whether the run is over."""
        return self._closed

    def wraps(self, name: str) -> bool:
        """Whether a tool of this name is wrapped."""
        return self._tools.wrapped(name)

    def elapsed(self) -> float:
        """Seconds since the run's zero."""
        return time.monotonic() - self._zero

    @property
    def task(self) -> str:
        """The first user text, "" before it is known."""
        return self._narrator.task

    @property
    def model(self) -> str:
        """The first model asked, "" before it is known."""
        return self._narrator.model

    @property
    def served_nothing(self) -> bool:
        """Whether the golden holds answers, and not one was asked for."""
        return self.feeder is not None and self.feeder.size > 0 and self.feeder.served == 0

    # Within.

    def _asked_in_a_child(self, kind: str, asked: dict[str, Json]) -> Exception:
        """A forked child holds a copy of this run: what it is given or told, the run never knows.

        No lock is taken and no value is told: another thread may have held the lock when the child was forked.
        """
        what = f"{asked['method']} {urlsplit(asked['url']).hostname}" if kind == "http" else asked["name"]
        reason = "asked for in a forked process, of which a run can neither record nor feed anything"
        hint = "use threads or tasks, or ask in the test's own process"
        if self.feeding:
            return self.refuse(f"{what}: {reason}", hint)
        error = NotRecordable(what, reason, hint)
        self.unrecordable(error)
        return error

    def _now(self) -> float:
        """Seconds since the run began, in microseconds and never twice the same: the order of crossings."""
        self._last = max(round(self.elapsed(), 6), round(self._last + 1e-6, 6))
        return self._last

    def _emit(self, event: Event) -> None:
        self.events.append(event)
        if self._sink is not None:
            with self._noting_unrecordable():
                self._sink.event(event)

    @contextmanager
    def _noting_unrecordable(self) -> Iterator[None]:
        try:
            yield
        except NotRecordable as error:
            self.unrecordable(error)
            raise
        except StoreError as error:
            self._lose(error)

    def _lose(self, error: StoreError) -> None:
        """The disk refused: no doing of the agent's, which goes on; the recording can't be kept, and the test fails."""
        what, _, hint = str(error).partition("\n")
        self.ledger.add(Finding(kind=Kind.UNRECORDABLE, summary=what, hint=hint.strip()))
        self._sink = None

    def _tell_asked(self, crossing: OpenCrossing, asked: dict[str, Json]) -> None:
        if crossing.kind == "tool":
            again = self.overlay.again(crossing.asked)
            if again is None:
                call_id, proposed = self._narrator.tool_called(crossing.lane, asked["name"], asked["args"])
            else:
                call_id, proposed = again
                self._narrator.tool_called_again(crossing.lane, call_id, asked["name"], asked["args"])
            crossing.call_id, crossing.proposed = call_id, proposed
            crossing.asked = {**crossing.asked, "id": call_id}
        elif crossing.model is not None:
            request = crossing.model.request
            if isinstance(request, ToolRequest):
                crossing.call_id, crossing.tells_in = self._narrator.remote_tool_called(
                    crossing.lane, request.name, request.args
                )
            else:
                self._narrator.asked_model(crossing.lane, request)
        else:
            self._narrator.begin()
            if crossing.kind == "http" and _looks_like_a_models(asked):
                self._unread[describe("http", asked)] += 1

    def _over(self, crossing: OpenCrossing) -> bool:
        return crossing.settled or self._closed

    def _keep(self, crossing: OpenCrossing, answered: dict[str, Json] | None, *, complete: bool) -> None:
        if self._sink is None:
            return
        exchange = Exchange(
            kind=crossing.kind,
            asked=crossing.asked,
            answered=answered,
            lane=crossing.lane.label,
            began=crossing.began,
            ended=self._now(),
            complete=complete and answered is not None,
            proposed=crossing.proposed,
        )
        with self._noting_unrecordable():
            self._sink.exchange(exchange)

    def _conversation(
        self, model: ModelCall | None, asked: dict[str, Json], clean: dict[str, Json]
    ) -> Sequence[Json] | None:
        """The conversation as a golden has it: without what was hidden, where anything was."""
        if model is None or clean.get("body") is asked.get("body"):
            return None if model is None else model.conversation
        return self._wire.conversation(clean)

    def _feed(
        self, feeder: Feeding, crossing: OpenCrossing, number: int, conversation: Sequence[Json] | None
    ) -> dict[str, Json] | None:
        branch = self.branch
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
            crossing.hides.append(len(self.events) - 1)
            self.overlay.failed(crossing.asked, crossing.call_id, proposed=crossing.proposed)
        if not fault.recovers:
            self._leave(crossing, exchange)
        if fault.then is not None and self.overlay.then is None:
            self.overlay.then = fault.then(self._wire.read, self.ledger)

    def _failed(self, fault: Fault, crossing: OpenCrossing, *, complete: bool) -> None:
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
                kind=crossing.kind,
                lane=crossing.lane.label,
                told=len(self.events),
                known=tuple(self.ledger.findings),
                exchange=exchange,
            )

    def _tell_unreached(self) -> None:
        branch = self.branch
        if branch is not None and not branch.reached:
            summary = f"sparrow.{branch.said} was never reached: the run made {branch.how_many}"
            self.ledger.add(Finding(kind=Kind.UNREACHED, summary=summary, hint=branch.reachable))
        for finding in self.overlay.settle():
            self.ledger.add(finding)

    def _policy(self, name: str) -> Policy:
        if self.feeder is not None and self.feeder.size == 0:
            # A fixture runs before a missing golden is told: it must not reach the world either.
            return Policy.FEED
        return self._tools.policy(name) or policy_of(self.settings.policy, name, self._tools.risk(name))

    def _catch_up(self, crossing: OpenCrossing) -> None:
        """The strand goes on while its stream is open: tell what it acts on."""
        if crossing.call_id:
            return  # a tool's output is told once, whole
        so_far = None if crossing.model is None or crossing.peek is None else crossing.peek()
        if crossing.model is not None and so_far is not None:
            words = crossing.model.answer(crossing.asked, so_far)
            before = len(self.events)
            crossing.told = self._narrator.model_is_answering(crossing.lane, words, crossing.told)
            crossing.hides.extend(range(before, len(self.events)))

    def _end_early(self, crossing: OpenCrossing) -> None:
        if crossing.flush is not None:
            crossing.flush()
        if not crossing.settled:
            self.ledger.add(
                Finding(kind=Kind.LATE, summary=f"a {crossing.kind} crossing was still open at the end")
            )
            crossing.settle(None, complete=False)

    def _tell_unwrapped(self) -> None:
        denied: Counter[str] = Counter()
        for feeder in (self.feeder, self.overlay.then):
            denied += Counter() if feeder is None else feeder.denied
        for name, calls in self._narrator.proposals.unwrapped.items():
            wrapped = self._tools.wrapped(name)
            count = calls - denied[name] if wrapped else calls
            if count <= 0:
                continue
            times = "once" if count == 1 else f"{count} times"
            if not wrapped and denied[name]:
                what = "denied, and not wrapped: whether it ran all the same was not checked"
            elif wrapped:
                what = "answered without its wrapper: the agent did not run it, or it ran another copy, unchecked"
            else:
                what = "not wrapped: it ran, and its arguments were not checked"
            summary = f"{name}: proposed {times}, {what}"
            self.ledger.add(Finding(kind=Kind.UNWRAPPED, summary=summary, asked={"name": name}))

    def _tell_unread(self) -> None:
        for fault in self._wire.faults:
            self.ledger.add(Finding(kind=Kind.UNREAD, summary=fault))
        for what, count in self._unread.items():
            calls = "a call" if count == 1 else f"{count} calls"
            self.ledger.add(
                Finding(
                    kind=Kind.UNREAD,
                    summary=f"{calls} of {what}: a model's, it seems, in a format not read yet. Fed and "
                    "compared as HTTP; texts and proposed calls are no events, and unwrapped tools can't be named",
                )
            )


def _looks_like_a_models(asked: dict[str, Json]) -> bool:
    """Whether a request that no codec knows names a model, as every provider's does: in the body, or in the path."""
    body = asked.get("body")
    value = body.get("json") if isinstance(body, dict) else None
    return isinstance(value, dict) and ("/models/" in asked["url"] or isinstance(value.get("model"), str))
