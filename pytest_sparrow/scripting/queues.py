"""Which turn is next, lane by lane. Pure but for its own positions."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_sparrow.scripting.script import Turn

__all__ = ["Queues"]


class Queues:
    """A script's turns, to be taken.

    Lanes have other names in another run: a lane takes the turns of the scripted one of its name, else of the first
    that no other lane has, else of the main one. So a transcript without lanes is taken in its order, whoever asks.
    """

    def __init__(self, turns: Iterable[Turn]) -> None:
        self._waiting: dict[str, deque[Turn]] = {"": deque()}
        for turn in turns:
            self._waiting.setdefault(turn.lane, deque()).append(turn)
        self._taken_by: dict[str, str] = {"": ""}
        self._free = dict.fromkeys(label for label in self._waiting if label)

    def next(self, lane: str) -> Turn | None:
        """The next turn for a lane, which stays there; None: there is none left."""
        waiting = self._waiting[self._scripted(lane)]
        return waiting[0] if waiting else None

    def take(self, lane: str) -> None:
        """The next turn for a lane is taken."""
        self._waiting[self._scripted(lane)].popleft()

    def left(self) -> Iterator[Turn]:
        """The turns that nobody took, in their order."""
        return iter(sorted((turn for each in self._waiting.values() for turn in each), key=_number))

    def _scripted(self, lane: str) -> str:
        known = self._taken_by.get(lane)
        if known is None:
            known = lane if lane in self._free else next(iter(self._free), "")
            self._free.pop(known, None)
            self._taken_by[lane] = known
        return known


def _number(turn: Turn) -> int:
    return turn.number
