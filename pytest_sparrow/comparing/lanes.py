"""Which lane of the golden answers to which of the new run, and then unit to unit.

Lanes are numbered in the order in which they first did something, which is chance: they are paired by what
happened in them. Lanes called ``thread-…`` are threads of an executor that carry no context: which thread
takes which call is chance as well, so where such lanes differ, only their units (a model's turn with its
calls, or a single call) are paired, whatever the lane and the order.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, TypeAlias

from pytest_sparrow.comparing.align import Keys, align
from pytest_sparrow.comparing.units import Group
from pytest_sparrow.exchange import LOOSE_LANES, TASK_LANES

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

__all__ = ["GroupPair", "Lanes", "pair_lanes"]

Lane: TypeAlias = list[Group]
Lanes: TypeAlias = dict[str, Lane]
GroupPair: TypeAlias = tuple[Group | None, Group | None]

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

    A thread tells its route with its first request, so that how many tell it hangs on how many were used.
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
    """A lane cut into turns; what stands outside a turn (a call that no model proposed) is alone."""
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
    return tuple([group.prints[0].exact for group in lane])


def _lane_kinds(lane: Lane) -> Hashable:
    return tuple([group.prints[0].kind for group in lane])


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
    """Pair the units of two lanes: as wholes, then by their first event, then by kind and likeness."""
    levels: list[tuple[Keys, Keys]] = [
        ([group.exact for group in golden], [group.exact for group in new]),
        ([group.prints[0].exact for group in golden], [group.prints[0].exact for group in new]),
        ([group.prints[0].kind for group in golden], [group.prints[0].kind for group in new]),
    ]
    pairs = align(levels, lambda i, j: _similarity(golden[i], new[j]))
    return [(None if i is None else golden[i], None if j is None else new[j]) for i, j in pairs]


def _similarity(golden: Group, new: Group) -> float:
    """How much two units of one kind share: their further events, their fields, the words of their texts."""
    one = golden.features = golden.features or _features(golden)
    other = new.features = new.features or _features(new)
    return len(one & other) / max(len(one | other), 1)


_MOST_FEATURES = 200


def _features(group: Group) -> frozenset[Hashable]:
    found: list[Hashable] = [each.exact for each in group.prints[1:]]
    waiting: list[object] = [group.head.body]
    while waiting and len(found) < _MOST_FEATURES:
        value = waiting.pop()
        if isinstance(value, dict):
            for key, item in value.items():
                if isinstance(item, dict | list | str):
                    waiting.append(item)
                else:
                    found.append((key, repr(item)))
        elif isinstance(value, list):
            waiting.extend(value[:_MOST_FEATURES])
        elif isinstance(value, str):
            found.extend(value[:2000].split()[:_MOST_FEATURES])
        else:
            found.append(repr(value))
    return frozenset(found)
