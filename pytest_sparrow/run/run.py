"""Holds one open run: every crossing of every boundary comes here, is recorded or replayed, and becomes events."""

from __future__ import annotations

import functools
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from pytest_sparrow import real_time
from pytest_sparrow.errors import NotRecordable, StoreError
from pytest_sparrow.exchange import Exchange, Json
from pytest_sparrow.findings import Finding, Kind, Location
from pytest_sparrow.matching.counts import is_verbatim
from pytest_sparrow.matching.secrets import SecretPairs
from pytest_sparrow.matching.server_state import is_pipe
from pytest_sparrow.providers.codec import ModelRequest, ToolRequest
from pytest_sparrow.providers.reading import header
from pytest_sparrow.report.words import FORKED, OUT_OF_A_FORK, title
from pytest_sparrow.run.answers import Answers
from pytest_sparrow.run.context import (
    COLLECTOR,
    caller,
    is_collecting,
    running_tool,
    serving_port,
    strand_name,
)
from pytest_sparrow.run.crossing import CLIENT, READING, Crossing, is_look_up_address, passage
from pytest_sparrow.run.emitter import Emitter
from pytest_sparrow.run.lanes import Lane, Lanes, in_lane
from pytest_sparrow.run.own_servers import OwnServers
from pytest_sparrow.run.postponed import InStep, Postponed
from pytest_sparrow.run.replayer import ExchangeReplayer
from pytest_sparrow.run.violations import Unread, Violations, divergence, unwrapped
from pytest_sparrow.wire.asking import describe
from pytest_sparrow.wire.spelling import without_spelling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from pytest_sparrow.errors import ReplayDivergence
    from pytest_sparrow.events import Event
    from pytest_sparrow.matching.chooser import ComparableOf
    from pytest_sparrow.providers.codec import ModelAnswer, Part
    from pytest_sparrow.providers.registry import Wire
    from pytest_sparrow.redact import Redactor
    from pytest_sparrow.run.crossing import Passage
    from pytest_sparrow.run.emitter import Gathered, Sink, ToolFacts, Watcher
    from pytest_sparrow.run.replayer import GoldenReplayer
    from pytest_sparrow.settings import Settings

_T = TypeVar("_T")

ASKS_MODEL = "it asks a model itself, whose answers are replayed"
CALLS_WRAPPED = "it calls {0}, which is recorded"
"""Why a replay runs a tool."""


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
        own_servers: which servers of this process are the app under test.
        gathered: the exchanges so far, where they are kept in memory; None where they are not.
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
        self.own_servers = own_servers or OwnServers()
        self.parent = parent
        self.settings = settings
        self.equal_by_construction = False
        self._events = Postponed()
        self._lock = threading.RLock()
        self.violations = Violations(self._count_events, caller)
        self.crossings = 0
        self.watchers: list[Watcher] = []
        self._wire = wire
        self._redactor = redactor
        self._tools = tools
        self._sink = sink
        self.gathered: Gathered | None = [] if gathers else None
        self._report_late = report_late
        self._late: set[str] = set()
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
        self._events.works = self.answers.replaying and sink is None and not extends
        self._in_step = InStep(golden or (), recorded_events, settings.agent)
        self._emitter = Emitter(run_id, settings.agent, self._emit, tools.risk)
        self.started = real_time.now()
        self._zero = real_time.monotonic()
        self._last = 0.0
        self._lanes = Lanes(self._now, self._events.do)
        self._open: dict[int, Crossing] = {}
        self._closed = False
        self._unread = Unread()

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
        return self.replaying or self.answers.live or self._is_kept

    @property
    def _is_kept(self) -> bool:
        """Whether exchanges are written, or gathered."""
        return self._sink is not None or self.gathered is not None

    @property
    def in_process(self) -> bool:
        """Whether in-process transports cross too."""
        return self.settings.in_process

    def passes_host(self, host: str, port: int | None) -> Passage:
        """What to do with traffic to a host."""
        return passage(host, port, allow=self.settings.allow_hosts, ignore=self.settings.ignore_hosts)

    def refuse(self, case: str, **detail: Json) -> ReplayDivergence:
        """Add a refused contact with the world to the violations; returns what to raise."""
        finding = Finding(
            kind=Kind.REFUSED, case=case, new_at=Location(lane=self._lanes.label()), detail=detail
        )
        if self._closed or is_collecting():
            return self._add_late(title(finding))
        return divergence(self.violations.add(finding))

    def asked_late(self, what: str) -> ReplayDivergence | None:
        """Report what a strand asks for after the test's end; returns what to raise, None in a recording."""
        error = self._add_late(what)
        return error if self.replaying else None

    def _add_late(self, what: str) -> ReplayDivergence:
        strand, came = strand_name(), "refused" if self.replaying else "not recorded"
        case = "collected" if strand == COLLECTOR else ""
        finding = Finding(
            kind=Kind.LEFT_OVER, case=case, detail={"strand": strand, "what": what, "came": came}
        )
        if self._report_late is not None and what not in self._late:
            self._late.add(what)
            self._report_late(finding)
        return divergence(finding)

    def not_compared(self, case: str, tool: str, what: str) -> None:
        """Name once what of a tool's calls is not compared."""
        detail = {"name": tool, "what": what}
        with self._lock:
            if all(
                (known.case, known.detail) != (case, detail)
                for known in self.violations.of(Kind.NOT_COMPARED)
            ):
                self.violations.add(
                    Finding(kind=Kind.NOT_COMPARED, case=case, boundary="tool", detail=detail)
                )

    def folder(self, name: str) -> str | None:
        """A directory that the run hides; None where it is not known."""
        return self._redactor.folder(name)

    def begin_lane(self, task: object | None) -> Lane | None:
        """Make the lane of a task, or (None) of work for another thread; see `Lanes.begin`."""
        with self._lock:
            lane = self._lanes.begin(task)
            if lane is not None and lane.parent is not None:
                self.answers.moved_on(lane.parent, made=True)
            return lane

    def enter_lane(self, lane: Lane, task: object) -> None:
        """Put a task into its lane; called in the task's context."""
        self._lanes.enter(lane, task)

    def lane_ended(self, lane: Lane) -> None:
        """The work of a lane in another thread is done, and others see its result."""
        self.answers.moved_on(lane)

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
            self._emitter.proposals.handled(call_id, name, self._lanes.here())

    def failed(self, call_id: str) -> None:
        """A framework gives the model an error; see `pytest_sparrow.run.crossing.OpenRun.failed`."""
        with self._lock:
            self._events.do(
                functools.partial(self._emitter.proposals.failed, call_id, self._lanes.here())
            )

    def note(self, event: Event) -> None:
        """Add what only a framework knows; see `pytest_sparrow.run.crossing.OpenRun.note`."""
        tool = running_tool()
        with self._lock:
            emit = functools.partial(self._emitter.note, self._lanes.here(), event)
            step = functools.partial(self._events.do, emit)
            if tool is None or tool.runs:
                step()
            else:
                tool.held.append(step)

    def note_code(self, name: str, digest: Callable[[], str], *, answered: bool) -> None:
        """Note the code of a tool, or a change of it; see `pytest_sparrow.run.crossing.OpenRun.note_code`."""
        recorded = self._recorded_code.get(name)
        if name in self.code or not (recorded if answered else self._sink is not None):
            return
        found = self.code[name] = digest()
        if answered and found and found != recorded:
            self.violations.add(Finding(kind=Kind.CHANGED_CODE, boundary="tool", detail={"name": name}))

    def is_wrapped(self, name: str, fn: object) -> bool:
        """Whether the user has wrapped a tool of this name, or the function behind it."""
        return self._tools.wrapped(name) or self._tools.is_wrapped(fn)

    def unrecordable(self, error: NotRecordable) -> None:
        """Write down that a value cannot be held: the agent may swallow the exception, the golden must not miss it."""
        self.violations.add(
            Finding(
                kind=Kind.UNRECORDABLE, detail={"at": error.path, "text": error.reason, "hint": error.hint}
            )
        )

    def ask(self, kind: str, asked: dict[str, Json]) -> Crossing:
        """Begin a crossing; see `pytest_sparrow.run.crossing.OpenRun.ask`."""
        if self.violations.mirror is not None and self.keeps:
            raise self._asked_in_a_child(kind, asked)
        if self._closed and (error := self.asked_late(describe(kind, asked))) is not None:
            raise error
        tool = running_tool()
        if tool is not None and not tool.runs:
            why = self._why_run(tool, kind, asked)
            if not why:
                return self._hold(tool, kind, asked)
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
            due = self._due(kind, lane)
        if due is not None and not is_verbatim(asked, due.asked):
            due = None
        reads_later = kind == "http" and due is not None and self._wire.may_wait(asked)
        model = self._wire.read(asked) if kind == "http" and not reads_later else None
        optional = model is None and kind == "http" and not reads_later and self._is_optional(asked)
        hidden = self._redactor.knows
        clean = self._redactor.asked(kind, asked, clean=due is not None)
        body = self._redactor.piece_of(clean) if self._sink is not None else None
        with self._lock:
            crossing = held or Crossing(self, kind, clean, lane, self._now())
            crossing.asked, crossing.outer = clean, outer
            if kind == "tool" and crossing.tool_lane is None:
                crossing.tool_lane = self._lanes.of_tool(crossing.lane)
            for open_one in crossing.lane.open:
                self._catch_up(open_one)
            crossing.model, crossing.hidden, crossing.body = model, hidden, body
            crossing.optional, crossing.due = optional, due
            if reads_later:
                crossing.reads_model = functools.partial(self._wire.read, asked)
            if self._is_kept and not self.replaying:
                self._note_own_servers(crossing)
            number = self.crossings
            self.crossings += 1
            self._emit_asked(crossing, asked)
            known = len(self.violations.findings)
            conversation_of = functools.partial(self._conversation, crossing, asked)
            crossing.replayed = self.answers.replay(crossing, crossing.to_match(number, conversation_of))
            if self.gathered is not None and len(self.violations.findings) == known:
                crossing.hold_once()
            self.answers.asked(crossing)
            self._in_step.asked(crossing, alone=not self._open)
            self._open[id(crossing)] = crossing
            crossing.lane.open.append(crossing)
            for watcher in self.watchers:
                watcher.asked(crossing)
            return crossing

    def settle(self, crossing: Crossing, answered: dict[str, Json] | None, *, complete: bool) -> None:
        """End a crossing; an answer that comes after the run's end is dropped, since the run has been judged."""
        if self._over(crossing) or self._is_held(crossing, answered, complete=complete):
            return
        crossing.held.clear()
        answered = {"runs": crossing.runs} if crossing.runs else answered
        answer, before_failure = None, None
        as_recorded = self._is_as_recorded(crossing, answered, complete=complete)
        if answered is not None and not as_recorded and crossing.model is not None:
            answer = crossing.model.answer(crossing.asked, answered)
            before_failure = crossing.model.before_failure(crossing.asked, answered, answer)
            if complete:
                self._unread.add_silent(crossing.asked, answered, answer)
            answered = without_spelling(answered)
        keep = self._to_keep(crossing, answered)
        with self._lock:
            if self._over(crossing):  # another thread was faster
                return
            crossing.settled = True
            self._open.pop(id(crossing), None)
            crossing.lane.open.remove(crossing)
            self._in_step.answered(as_recorded=as_recorded)
            if as_recorded:
                self._events.do(functools.partial(self._read_answer, crossing))
            else:
                self._emit_answered(crossing, answered, answer, before_failure)
            if crossing.fault is not None:
                self.answers.failed(crossing.fault, crossing, complete=complete)
            self.answers.settled(crossing, complete=complete)
            for watcher in self.watchers:
                watcher.answered(crossing, answered)
            self._name_asking(crossing)
            if crossing.kind == "tool" and answered is not None and "runs" in answered:
                self.not_compared("runs", crossing.asked["name"], answered["runs"])
            self._keep(crossing, keep, complete=complete)

    def catch_up(self, crossing: Crossing) -> None:
        """Emit what the agent has read of an open stream; see `pytest_sparrow.run.crossing.Crossing.catch_up`."""
        with self._lock:
            if not self._over(crossing):
                self._catch_up(crossing)

    def _why_run(self, tool: Crossing, kind: str, asked: dict[str, Json]) -> str:
        """Why a replay must run a tool whose code asks for something; "" where the tool's answer is enough."""
        if kind == "http":
            model = self._wire.read(asked)
            return ASKS_MODEL if model is not None and model.conversation is not None else ""
        wrapped = kind == "tool" and self._tools.wrapped(asked["name"])
        outer = self._tools.wrapped(tool.asked["name"])
        return CALLS_WRAPPED.format(asked["name"]) if wrapped and not outer else ""

    def _hold(self, tool: Crossing, kind: str, asked: dict[str, Json]) -> Crossing:
        """A crossing that is written only if a replay must run the tool whose code makes it."""
        with self._lock:
            crossing = Crossing(self, kind, asked, self._lanes.here(), self._now())
            if kind == "tool":
                crossing.tool_lane = self._lanes.of_tool(crossing.lane)
            crossing.outer, crossing.is_held = tool, True
            tool.held.append(functools.partial(self._begin_held, crossing))
            return crossing

    def _is_held(self, crossing: Crossing, answered: dict[str, Json] | None, *, complete: bool) -> bool:
        """Whether an answer is kept for later, since that of the tool whose code has asked may be enough."""
        with self._lock:
            if crossing.is_held and crossing.outer is not None:
                crossing.outer.held.append(functools.partial(crossing.settle, answered, complete=complete))
            return crossing.is_held

    def _begin_held(self, crossing: Crossing) -> None:
        crossing.is_held = False
        self._begin(crossing.kind, crossing.asked, crossing, outer=crossing.outer)

    def must_run(self, tool: Crossing, why: str) -> None:
        """A replay must run a tool: what its code has asked for belongs to the run, from its beginning."""
        with self._lock:
            if tool.is_held and tool.outer is not None:
                self.must_run(tool.outer, why)
            tool.runs = tool.runs or why
            held, tool.held = tool.held, []
            for step in held:
                step()

    def inside(self, lane: Lane) -> AbstractContextManager[None]:
        """The code of a tool runs: its crossings belong to this lane."""
        return self._lanes.inside(lane)

    # What the fixture uses.

    def hosted(self, call_id: str, name: str) -> bool:
        """Whether the provider ran a call itself: the agent did not make the call."""
        with self._lock:
            self._events.all()
            return (call_id, name) in self._emitter.hosted

    def record(self, event: Event) -> None:
        """Add an event of the user's own."""
        with self._lock:
            self._events.all()
            self._in_step.left()
            self._emitter.own_event(event)
            self._emit(in_lane(event, self._lanes.here().label))

    def close(self, *, failed: bool) -> None:
        """End the run: settle unfinished crossings, and add what nobody asked for to the violations."""
        with self._lock:
            for crossing in list(self._open.values()):
                self._end_early(crossing)
            self.equal_by_construction = not failed and self._is_the_goldens()
            self._events.works = self.equal_by_construction
            self._events.do(functools.partial(self._emitter.end, failed=failed))
            self._closed = True
            self.answers.settle()
            proposals = self._emitter.proposals
            # An agent that could not go on has not run what the model proposed last.
            went_on = not (failed or self.violations.of(Kind.MISS) or self.answers.divergence_point)
            for finding in unwrapped(
                proposals.unwrapped,
                self.answers.denied,
                self._tools.wrapped,
                proposals.unanswered() if went_on else {},
            ):
                self.violations.add(finding)
            for finding in self._unread.findings(self._wire.faults):
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
            return self._emitter.task

    @property
    def model(self) -> str:
        """The first model asked, "" before it is known."""
        with self._lock:
            self._events.all()
            return self._emitter.model

    # Within.

    def _due(self, kind: str, lane: Lane) -> Exchange | None:
        """The recorded exchange that is next in a lane; none where what is asked is kept, and so is redacted."""
        replayer = self.answers.replayer
        if replayer is None or self._sink is not None or self._redactor.gave_markup:
            return None
        due = replayer.due(lane.label)
        return None if due is None or due.kind != kind or due.optional else due

    def _note_own_servers(self, crossing: Crossing) -> None:
        if crossing.kind == "http":
            self.own_servers.asked(crossing)
        port = serving_port.get()
        if port is not None:
            self.own_servers.crossed_by(port)

    def _asked_in_a_child(self, kind: str, asked: dict[str, Json]) -> Exception:
        """What to raise in a forked child, which holds a copy of this run: the run never knows what the copy gets.

        No lock is taken and no value is shown: another thread may have held the lock when the child was forked.
        """
        what = f"{asked['method']} {urlsplit(asked['url']).hostname}" if kind == "http" else asked["name"]
        if self.replaying:
            return self.refuse("forked", what=what)
        error = NotRecordable(what, FORKED, OUT_OF_A_FORK)
        self.unrecordable(error)
        return error

    def _is_optional(self, asked: dict[str, Json]) -> bool:
        """Whether it is chance that a client asks: it reads from a telemetry host, or what it reads once a day."""
        if self._optional:
            return True
        url, method = urlsplit(asked["url"]), asked["method"]
        host = url.hostname or ""
        if is_pipe(asked) and method == "GET":
            return True
        if is_look_up_address(method, host, url.path, self.settings.look_ups):
            return True
        return method in READING and (
            self.passes_host(host, url.port) == "telemetry"
            or self.passes_host(f"{CLIENT}{header(asked, 'user-agent')}", None) == "telemetry"
        )

    def _now(self) -> float:
        """Seconds since the run began, to the microsecond and never twice the same: the order of crossings."""
        self._last = max(round(self.elapsed(), 6), round(self._last + 1e-6, 6))
        return self._last

    def _emit(self, event: Event) -> None:
        self._events.made.append(event)
        if self._sink is not None:
            self._write(self._sink.event, event)

    def _write(self, write: Callable[[_T], None], what: _T) -> None:
        try:
            write(what)
        except NotRecordable as error:
            self.unrecordable(error)
            raise
        except StoreError as error:
            self._lose(error)

    def _lose(self, error: StoreError) -> None:
        """The disk refused: no doing of the agent's, which goes on; the recording can't be kept, and the test fails."""
        what, _, hint = str(error).partition("\n")
        self.violations.add(Finding(kind=Kind.UNRECORDABLE, detail={"text": what, "hint": hint.strip()}))
        self._sink = None

    def _emit_asked(self, crossing: Crossing, asked: dict[str, Json]) -> None:
        if crossing.kind == "tool":
            self._events.all()  # a proposal that the call answers
            again = self.answers.fault_plan.again(crossing.asked)
            if again is None:
                call_id, proposed = self._emitter.tool_called(crossing.lane, asked)
            else:
                call_id, proposed = again
                self._emitter.tool_called_again(crossing.lane, call_id, asked)
            crossing.call_id, crossing.proposed = call_id, proposed
            crossing.asked = {**crossing.asked, "id": call_id}
        elif (
            crossing.reads_model is None
            and (model := crossing.model) is not None
            and isinstance(request := model.request, ToolRequest)
        ):
            self._events.all()
            crossing.call_id, crossing.emits_in = self._emitter.remote_tool_called(
                crossing.lane, request.name, request.args
            )
        elif not crossing.optional:
            self._events.do(functools.partial(self._emit_request, crossing, asked))

    def _emit_request(self, crossing: Crossing, asked: dict[str, Json]) -> None:
        model = crossing.model
        if model is not None and isinstance(model.request, ModelRequest):
            self._emitter.asked_model(crossing.lane, model.request)
            return
        self._emitter.begin()
        if crossing.kind == "http":
            self._unread.add(asked)

    def _is_as_recorded(
        self, crossing: Crossing, answered: dict[str, Json] | None, *, complete: bool
    ) -> bool:
        """Whether the agent has got the recorded answer of a model, whole and untouched, and none of it is emitted."""
        return (
            self._events.works
            and complete
            and answered is not None
            and answered is crossing.replayed
            and crossing.recorded is not None
            and not (crossing.call_id or crossing.emitted or crossing.fault)
            # A codec of a plugin may break on an answer, and a remark says so.
            and (crossing.reads_model is not None or (crossing.model is not None and crossing.model.is_ours))
        )

    def _is_the_goldens(self) -> bool:
        """Whether all events of the run, which is over, are the golden's, whatever they are."""
        answers = self.answers
        what_if = answers.fork is not None or answers.fault_plan.faults
        return not what_if and not self.violations.findings and self._in_step.is_whole

    def _read_answer(self, crossing: Crossing) -> None:
        """Read the recorded answer of a model that the agent has got, and emit its events."""
        model, answered = crossing.model, crossing.replayed
        assert answered is not None
        if model is None:
            return
        answer = model.answer(crossing.asked, answered)
        before_failure = model.before_failure(crossing.asked, answered, answer)
        self._unread.add_silent(crossing.asked, answered, answer)
        self._emitter.model_answered(crossing.lane, answer, 0, before_failure)

    def _emit_answered(
        self,
        crossing: Crossing,
        answered: dict[str, Json] | None,
        answer: ModelAnswer | None,
        before_failure: Sequence[Part] | None,
    ) -> None:
        if answer is None and crossing.kind != "tool":
            return
        before = len(self.events)
        if answer is not None and crossing.call_id:
            self._emitter.remote_tool_answered(crossing.emits_in, crossing.call_id, answer)
        elif answer is not None:
            self._emitter.model_answered(crossing.lane, answer, crossing.emitted, before_failure)
        elif crossing.kind == "tool":
            self._emitter.tool_answered(crossing.lane, crossing.call_id, answered)
        if crossing.fault is not None:
            crossing.hides.extend(range(before, len(self.events)))

    def _name_asking(self, crossing: Crossing) -> None:
        """Name a tool that asks a model itself, now or when it was recorded."""
        if crossing.asks_models or (crossing.recorded is not None and crossing.recorded.asks_models):
            self.not_compared("models", crossing.asked["name"], "")

    def _over(self, crossing: Crossing) -> bool:
        return crossing.settled or self._closed

    def _to_keep(self, crossing: Crossing, answered: dict[str, Json] | None) -> dict[str, Json] | None:
        """The answered half without secrets, where it is kept and is none of the golden's."""
        if not (self._is_kept and answered) or crossing.replayed is not None:
            return None
        return self._redactor.answered(crossing.kind, answered)

    def _keep(self, crossing: Crossing, answered: dict[str, Json] | None, *, complete: bool) -> None:
        recorded = crossing.recorded
        if not self._is_kept or (crossing.optional and answered is None and recorded is None):
            return
        whole, read_whole = complete and answered is not None, crossing.read_whole
        asks_models = crossing.asks_models
        if recorded is not None and crossing.replayed is not None:
            answered, asks_models = recorded.answered, recorded.asks_models
            whole, read_whole = recorded.complete, recorded.read_whole and complete
        exchange = Exchange(
            kind=crossing.kind,
            asked=crossing.asked,
            answered=answered,
            lane=crossing.lane.label,
            lane_began=list(crossing.lane.began),
            began=crossing.began,
            ended=self._now(),
            complete=whole,
            read_whole=read_whole,
            proposed=crossing.proposed,
            asks_models=asks_models,
            optional=crossing.optional,
        )
        if self.gathered is not None:
            self.gathered.append((exchange, recorded))
        if self._sink is None:
            return
        # Else something was learned since: what is looked for in all of it once more.
        redacted = (
            crossing.hidden == self._redactor.knows
            and self._redactor.text(crossing.call_id) == crossing.call_id
        )
        self._write(functools.partial(self._sink.exchange, redacted=redacted, body=crossing.body), exchange)

    def _conversation(self, crossing: Crossing, asked: dict[str, Json]) -> Sequence[Json] | None:
        """The conversation as a golden has it: redacted."""
        model, clean = crossing.model, crossing.asked
        if model is None or clean.get("body") is asked.get("body"):
            return None if model is None else model.conversation
        return self._wire.conversation(clean)

    def _catch_up(self, crossing: Crossing) -> None:
        """The strand goes on while its stream is open: emit what the strand acts on."""
        if crossing.call_id:
            return  # a tool's output is one event, once it is whole
        so_far = None if crossing.model is None or crossing.peek is None else crossing.peek()
        if crossing.model is not None and so_far is not None:
            answer = crossing.model.answer(crossing.asked, so_far)
            before = len(self.events)
            crossing.emitted = self._emitter.model_is_answering(crossing.lane, answer, crossing.emitted)
            crossing.hides.extend(range(before, len(self.events)))

    def _end_early(self, crossing: Crossing) -> None:
        if crossing.flush is not None:
            crossing.flush()
        if not crossing.settled:
            if not crossing.optional:  # else it is a client's own thread, for which nobody waits
                self.violations.add(Finding(kind=Kind.LATE, boundary=crossing.kind))
            crossing.settle(None, complete=False)
