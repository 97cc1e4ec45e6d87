"""The one port between a boundary and a run: ask, get the recorded answer or go to the world, settle.

The one port between a boundary and a run: ask, get fed or go to the world, settle.

What a crossing gets that a fault was laid over.

One crossing between its asking and its settling, and what the run knows of it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from pytest_sparrow.exchange import Asked
from pytest_sparrow.providers.codec import Failure, ModelAnswer
from pytest_sparrow.providers.dispatch import CodecFault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from pytest_sparrow.errors import NotRecordable
    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.providers.dispatch import ModelCall
    from pytest_sparrow.run.lanes import Lane
    from pytest_sparrow.run.run import Run
    from pytest_sparrow.run.whatif.faults import Fault

__all__ = ["Crossing", "OpenCrossing", "OpenRun", "faulted"]


class Crossing(Protocol):
    """One crossing under way.

    Attributes:
        replayed: the *answered* half (see `Exchange`) that the agent must be given, or None: go to the world. Empty
            where the recorded run got no answer.
        checked: a tool must run although there is an answer to replay: `settle` gets what it
            gave, the agent gets ``replayed``.
        error: what a fed tool must raise in place of a recorded exception, which is known by its name only.
        delay: seconds that each piece of an HTTP answer comes late, 0.0 almost always.
        as_is: the answer is served as it is; else what it asks to wait before a retry is taken out.
        cancellation_wait: where the recorded agent turned away before it had the whole answer: for how many seconds to
            wait, after what came, that it does so again. None where ``replayed`` is whole.
        flush: set by a boundary whose answer arrives piece by piece (a stream, a generator): settles the crossing
            with what has come so far. Called at the end of the run where the agent left it open.
        peek: set by a boundary whose answer is a stream: the *answered* half as far as the agent has read it, None
            where it has read nothing since the last peek. Called when the agent goes on to something else while
            the stream is open: it acts on what it read.
    """

    replayed: dict[str, Json] | None
    checked: bool
    error: Exception | None
    delay: float
    cancellation_wait: float | None
    flush: Callable[[], None] | None
    peek: Callable[[], dict[str, Json] | None] | None

    @property
    def as_is(self) -> bool:
        """See above."""
        ...

    def settle(self, answered: dict[str, Json] | None, *, complete: bool = True) -> None:
        """The agent has its answer; called exactly once, from any thread (a second call is ignored).

        Live: ``answered`` is what the world said, None if nothing came (cancelled, killed).
        Fed: ``answered`` is ``crossing.replayed``; where the crossing is ``checked``, what the world said all the same.
        A stream settles when it is exhausted or closed, ``complete=False`` where the client broke it off while the
        world still had something to say.

        Raises:
            NotRecordable: ``answered`` holds something that JSON cannot.
        """
        ...


class OpenRun(Protocol):
    """What a boundary sees of an open run."""

    run_id: str

    def ask(self, kind: str, asked: dict[str, Json]) -> Crossing:
        """Begin a crossing; see `Exchange` for the shape of ``asked`` by ``kind``.

        Headers, query and body are passed as they are: the run redacts. A tool's ``asked`` has no ``id``:
        the run finds the proposal that the call belongs to.

        Raises:
            ReplayDivergence: a replay, and the golden holds no answer. It is in the ledger already.
            NotRecordable: ``asked`` holds something that JSON cannot.
        """
        ...

    def passes_host(self, host: str, port: int | None) -> str:
        """What to do with traffic to a host: "cross", "ignore" or "allow".

        Ignored traffic is never recorded, and answered 204 in replay; what is allowed goes to the real world in
        every mode, and is never recorded.
        """
        ...

    @property
    def replaying(self) -> bool:
        """Whether this run replays: the world is shut."""
        ...

    @property
    def keeps(self) -> bool:
        """Whether what crosses is written or compared; where it is not, a value that JSON can't hold does no harm."""
        ...

    @property
    def in_process(self) -> bool:
        """Whether in-process transports cross too (setting ``in_process``)."""
        ...

    def fork(self) -> Any:
        """A lane for work that is handed from here to another thread."""
        ...

    def within(self, lane: Any) -> AbstractContextManager[None]:
        """In the thread that takes the work: what crosses belongs to that lane (`fork`'s)."""
        ...

    @property
    def crossings(self) -> int:
        """How many crossings there were so far."""
        ...

    def lend_lane(self) -> Callable[[], None]:
        """What gives the calling strand's lane to the strand that calls it, while the former only waits for it."""
        ...

    def unrecordable(self, error: NotRecordable) -> None:
        """Write into the ledger that a value cannot be held, before raising ``error`` into the agent.

        Swallowed or not, no golden comes of this run.
        """
        ...

    def refuse(self, what: str, hint: str = "") -> Exception:
        """Write a refused contact with the world into the ledger, and return the ReplayDivergence to raise."""
        ...


def faulted(
    fault: Fault, asked: dict[str, Json], model: ModelCall | None, recorded: dict[str, Json] | None
) -> dict[str, Json] | None:
    """The *answered* half of a crossing that fails; None where the recorded one can't be made to fail like this.

    Args:
        fault: what goes wrong.
        asked: what was asked.
        model: the request as its codec reads it, for a model's.
        recorded: the recorded *answered* half, or None: the golden has none.
    """
    if fault.status is not None:
        return _status(fault, asked, model)
    if fault.corrupt is not None:
        return None if recorded is None else fault.corrupt(recorded)
    return fault.answered


def _status(fault: Fault, asked: dict[str, Json], model: ModelCall | None) -> dict[str, Json]:
    """An HTTP error in the provider's own words; in plain JSON where no codec can build it."""
    answered: dict[str, Json] = {
        "headers": {"content-type": "application/json"},
        "body": {"json": {"error": {"message": fault.message, "code": fault.status}}},
    }
    if model is not None:
        with suppress(CodecFault):
            failure = Failure(f"HTTP {fault.status}: {fault.message}")
            answered = model.compose(asked, ModelAnswer(failure=failure))
    headers = answered.get("headers")
    return {
        **answered,
        "status": fault.status,
        "headers": {**(headers if isinstance(headers, dict) else {}), **fault.headers},
    }


class OpenCrossing:
    """One crossing under way; see `pytest_sparrow.run.crossing.Crossing`.

    Attributes:
        kind: "http", "tool" or "call".
        asked: what was asked, redacted.
        lane: the lane that asked.
        began: when, in seconds of the run.
        model: the model call that it is, or None.
        call_id: a tool's call id.
        proposed: whether a model had proposed the tool's call.
        recorded: in a replay, the exchange that answers; None for a miss.
        error: the exception to raise in place of the fed one, which is known by its name only.
        fault: in a replay, the fault that was laid over it, or None.
        delay: seconds that each piece of the answer comes late.
        hides: the numbers of events that only tell of the fault.
        checked: the agent gets ``replayed``, and the tool runs all the same: what it gives is told and compared.
        told: how many parts of a model's answer have been told as events already.
        tells_in: the lane whose events tell of it: the crossing's own, or that of the model's proposal.
        settled: whether it is over.
    """

    __slots__ = (
        "_run",
        "asked",
        "began",
        "call_id",
        "cancellation_wait",
        "checked",
        "delay",
        "error",
        "fault",
        "flush",
        "hides",
        "kind",
        "lane",
        "model",
        "peek",
        "proposed",
        "recorded",
        "replayed",
        "settled",
        "tells_in",
        "told",
    )

    def __init__(self, run: Run, kind: str, asked: dict[str, Json], lane: Lane, began: float) -> None:
        self._run = run
        self.kind = kind
        self.asked = asked
        self.lane = lane
        self.tells_in = lane
        self.began = began
        self.replayed: dict[str, Json] | None = None
        self.cancellation_wait: float | None = None
        self.model: ModelCall | None = None
        self.call_id = ""
        self.checked = False
        self.error: Exception | None = None
        self.fault: Fault | None = None
        self.delay = 0.0
        self.hides: list[int] = []
        self.proposed = False
        self.recorded: Exchange | None = None
        self.settled = False
        self.flush: Callable[[], None] | None = None
        self.peek: Callable[[], dict[str, Json] | None] | None = None
        self.told = 0

    @property
    def as_is(self) -> bool:
        """Whether the answer is served as it is, waits and all."""
        return self.fault is not None

    def to_match(self, number: int, conversation: Sequence[Json] | None) -> Asked:
        """What a replay chooses an answer for.

        Args:
            number: which crossing of the run this is, from 0.
            conversation: the conversation that a request to a model carries, as a golden has it, or None.
        """
        return Asked(
            kind=self.kind,
            content=self.asked,
            number=number,
            lane=self.lane.label,
            conversation=conversation,
            call_id=self.call_id if self.proposed else None,
        )

    def settle(self, answered: dict[str, Json] | None, *, complete: bool = True) -> None:
        """The agent has its answer; a second call does nothing."""
        self._run.settle(self, answered, complete=complete)
