"""Pairs the elements of two sequences, in order on both sides and never at quadratic cost.

Each element has a key per level, from exact to loose. Elements that are equal at the first level are paired first;
the next level pairs what lies in the gaps between them. Within a gap: trim the common ends, drop elements that the
other side does not hold at all, then Myers' greedy search (An O(ND) Difference Algorithm, 1986) while the
differences are few, else split at elements that are unique on both sides (Bram Cohen's diff), else go window by
window. The units of two runs are aligned so, lane by lane.

Lanes are numbered in the order in which they first did something, which is chance: they are paired by what happened in
them. Lanes called ``thread-…`` are threads of an executor that carry no context: which thread takes which call is
chance as well, so where such lanes differ, only their units (a model's turn with its calls, or a single call) are
paired, whatever the lane and the order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from pytest_sparrow.exchange import LOOSE_LANES, TASK_LANES
from pytest_sparrow.matching.similarity import features, overlap

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sparrow.comparing.units import Group, GroupPair, Lane, Lanes

Pair: TypeAlias = tuple[int | None, int | None]
"""Index in the golden and in the new sequence; None where the other side has nothing."""

Keys: TypeAlias = Sequence[Hashable]
_Match: TypeAlias = tuple[int, int]
_Gap: TypeAlias = tuple[int, int, int, int]

_MOST_EDITS = 128
_STEPS_PER_ELEMENT = 64
_MOST_SPLITS = 12
_WINDOW = 64
_SURE = 48
_SMALL_GAP = 64


def align(
    levels: Sequence[tuple[Keys, Keys]], similarity: Callable[[int, int], float] | None = None
) -> list[Pair]:
    """Pair two sequences, in order on both sides.

    Args:
        levels: the keys of both sequences, the most exact level first; at least one.
        similarity: how similar (0 to 1) two elements are whose keys agree at the last level; decides within
            small gaps which of several candidates is paired.
    """
    golden_count, new_count = map(len, levels[0])
    effort = _Effort(_STEPS_PER_ELEMENT * (golden_count + new_count))
    gaps: list[_Gap] = [(0, golden_count, 0, new_count)]
    matched: list[_Match] = []
    for number, (golden, new) in enumerate(levels):
        last = number == len(levels) - 1
        left: list[_Gap] = []
        for gap in gaps:
            if last and similarity is not None and 1 < _size(gap) <= _SMALL_GAP:
                found = _most_similar(golden, new, gap, similarity)
            else:
                found = _common(golden, new, gap, effort)
            matched.extend(found)
            left.extend(_between(found, gap))
        gaps = left
    matched.sort()
    return _filled(matched, golden_count, new_count)


class _Effort:
    """How many steps Myers' search may still take, so that hostile input costs a constant an element at most."""

    def __init__(self, steps: int) -> None:
        self.steps = steps + 10_000


def _size(gap: _Gap) -> int:
    return (gap[1] - gap[0]) * (gap[3] - gap[2])


def _between(matches: list[_Match], gap: _Gap) -> Iterator[_Gap]:
    """The gaps between matches in which both sides have something."""
    i, i_end, j, j_end = gap
    for a, b in [*matches, (i_end, j_end)]:
        if a > i and b > j:
            yield i, a, j, b
        i, j = a + 1, b + 1


def _filled(matches: list[_Match], golden_count: int, new_count: int) -> list[Pair]:
    pairs: list[Pair] = []
    i = j = 0
    for a, b in [*matches, (golden_count, new_count)]:
        pairs.extend((k, None) for k in range(i, a))
        pairs.extend((None, k) for k in range(j, b))
        if a < golden_count:
            pairs.append((a, b))
        i, j = a + 1, b + 1
    return pairs


def _common(golden: Keys, new: Keys, gap: _Gap, effort: _Effort) -> list[_Match]:
    """A common subsequence of a gap, in order; the longest one where the search is cheap."""
    i, i_end, j, j_end = gap
    head: list[_Match] = []
    while i < i_end and j < j_end and golden[i] == new[j]:
        head.append((i, j))
        i, j = i + 1, j + 1
    tail: list[_Match] = []
    while i < i_end and j < j_end and golden[i_end - 1] == new[j_end - 1]:
        i_end, j_end = i_end - 1, j_end - 1
        tail.append((i_end, j_end))
    middle: list[_Match] = []
    if i < i_end and j < j_end:
        both = set(golden[i:i_end]).intersection(new[j:j_end])
        rows = [k for k in range(i, i_end) if golden[k] in both]
        columns = [k for k in range(j, j_end) if new[k] in both]
        middle = _search(golden, new, rows, columns, effort)
    return head + middle + tail[::-1]


def _search(golden: Keys, new: Keys, rows: list[int], columns: list[int], effort: _Effort) -> list[_Match]:
    """A common subsequence of the chosen rows and columns."""
    matches: list[_Match] = []
    waiting = [(rows, columns, 0)]
    while waiting:
        rows, columns, depth = waiting.pop()
        start = _equal_run(golden, new, rows, columns)
        end = _equal_run(golden, new, rows[start:][::-1], columns[start:][::-1])
        matches.extend(zip(rows[:start], columns[:start], strict=True))
        if end:
            matches.extend(zip(rows[-end:], columns[-end:], strict=True))
        rows, columns = rows[start : len(rows) - end], columns[start : len(columns) - end]
        if not rows or not columns:
            continue
        found = _myers([golden[k] for k in rows], [new[k] for k in columns], effort)
        if found is None:
            found = _anchors([golden[k] for k in rows], [new[k] for k in columns])
            if not found or depth == _MOST_SPLITS:
                found = _windowed([golden[k] for k in rows], [new[k] for k in columns], effort)
            else:
                # The anchors split it; what lies between them is searched in its turn.
                for i, i_end, j, j_end in _between(found, (0, len(rows), 0, len(columns))):
                    waiting.append((rows[i:i_end], columns[j:j_end], depth + 1))
        matches.extend((rows[i], columns[j]) for i, j in found)
    matches.sort()
    return matches


def _equal_run(golden: Keys, new: Keys, rows: list[int], columns: list[int]) -> int:
    run = 0
    for row, column in zip(rows, columns, strict=False):
        if golden[row] != new[column]:
            break
        run += 1
    return run


def _myers(golden: Keys, new: Keys, effort: _Effort) -> list[_Match] | None:
    """The longest common subsequence, or None where the search costs too many edits or too much effort."""
    n, m = len(golden), len(new)
    trace: list[dict[int, int]] = []
    for edits in range(min(n + m, _MOST_EDITS) + 1):
        reached: dict[int, int] = {}
        for k in range(-edits, edits + 1, 2):
            begin = _entered(trace[-1], k, n, m)[0] if trace else 0
            if begin < 0:
                continue
            x, y = begin, begin - k
            while x < n and y < m and golden[x] == new[y]:
                x, y = x + 1, y + 1
            effort.steps -= x - begin + 1
            reached[k] = x
            if x == n and y == m:
                return _walked_back([*trace, reached], n, m)
        if effort.steps < 0:
            return None
        trace.append(reached)
    return None


def _entered(before: dict[int, int], k: int, n: int, m: int) -> tuple[int, int]:
    """Where the next edit enters diagonal ``k`` (x - y), and from which diagonal; x is -1 for nowhere."""
    down = before.get(k + 1, -1)
    if down - k > m:
        down = -1
    right = before.get(k - 1, -2) + 1
    if right > n:
        right = -1
    return (down, k + 1) if down >= right else (right, k - 1)


def _walked_back(trace: list[dict[int, int]], n: int, m: int) -> list[_Match]:
    matches: list[_Match] = []
    x, k = n, n - m
    for before in trace[-2::-1]:
        begin, came_from = _entered(before, k, n, m)
        matches.extend((i, i - k) for i in range(x - 1, begin - 1, -1))
        x, k = before[came_from], came_from
    matches.extend((i, i) for i in range(x - 1, -1, -1))
    return matches[::-1]


def _anchors(golden: Keys, new: Keys) -> list[_Match]:
    """Elements that are unique on both sides, and of those the longest chain in order."""
    counted, other = Counter(golden), Counter(new)
    place = {key: j for j, key in enumerate(new) if other[key] == 1}
    candidates = [(i, place[key]) for i, key in enumerate(golden) if counted[key] == 1 and key in place]
    # Longest increasing run of the second number: piles, and for each candidate the top of the pile before.
    tops: list[int] = []
    holders: list[int] = []
    below: list[int] = []
    for number, (_, j) in enumerate(candidates):
        pile = bisect_left(tops, j)
        below.append(holders[pile - 1] if pile else -1)
        tops[pile : pile + 1] = [j]
        holders[pile : pile + 1] = [number]
    chain: list[_Match] = []
    number = holders[-1] if holders else -1
    while number >= 0:
        chain.append(candidates[number])
        number = below[number]
    return chain[::-1]


def _windowed(golden: Keys, new: Keys, effort: _Effort) -> list[_Match]:
    """A common subsequence of repetitive sequences that changed much: the longest of one window after the other."""
    matches: list[_Match] = []
    i = j = 0
    while i < len(golden) and j < len(new):
        found = _myers(golden[i : i + _WINDOW], new[j : j + _WINDOW], effort)
        if found is None:
            return matches + [(i + a, j + b) for a, b in _greedy(golden[i:], new[j:])]
        whole = i + _WINDOW >= len(golden) and j + _WINDOW >= len(new)
        # What lies near a window's far edge may have a better partner beyond it.
        sure = found if whole else [(a, b) for a, b in found if a < _SURE and b < _SURE]
        matches.extend((i + a, j + b) for a, b in sure)
        if whole:
            break
        a, b = sure[-1] if sure else (_SURE, _SURE)
        i, j = i + a + 1, j + b + 1
    return matches


def _greedy(golden: Keys, new: Keys) -> list[_Match]:
    """A common subsequence that pairs each element with the next equal one near by: cheap, not the longest."""
    places: dict[Hashable, list[int]] = defaultdict(list)
    for j, key in enumerate(new):
        places[key].append(j)
    matches: list[_Match] = []
    free = 0
    for i, key in enumerate(golden):
        found = places.get(key, [])
        at = bisect_left(found, free)
        if at < len(found) and found[at] - free <= _WINDOW:
            matches.append((i, found[at]))
            free = found[at] + 1
    return matches


def _most_similar(
    golden: Keys, new: Keys, gap: _Gap, similarity: Callable[[int, int], float]
) -> list[_Match]:
    """The pairing of a small gap, in order, with the greatest sum of similarities; only equal keys pair."""
    i0, i1, j0, j1 = gap
    best = [[0.0] * (j1 - j0 + 1) for _ in range(i1 - i0 + 1)]
    score: dict[_Match, float] = {}
    for i in range(i1 - 1, i0 - 1, -1):
        row, under = best[i - i0], best[i - i0 + 1]
        for j in range(j1 - 1, j0 - 1, -1):
            value = max(row[j - j0 + 1], under[j - j0])
            if golden[i] == new[j]:
                # A pair that shares nothing but its key is still better than none.
                score[i, j] = 0.1 + similarity(i, j)
                value = max(value, under[j - j0 + 1] + score[i, j])
            row[j - j0] = value
    matches: list[_Match] = []
    i, j = i0, j0
    while i < i1 and j < j1:
        here = best[i - i0][j - j0]
        if (i, j) in score and here == best[i - i0 + 1][j - j0 + 1] + score[i, j]:
            matches.append((i, j))
            i, j = i + 1, j + 1
        elif here == best[i - i0 + 1][j - j0]:
            i += 1
        else:
            j += 1
    return matches


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
    """A lane cut into turns; a unit outside of turns (a call that no model proposed) stands alone.

    So does an error, which may be all that another answer holds.
    """
    unit: Lane = []
    for group in lane:
        last = unit[-1].head if unit else group.head
        apart = group.head.at.turn != last.at.turn or "Error" in (group.head.type, last.type)
        if unit and (apart or group.head.at.turn == 0):
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
