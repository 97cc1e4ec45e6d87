"""What a moved clock shows. Pure: no library, and the real time is handed in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["GRACE", "TICK", "Flow", "Hands", "Step"]

_SECOND = 1_000_000_000

GRACE = 1.0
"""Seconds. How long a replay may lag behind the recording before its clock passes the recorded next asking."""

TICK = 1.0
"""Seconds that a stepping clock goes on with each crossing. What agents wait for through a boundary they wait for in
seconds; with a small tick, a loop that polls until a deadline would poll thousands of times."""


class Hands(Protocol):
    """Where a clock stands.

    Attributes:
        skipped: nanoseconds that it moved forward at crossings, not with elapsed time.
    """

    skipped: int

    def now(self) -> int:
        """Nanoseconds since the epoch."""
        ...

    def body_starts(self) -> None:
        """The test's own code starts."""
        ...

    def asked(self, began: float | None) -> None:
        """Something crossed; ``began`` is when the recorded run asked it, in its seconds."""
        ...

    def arrived(self, ended: float | None) -> None:
        """Its answer is in; ``ended`` is when it was in the recorded run, in its seconds."""
        ...

    def skip(self, nanoseconds: int) -> None:
        """Move forward."""
        ...


class Flow:
    """Runs on with elapsed time, and moves forward to when the recorded run asked and was answered.

    The start of the test's own code counts like a crossing. Between two it doesn't pass the moment at which the
    recorded run came to the next, unless the replay is more than `GRACE` late: what an unchanged agent reads on a slow
    machine lies between the same two moments as it did. A loop that waits for a deadline ends all the same.

    Not thread safe in the strict sense: two threads that cross at once may each move it, forward only.

    Args:
        zero: the recorded run's start, in nanoseconds since the epoch.
        began: when the recorded run asked, in its seconds, rising.
        body: when the test's own code started in the recorded run, in its seconds, where that is known.
        real: nanoseconds of a clock that nobody sets. (A default, not a global: freezegun replaces globals.)
    """

    def __init__(
        self,
        zero: int,
        began: Sequence[float] = (),
        *,
        body: float | None = None,
        real: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.skipped = 0
        self._zero = zero
        self._began = began
        self._body = body
        self._asked = 0
        self._real = real
        self._anchor = (zero, real())
        """What it showed, and what the real clock showed then; one tuple, so that a reader never sees half of it."""

    def now(self) -> int:
        """Nanoseconds since the epoch."""
        shown, then = self._anchor
        return shown + self._held(shown, self._real() - then)

    def body_starts(self) -> None:
        """The test's own code starts: what fixtures took, here and there, is forgotten."""
        self._move_to(self._body)
        self._body = None

    def asked(self, began: float | None) -> None:
        """The replay has come to the next asking."""
        self._move_to(began)
        self._asked += 1

    def arrived(self, ended: float | None) -> None:
        """The replay has its answer."""
        self._move_to(ended)

    def skip(self, nanoseconds: int) -> None:
        """Move forward."""
        self.skipped += nanoseconds
        self._anchor = (self.now() + nanoseconds, self._real())

    def _move_to(self, seconds: float | None) -> None:
        now = self.now()
        there = now if seconds is None else max(now, self._moment(seconds))
        self.skipped += there - now
        self._anchor = (there, self._real())

    def _moment(self, seconds: float) -> int:
        return self._zero + round(seconds * 1e6) * 1000

    def _held(self, shown: int, elapsed: int) -> int:
        """How much of the elapsed time it shows."""
        following = self._began[self._asked] if self._asked < len(self._began) else None
        following = following if self._body is None else min(self._body, following or self._body)
        if following is None:
            return elapsed
        room = self._moment(following) - shown
        if room <= 0 or elapsed <= room:
            return elapsed
        return max(room, elapsed - round(GRACE * _SECOND))


class Step:
    """Stands still, and goes on one `TICK` with each crossing: the same in record and replay.

    Args:
        zero: the recorded run's start, in nanoseconds since the epoch.
    """

    def __init__(self, zero: int) -> None:
        self.skipped = 0
        self._now = zero

    def now(self) -> int:
        """Nanoseconds since the epoch."""
        return self._now

    def body_starts(self) -> None:
        """Nothing: fixtures that cross are counted like any code."""

    def asked(self, began: float | None) -> None:  # noqa: ARG002 - every crossing is worth the same
        """One tick."""
        self._now += round(TICK * _SECOND)

    def arrived(self, ended: float | None) -> None:
        """Nothing: how long an answer takes is chance."""

    def skip(self, nanoseconds: int) -> None:
        """Nothing: a run within this one stands still, too."""
