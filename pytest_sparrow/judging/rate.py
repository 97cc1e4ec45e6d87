"""Says what k of n samples say about a rate: a Wilson interval, and whether a minimum rate is met. Pure arithmetic."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from math import ceil, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

_Z = 1.959964
"""Of the normal distribution, for an interval of 95 %."""

MOST_MORE = 100_000
"""The most further samples that are worth a number."""


class RateVerdict(enum.Enum):
    """What samples say about a minimum rate."""

    PASS = "PASS"  # noqa: S105 - no password
    """The rate of the samples is at least the minimum."""
    FAIL = "FAIL"
    """It is below, and the interval lies below as well."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """It is below, which may be chance; or too few samples counted."""


def wilson(passed: float, count: int) -> tuple[float, float]:
    """The interval of 95 % for a rate, by Wilson, corrected for continuity.

    Without the correction too few intervals hold a rate near 1, the usual one of an agent: 91 % of those of 10 samples
    where the rate is 0.95.

    Args:
        passed: how many samples passed.
        count: how many there are; 0: nothing is known.

    >>> [round(limit, 3) for limit in wilson(9, 10)]
    [0.541, 0.995]
    """
    if count == 0:
        return 0.0, 1.0
    rate, square = passed / count, _Z * _Z
    middle, size = 2 * passed + square, 2 * (count + square)

    def root(sign: int) -> float:
        return sqrt(max(square - 1 / count + 4 * rate * (count - passed) + sign * (2 - 4 * rate), 0.0))

    low = 0.0 if passed <= 0 else (middle - 1 - _Z * root(-1)) / size
    high = 1.0 if passed >= count else (middle + 1 + _Z * root(1)) / size
    # The correction must not lead past the rate itself.
    return max(min(low, rate), 0.0), min(max(high, rate), 1.0)


@dataclass(frozen=True, slots=True)
class Sampled:
    """Some of a fixed number of samples.

    To stop early must not make the interval narrower than it may be: samples that fail early are more often those of
    an unlucky start. So everything here is said about all that were planned, whatever those that are left would
    say; the interval then holds the one that all of them would have given.

    Attributes:
        passed: how many passed.
        counted: how many there are.
        planned: how many there were to be.
        minimum: the rate that is asked for, from 0 to 1.
    """

    passed: int
    counted: int
    planned: int
    minimum: Fraction

    @property
    def left(self) -> int:
        """How many of the planned samples are missing."""
        return self.planned - self.counted

    @property
    def interval(self) -> tuple[float, float]:
        """The least and the greatest rate that the samples allow, whatever the missing ones say."""
        return wilson(self.passed, self.planned)[0], wilson(self.passed + self.left, self.planned)[1]

    @property
    def verdict(self) -> RateVerdict:
        """What is certain, whatever the missing samples say; inconclusive where nothing is."""
        worst, best = self._of(self.passed), self._of(self.passed + self.left)
        return worst if worst is best else RateVerdict.INCONCLUSIVE

    @property
    def certain(self) -> bool:
        """Whether it passes or fails, and no further sample of those planned can change this."""
        return self.counted > 0 and self.verdict is not RateVerdict.INCONCLUSIVE

    @property
    def more(self) -> int:
        """How many further samples would tell, if they passed as often as those there are; at most `MOST_MORE`."""
        if self.left or not self.counted:
            return max(self.left, 1)
        rate, low, high = self.passed / self.counted, 0, 1
        while high < MOST_MORE and not self._would_fail(rate, high):
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._would_fail(rate, middle) else (middle, high)
        return min(high, MOST_MORE)

    def _would_fail(self, rate: float, more: int) -> bool:
        count = self.planned + more
        return wilson(rate * count, count)[1] < self.minimum

    def _of(self, passed: int) -> RateVerdict:
        """The verdict of all planned samples, if so many passed."""
        if passed >= ceil(self.minimum * self.planned):
            return RateVerdict.PASS
        below = wilson(passed, self.planned)[1] < self.minimum
        return RateVerdict.FAIL if below else RateVerdict.INCONCLUSIVE
