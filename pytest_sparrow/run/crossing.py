"""Defines what a boundary and a run share: an open run, and a crossing from its asking to its settling."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from pytest_sparrow.exchange import Asked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from pytest_sparrow.errors import NotRecordable
    from pytest_sparrow.events import Event
    from pytest_sparrow.events.pieces import Piece
    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.providers.registry import ModelCall
    from pytest_sparrow.run.arrivals import Arrival
    from pytest_sparrow.run.lanes import Lane
    from pytest_sparrow.run.own_servers import OwnServers
    from pytest_sparrow.run.run import Run
    from pytest_sparrow.run.taking import Taking
    from pytest_sparrow.run.whatif.faults import Fault


class Crossing:
    """One crossing of a boundary: a boundary asks, gets the recorded answer or goes to the world, and settles.

    Attributes for the boundary:
        replayed: the *answered* half (see `Exchange`) that the agent must get, or None: go to the world. Empty where
            the recorded run got no answer.
        checked: the agent gets ``replayed``, but the tool must run all the same; `settle` gets what the tool gave.
        error: the exception that a replayed tool must raise in place of a recorded one, of which only the name is
            known.
        arrival: what the answer must wait for before it is served; None: for nothing.
        delay: seconds that each piece of an HTTP answer comes late, nearly always 0.0.
        cancellation_wait: seconds to wait, after what has come, for the agent to cancel the answer as the recorded
            agent did. None where ``replayed`` is whole.
        read_whole: whether the client, live or when recorded, has read all that is kept of the answer, for certain.
        flush: set by a boundary whose answer arrives piece by piece (a stream, a generator): settles the crossing with
            what has come so far. Called at the end of the run where the agent left the answer open.
        peek: set by a boundary whose answer is a stream: returns the *answered* half as far as the agent has read it,
            None where the agent has read nothing since the last peek. Called when the agent goes on to something else
            while the stream is open: the agent acts on what it read.

    Attributes for the run:
        kind: "http", "tool" or "call".
        asked: the *asked* half, redacted.
        lane: the lane that asked.
        began: when, in seconds of the run.
        reads_model: reads the request with its codec, when `model` is asked for; None: it was read, or is none of HTTP.
        due: see `Asked`.
        call_id: a tool's call id.
        proposed: whether a model had proposed the tool's call.
        optional: whether it is chance that the client asks.
        recorded: in a replay, the exchange that answers; None for a miss.
        number: the number of ``recorded`` in the golden, where its place among the others may count; else None.
        fault: in a replay, the fault that was injected, or None.
        hides: the numbers of events that only the fault caused.
        emitted: how many parts of a model's answer have been emitted as events.
        asks_models: whether a tool that ran asked a model itself.
        makes_strands: whether the code of a tool that ran made tasks or threads.
        emits_in: the lane of the crossing's events: the crossing's own, or that of the model's proposal.
        by: the name of the framework's adapter that saw the tool; "" for a tool that the user has wrapped.
        runs: why a replay must run the tool; "" where the recorded answer is given.
        outer: the call of the tool whose code makes this one, or None.
        is_held: whether nothing of this crossing is written yet, since it is not known whether a replay runs that code.
        held: what such crossings within this one have said, in order: said again once a replay must run the tool.
        tool_lane: the lane of the tool's own code.
        took: when the lane took something from a queue since its last crossing, in seconds of the run.
        settled: whether the crossing is over.
        hidden: while it is recorded, what the redactor knew when the asked half was redacted.
        body: while it is recorded, the half's JSON body in pieces, where it was cut.
    """

    __slots__ = (
        "_model",
        "_run",
        "arrival",
        "asked",
        "asks_models",
        "began",
        "body",
        "by",
        "call_id",
        "cancellation_wait",
        "checked",
        "delay",
        "due",
        "emits_in",
        "emitted",
        "error",
        "fault",
        "flush",
        "held",
        "hidden",
        "hides",
        "is_held",
        "kind",
        "lane",
        "makes_strands",
        "number",
        "optional",
        "outer",
        "peek",
        "proposed",
        "read_whole",
        "reads_model",
        "recorded",
        "replayed",
        "runs",
        "settled",
        "took",
        "tool_lane",
    )

    def __init__(self, run: Run, kind: str, asked: dict[str, Json], lane: Lane, began: float) -> None:
        self._run = run
        self.kind = kind
        self.asked = asked
        self.lane = lane
        self.emits_in = lane
        self.began = began
        self.replayed: dict[str, Json] | None = None
        self.checked = False
        self.error: Exception | None = None
        self.arrival: Arrival | None = None
        self.delay = 0.0
        self.read_whole = False
        self.cancellation_wait: float | None = None
        self.flush: Callable[[], None] | None = None
        self.peek: Callable[[], dict[str, Json] | None] | None = None
        self.reads_model: Callable[[], ModelCall | None] | None = None
        self._model: ModelCall | None = None
        self.due: Exchange | None = None
        self.call_id = ""
        self.proposed = False
        self.optional = False
        self.recorded: Exchange | None = None
        self.number: int | None = None
        self.fault: Fault | None = None
        self.hides: list[int] = []
        self.emitted = 0
        self.asks_models = False
        self.makes_strands = False
        self.settled = False
        self.by = ""
        self.runs = ""
        self.outer: Crossing | None = None
        self.is_held = False
        self.held: list[Callable[[], object]] = []
        self.tool_lane: Lane | None = None
        self.took, lane.took = lane.took, []
        self.hidden: object = None
        self.body: Piece | None = None

    @property
    def model(self) -> ModelCall | None:
        """The request as its codec reads it, or None: no codec reads the request."""
        if self.reads_model is not None:
            self._model, self.reads_model = self.reads_model(), None
        return self._model

    @model.setter
    def model(self, model: ModelCall | None) -> None:
        self._model = model

    @property
    def as_is(self) -> bool:
        """Whether the answer is served as it is; else the time to wait before a retry is taken out."""
        return self.fault is not None

    @property
    def asks_model(self) -> bool:
        """Whether this is a request to a model."""
        return self.model is not None and self.model.conversation is not None

    @property
    def names(self) -> list[str]:
        """The tool's name, and those of the tools whose code has called it."""
        return [self.asked["name"], *([] if self.outer is None else self.outer.names)]

    @property
    def runs_in_replay(self) -> bool:
        """Whether a replay runs the tool, whose code belongs to the run."""
        return bool(self.runs) and self._run.replaying

    @property
    def captured(self) -> bool:
        """Whether what the tool's code asks for is recorded or replayed, now or once a replay must run the tool."""
        return self.kind == "tool" and self._run.keeps and (bool(self.runs) or not self._run.replaying)

    def must_run(self, why: str) -> None:
        """Note that a replay must run the tool; called while it runs live."""
        self._run.must_run(self, why)

    def inside(self) -> AbstractContextManager[None]:
        """The tool's code runs: its crossings belong to a lane of its own."""
        lane = self.tool_lane
        return nullcontext() if lane is None or not self.captured else self._run.inside(lane)

    def settle(self, answered: dict[str, Json] | None, *, complete: bool = True) -> None:
        """The agent has its answer; called once, from any thread (a second call does nothing).

        Args:
            answered: live, what the world said, None if nothing came (cancelled, killed). In a replay ``replayed``;
                where the crossing is ``checked``, what the tool gave.
            complete: False for a stream that the client broke off while the world still had something to say.

        Raises:
            NotRecordable: ``answered`` holds a value that JSON cannot.
        """
        self._run.settle(self, answered, complete=complete)

    def catch_up(self) -> None:
        """Emit what the agent has read of an open stream: somebody acts on what was read, in whatever strand."""
        self._run.catch_up(self)

    def hold_once(self) -> None:
        """Hold the recorded body in place of an equal one: each request of a long conversation repeats all of it."""
        body = None if self.recorded is None else self.recorded.asked.get("body")
        if body is not None and self.asked.get("body") == body:
            self.asked = {**self.asked, "body": body}

    def to_match(self, number: int, conversation_of: Callable[[], Sequence[Json] | None]) -> Asked:
        """What a replay chooses an answer for.

        Args:
            number: which crossing of the run this is, from 0.
            conversation_of: reads the conversation that a request to a model carries, as a golden has it, or None.
        """
        return Asked(
            kind=self.kind,
            content=self.asked,
            number=number,
            lane=self.lane.label,
            after=max(self.lane.before, self.lane.latest),
            conversation_of=conversation_of,
            call_id=self.call_id if self.proposed else None,
            optional=self.optional,
            due=self.due,
        )


class OpenRun(Protocol):
    """What a boundary sees of an open run."""

    run_id: str

    @property
    def parent(self) -> OpenRun | None:
        """Of a further run, the run of its test."""
        ...

    @property
    def own_servers(self) -> OwnServers:
        """Which servers of this process are the app under test."""
        ...

    def ask(self, kind: str, asked: dict[str, Json]) -> Crossing:
        """Begin a crossing.

        Args:
            kind: "http", "tool" or "call".
            asked: the *asked* half, in the shape that `Exchange` has for the kind. Headers, query and body are passed
                as they are: the run redacts. A tool's has no ``id`` unless a framework knows it: else the run finds the
                proposal that the call answers.

        Raises:
            ReplayDivergence: in a replay, the golden holds no answer; the miss is a violation already.
            NotRecordable: ``asked`` holds a value that JSON cannot.
        """
        ...

    def passes_host(self, host: str, port: int | None) -> str:
        """What to do with traffic to a host: "cross", "ignore", "telemetry" or "allow"; see `passage`."""
        ...

    @property
    def replaying(self) -> bool:
        """Whether the run replays: the world is shut."""
        ...

    @property
    def keeps(self) -> bool:
        """Whether crossings are written or compared; else a value that JSON can't hold does no harm."""
        ...

    @property
    def in_process(self) -> bool:
        """Whether in-process transports cross too (setting ``in_process``)."""
        ...

    @property
    def crossings(self) -> int:
        """How many crossings there were so far."""
        ...

    def begin_lane(self, task: object | None) -> Any:
        """The lane of a task that the calling strand has made, or (None) of work that it hands to another thread.

        None where the task needs none.
        """
        ...

    def enter_lane(self, lane: Any, task: object) -> None:
        """Put a task into its lane; called in the task's context."""
        ...

    def lane_ended(self, lane: Any) -> None:
        """The work of a lane in another thread is done, and others see its result."""
        ...

    def within(self, lane: Any, queue: object) -> AbstractContextManager[None]:
        """In the thread that takes the work: crossings belong to the lane that `begin_lane` made.

        Args:
            lane: the lane.
            queue: what does this work after all the work that it got earlier; None: nothing does.
        """
        ...

    def lane_here(self) -> Lane | None:
        """The lane of the calling strand; None where it has none yet, or was made after the run's end."""
        ...

    def borrowed_lane(self) -> Callable[[], None]:
        """A function that puts the strand that calls it into this strand's lane, while this strand only waits."""
        ...

    @property
    def taking(self) -> Taking:
        """Which strand may take something from a queue now."""
        ...

    @property
    def frameworks(self) -> frozenset[str]:
        """Names of the adapters whose frameworks' tools cross."""
        ...

    @property
    def notes(self) -> frozenset[str]:
        """What the adapters note; see `pytest_sparrow.frameworks.noting`."""
        ...

    def note(self, event: Event) -> None:
        """Add what only a framework knows, in the lane of the calling strand.

        Within the code of a tool the event is one of the run only if a replay must run that tool.
        """
        ...

    def is_alone(self, call_id: str) -> bool:
        """Whether a model proposed a call, and no other that has no output yet: none runs beside it."""
        ...

    def failed(self, call_id: str) -> None:
        """Note that a framework gives the model an error as the output of a call."""
        ...

    def handled(self, name: str, call_id: str) -> None:
        """Note that a framework handles a proposed call by itself, so that no tool is missing.

        Args:
            name: the tool's name.
            call_id: the call's id, "" where the framework does not know it: all calls of this name are meant.
        """
        ...

    def note_code(self, name: str, digest: Callable[[], str], *, answered: bool) -> None:
        """Note the code of a tool that is called, or name once a change of the code since it was recorded.

        Args:
            name: the tool's name.
            digest: gives the digest of the code, "" where it has none.
            answered: whether the recorded answer is given, and the code does not run.
        """
        ...

    def notes_on(self, name: str, key: str) -> bool:
        """Whether the golden says a key of ``on`` of a tool's calls: only then is it compared; True in a recording."""
        ...

    def is_wrapped(self, name: str, fn: object) -> bool:
        """Whether the user has wrapped a tool of this name, or the function behind it (None: not known)."""
        ...

    def unrecordable(self, error: NotRecordable) -> None:
        """Add a value that cannot be held to the violations, before ``error`` is raised into the agent.

        Whether the agent swallows the exception or not, no golden comes of the run.
        """
        ...

    def not_compared(self, case: str, tool: str, what: str) -> None:
        """Name once, at the end, what of a tool's calls is not compared.

        Args:
            case: which case (`report.words` has the words of each).
            tool: the tool's name.
            what: what is not compared: a class, or an argument.
        """
        ...

    def folder(self, name: str) -> str | None:
        """A directory that the run hides: "tmp" of this session's temporary files, "root" of the project.

        None where it is not known, or nothing is hidden.
        """
        ...

    def refuse(self, case: str, **detail: Json) -> Exception:
        """Add a refused contact with the world to the violations; after the run's end, see `asked_late`.

        Args:
            case: which case of a refusal (`report.words` has the words of each).
            detail: what the words need.

        Returns:
            The ReplayDivergence to raise.
        """
        ...

    def asked_late(self, what: str) -> Exception | None:
        """Report what a strand of this run asks for after the end of the test that started the strand.

        Args:
            what: what is asked for, in a few words.

        Returns:
            The ReplayDivergence to raise; None: the run recorded, and the strand may go on, unrecorded.
        """
        ...
