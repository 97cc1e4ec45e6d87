"""Pairs the events of two runs one by one, lane by lane: what a golden that is written anew may keep."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.comparing.align import align
from pytest_sparrow.comparing.identity import Ids
from pytest_sparrow.comparing.pipeline import as_counted
from pytest_sparrow.comparing.rules import Canonical
from pytest_sparrow.comparing.typed import with_orders
from pytest_sparrow.comparing.units import Fingerprinter, entries, ids_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.comparing.rules import Rules
    from pytest_sparrow.comparing.units import Fingerprint, NumberedEvent
    from pytest_sparrow.events import Event


@dataclass(frozen=True, slots=True)
class EventPair:
    """An event of the golden and its partner in the new run, by their indices.

    Attributes:
        golden: the event of the golden.
        new: its partner.
        equal: whether they are equal but for ids.
        ids: the ids of both, the event's own first, in the same order; empty where their number differs.
    """

    golden: int
    new: int
    equal: bool
    ids: tuple[tuple[str, str], ...]


def paired_events(
    golden: Sequence[Event], new: Sequence[Event], rules: Rules, *, typed: bool
) -> Iterator[EventPair]:
    """Pair the events of two runs; lanes are paired by their labels, and events without a partner are left out.

    Args:
        golden: the golden's events.
        new: those of the new run.
        rules: what does not count.
        typed: whether both know the types of arguments and what a tool is called on.
    """
    sides = [list(with_orders(entries(enumerate(side)), known=typed)) for side in (golden, new)]
    ids = Ids(ids_of(entry for side in sides for entry in side))
    canonical = Canonical(rules, ids.mask)
    fingerprinter = Fingerprinter(ids, rules.digits, ignore_case=rules.ignore_string_case)
    ours, theirs = (
        _by_lane([(entry, fingerprinter.entry(entry)) for entry in as_counted(side, canonical, rules)])
        for side in sides
    )
    for label, here in ours.items():
        there = theirs.get(label, [])
        exact = [each.exact for _, each in here], [each.exact for _, each in there]
        kind = [each.kind for _, each in here], [each.kind for _, each in there]
        for i, j in align([exact, kind]):
            if i is not None and j is not None:
                yield _pair(here[i], there[j])


def _by_lane(
    found: list[tuple[NumberedEvent, Fingerprint]],
) -> dict[str, list[tuple[NumberedEvent, Fingerprint]]]:
    lanes: dict[str, list[tuple[NumberedEvent, Fingerprint]]] = defaultdict(list)
    for each in found:
        lanes[each[0].lane].append(each)
    return lanes


def _pair(golden: tuple[NumberedEvent, Fingerprint], new: tuple[NumberedEvent, Fingerprint]) -> EventPair:
    (one, ours), (other, theirs) = golden, new
    ids: list[tuple[str, str]] = []
    if one.id is not None and other.id is not None:
        ids.append((one.id, other.id))
    if len(ours.ids) == len(theirs.ids):
        ids += zip(ours.ids, theirs.ids, strict=True)
    return EventPair(one.at.event, other.at.event, ours.exact == theirs.exact, tuple(ids))
