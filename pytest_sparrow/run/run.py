"""Holds one open run: every crossing of every boundary comes here, is recorded or replayed, and becomes events."""

from __future__ import annotations

import functools
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING

from pytest_sparrow import real_time
from pytest_sparrow.findings import Finding, Kind
from pytest_sparrow.matching.counts import is_verbatim
from pytest_sparrow.matching.secrets import SecretPairs
from pytest_sparrow.run.answering import running_tool
from pytest_sparrow.run.answers import Answers
from pytest_sparrow.run.context import serving_port
from pytest_sparrow.run.crossing import Crossing
from pytest_sparrow.run.crossing_events import CrossingEvents
from pytest_sparrow.run.held import hold, holds_answer, let_go, why_run
from pytest_sparrow.run.keeping import Keeping
from pytest_sparrow.run.lanes import Lanes
from pytest_sparrow.run.own_servers import OwnServers
from pytest_sparrow.run.passages import is_by_chance, passage
from pytest_sparrow.run.refusing import Refusals
from pytest_sparrow.run.replayer import ExchangeReplayer
from pytest_sparrow.run.taking import Taking
from pytest_sparrow.run.users_code import caller
from pytest_sparrow.run.violations import Violations
from pytest_sparrow.run.waiting import EndlessWaits
from pytest_sparrow.wire.asking import describe
from pytest_sparrow.wire.spelling import without_spelling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from pytest_sparrow.errors import NotRecordable, ReplayDivergence
    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.matching.chooser import ComparableOf
    from pytest_sparrow.providers.registry import Wire
    from pytest_sparrow.redact import Redactor
    from pytest_sparrow.run.emitter import Gathered, Sink, ToolFacts, Watcher
    from pytest_sparrow.run.lanes import Lane
    from pytest_sparrow.run.passages import Passage
    from pytest_sparrow.run.replayer import GoldenReplayer
    from pytest_sparrow.settings import Settings


class Run:
    """A run between the opening and the closing of its window.

    Thread safe. Slow work (reading the wire, redaction) happens outside the lock.

    Attributes:
        run_id: the run's id, and the name of its folder.
        settings: what the user said.
        violations: what went wrong at the boundaries.
        equal_by_construction: whether the run is over, and its events are its golden's, which nobody need make.
        answers: the answers of a replay, with its fork and faults.
        crossings: how many crossings there were.
        started: the run's zero, from which exchanges count their seconds.
        watchers: follow the crossings.
        parent: of a further run, the run of its test.
        taking: which strand may take something from a queue now.
        waiting: ends a replay that waits for what a refused strand was to bring.
        own_servers: which servers of this process are the app under test.
        frameworks: names of the adapters whose frameworks' tools cross.
        notes: what their adapters note; see `pytest_sparrow.frameworks.noting`.
        code: the digests of the code of the tools that were called, by name.
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
        comparable_of: ComparableOf | None = None,
        replayer: Callable[[Violations], GoldenReplayer] | None = None,
        live: bool = False,
        extends: bool = False,
        sink: Sink | None = None,
        gathers: bool = False,
        parent: Run | None = None,
        report_late: Callable[[Finding], None] | None = None,
        own_servers: OwnServers | None = None,
        optional: bool = False,
        recorded_events: Sequence[bytes] = (),
        frameworks: frozenset[str] = frozenset(),
        notes: frozenset[str] = frozenset(),
        recorded_code: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.run_id = run_id
        self.frameworks = frameworks
        self.notes = notes
        self.code: dict[str, str] = {}
        self._recorded_code = recorded_code
        self._noted_on = None if golden is None else _keys_of_on(golden)
        self.own_servers = own_servers or OwnServers()
        self.parent = parent
        self.settings = settings
        self.equal_by_construction = False
        self._lock = threading.RLock()
        self.violations = Violations(self._count_events, caller)
        self.crossings = 0
        self.watchers: list[Watcher] = []
        self._wire = wire
        self._redactor = redactor
        self._tools = tools
        self._keeping = Keeping(sink, gathers=gathers, redactor=redactor, violations=self.violations)
        self._optional = optional
        replays: GoldenReplayer | None = None
        if replayer is not None:
            replays = replayer(self.violations)
        elif golden is not None:
            secrets = SecretPairs(replayed=True, variables=lambda: redactor.variables)
            replays = ExchangeReplayer(
                golden, wire.conversation, self.violations, comparable_of, secrets=secrets
            )
        self.answers = Answers(
            replays,
            violations=self.violations,
            count_events=self._count_events,
            settings=settings,
            tools=tools,
            wire=wire,
            redactor=redactor,
            live=live,
            extends=extends,
        )
        self._events = CrossingEvents(
            run_id, settings.agent, self._keeping.event, tools.risk, golden or (), recorded_events
        )
        self._events.postponed.works = self.answers.replaying and sink is None and not extends
        self.started = real_time.now()
        self._zero = real_time.monotonic()
        self._last = 0.0
        self._lanes = Lanes(self._now, self._events.postponed.do)
        self.taking = Taking(self._lanes, self.answers, self.elapsed)
        self._refusals = Refusals(self.violations, self._lanes.label, lambda: self.replaying, report_late)
        self._open: dict[int, Crossing] = {}
        self.waiting = EndlessWaits(self, self._open.values())
        if self.replaying:
            self.violations.refused = self.waiting.refused
        self._closed = False

    @property
    def events(self) -> list[Event]:
        """What has happened so far, as the agent saw it (the disk gets the redacted form)."""
        with self._lock:
            return self._events.all()

    def _count_events(self) -> int:
        # In a forked child no lock is taken: another thread may have held the lock when the child was forked.
        return len(self._events.made if self.violations.mirror is not None else self.events)

    # What boundaries use.

    @property
    def replaying(self) -> bool:
        """Whether the world is shut."""
        return self.answers.replaying

    @property
    def keeps(self) -> bool:
        """Whether crossings are written or compared."""
        return self.replaying or self.answers.live or self._keeping.keeps

    @property
    def gathered(self) -> Gathered | None:
        """The exchanges so far, where they are kept in memory; None where they are not."""
        return self._keeping.gathered

    @property
    def in_process(self) -> bool:
        """Whether in-process transports cross too."""
        return self.settings.in_process

    def passes_host(self, host: str, port: int | None) -> Passage:
        """What to do with traffic to a host."""
        return passage(host, port, allow=self.settings.allow_hosts, ignore=self.settings.ignore_hosts)

    def refuse(self, case: str, **detail: Json) -> ReplayDivergence:
        """Add a refused contact with the world to the violations; returns what to raise."""
        return self._refusals.refuse(case, detail, closed=self._closed)

    def asked_late(self, what: str) -> ReplayDivergence | None:
        """Report what a strand asks for after the test's end; returns what to raise, None in a recording."""
        error = self._refusals.late(what)
        return error if self.replaying else None

    def not_compared(self, case: str, tool: str, what: str) -> None:
        """Name once what of a tool's calls is not compared."""
        with self._lock:
            self.violations.not_compared(case, tool, what)

    def folder(self, name: str) -> str | None:
        """A directory that the run hides; None where it is not known."""
        return self._redactor.folder(name)

    def begin_lane(self, task: object | None) -> Lane | None:
        """Make the lane of a task, or (None) of work for another thread; see `Lanes.begin`."""
        with self._lock:
            lane = self._lanes.begin(task)
            if lane is not None and lane.parent is not None:
                self._moved_on(lane.parent, made=True)
            return lane

    def enter_lane(self, lane: Lane, task: object) -> None:
        """Put a task into its lane; called in the task's context."""
        self._lanes.enter(lane, task)

    def lane_ended(self, lane: Lane) -> None:
        """The work of a lane in another thread is done, and others see its result."""
        self._moved_on(lane)

    def body_begins(self) -> None:
        """The test's own code begins: lanes of its work are numbered from here."""
        with self._lock:
            self._lanes.body_begins()

    def lane_here(self) -> Lane | None:
        """The lane of the calling strand; None where it has none yet."""
        return self._lanes.known()

    def within(self, lane: Lane, queue: object = None) -> AbstractContextManager[None]:
        """In the thread that takes the work: crossings belong to this lane; see `Lanes.next_in` for the queue."""
        if queue is not None:
            with self._lock:
                self._lanes.next_in(queue, lane)
        return self._lanes.within(lane)

    def borrowed_lane(self) -> Callable[[], None]:
        """A function that puts the strand that calls it into this strand's lane."""
        with self._lock:
            return functools.partial(self._lanes.enter, self._lanes.here())

    def handled(self, name: str, call_id: str) -> None:
        """A framework handles a proposed call by itself; see `pytest_sparrow.run.crossing.OpenRun.handled`."""
        with self._lock:
            self._events.all()
            self._events.emitter.proposals.handled(call_id, name, self._lanes.here())

    def is_alone(self, call_id: str) -> bool:
        """Whether no other proposed call is under way; see `pytest_sparrow.run.crossing.OpenRun.is_alone`."""
        with self._lock:
            self._events.all()
            return self._events.emitter.proposals.is_alone(call_id, self._lanes.here())

    def failed(self, call_id: str) -> None:
        """A framework gives the model an error; see `pytest_sparrow.run.crossing.OpenRun.failed`."""
        with self._lock:
            self._events.failed(call_id, self._lanes.here())

    def note(self, event: Event) -> None:
        """Add what only a framework knows; see `pytest_sparrow.run.crossing.OpenRun.note`."""
        tool = running_tool()
        with self._lock:
            note = functools.partial(self._events.note, event, self._lanes.here())
            if tool is None or tool.runs:
                note()
            else:
                tool.held.append(note)

    def note_code(self, name: str, digest: Callable[[], str], *, answered: bool) -> None:
        """Note the code of a tool, or a change of it; see `pytest_sparrow.run.crossing.OpenRun.note_code`."""
        recorded = self._recorded_code.get(name)
        if name in self.code or not (recorded if answered else self._keeping.sink is not None):
            return
        found = self.code[name] = digest()
        if answered and found and found != recorded:
            self.violations.add(Finding(kind=Kind.CHANGED_CODE, boundary="tool", detail={"name": name}))

    def notes_on(self, name: str, key: str) -> bool:
        """Whether calls of a tool say a key of ``on``; see `pytest_sparrow.run.crossing.OpenRun.notes_on`."""
        return not self.replaying if self._noted_on is None else (name, key) in self._noted_on

    def is_wrapped(self, name: str, fn: object) -> bool:
        """Whether the user has wrapped a tool of this name, or the function behind it."""
        return self._tools.wrapped(name) or self._tools.is_wrapped(fn)

    def unrecordable(self, error: NotRecordable) -> None:
        """Write down that a value cannot be held: the agent may swallow the exception, the golden must not miss it."""
        self.violations.unrecordable(error)

    def ask(self, kind: str, asked: dict[str, Json]) -> Crossing:
        """Begin a crossing; see `pytest_sparrow.run.crossing.OpenRun.ask`."""
        if self.violations.mirror is not None and self.keeps:
            raise self._refusals.in_a_child(kind, asked)
        if self._closed and (error := self.asked_late(describe(kind, asked))) is not None:
            raise error
        tool = running_tool()
        if tool is not None and not tool.runs:
            why = why_run(tool, kind, asked, wire=self._wire, wrapped=self._tools.wrapped)
            if not why:
                with self._lock:
                    return hold(tool, self._crossing(kind, asked, self._lanes.here()), self._begin_held)
            self.must_run(tool, why)
        return self._begin(kind, asked, outer=tool)

    def _begin(
        self,
        kind: str,
        asked: dict[str, Json],
        held: Crossing | None = None,
        *,
        outer: Crossing | None = None,
    ) -> Crossing:
        with self._lock:
            lane = held.lane if held is not None else self._lanes.here()
            self.taking.moved_on(lane)
            due = self._due(kind, lane)
        if due is not None and not is_verbatim(asked, due.asked):
            due = None
        reads_later = kind == "http" and due is not None and self._wire.may_wait(asked)
        model = self._wire.read(asked) if kind == "http" and not reads_later else None
        optional = model is None and kind == "http" and not reads_later
        optional = optional and (self._optional or is_by_chance(asked, self.settings))
        hidden = self._redactor.knows
        clean = self._redactor.asked(kind, asked, clean=due is not None)
        body = self._redactor.piece_of(clean) if self._keeping.sink is not None else None
        with self._lock:
            crossing = held or self._crossing(kind, clean, lane)
            crossing.asked, crossing.outer = clean, outer
            for open_one in crossing.lane.open:
                self._events.catch_up(open_one)
            crossing.model, crossing.hidden, crossing.body = model, hidden, body
            crossing.optional, crossing.due = optional, due
            if reads_later:
                crossing.reads_model = functools.partial(self._wire.read, asked)
            if self._keeping.keeps and not self.replaying:
                self._note_own_servers(crossing)
            number = self.crossings
            self.crossings += 1
            self._events.asked(crossing, asked, self.answers)
            known = len(self.violations.findings)
            conversation_of = functools.partial(self._conversation, crossing, asked)
            crossing.replayed = self.answers.replay(crossing, crossing.to_match(number, conversation_of))
            if self.gathered is not None and len(self.violations.findings) == known:
                crossing.hold_once()
            self.answers.asked(crossing)
            self._events.begun(crossing, alone=not self._open)
            self._open[id(crossing)] = crossing
            crossing.lane.open.append(crossing)
            for watcher in self.watchers:
                watcher.asked(crossing)
            return crossing

    def settle(self, crossing: Crossing, answered: dict[str, Json] | None, *, complete: bool) -> None:
        """End a crossing; an answer that comes after the run's end is dropped, since the run has been judged."""
        if self._over(crossing):
            return
        with self._lock:
            if holds_answer(crossing, answered, complete=complete):
                return
        self.taking.answered(crossing, complete=complete)
        crossing.held.clear()
        answered = {"runs": crossing.runs} if crossing.runs else answered
        as_recorded = self._events.is_as_recorded(crossing, answered, complete=complete)
        read = None if as_recorded else self._events.read(crossing, answered, complete=complete)
        if read is not None and answered is not None:
            answered = without_spelling(answered)
        keep = self._keeping.half_of(crossing, answered)
        with self._lock:
            if self._over(crossing):  # another thread was faster
                return
            crossing.settled = True
            self._open.pop(id(crossing), None)
            crossing.lane.open.remove(crossing)
            if as_recorded:
                self._events.answered_as_recorded(crossing)
            else:
                self._events.answered(crossing, answered, read)
            if crossing.fault is not None:
                self.answers.failed(crossing.fault, crossing, complete=complete)
            self.answers.settled(crossing, complete=complete)
            for watcher in self.watchers:
                watcher.answered(crossing, answered)
            if crossing.kind == "tool":
                self._name_uncompared(crossing, answered or {})
            if self._keeping.keeps:
                self._keeping.exchange(crossing, keep, self._now(), complete=complete)

    def catch_up(self, crossing: Crossing) -> None:
        """Emit what the agent has read of an open stream; see `pytest_sparrow.run.crossing.Crossing.catch_up`."""
        with self._lock:
            if not self._over(crossing):
                self._events.catch_up(crossing)

    def _crossing(self, kind: str, asked: dict[str, Json], lane: Lane) -> Crossing:
        crossing = Crossing(self, kind, asked, lane, self._now())
        if kind == "tool":
            crossing.tool_lane = self._lanes.of_tool(lane)
        return crossing

    def _begin_held(self, crossing: Crossing) -> None:
        self._begin(crossing.kind, crossing.asked, crossing, outer=crossing.outer)

    def must_run(self, tool: Crossing, why: str) -> None:
        """A replay must run a tool: what its code has asked for belongs to the run, from its beginning."""
        with self._lock:
            let_go(tool, why)

    def inside(self, lane: Lane) -> AbstractContextManager[None]:
        """The code of a tool runs: its crossings belong to this lane."""
        return self._lanes.inside(lane)

    # What the fixture uses.

    @property
    def hosted(self) -> frozenset[tuple[str, str]]:
        """Ids and names of the calls that the provider ran itself: the agent did not make them."""
        with self._lock:
            self._events.all()
            return frozenset(self._events.emitter.hosted)

    def record(self, event: Event) -> None:
        """Add an event of the user's own."""
        with self._lock:
            self._events.own(event, self._lanes.here())

    def close(self, *, failed: bool) -> None:
        """End the run: settle unfinished crossings, and add what nobody asked for to the violations."""
        with self._lock:
            for crossing in list(self._open.values()):
                self._end_early(crossing)
            clean = not self.violations.findings
            self.equal_by_construction = self._events.end(self.answers, failed=failed, clean=clean)
            self._closed = True
            self.answers.settle()
            # An agent that could not go on has not run what the model proposed last.
            went_on = not (failed or self.violations.of(Kind.MISS) or self.answers.divergence_point)
            left = self._events.findings(self.answers.denied, self._tools.wrapped, went_on=went_on)
            for finding in (*left, *self._events.unread.findings(self._wire.faults)):
                self.violations.add(finding)

    @property
    def closed(self) -> bool:
        """Whether the run is over."""
        return self._closed

    def wraps(self, name: str) -> bool:
        """Whether a tool of this name is wrapped."""
        return self._tools.wrapped(name)

    def elapsed(self) -> float:
        """Seconds since the run's zero."""
        return real_time.monotonic() - self._zero

    @property
    def task(self) -> str:
        """The first user text, "" before it is known."""
        with self._lock:
            self._events.all()
            return self._events.emitter.task

    @property
    def model(self) -> str:
        """The first model asked, "" before it is known."""
        with self._lock:
            self._events.all()
            return self._events.emitter.model

    # Within.

    def _moved_on(self, lane: Lane, *, made: bool = False) -> None:
        self.answers.moved_on(lane, made=made)
        self.taking.moved_on(lane)

    def _due(self, kind: str, lane: Lane) -> Exchange | None:
        """The recorded exchange that is next in a lane; none where what is asked is kept, and so is redacted."""
        replayer = self.answers.replayer
        if replayer is None or self._keeping.sink is not None or self._redactor.gave_markup:
            return None
        due = replayer.due(lane.label)
        return None if due is None or due.kind != kind or due.optional else due

    def _note_own_servers(self, crossing: Crossing) -> None:
        if crossing.kind == "http":
            self.own_servers.asked(crossing)
        port = serving_port.get()
        if port is not None:
            self.own_servers.crossed_by(port)

    def _now(self) -> float:
        """Seconds since the run began, to the microsecond and never twice the same: the order of crossings."""
        self._last = max(round(self.elapsed(), 6), round(self._last + 1e-6, 6))
        return self._last

    def _name_uncompared(self, tool: Crossing, answered: dict[str, Json]) -> None:
        """Name a tool that asks a model itself, now or when it was recorded, and one that a replay must run."""
        if tool.asks_models or (tool.recorded is not None and tool.recorded.asks_models):
            self.not_compared("models", tool.asked["name"], "")
        if "runs" in answered:
            self.not_compared("runs", tool.asked["name"], answered["runs"])

    def _over(self, crossing: Crossing) -> bool:
        return crossing.settled or self._closed

    def _conversation(self, crossing: Crossing, asked: dict[str, Json]) -> Sequence[Json] | None:
        """The conversation as a golden has it: redacted."""
        model, clean = crossing.model, crossing.asked
        if model is None or clean.get("body") is asked.get("body"):
            return None if model is None else model.conversation
        return self._wire.conversation(clean)

    def _end_early(self, crossing: Crossing) -> None:
        if crossing.flush is not None:
            crossing.flush()
        if not crossing.settled:
            if not crossing.optional:  # else it is a client's own thread, for which nobody waits
                self.violations.add(Finding(kind=Kind.LATE, boundary=crossing.kind))
            crossing.settle(None, complete=False)


def _keys_of_on(golden: Sequence[Exchange]) -> set[tuple[str, str]]:
    """The keys of ``on`` that a golden has, with the tools' names."""
    asked = [exchange.asked for exchange in golden if exchange.kind == "tool"]
    return {(each["name"], key) for each in asked for key in each.get("on") or ()}
