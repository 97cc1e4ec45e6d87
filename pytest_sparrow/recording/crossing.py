"""The one port between a boundary and a run: ask, get fed or go to the world, settle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from pytest_sparrow.errors import NotRecordable
    from pytest_sparrow.exchange import Json

__all__ = ["Crossing", "OpenRun"]


class Crossing(Protocol):
    """One crossing under way.

    Attributes:
        fed: the *answered* half (see `Exchange`) that the agent must be given, or None: go to the world. Empty
            where the recorded run got no answer.
        checked: a tool must run although there is an answer to feed: `settle` gets what it gave, the agent ``fed``.
        error: what a fed tool must raise in place of a recorded exception, which is known by its name only.
        delay: seconds that each piece of an HTTP answer comes late, 0.0 almost always.
        as_is: the answer is served as it is; else what it asks to wait before a retry is taken out.
        patience: where the recorded agent turned away before it had the whole answer: for how many seconds to
            wait, after what came, that it does so again. None where ``fed`` is whole.
        flush: set by a boundary whose answer arrives piece by piece (a stream, a generator): settles the crossing
            with what has come so far. Called at the end of the run where the agent left it open.
        peek: set by a boundary whose answer is a stream: the *answered* half as far as the agent has read it, None
            where it has read nothing since the last peek. Called when the agent goes on to something else while
            the stream is open: it acts on what it read.
    """

    fed: dict[str, Json] | None
    checked: bool
    error: Exception | None
    delay: float
    patience: float | None
    flush: Callable[[], None] | None
    peek: Callable[[], dict[str, Json] | None] | None

    @property
    def as_is(self) -> bool:
        """See above."""
        ...

    def settle(self, answered: dict[str, Json] | None, *, complete: bool = True) -> None:
        """The agent has its answer; called exactly once, from any thread (a second call is ignored).

        Live: ``answered`` is what the world said, None if nothing came (cancelled, killed).
        Fed: ``answered`` is ``crossing.fed``; where the crossing is ``checked``, what the world said all the same.
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
    def feeding(self) -> bool:
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

    def lend(self) -> Callable[[], None]:
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
