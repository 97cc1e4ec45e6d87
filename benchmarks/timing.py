"""Timing side by side: what is compared runs in turns, so that a busy moment of the machine hits both."""

from __future__ import annotations

import gc
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Series", "in_turns", "quiet", "seconds", "sized"]


@dataclass(frozen=True, slots=True)
class Series:
    """Seconds of one contestant, a figure a round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle round."""
        return median(self.rounds)

    def over(self, other: Series) -> float:
        """This one's share of the other's time: the median of the ratios of each round."""
        return median(a / b for a, b in zip(self.rounds, other.rounds, strict=True))

    def beyond(self, other: Series) -> float:
        """How many seconds more than the other: the median of the differences of each round."""
        return median(a - b for a, b in zip(self.rounds, other.rounds, strict=True))


def in_turns(contestants: Mapping[str, Callable[[], float]], *, rounds: int) -> dict[str, Series]:
    """Let each contestant run once a round; each times itself and gives its seconds.

    The first round warms up, and doesn't count. The order turns from round to round.
    """
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for contestant in contestants.values():
        contestant()
    with quiet():
        for _ in range(rounds):
            for name in names:
                taken[name].append(contestants[name]())
            names.append(names.pop(0))
    return {name: Series(tuple(found)) for name, found in taken.items()}


def sized(tiny: int, usual: int, full: int) -> int:
    """A size or a number of rounds, as ``--tiny`` or ``--full`` on the command line says."""
    if "--tiny" in sys.argv:
        return tiny
    return full if "--full" in sys.argv else usual


def seconds(work: Callable[[], object]) -> float:
    """How much CPU of this process it costs: other work on the machine does not count."""
    start = time.process_time()
    work()
    return time.process_time() - start


@contextmanager
def quiet() -> Iterator[None]:
    """Collect garbage now, so that collections within pay for what is made within only."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
