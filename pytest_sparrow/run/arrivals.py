"""Replays the order in which answers arrived: an agent that works in order of arrival gets them as it did.

A golden knows when each call began and when its answer was there. In a replay each answer waits until everything that
the golden has before its arrival has happened: other calls were made, and other answers have arrived. Nobody waits for
time to pass, but for events. A wait is bounded: where nothing happens for as long as the recorded agent itself needed
for its next step and a second more, that step is given up, once and for all waits, and so is what its lane would do
next, until the lane asks again.

An answer waits for what *other* strands do, never for its own strand, nor for strands that act on its first pieces.

A thread that takes something from a queue waits in the same way until everything has happened before: which of several
workers gets which item is chance, and nothing else would tell their equal questions apart. What a golden does not know
is what a strand took after its last call. All that it knows of comes first.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import types
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_sparrow import real_time
from pytest_sparrow.matching.order import is_chance, strand_before
from pytest_sparrow.run.cancelling import is_trio
from pytest_sparrow.wire.bodies import stream_form

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from pytest_sparrow.exchange import Exchange
    from pytest_sparrow.run.lanes import Lane

_SLACK = 1.0
"""Seconds without any event after which a step is given up that the recorded agent made at once."""

_LONGEST = 5.0
"""The most seconds that the recorded agent's own time (a sleep before its next call) adds to `_SLACK`."""

MOVING_ON = 0.05
"""Seconds that a thread may need to go on with an answer, until it asks again or its work ends."""

_LOOKS = 3
_BETWEEN_LOOKS = 0.001
"""The main thread waits where it stands still in so many looks, so many seconds apart."""

_AT_ONCE = 0.001
"""Seconds between two arrivals that a waiting main thread may have met as one."""

_ROUNDS = 10
"""How often the event loop goes round for a task to go on with an answer."""


@dataclass(slots=True, eq=False)
class _Moment:
    """A call's beginning, its answer's arrival, or what its strand took from a queue before, in the golden.

    Attributes:
        at: its place among all steps.
        number: the exchange's number.
        own: seconds that the recorded agent itself needed for this step, at the most.
        is_take: whether something was taken from a queue.
        since: seconds since the arrival before, of an arrival.
        happened: whether the step was made in this run, or given up.
        settled: whether the answer is with its strand, which may not have gone on yet.
        waiting: what to call when there is news of the step.
    """

    at: int
    number: int
    own: float
    is_take: bool = False
    since: float = 0.0
    happened: bool = False
    settled: bool = False
    waiting: list[Callable[[], None]] = field(default_factory=list)

    def news(self) -> list[Callable[[], None]]:
        """What to call now that there is news: nothing waits any more."""
        waiting, self.waiting = self.waiting, []
        return waiting


class Arrivals:
    """The arrivals of one golden's answers. Thread safe.

    Args:
        exchanges: the golden's, in the order in which they began.
    """

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        self._exchanges = exchanges
        self._lock = threading.Lock()
        self._steps: list[_Moment] = []
        self._asked: dict[int, _Moment] = {}
        self._ended: dict[int, _Moment] = {}
        self._of_lane: dict[str, deque[_Moment]] = {}
        self._first_of_lane: dict[str, float] = {}
        self._settled: dict[_Moment, str] = {}
        self._given_up: set[str] = set()  # lanes that nobody waits for, until they ask again
        self._first = 0
        self._ends: list[_Moment] = []
        self._first_end = 0
        self._last_take: _Moment | None = None
        self._progress = real_time.monotonic()
        self._news_for_main = True  # a strand was made since the main thread was last given time to wait
        self._answered = False  # likewise an answer has arrived
        if len({exchange.lane for exchange in exchanges}) > 1:
            self._index()

    def _index(self) -> None:
        steps: list[tuple[float, int, str]] = []
        for number, exchange in enumerate(self._exchanges):
            self._first_of_lane.setdefault(exchange.lane, exchange.began)
            steps += [(moment, number, "took") for moment in exchange.took]
            if is_chance(exchange):
                continue
            steps.append((exchange.began, number, "began"))
            # Nobody knows when an answer was closed that the agent left half read.
            if exchange.ended is not None and (exchange.complete or exchange.answered is None):
                steps.append((exchange.ended, number, "ended"))
        before, arrived, of_lane = 0.0, 0.0, dict[str, float]()
        for at, (seconds, number, what) in enumerate(sorted(steps)):
            exchange = self._exchanges[number]
            since = min(before, of_lane.get(exchange.lane, before))
            own = 0.0 if what == "ended" and exchange.answered is not None else seconds - since
            before = of_lane[exchange.lane] = seconds
            step = _Moment(at, number, min(own, _LONGEST), is_take=what == "took")
            if what == "ended":
                step.since, arrived = seconds - arrived, seconds
            self._steps.append(step)
            if step.is_take:
                self._last_take = step
            else:
                (self._ended if what == "ended" else self._asked)[number] = step
            self._of_lane.setdefault(exchange.lane, deque()).append(step)
        self._ends = list(self._ended.values())

    def asked(self, number: int, lane: Lane) -> Arrival | None:
        """Note that a strand has asked for an exchange.

        Args:
            number: the exchange's number.
            lane: the lane that asks.

        Returns:
            What the answer must wait for; None: for nothing.
        """
        step = self._asked.get(number)
        if step is None:
            return None
        with self._lock:
            wake = self._go_on(lambda each, of: of == lane.label or each.at < step.at)
            self._given_up.discard(self._exchanges[number].lane)
            # What the golden's lane did before has happened, or never will.
            steps = self._of_lane[self._exchanges[number].lane]
            while steps and steps[0].at <= step.at:
                wake += self._happen(steps.popleft())
            for late in self._too_late(step, lane):
                wake += self._happen(self._asked[late.number]) + self._happen(late)
            end = self._ended.get(number)
            waits = end is not None and (end.at - 1 != step.at or next(self._missing(end), None) is not None)
        _call(wake)
        return Arrival(self, end) if waits and end is not None else None

    def turn(self, lane: str, followed: str) -> Arrival | None:
        """What a lane must wait for before it takes something from a queue; None: for nothing.

        Args:
            lane: the lane.
            followed: the golden's lane that it follows.
        """
        steps = self._of_lane.get(followed)
        if self._last_take is None or not steps:
            return None
        with self._lock:
            wake = self._go_on(lambda _, of: of == lane)
            step = next((step for step in steps if not step.happened), None)
            if step is None:
                step = _Moment(self._last_take.at + 1, steps[-1].number, 0.0, is_take=True)
        _call(wake)
        return Arrival(self, step) if step.is_take else None

    def taken(self, step: _Moment) -> None:
        """Note that a strand has taken something from a queue."""
        with self._lock:
            wake = self._happen(step)
        _call(wake)

    def ended(self, number: int, lane: str) -> None:
        """Note that a strand has its answer, or has cancelled it."""
        step = self._ended.get(number)
        if step is None:
            return
        with self._lock:
            if step.happened:
                return
            step.settled = self._answered = True
            self._settled[step] = lane
            self._progress = real_time.monotonic()
            wake = step.news()
        _call(wake)

    def moved_on(self, lane: str, *, made: bool) -> None:
        """Note that a lane has gone on with the answers that it has: it has made a strand, or is done."""
        if made:
            self._news_for_main = True
        if not self._steps:
            return
        with self._lock:
            wake = self._go_on(lambda _, of: of == lane)
            if not made and lane in self._of_lane:
                self._given_up.add(lane)
                for step in self._of_lane[lane]:
                    wake += step.news()
        _call(wake)

    def _go_on(self, which: Callable[[_Moment, str], bool]) -> list[Callable[[], None]]:
        wake: list[Callable[[], None]] = []
        for step in [step for step, lane in self._settled.items() if which(step, lane)]:
            wake += self._happen(step)
        return wake

    def _happen(self, step: _Moment) -> list[Callable[[], None]]:
        if step.happened:
            return []
        step.happened = True
        self._settled.pop(step, None)
        self._progress = real_time.monotonic()
        while self._first < len(self._steps) and self._steps[self._first].happened:
            self._first += 1
        return step.news()

    def _missing(self, awaited: _Moment) -> Iterator[_Moment]:
        """The other strands' steps before a step that have not happened, the last one first."""
        exchange = self._exchanges[awaited.number]
        for at in range(awaited.at - 1, self._first - 1, -1):
            step = self._steps[at]
            other = self._exchanges[step.number]
            if not (step.happened or other.lane in self._given_up or self._follows(exchange, other)):
                yield step

    def _too_late(self, asked: _Moment, lane: Lane) -> list[_Moment]:
        """The arrivals of calls that had to be made before this lane asked, and that no other lane is there to make.

        The recorded agent decided that order; an agent that asks in another one must not wait for them.
        """
        while self._first_end < len(self._ends) and self._ends[self._first_end].happened:
            self._first_end += 1
        found = []
        for place in range(self._first_end, len(self._ends)):
            end = self._ends[place]
            if end.at > asked.at:
                break
            if not (end.happened or self._asked[end.number].happened):
                strand = strand_before(self._exchanges[end.number], self._exchanges[asked.number])
                if strand is not None and lane.excludes(strand):
                    found.append(end)
        return found

    def _follows(self, exchange: Exchange, other: Exchange) -> bool:
        """Whether the strand of another exchange is this one's own, or was made by it while its answer came."""
        if exchange.lane == other.lane:
            return True
        if not stream_form((exchange.answered or {}).get("body")):
            return False
        depth = len(exchange.lane.split(".")) if exchange.lane else 0
        stems = not exchange.lane or other.lane.startswith(exchange.lane + ".")
        known = depth < len(other.lane_began)
        made = other.lane_began[depth] if known else self._first_of_lane[other.lane]
        return stems and made > exchange.began

    def next_for(self, step: _Moment, wake: Callable[[], None]) -> tuple[bool, float] | None:
        """What a step waits for; None: it is due.

        Args:
            step: the step.
            wake: called when there is news.

        Returns:
            Whether all that is missing are strands that have their answers and go on with them, and for how many
            seconds at the most to wait.
        """
        with self._lock:
            missing = list(self._missing(step))
            if not missing:
                return None
            missing[0].waiting.append(wake)
            if all(each.settled for each in missing):
                return True, MOVING_ON
            own = max(each.own for each in missing if not each.settled)
            return False, own + _SLACK - (real_time.monotonic() - self._progress)

    def main_goes_first(self, step: _Moment) -> bool:
        """Whether the main thread is given time before a step.

        It is once after a strand was made, and between two answers that did not arrive at once: the first of them may
        end a wait in the main thread, which must not find the second one there, too.
        """
        apart = self._answered and step.since > _AT_ONCE
        due = self._news_for_main or apart
        self._news_for_main = self._answered = False
        return due

    def give_up(self, awaited: _Moment, *, settled: bool) -> None:
        """Wait no longer for what is missing before a step.

        Args:
            awaited: the step.
            settled: only for strands that have their answers.
        """
        with self._lock:
            wake: list[Callable[[], None]] = []
            for step in list(self._missing(awaited)):
                if step.settled or not settled:
                    wake += self._happen(step)
                    if not step.settled:
                        self._given_up.add(self._exchanges[step.number].lane)
        _call(wake)


def _call(wake: Iterable[Callable[[], None]]) -> None:
    for each in wake:
        each()


@dataclass(frozen=True, slots=True)
class Arrival:
    """The arrival of one answer, or a turn to take: wait until it is due, in a thread (`hold`) or a task (`wait`)."""

    arrivals: Arrivals
    step: _Moment

    def taken(self) -> None:
        """The strand has what it takes."""
        self.arrivals.taken(self.step)

    def hold(self) -> None:
        """Wait in a thread; not in one that runs an event loop, whose tasks could do nothing meanwhile."""
        if runs_a_loop():
            return
        news = threading.Event()
        while True:
            news.clear()
            missing = self.arrivals.next_for(self.step, news.set)
            if missing is None:
                if self.arrivals.main_goes_first(self.step):
                    _let_main_thread_wait()
                return
            settled, seconds = missing
            if not (seconds > 0 and news.wait(seconds)) and (settled or seconds <= 0):
                self.arrivals.give_up(self.step, settled=settled)

    async def wait(self) -> None:
        """Wait in a task of asyncio or trio."""
        news = _TrioNews() if is_trio() else _AsyncioNews()
        while True:
            missing = self.arrivals.next_for(self.step, news.tell)
            if missing is None:
                return
            settled, seconds = missing
            if settled:
                for _ in range(_ROUNDS):
                    await news.round()
            elif seconds > 0:
                await news.wait(seconds)
                continue
            self.arrivals.give_up(self.step, settled=settled)


def _let_main_thread_wait() -> None:
    """Give the main thread time to get to where it waits for answers.

    ``as_completed`` gives what is done before it is called in the order of a set. Where answers take time, nothing is.
    """
    main = threading.main_thread().ident
    if main is None or main == threading.get_ident():
        return
    pause, still, before = threading.Event(), 0, None
    for _ in range(round(MOVING_ON / _BETWEEN_LOOKS)):
        frame = sys._current_frames().get(main)  # noqa: SLF001 - threading has no name for it
        now = None if frame is None else (id(frame), frame.f_lasti)
        still = still + 1 if now == before else 0
        if still == _LOOKS:
            return
        before = now
        pause.wait(_BETWEEN_LOOKS)


def runs_a_loop() -> bool:
    """Whether the thread here runs an event loop, whose tasks can do nothing while the thread waits."""
    asyncio = sys.modules.get("asyncio")
    running = getattr(asyncio, "_get_running_loop", None)
    return (running is not None and running() is not None) or is_trio()


class _AsyncioNews:
    """News for a task of asyncio, from any thread."""

    def __init__(self) -> None:
        import asyncio

        self._timeout = asyncio.timeout  # not wait_for, which makes a task before Python 3.12
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def tell(self) -> None:
        """There is news."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, seconds: float) -> None:
        """Wait for news, so long at the most."""
        self._event.clear()
        with contextlib.suppress(TimeoutError):
            async with self._timeout(seconds):
                await self._event.wait()

    async def round(self) -> None:
        """Let all other tasks go on."""
        await _once()


class _TrioNews:
    """News for a task of trio, from any thread."""

    def __init__(self) -> None:
        trio: Any = sys.modules["trio"]
        self._trio = trio
        self._token = trio.lowlevel.current_trio_token()
        self._event = trio.Event()

    def tell(self) -> None:
        """There is news."""
        with contextlib.suppress(self._trio.RunFinishedError):
            self._token.run_sync_soon(self._event.set)

    async def wait(self, seconds: float) -> None:
        """Wait for news, so long at the most."""
        with self._trio.move_on_after(seconds):
            await self._event.wait()
        self._event = self._trio.Event()

    async def round(self) -> None:
        """Let all other tasks go on."""
        await self._trio.lowlevel.checkpoint()


@types.coroutine
def _once() -> Generator[None, None, None]:
    """What ``asyncio.sleep(0)`` does, which a test may have replaced."""
    yield
