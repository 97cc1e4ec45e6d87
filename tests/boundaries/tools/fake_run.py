"""A run that records into a list or replays from one: the port of `run.crossing`, no more."""

from __future__ import annotations

import contextlib
import queue
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_sparrow.events.jsontext import canonical, decode, encode
from pytest_sparrow.findings import Finding, Kind
from pytest_sparrow.run.context import close_window, open_window
from pytest_sparrow.run.violations import divergence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sparrow.errors import NotRecordable, ReplayDivergence


class Witness:
    """Notes what really ran: a replay makes recorded changes again in lists, not in a queue of C."""

    def __init__(self) -> None:
        self._noted: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.append = self._noted.put

    def taken(self) -> list[Any]:
        """What was noted since the last look."""
        return [self._noted.get() for _ in range(self._noted.qsize())]


@dataclass
class Kept:
    """One crossing as it ended."""

    kind: str
    asked: dict[str, Any]
    answered: dict[str, Any] | None = None
    complete: bool = True
    settled: bool = False


@dataclass
class FakeCrossing:
    run: FakeRun
    kept: Kept
    replayed: dict[str, Any] | None = None
    checked: bool = False
    error: Exception | None = None
    cancellation_wait: float | None = None
    flush: Callable[[], None] | None = None
    peek: Callable[[], dict] | None = None
    arrival: Any = None
    read_whole: bool = False
    captured: bool = False
    runs_in_replay: bool = False
    is_held: bool = False
    makes_strands: bool = False

    def inside(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def settle(self, answered: dict[str, Any] | None, *, complete: bool = True) -> None:
        if self.kept.settled:
            return
        # Through text, as on the way to the disk: what JSON cannot hold fails here.
        self.kept.answered = None if answered is None else decode(encode(answered))
        self.kept.complete = complete
        self.kept.settled = True


@dataclass(eq=False)
class FakeRun:
    """Records where ``golden`` is None; else replays: by kind and exact question, first in, first out."""

    golden: list[Kept] | None = None
    run_id: str = "fake"
    kept: list[Kept] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unheld: list[NotRecordable] = field(default_factory=list)
    uncompared: list[tuple[str, str, str]] = field(default_factory=list)
    crossings: list[FakeCrossing] = field(default_factory=list)
    in_process: bool = False
    keeps: bool = True
    folders: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self.parent = None
        self._left: dict[bytes, list[Kept]] = {}
        for kept in reversed(self.golden or []):
            self._left.setdefault(_key(kept.kind, kept.asked), []).append(kept)

    @property
    def replaying(self) -> bool:
        return self.golden is not None

    def note_code(self, name: str, digest: Callable[[], str], *, answered: bool) -> None:
        """No golden notes it."""

    def notes_on(self, name: str, key: str) -> bool:
        """All goldens are of today."""
        return True

    def ask(self, kind: str, asked: dict[str, Any]) -> FakeCrossing:
        kept = Kept(kind, decode(encode(asked)))
        with self._lock:
            crossing = FakeCrossing(self, kept)
            if self.golden is not None:
                waiting = self._left.get(_key(kind, asked))
                if not waiting:
                    raise self.refuse("", text=f"no answer to {kept.asked}")
                crossing.replayed = waiting.pop().answered
            self.kept.append(kept)
            self.crossings.append(crossing)
            return crossing

    def passes_host(self, host: str, port: int | None) -> str:
        return "cross"

    def unrecordable(self, error: NotRecordable) -> None:
        self.unheld.append(error)

    def not_compared(self, case: str, tool: str, what: str) -> None:
        self.uncompared.append((case, tool, what))

    def folder(self, name: str) -> str | None:
        return self.folders.get(name)

    def refuse(self, case: str, **detail: Any) -> ReplayDivergence:
        error = divergence(Finding(kind=Kind.REFUSED, case=case, detail=detail))
        self.refused.append(error.summary)
        return error

    def asked_late(self, what: str) -> ReplayDivergence | None:
        error = divergence(
            Finding(kind=Kind.LEFT_OVER, case="refused", detail={"strand": "thread", "what": what})
        )
        self.refused.append(error.summary)
        return error if self.replaying else None

    @property
    def only(self) -> Kept:
        """The one crossing there was."""
        (kept,) = self.kept
        return kept


@contextlib.contextmanager
def opened(golden: FakeRun | None = None) -> Iterator[FakeRun]:
    """An open run that records, or replays what another has recorded."""
    run = FakeRun(None if golden is None else golden.kept)
    token = open_window(run)
    try:
        yield run
    finally:
        close_window(run, token)


def _key(kind: str, asked: dict[str, Any]) -> bytes:
    return canonical([kind, asked])
