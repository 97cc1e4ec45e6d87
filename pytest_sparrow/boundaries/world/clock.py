"""Moves the wall clock of a run: in a replay it starts when the recording did, and moves on with the recorded answers.

A `TimeSource` says what time it is: `Flowing` follows a recording, `Stepping` stands still between crossings. Only
`depart` knows time-machine, which shows that time to the process.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, Self

from pytest_sparrow import real_time
from pytest_sparrow.boundaries.world.environment import Zone, zone_here
from pytest_sparrow.errors import UsageError
from pytest_sparrow.run.answering import is_in_world
from pytest_sparrow.settings import WallClock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.run.crossing import Crossing

_SECOND = 1_000_000_000

GRACE = 1.0
"""Seconds that a replay may lag behind its recording before its clock passes the next recorded request."""

TICK = 1.0
"""Seconds that a stepping clock moves on with each crossing. Agents wait for seconds for what a boundary brings; with a
small tick, a loop that polls until a deadline would poll thousands of times."""


class TimeSource(Protocol):
    """Says what time it is in a run."""

    @property
    def skipped(self) -> int:
        """Nanoseconds that the time moved forward at crossings, not with elapsed time."""
        ...

    def now(self) -> int:
        """Nanoseconds since the epoch."""
        ...

    def body_starts(self) -> None:
        """The test's own code starts."""
        ...

    def asked(self, began: float | None) -> None:
        """A crossing begins; ``began`` is when the recorded one did, in seconds of its run, None if there is none."""
        ...

    def arrived(self, ended: float | None) -> None:
        """A crossing's answer is in; ``ended`` is when the recorded one was, in seconds of its run."""
        ...

    def skip(self, nanoseconds: int) -> None:
        """Move forward."""
        ...


_LONGEST = 1e8
"""The most seconds of a run, three years: a golden that says more than any clock can show fails no test by that."""


_MOST_MOVES = 1000
"""Moves that wait for somebody to read the time."""


class Flowing:
    """A time that flows with elapsed time, and moves forward to when the recorded run asked and was answered.

    The start of the test's own code counts like a crossing. Between two crossings, the time doesn't pass the moment at
    which the recorded run came to the next one, unless the replay is more than `GRACE` late: what an unchanged agent
    reads on a slow machine lies between the same two moments as in the recording. A loop that waits for a deadline ends
    all the same.

    Not thread safe in the strict sense: two threads that cross at once may each move the time, forward only.

    Args:
        zero: the recorded run's start, in nanoseconds since the epoch.
        began: when the recorded crossings began, in seconds of the run, rising.
        body: when the test's own code started, in seconds of the recorded run; None where that is not known.
        real: gives nanoseconds of a clock that nobody sets.
    """

    def __init__(
        self,
        zero: int,
        began: Sequence[float] = (),
        *,
        body: float | None = None,
        real: Callable[[], int] = real_time.monotonic_ns,
    ) -> None:
        self._skipped = 0
        self._moves: deque[tuple[float | None, int, int]] = deque()
        """Where to move to, at which time of the real clock, and how many crossings had begun then."""
        self._begun = 0
        self._zero = zero
        self._began = began
        self._body = body
        self._asked = 0
        self._real = real
        self._anchor = (zero, real())
        """The time at the last move, and what the real clock showed then; one tuple, so that no reader sees half."""

    def now(self) -> int:
        """Nanoseconds since the epoch."""
        if self._moves:
            self._move()
        return self._shows(self._real())

    @property
    def skipped(self) -> int:
        """Nanoseconds that the time moved forward at crossings, not with elapsed time."""
        self._move()
        return self._skipped

    def body_starts(self) -> None:
        """The test's own code starts: how long fixtures took, then and now, no longer counts."""
        self._move()
        self._move_to(self._body, self._real())
        self._body = None

    def asked(self, began: float | None) -> None:
        """A crossing begins: move to when the recorded one began."""
        self._later(began, self._begun + 1)

    def arrived(self, ended: float | None) -> None:
        """A crossing's answer is in: move to when the recorded one was."""
        self._later(ended, self._begun)

    def _later(self, seconds: float | None, begun: int) -> None:
        """Move once somebody reads the time: in most tests nobody ever does."""
        self._begun = begun
        self._moves.append((seconds, self._real(), begun))
        if len(self._moves) > _MOST_MOVES:
            self._move()

    def skip(self, nanoseconds: int) -> None:
        """Move forward."""
        now = self.now()
        self._skipped += nanoseconds
        self._anchor = (now + nanoseconds, self._real())

    def _move(self) -> None:
        # No lock, which a forked child would wait for for ever. A move that two threads make is made once.
        while self._moves:
            with suppress(IndexError, ValueError):
                move = seconds, real, begun = self._moves[0]
                self._move_to(seconds, real)
                self._asked = max(self._asked, begun)
                self._moves.remove(move)

    def _move_to(self, seconds: float | None, real: int) -> None:
        now = self._shows(real)
        there = now if seconds is None else max(now, self._moment(seconds))
        self._skipped += there - now
        self._anchor = (there, real)

    def _shows(self, real: int) -> int:
        shown, then = self._anchor
        return shown + self._held(shown, real - then)

    def _moment(self, seconds: float) -> int:
        return self._zero + round(max(-_LONGEST, min(seconds, _LONGEST)) * 1e6) * 1000

    def _held(self, shown: int, elapsed: int) -> int:
        """How much of the elapsed time counts."""
        following = self._began[self._asked] if self._asked < len(self._began) else None
        following = following if self._body is None else min(self._body, following or self._body)
        if following is None:
            return elapsed
        room = self._moment(following) - shown
        if room <= 0 or elapsed <= room:
            return elapsed
        return max(room, elapsed - round(GRACE * _SECOND))


class Stepping:
    """A time that stands still, and moves on one `TICK` with each crossing: the same in record and replay.

    Args:
        zero: the recorded run's start, in nanoseconds since the epoch.
    """

    def __init__(self, zero: int) -> None:
        self._now = zero

    @property
    def skipped(self) -> int:
        """Nothing: how far it moves decides nothing for a run around this one."""
        return 0

    def now(self) -> int:
        """Nanoseconds since the epoch."""
        return self._now

    def body_starts(self) -> None:
        """Nothing changes: crossings of fixtures count like any other."""

    def asked(self, began: float | None) -> None:  # noqa: ARG002 - every crossing counts the same
        """A crossing begins: one tick."""
        self._now += round(TICK * _SECOND)

    def arrived(self, ended: float | None) -> None:
        """Nothing changes: how long an answer takes is chance."""

    def skip(self, nanoseconds: int) -> None:
        """Nothing changes: a run within this one stands still, too."""


_MARK = "sparrow_time_source"


def _time_machine() -> Any:
    try:
        import time_machine
    except ImportError as error:  # PyPy has none
        raise UsageError(
            f"the clock of a replay needs time-machine, which cannot be imported: {error}\n"
            "  pip install time-machine, or leave the clock alone: ini sparrow_clock = real "
            '(or @pytest.mark.sparrow(clock="real"))'
        ) from None
    return time_machine


def somebody_freezes() -> bool:
    """Whether freezegun has set the clocks, those of durations among them."""
    return "freezegun" in sys.modules and dt.datetime.__name__ == "FakeDatetime"


def somebody_else_travels() -> bool:
    """Whether the test had set the clock by itself, with time-machine or freezegun, before its run opened."""
    if somebody_freezes():
        return True
    library = sys.modules.get("time_machine")
    return bool(library and library.traveller_stack and not hasattr(library.traveller_stack[-1], _MARK))


def depart(source: TimeSource) -> Callable[[], None]:
    """Let the wall clock of the whole process show the time of a source, and to code of the world the real time.

    The result ends that.

    A tool that runs asks servers that look at dates, in signatures and tokens. A test that itself travels meanwhile,
    with time-machine or freezegun, wins as long as it travels.

    Raises:
        UsageError: time-machine cannot be imported.
    """
    library = _time_machine()
    travel = library.travel(0.0)
    traveller = travel.start()
    # time-machine asks the top of its stack for the time. So this time can flow, and be moved while somebody else
    # travels on top of it, which time-machine's own move_to can't.
    real = library.escape_hatch.time.time_ns
    traveller.time_ns = lambda: real() if is_in_world() else source.now()
    setattr(traveller, _MARK, source)

    def arrive() -> None:
        stack = library.traveller_stack
        if stack and stack[-1] is traveller:
            travel.stop()
        elif traveller in stack:
            # A fixture that was set up later still travels; it unpatches when it stops.
            stack.remove(traveller)
        below = getattr(stack[-1], _MARK, None) if stack else None
        if below is not None:
            below.skip(source.skipped)

    return arrive


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9990, 1, 1, tzinfo=UTC)
"""Python's dates end ten years later; a run takes time from its start on."""


class Clock:
    """Moves the wall clock while a run is open, and follows the run's crossings (see `run.emitter.Watcher`).

    Where the test has set the clock by itself before, nothing is moved: it did so in the recording, too.

    Args:
        source: what time it is.
        zone: the recorded time zone.
    """

    def __init__(self, source: TimeSource, zone: Zone) -> None:
        self.source = source
        self.zone = zone
        self._arrive: Callable[[], None] | None = None

    def __enter__(self) -> Self:
        if not somebody_else_travels():
            self._arrive = depart(self.source)
            try:
                self.zone.set()
            except BaseException:
                self.__exit__()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        arrive, self._arrive = self._arrive, None
        if arrive is not None:
            try:
                self.zone.restore()
            finally:
                arrive()

    def body_starts(self) -> None:
        """The test's own code starts."""
        self.source.body_starts()

    def asked(self, crossing: Crossing) -> None:
        """A crossing begins."""
        self.source.asked(None if crossing.recorded is None else crossing.recorded.began)

    def answered(self, crossing: Crossing, answered: dict[str, Json] | None) -> None:  # noqa: ARG002
        """The agent has its answer, a stream to its end."""
        if crossing.recorded is not None:
            self.source.arrived(crossing.recorded.ended)


def needed_clock(
    mode: WallClock, started: datetime, golden: Any = None, answers: Sequence[Exchange] = ()
) -> Clock | None:
    """The clock that a run needs; None for the real one.

    Args:
        mode: the setting ``clock``.
        started: the run's start.
        golden: the inputs of the golden that the run replays; None while recording.
        answers: the golden's exchanges, in the order in which they began.
    """
    if mode is WallClock.REAL:
        return None
    if golden is None:
        return Clock(Stepping(_nanoseconds(started)), Zone(None, 0)) if mode is WallClock.STEP else None
    zero = _moment_of(golden.timestamp)
    if zero is None:
        return None
    noted = _noted(golden.config_snapshot)
    # As recorded, whatever the setting says now: a golden of a flowing time does not fit one that stands still, and
    # the other way round.
    source: TimeSource
    if noted.get("mode") == WallClock.STEP.value:
        source = Stepping(_nanoseconds(zero))
    else:
        body = noted.get("body")
        began = [exchange.began for exchange in answers]
        source = Flowing(_nanoseconds(zero), began, body=body if isinstance(body, int | float) else None)
    return Clock(source, Zone(noted, zero.timestamp()))


def noted_clock(mode: WallClock, started: datetime, body: float | None) -> dict[str, Json]:
    """What a golden notes of the clock of its recording, ``config_snapshot.clock``.

    Args:
        mode: the setting ``clock``.
        started: the run's start.
        body: when the test's own code started, in seconds of the run; None if it has not started.
    """
    return {"mode": mode.value, **zone_here(started.timestamp()), **({} if body is None else {"body": body})}


def _noted(snapshot: Json) -> dict[str, Json]:
    clock = snapshot.get("clock") if isinstance(snapshot, dict) else None
    return clock if isinstance(clock, dict) else {}


def _moment_of(timestamp: str) -> datetime | None:
    """A golden's timestamp as a time; None where a clock can't show it."""
    try:
        moment = datetime.fromisoformat(timestamp)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if _EPOCH <= moment < _LATEST else None


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
