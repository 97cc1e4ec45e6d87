"""Pairs the lanes of two runs, then the units within them, and puts the pairs in the order of the run.

Lanes are numbered in the order in which they first did something, which is chance: they are paired by what
happened in them. Lanes called ``thread-…`` are threads of an executor that carry no context: which thread
takes which call is chance as well, so where such lanes differ, only their units (a model's turn with its
calls, or a single call) are paired, whatever the lane and the order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from pytest_sparrow.comparing.align import Keys, align
from pytest_sparrow.comparing.units import Group
from pytest_sparrow.exchange import LOOSE_LANES, TASK_LANES
from pytest_sparrow.matching.similarity import features, overlap

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

__all__ = ["AlignedGroups", "GroupPair", "Lanes", "in_run_order", "pair_lanes", "with_moves"]

Lane: TypeAlias = list[Group]
Lanes: TypeAlias = dict[str, Lane]
GroupPair: TypeAlias = tuple[Group | None, Group | None]
AlignedGroups: TypeAlias = tuple[Group | None, Group | None, bool]
"""A unit of the golden, its partner in the new run, and whether the unit has moved."""

_MAIN = ""


def pair_lanes(golden: Lanes, new: Lanes) -> list[list[GroupPair]]:
    """Pairs of units, a list for each pair of lanes (or of loose units), each in order."""
    golden_threads, golden_routes = _threads(golden)
    new_threads, new_routes = _threads(new)
    lane_pairs: list[tuple[Lane | None, Lane | None]]
    lane_pairs = [(golden.get(_MAIN, []), new.get(_MAIN, []))]
    lane_pairs += _paired(
        _named(golden), _named(new), [_lane_exact, _lane_heads, _lane_name, _lane_kinds, _anything]
    )
    loose_golden: list[Lane] = []
    loose_new: list[Lane] = []
    for one, other in _paired(golden_threads, new_threads, [_lane_exact]):
        if one is not None and other is not None:
            lane_pairs.append((one, other))
            continue
        loose_golden += _units(one or [])
        loose_new += _units(other or [])
    lane_pairs += _paired(loose_golden, loose_new, [_lane_exact, _lane_heads, _lane_kinds])
    lane_pairs += _paired(golden_routes, new_routes, [_lane_exact])
    return [align_groups(one or [], other or []) for one, other in lane_pairs]


def _named(lanes: Lanes) -> list[Lane]:
    return [groups for label, groups in lanes.items() if label != _MAIN and not label.startswith(LOOSE_LANES)]


def _threads(lanes: Lanes) -> tuple[list[Lane], list[Lane]]:
    """The thread lanes without their routes, and each distinct route once.

    A thread's first request emits its route, so the number of routes depends on the number of threads used.
    """
    threads = []
    routes: dict[int, Lane] = {}
    for label, groups in lanes.items():
        if not label.startswith(LOOSE_LANES):
            continue
        threads.append([group for group in groups if group.head.type != "RouteSelected"])
        for group in groups:
            if group.head.type == "RouteSelected":
                routes.setdefault(group.exact, [group])
    return threads, list(routes.values())


def _units(lane: Lane) -> Iterator[Lane]:
    """A lane cut into turns; a unit outside of turns (a call that no model proposed) stands alone."""
    unit: Lane = []
    for group in lane:
        if unit and (group.head.at.turn != unit[-1].head.at.turn or group.head.at.turn == 0):
            yield unit
            unit = []
        unit.append(group)
    if unit:
        yield unit


def _lane_exact(lane: Lane) -> Hashable:
    return tuple([group.exact for group in lane])


def _lane_heads(lane: Lane) -> Hashable:
    return tuple([group.fingerprints[0].exact for group in lane])


def _lane_kinds(lane: Lane) -> Hashable:
    return tuple([group.fingerprints[0].kind for group in lane])


def _lane_name(lane: Lane) -> Hashable:
    label = lane[0].head.lane  # a lane that has a name has done something
    # A task's number is chance; a name that someone gave is not.
    return None if label.startswith(TASK_LANES) else label


def _anything(_lane: Lane) -> Hashable:
    return True


def _paired(
    golden: Iterable[Lane], new: Iterable[Lane], keys: Sequence[Callable[[Lane], Hashable]]
) -> list[tuple[Lane | None, Lane | None]]:
    """Pair two collections by key after key, first come first served; the rest stays alone. Linear.

    A key of None pairs with nothing.
    """
    left, right = list(golden), list(new)
    pairs: list[tuple[Lane | None, Lane | None]] = []
    for key in keys:
        waiting: dict[Hashable, deque[int]] = defaultdict(deque)
        for place, lane in enumerate(right):
            waiting[key(lane)].append(place)
        waiting.pop(None, None)
        taken: set[int] = set()
        rest = []
        for lane in left:
            partners = waiting.get(key(lane))
            if partners:
                taken.add(partners[0])
                pairs.append((lane, right[partners.popleft()]))
            else:
                rest.append(lane)
        left, right = rest, [lane for place, lane in enumerate(right) if place not in taken]
    return [*pairs, *((lane, None) for lane in left), *((None, lane) for lane in right)]


def align_groups(golden: Sequence[Group], new: Sequence[Group]) -> list[GroupPair]:
    """Pair the units of two lanes: as wholes, then by their first event, then by kind and similarity."""
    levels: list[tuple[Keys, Keys]] = [
        ([group.exact for group in golden], [group.exact for group in new]),
        ([group.fingerprints[0].exact for group in golden], [group.fingerprints[0].exact for group in new]),
        ([group.fingerprints[0].kind for group in golden], [group.fingerprints[0].kind for group in new]),
    ]
    pairs = align(levels, lambda i, j: _similarity(golden[i], new[j]))
    return [(None if i is None else golden[i], None if j is None else new[j]) for i, j in pairs]


def _similarity(golden: Group, new: Group) -> float:
    """How much two units of one kind share: their further events, their fields, the words of their texts."""
    one = golden.features = golden.features or _features(golden)
    other = new.features = new.features or _features(new)
    return overlap(one, other)


def _features(group: Group) -> frozenset[Hashable]:
    return frozenset([*(each.exact for each in group.fingerprints[1:]), *features(group.head.body)])


def in_run_order(lanes: Iterable[list[GroupPair]]) -> list[GroupPair]:
    """All pairs in the golden's order; a unit that only the new run has stands behind its predecessor.

    The predecessor is the unit before it in its lane, or in the run where a lane begins with it: something began
    the new lane.
    """
    lanes = list(lanes)
    # Where the units of both stand: in the new run, then in the golden.
    both = sorted(
        (new.head.at.event, golden.head.at.event) for golden, new in chain(*lanes) if golden and new
    )
    placed: list[tuple[int, int, GroupPair]] = []
    for pairs in lanes:
        after = 0
        for golden, new in pairs:
            if golden is not None:
                after = golden.head.at.event
                placed.append((after, 0, (golden, new)))
            elif new is not None:
                at = new.head.at.event
                before = bisect_left(both, (at,))
                placed.append((after or (both[before - 1][1] if before else 0), at, (golden, new)))
    placed.sort(key=lambda each: each[:2])
    return [pair for _, _, pair in placed]


def with_moves(pairs: list[GroupPair]) -> Iterator[AlignedGroups]:
    """Pairs as (golden, new, moved): a unit missing in one place and found whole in another has moved."""
    lost: dict[int, list[Group]] = {}
    for golden, new in reversed(pairs):
        if golden is not None and new is None:
            lost.setdefault(golden.exact, []).append(golden)
    moved_to: dict[int, Group] = {}
    arrived: set[int] = set()
    for golden, new in pairs:
        if new is not None and golden is None and lost.get(new.exact):
            moved_to[id(lost[new.exact].pop())] = new
            arrived.add(id(new))
    for golden, new in pairs:
        if golden is not None and id(golden) in moved_to:
            yield golden, moved_to[id(golden)], True
        elif id(new) not in arrived:
            yield golden, new, False
