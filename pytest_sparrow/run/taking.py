"""Says which strand may take something from a queue now, and which may go on with its answer.

Workers that share a queue ask the same way in each run, but which of them gets which item is chance. A recording notes
when each strand took something, and a replay lets it do so in that order (`run.arrivals`). What workers share otherwise
(a list, an iterator) nobody sees: there a recording lets threads that have asked the same go on one after the other, so
that the order in which their answers arrived is also the order in which they take.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pytest_sparrow import real_time
from pytest_sparrow.run.arrivals import MOVING_ON, runs_a_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.answers import Answers
    from pytest_sparrow.run.arrivals import Arrival
    from pytest_sparrow.run.crossing import Crossing
    from pytest_sparrow.run.lanes import Lane, Lanes

_MOST = 64
"""The most moments that one call notes at which its strand took something before."""


class Taking:
    """What the strands of one run take. Thread safe.

    Args:
        lanes: the run's.
        answers: the run's.
        elapsed: seconds of the run.

    Attributes:
        taken: how many things were taken.
    """

    def __init__(self, lanes: Lanes, answers: Answers, elapsed: Callable[[], float]) -> None:
        self._lanes = lanes
        self._answers = answers
        self._elapsed = elapsed
        self.taken = 0
        self._news = threading.Condition()
        self._going_on: dict[Lane, tuple[dict[str, Json], float]] = {}

    def turn(self) -> tuple[Arrival | None, Callable[[], None]] | None:
        """Called before the calling strand takes something from a queue.

        Returns:
            What the strand must wait for before (None: for nothing), and what to call when it has what it takes; None
            where the run has no strand beside it.
        """
        lane = self._lanes.known()
        if lane is None or (lane.parent is None and not lane.children):
            return None
        due = self._answers.turn(lane)

        def taken() -> None:
            self.taken += 1
            if len(lane.took) < _MOST:
                lane.took.append(round(self._elapsed(), 6))
            if due is not None:
                due.taken()

        return due, taken

    def answered(self, crossing: Crossing, *, complete: bool) -> None:
        """In a recording, an answer is in: wait until other threads that asked the same have gone on with theirs."""
        lane = crossing.lane
        # A replay has its answers in order anyway; see `run.arrivals`.
        if (
            self._answers.replaying
            or not complete
            or crossing.kind != "http"
            or lane.parent is None
            or runs_a_loop()
        ):
            return
        with self._news:
            while True:
                now = real_time.monotonic()
                since = [
                    at
                    for other, (asked, at) in self._going_on.items()
                    if other is not lane and asked == crossing.asked
                ]
                left = max(since, default=0.0) + MOVING_ON - now
                if left <= 0:
                    break
                self._news.wait(left)
            self._going_on[lane] = crossing.asked, now

    def moved_on(self, lane: Lane) -> None:
        """A lane has gone on with its answer: it asks again, has made a strand, or is done."""
        if self._going_on:
            with self._news:
                if self._going_on.pop(lane, None) is not None:
                    self._news.notify_all()
