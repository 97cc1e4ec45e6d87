"""The recorded answers under their keys, each given once. Constant cost however many there are."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Hashable

__all__ = ["BEGINNING", "Queues"]

BEGINNING = "\0beginning"
"""In place of a lane: only the exchanges that are the first of a lane."""


class Queues:
    """First-in first-out queues of exchange numbers under a key, for one lane and for all lanes.

    A number stands in several queues (by key, by shape, by conversation). Whoever takes it marks it in the set
    that all of them share, and a queue drops taken numbers when they come to its head.
    """

    def __init__(self, taken: Container[int]) -> None:
        self._taken = taken
        self._queues: dict[tuple[Hashable, str | None], deque[int]] = {}

    def add(self, key: Hashable, lane: str, number: int, *, begins: bool) -> None:
        """Append an exchange, under its lane and under all lanes; ``begins``: it is the first of its lane."""
        for place in (lane, None, BEGINNING) if begins else (lane, None):
            self._queues.setdefault((key, place), deque()).append(number)

    def first(self, key: Hashable, lane: str | None = None) -> int | None:
        """The oldest number not taken under a key: in one lane, in any (None), or of BEGINNING."""
        queue = self._queues.get((key, lane))
        while queue:
            if queue[0] not in self._taken:
                return queue[0]
            queue.popleft()
        return None

    def some(self, key: Hashable, most: int) -> list[int]:
        """The first numbers not taken under a key, in any lane, among its ``most`` oldest."""
        if self.first(key) is None:
            return []
        return [number for number in islice(self._queues[key, None], most) if number not in self._taken]
