"""Which items of an array stood in the arrays before it, at the same place of earlier requests."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Arrays", "Run"]

Run = tuple[int, int, int, int]
"""(at, line, start, stop): the items from ``at`` on are those from ``start`` to before ``stop`` of that line's."""

_MAX_TIPS = 16
"""Arrays that are held whole: conversations that go on side by side, the latest request of each."""

_WORTH = 64
"""Bytes that a run must save: a shorter one is easier to read in full."""


class Arrays:
    """The arrays that stood at one place, and what a new one has in common with them.

    Looking costs about as much as the new array is long, however many came before. In memory: an entry for each
    distinct item, and the last `_MAX_TIPS` arrays that no later one goes on from.
    """

    __slots__ = ("_base", "_latest", "_tips")

    def __init__(self) -> None:
        self._latest: dict[bytes, tuple[int, int]] = {}
        self._tips: list[_Tip] = []

    def runs(self, keys: Sequence[bytes], sizes: Sequence[int]) -> list[Run]:
        """The runs that another line holds, in order; what they leave out must be spelled."""
        tip = self._nearest(keys)
        found: list[Run] = []
        at = after = 0
        while at < len(keys):
            run = (tip and tip.run(keys, at, after)) or self._elsewhere(keys, at)
            if run is None:
                at += 1
                continue
            _, line, start, stop = run
            end = at + stop - start
            if sum(sizes[at:end]) >= _WORTH:
                found.append(run)
            if tip is not None and line == tip.line:
                after = stop
            at = end
        return found

    def add(self, line: int, keys: Sequence[bytes]) -> None:
        """An array is written on that line."""
        base = self._nearest(keys)
        if base is not None and 2 * base.common(frozenset(keys)) >= len(base.distinct):
            self._tips.remove(base)
        self._tips = [*self._tips[-_MAX_TIPS + 1 :], _Tip(line, keys)]
        self._latest.update((key, (line, at)) for at, key in enumerate(keys))

    def _nearest(self, keys: Sequence[bytes]) -> _Tip | None:
        """The array that has most in common, the latest of equals: agents side by side take turns."""
        distinct = frozenset(keys)
        best = max(reversed(self._tips), key=lambda tip: tip.common(distinct), default=None)
        return best if best is not None and best.common(distinct) else None

    def _elsewhere(self, keys: Sequence[bytes], at: int) -> Run | None:
        """The run that begins with an item where that stood last, in an array that may be held no more."""
        last = self._latest.get(keys[at])
        if last is None:
            return None
        line, start = last
        end = at + 1
        while end < len(keys) and self._latest.get(keys[end]) == (line, start + end - at):
            end += 1
        return at, line, start, start + end - at


class _Tip:
    """An array that is held whole."""

    __slots__ = ("_places", "distinct", "keys", "line")

    def __init__(self, line: int, keys: Sequence[bytes]) -> None:
        self.line = line
        self.keys = keys
        self.distinct = frozenset(keys)
        self._places: dict[bytes, list[int]] | None = None

    def common(self, distinct: frozenset[bytes]) -> int:
        """How many distinct items it has in common with another."""
        return len(self.distinct & distinct)

    def run(self, keys: Sequence[bytes], at: int, after: int) -> Run | None:
        """The run that begins with an item here: the first one from ``after`` on, else the first at all."""
        mine = self.keys
        if after < len(mine) and mine[after] == keys[at]:
            start = after
        elif keys[at] in self.distinct:
            places = self._places_of(keys[at])
            next_one = bisect_left(places, after)
            start = places[next_one] if next_one < len(places) else places[0]
        else:
            return None
        length = 1
        while (
            at + length < len(keys)
            and start + length < len(mine)
            and keys[at + length] == mine[start + length]
        ):
            length += 1
        return at, self.line, start, start + length

    def _places_of(self, key: bytes) -> list[int]:
        if self._places is None:
            self._places = {}
            for place, each in enumerate(self.keys):
                self._places.setdefault(each, []).append(place)
        return self._places[key]
