"""Places the exchanges of a run in its golden's lanes and moments, so that those that stay keep theirs."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from pytest_sparrow.matching.order import precedes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.exchange import Exchange

_MICROSECOND = 1e-6


@dataclass(frozen=True, slots=True)
class Standing:
    """An exchange of a new run, and the golden's that it stands for.

    Attributes:
        exchange: the exchange, redacted.
        golden: the golden's; None where the golden has none.
    """

    exchange: Exchange
    golden: Exchange | None


def lanes_in_golden(standing: Sequence[Standing]) -> dict[str, str] | None:
    """The golden's label of each lane of the new run; None where the strands are others.

    Lanes that the golden lacks keep their labels, behind that of the lane that made them.
    """
    found: dict[str, str] = {"": ""}
    for each in standing:
        if (
            each.golden is not None
            and found.setdefault(each.exchange.lane, each.golden.lane) != each.golden.lane
        ):
            return None
    for label in {each.exchange.lane for each in standing} - found.keys():
        parent = label
        while parent and parent not in found:
            parent = parent.rpartition(".")[0]
        found[label] = found[parent] + label[len(parent) :] if parent else label
    return found if len(set(found.values())) == len(found) else None


def placed(standing: Sequence[Standing], *, live: bool = False) -> list[Exchange] | None:
    """The exchanges with the golden's moments, in their order; None where the golden's order does not hold.

    What the golden lacks lies between the same neighbours as in the new run; what follows the golden's last moment
    keeps its distances.

    Args:
        standing: the exchanges in the order in which they began in the new run.
        live: whether the world answered: what ran side by side must then have come and ended in the golden's order, on
            which the agent may have acted. A replay follows that order by itself, but for strands that ask when they
            like: the golden's order holds as long as the new run has no other for certain.
    """
    paired = [(each.exchange, each.golden) for each in standing if each.golden is not None]
    if any(
        _turned(one, other) and (live or _asks_before(one[0], other[0]))
        for one, other in (pairwise(paired) if live else _inverted(paired))
    ):
        return None
    scale = _Scale(paired)
    if live and not scale.is_whole:
        return None
    used = {golden.began for _, golden in paired}
    found: list[Exchange] = []
    for each in standing:
        new, golden = each.exchange, each.golden
        if golden is not None:
            made, took = golden.lane_began, golden.took
            found.append(replace(new, began=golden.began, ended=golden.ended, lane_began=made, took=took))
            continue
        began = scale.moment(new.began)
        while began in used:
            began = round(began + _MICROSECOND, 6)
        used.add(began)
        ended = None if new.ended is None else max(scale.moment(new.ended), began)
        made = [scale.moment(moment) for moment in new.lane_began]
        took = [min(scale.moment(moment), began) for moment in new.took]
        found.append(replace(new, began=began, ended=ended, lane_began=made, took=took))
    return found if _same_order(standing, found) else None


def in_slots(standing: Sequence[Standing]) -> list[Exchange] | None:
    """The exchanges of one strand in another order than the golden's: each gets the moments that stand in its place.

    None where there is more than one strand, or the golden lacks one.
    """
    golden = [each.golden for each in standing if each.golden is not None]
    if len(golden) < len(standing) or any(
        each.exchange.lane or each.golden.lane for each in standing if each.golden
    ):
        return None
    slots = sorted(golden, key=lambda each: each.began)
    return [
        replace(each.exchange, began=slot.began, ended=slot.ended)
        for each, slot in zip(standing, slots, strict=True)
    ]


class _Scale:
    """Maps moments of the new run to those of the golden: a line between two moments that both have.

    Attributes:
        is_whole: whether all that began and ended did so in one order.
    """

    def __init__(self, paired: Sequence[tuple[Exchange, Exchange]]) -> None:
        points = [(new.began, golden.began) for new, golden in paired]
        points += [
            (new.ended, golden.ended)
            for new, golden in paired
            if new.ended is not None and golden.ended is not None
        ]
        self.is_whole = True
        self._new: list[float] = [0.0]
        self._golden: list[float] = [0.0]
        for new_moment, golden_moment in sorted(points):
            # What overlapped may have ended in another order.
            if new_moment > self._new[-1] and golden_moment > self._golden[-1]:
                self._new.append(new_moment)
                self._golden.append(golden_moment)
            else:
                self.is_whole = False

    def moment(self, new: float) -> float:
        """The golden's moment, to the microsecond."""
        at = bisect_right(self._new, new) - 1
        beyond = new - self._new[max(at, 0)]
        if at + 1 < len(self._new):
            room = self._new[at + 1] - self._new[at]
            beyond *= (self._golden[at + 1] - self._golden[at]) / room
        return round(self._golden[max(at, 0)] + beyond, 6)


_Pair: TypeAlias = "tuple[Exchange, Exchange]"
"""An exchange of the new run, and the golden's."""


def _inverted(paired: Sequence[_Pair]) -> Iterator[tuple[_Pair, _Pair]]:
    """Each two that began in one order, and in the golden in the other one. Strands side by side have few of them."""
    before: list[tuple[float, int]] = []
    for at, pair in enumerate(paired):
        began = pair[1].began, at
        place = bisect_right(before, began)
        yield from ((paired[other], pair) for _, other in reversed(before[place:]))
        before.insert(place, began)


def _turned(first: _Pair, second: _Pair) -> bool:
    """Whether of two exchanges, each with the golden's, the golden has the second one before the first for certain."""
    one, other = first[1], second[1]
    return other.began < one.began and precedes(other, one)


def _asks_before(one: Exchange, other: Exchange) -> bool:
    """Whether one strand decided that this exchange, which began first, did so: by asking, or by making strands."""
    return precedes(replace(one, ended=one.began), other)


def _same_order(before: Sequence[Standing], after: Sequence[Exchange]) -> bool:
    """Whether what followed on one another in each lane still does, where the golden lacks one of the two."""
    last: dict[str, int] = {}
    for number, each in enumerate(before):
        at = last.get(each.exchange.lane)
        last[each.exchange.lane] = number
        if at is None or (each.golden is not None and before[at].golden is not None):
            continue
        was, one, other = before[at].exchange, after[at], after[number]
        followed = was.ended is not None and was.ended <= each.exchange.began
        if one.began >= other.began or (followed and one.ended is not None and one.ended > other.began):
            return False
    return True
