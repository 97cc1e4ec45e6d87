"""Keeps the numbers of recorded exchanges in queues, by what may ask for them, and by lane."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Hashable

BEGINNING = "\0beginning"
"""Stands in place of a lane for the exchanges that are the first of their lane."""


class AnswerQueues:
    """First-in first-out queues of exchange numbers under a key, for one lane and for all lanes.

    A number stands in several queues (by key, by shape, by conversation). All queues share one set of the numbers
    that are taken, and a queue drops taken numbers when they come to its head.
    """

    def __init__(self, taken: Container[int]) -> None:
        self._taken = taken
        self._queues: dict[tuple[Hashable, str | None], deque[int]] = {}

    def add(self, key: Hashable, lane: str, number: int, *, begins: bool) -> None:
        """Append an exchange under its lane and under all lanes; ``begins`` says that it is the first of its lane."""
        for place in (lane, None, BEGINNING) if begins else (lane, None):
            self._queues.setdefault((key, place), deque()).append(number)

    def first(self, key: Hashable, lane: str | None = None) -> int | None:
        """The oldest number under a key that is not taken: in one lane, in any lane (None), or of BEGINNING."""
        queue = self._queues.get((key, lane))
        while queue:
            if queue[0] not in self._taken:
                return queue[0]
            queue.popleft()
        return None

    def some(self, key: Hashable, most: int) -> list[int]:
        """The numbers under a key that are not taken, in any lane, among the ``most`` oldest."""
        if self.first(key) is None:
            return []
        return [number for number in islice(self._queues[key, None], most) if number not in self._taken]


class Either:
    """Membership in either of two live collections."""

    def __init__(self, one: set[int], other: dict[int, int]) -> None:
        self._one = one
        self._other = other

    def __contains__(self, item: object) -> bool:
        return item in self._one or item in self._other
