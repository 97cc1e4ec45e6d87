"""Compares what differs between two runs on disk, and counts the rest without parsing it.

Around lines that differ stands a region: all lines of the calls that they belong to, and on either side a unit that
both runs hold. Only regions are parsed, and compared as whole runs are. The outcome is that of whole runs, because what
it hangs on is made sure of: no id of a region is met outside, no strand but the main one is there, and no unit that
only one side has stands in what is common, where it could be paired as well. Else `Unclear` is raised.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from pytest_sparrow.comparing.identity import is_distinctive, words_of
from pytest_sparrow.comparing.lines import Hunk, Unclear, line_head
from pytest_sparrow.comparing.pipeline import compare_entries
from pytest_sparrow.comparing.typed import with_orders
from pytest_sparrow.comparing.units import CALL_TYPES, TurnCount, entries
from pytest_sparrow.events import parse_event
from pytest_sparrow.events.jsontext import BrokenJson, spell
from pytest_sparrow.store.stored import BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_sparrow.comparing.lines import LineDiff
    from pytest_sparrow.comparing.result import Comparison
    from pytest_sparrow.comparing.units import Group, Lanes, NumberedEvent
    from pytest_sparrow.events import Event
    from pytest_sparrow.store.stored import StoredRun

_CONTEXT = (16, 64, 256)
"""Lines (of the golden's mean length) on either side of a difference in which its region's ends are looked for."""

_FEW = 12
"""So many ids are looked for one by one; more are looked up among all that are met."""

_TAIL = 40
"""Bytes at the end of a line by which an equal one is found elsewhere."""

_END = itemgetter(slice(-_TAIL, None))

_LETTERS = {
    b"ThinkingDelta": b"d",
    b"ReasoningDelta": b"d",
    b"ToolUseProposed": b"p",
    b"ToolUseStarted": b"c",
    b"ToolOutput": b"c",
    b"ApprovalRequested": b"a",
    b"ApprovalResolved": b"a",
    b"CheckpointCreated": b"k",
    b"Message": b"m",
    b"TokenUsage": b"e",
    b"Error": b"e",
}
"""A letter for each type that means something to turns or to units; "o" for the others."""

_HEADS = {(kind + b'","run":"')[:15]: letter for kind, letter in _LETTERS.items() if kind != b"Error"}
_HEAD = itemgetter(slice(9, 24))
"""Of a line its key in `_HEADS`."""

_BEGINS = bytes.maketrans(b"epc", b"xdx")
"""To "d" whoever speaks, to "x" what ends a turn; "m" does both."""

_MERGED_DELTAS = re.compile(rb"d[ca]*d")
_CALLS = frozenset(kind.encode() for kind in CALL_TYPES)
_DELTAS = frozenset({b"ThinkingDelta", b"ReasoningDelta"})

_Both: TypeAlias = tuple[int, int]
"""A number of the golden, and one of the new run."""


@dataclass(frozen=True, slots=True)
class _Region:
    """Lines that are parsed.

    Attributes:
        begin: where it begins in both files.
        end: where it ends.
        lines: the lines of both sides.
        around: how many lines before the first hunk, and behind the last one, both sides share.
    """

    begin: _Both
    end: _Both
    lines: tuple[list[bytes], list[bytes]]
    around: _Both


def compare_regions(golden: StoredRun, new: StoredRun, found: LineDiff) -> Comparison:
    """Compare two runs whose common lines are known.

    Raises:
        Unclear: the runs must be compared whole.
    """
    with golden.events() as one, new.events() as other:
        regions = _regions(one, other, found, (golden.size, new.size))
        events = [_events(region) for region in regions]
        outside = _Outside(regions, events, found)
        sides: tuple[list[NumberedEvent], list[NumberedEvent]] = [], []
        at = 0
        for region, parsed in zip(regions, events, strict=True):
            outside.read(_blocks(one, at, region.begin[0]))
            for side, its_events, turns, number in zip(
                sides, parsed, outside.turns, outside.numbers, strict=True
            ):
                found_entries = entries(enumerate(its_events, number + 1), turns.here())
                side.extend(with_orders(found_entries, known=golden.header.notes_types))
            outside.enter(region)
            at = region.end[0]
        outside.read(_blocks(one, at, golden.size))
    return compare_entries(
        sides,
        counts=(found.golden_count, found.new_count),
        turns=(outside.turns[0].count, outside.turns[1].count),
        settled=outside.check,
    )


def _events(region: _Region) -> list[list[Event]]:
    """The events of both sides; what is equal to the byte is parsed once."""
    golden, new = region.lines
    ours = [_parsed(line) for line in golden]
    before, after = region.around
    theirs = [ours[at] if new[at] == golden[at] else _parsed(new[at]) for at in range(before)]
    theirs += [_parsed(line) for line in new[before : len(new) - after]]
    for at in range(-after, 0):
        theirs.append(ours[at] if new[at] == golden[at] else _parsed(new[at]))
    return [ours, theirs]


def _parsed(line: bytes) -> Event:
    try:
        return parse_event(line)
    except BrokenJson:
        raise Unclear from None


def _blocks(file: BinaryIO, begin: int, end: int) -> Iterator[bytes]:
    """Whole lines of a part of a file, some at a time."""
    file.seek(begin)
    rest = b""
    while begin < end:
        block = file.read(min(BLOCK, end - begin))
        begin += len(block)
        block = rest + block
        cut = block.rfind(b"\n") + 1
        rest = block[cut:]
        if cut:
            yield block[:cut]


# What is common: counted, and searched for what belongs to a region.


class _TurnsByLetters:
    """Counts turns by letters, as `comparing.units` does by events."""

    def __init__(self) -> None:
        self.count = 0
        self.speaking = False

    def go_on(self, letters: bytes) -> None:
        text = (b"d" if self.speaking else b"x") + letters.translate(_BEGINS, b"oak")
        # A turn begins where somebody begins to speak, and with a message that nobody was speaking.
        self.count += text.count(b"xd") + text.count(b"md") + text.count(b"m") - text.count(b"dm")
        self.speaking = text.endswith(b"d")

    def here(self) -> TurnCount:
        return TurnCount(self.count, speaking=self.speaking)


def _letters(lines: Sequence[bytes]) -> bytes:
    try:
        return b"".join(map(_HEADS.__getitem__, map(_HEAD, lines)))
    except KeyError:
        return b"".join([_HEADS.get(_HEAD(line)) or _letter(line) for line in lines])


def _letter(line: bytes) -> bytes:
    kind, _ = line_head(line)
    if not kind:
        raise Unclear
    return _LETTERS.get(kind, b"o")


class _Outside:
    """Reads the golden's common lines outside of regions; they are the new run's, too."""

    def __init__(self, regions: list[_Region], events: list[list[list[Event]]], found: LineDiff) -> None:
        self.turns = _TurnsByLetters(), _TurnsByLetters()
        self.numbers: _Both = 0, 0
        self._new_of = found.new_of
        self._renamed = found.renamed
        self._before_id = b'","run":"' + found.golden_run + b'","id":'
        self._own_id = re.compile(re.escape(self._before_id) + rb'("[^"\\\n]*")')
        self._ids: set[bytes] = set()
        self._tails: tuple[dict[int, bytes], dict[int, bytes]] = {}, {}
        self._starts: list[_Both] = []
        one_sided = len(regions) == 1 and any(
            len(side) == sum(regions[0].around) for side in regions[0].lines
        )
        self._wanted: set[bytes] = set()
        self._met: set[bytes] = set()
        self._merges_deltas = False
        runs = found.golden_run, found.new_run
        for region, parsed in zip(regions, events, strict=True):
            for side, (lines, its_events) in enumerate(zip(region.lines, parsed, strict=True)):
                self._ids.update(
                    b'"%b"' % own_id for _, own_id in map(line_head, lines) if own_id is not None
                )
                core = slice(region.around[0], len(lines) - region.around[1])
                for event in its_events[core]:
                    self._ids.update(
                        b'"%b"' % word.encode() for word in words_of(event.to_json()) if is_distinctive(word)
                    )
                if not one_sided:
                    self._wanted.update(_tail(line, runs[side], runs[0]) for line in lines[core])
        self._few_ids = [b'"id":' + own_id for own_id in self._ids] if len(self._ids) <= _FEW else []
        self._runs = runs
        self._is_one_sided = one_sided

    def read(self, blocks: Iterator[bytes]) -> None:
        """Read the lines up to the next region."""
        for block in blocks:
            lines = block.split(b"\n")
            lines.pop()
            letters = _letters(lines)
            if b'"lane":"' in block or self._ids_met(block) != sum(
                map(letters.count, (b"p", b"c", b"a", b"k"))
            ):
                raise Unclear
            if self._wanted:
                self._met |= self._wanted.intersection(map(_END, lines))
                self._merges_deltas = self._merges_deltas or bool(_MERGED_DELTAS.search(letters))
            golden, new = self.turns
            if (golden.speaking, golden.count) == (new.speaking, new.count):
                golden.go_on(letters)
                new.speaking, new.count = golden.speaking, golden.count
            else:
                golden.go_on(letters)
                new.go_on(letters)
            self.numbers = self.numbers[0] + len(lines), self.numbers[1] + len(lines)

    def _ids_met(self, block: bytes) -> int:
        """How many lines have an id; none of them may be a region's."""
        rare = (b"\\", *self._few_ids) if self._few_ids and not self._renamed else (b"",)
        if not any(each in block for each in rare):
            return block.count(self._before_id + b'"')
        ids = self._own_id.findall(block)
        if not self._ids.isdisjoint(ids):
            raise Unclear
        if not self._ids.isdisjoint(map(self._new_of.get, ids)):
            raise Unclear
        return len(ids)

    def enter(self, region: _Region) -> None:
        """Count a region's own lines, and note which of them may be met outside."""
        self._starts.append(self.numbers)
        for side, lines in enumerate(region.lines):
            self.turns[side].go_on(_letters(lines))
            first = self.numbers[side] + 1
            for number in range(region.around[0], len(lines) - region.around[1]):
                self._tails[side][first + number] = _tail(lines[number], self._runs[side], self._runs[0])
        self.numbers = self.numbers[0] + len(region.lines[0]), self.numbers[1] + len(region.lines[1])

    def check(self, lanes: Sequence[Lanes]) -> None:
        """Make sure that whole runs would be aligned as the regions are."""
        sides = [each.get("", []) for each in lanes]
        if any(each.keys() - {""} for each in lanes):
            raise Unclear
        keys = [{group.exact for group in side} for side in sides]
        common = keys[0] & keys[1]
        rows = [
            [(self._region_of(side, group), group.exact) for group in groups if group.exact in common]
            for side, groups in enumerate(sides)
        ]
        if rows[0] != rows[1]:
            raise Unclear
        alone = [[group for group in groups if group.exact not in common] for groups in sides]
        if self._is_one_sided and not all(alone):
            return
        for side, groups in enumerate(alone):
            if not all(self._is_only_here(side, group) for group in groups):
                raise Unclear

    def _region_of(self, side: int, group: Group) -> int:
        at = group.head.at.event
        return bisect_left(self._starts, at, key=lambda start: start[side])

    def _is_only_here(self, side: int, group: Group) -> bool:
        """Whether a unit surely has no equal one outside of the regions."""
        tails = [self._tails[side].get(entry.at.event, b"") for entry in group.entries]
        if group.head.type.encode() in _DELTAS and "text" in group.head.body:
            # Several that were merged end otherwise than the first one's line.
            end = spell(group.head.body["text"]) + b"}"
            if self._merges_deltas or tails[0][-len(end) :] != end[-len(tails[0]) :]:
                return False
        return any(tail and tail not in self._met for tail in tails)


def _tail(line: bytes, run: bytes, golden_run: bytes) -> bytes:
    """A line's end, as it would be in the golden; empty where that does not say what it is but for its id."""
    _, own_id = line_head(line)
    if own_id is not None:
        begin = line.index(b'"' + own_id + b'"') + len(own_id) + 2
        return line[-_TAIL:] if len(line) - begin >= _TAIL else b""
    return line.replace(b'","run":"' + run + b'"', b'","run":"' + golden_run + b'"', 1)[-_TAIL:]


# Regions.


def _regions(golden: BinaryIO, new: BinaryIO, found: LineDiff, sizes: _Both) -> list[_Region]:
    line = max(1, sizes[0] // max(found.golden_count, 1))
    clusters: list[list[Hunk]] = []
    for hunk in found.hunks:
        if clusters and hunk.golden - clusters[-1][-1].golden_end < 2 * _CONTEXT[0] * line:
            clusters[-1].append(hunk)
        else:
            clusters.append([hunk])
    regions: list[_Region] = []
    for number, cluster in enumerate(clusters):
        limits = regions[-1].end if regions else (0, 0), sizes
        if number + 1 < len(clusters):
            following = clusters[number + 1][0]
            limits = limits[0], (following.golden, following.new)
        region = None
        for lines in _CONTEXT:
            region = region or _region((golden, new), found, cluster, limits, sizes, lines * line)
        if region is None:
            raise Unclear
        regions.append(region)
    return regions


def _region(
    files: tuple[BinaryIO, BinaryIO],
    found: LineDiff,
    hunks: list[Hunk],
    limits: tuple[_Both, _Both],
    sizes: _Both,
    size: int,
) -> _Region | None:
    """The region around hunks within so many bytes on either side; None where that holds no end for it."""
    first, last = hunks[0], hunks[-1]
    lefts = _lines(files[0], max(limits[0][0], first.golden - size), first.golden, limits[0][0])
    rights = _lines(files[0], last.golden_end, min(limits[1][0], last.golden_end + size))
    other_lefts, other_rights = lefts, rights
    if found.renamed:
        other_lefts = _lines(files[1], max(limits[0][1], first.new - 2 * size), first.new, limits[0][1])
        other_rights = _lines(files[1], last.new_end, min(limits[1][1], last.new_end + 2 * size))
        left, right = min(len(lefts), len(other_lefts)), min(len(rights), len(other_rights))
        lefts, other_lefts = lefts[len(lefts) - left :], other_lefts[len(other_lefts) - left :]
        rights, other_rights = rights[:right], other_rights[:right]
    core = _lines(files[0], first.golden, last.golden_end)
    other_core = _lines(files[1], first.new, last.new_end)
    places, other_places = _places(lefts, core, rights), _places(other_lefts, other_core, other_rights)
    lows, highs = places[0] & other_places[0], places[1] & other_places[1]
    if not lows and first.golden == _size(lefts) and first.new == _size(other_lefts):
        lows = {0}  # the runs begin here
    if not highs and (last.golden_end + _size(rights), last.new_end + _size(other_rights)) == sizes:
        highs = {len(rights)}  # they end here
    if not lows or not highs:
        return None
    low, high = max(lows), min(highs)
    return _Region(
        (first.golden - _size(lefts[low:]), first.new - _size(other_lefts[low:])),
        (last.golden_end + _size(rights[:high]), last.new_end + _size(other_rights[:high])),
        (lefts[low:] + core + rights[:high], other_lefts[low:] + other_core + other_rights[:high]),
        (len(lefts) - low, high),
    )


def _lines(file: BinaryIO, begin: int, end: int, limit: int | None = None) -> list[bytes]:
    """The whole lines of a part of a file; the first one is whole if the part begins at ``limit``, or none is given."""
    file.seek(begin)
    lines = file.read(end - begin).split(b"\n")
    return lines[limit is not None and begin != limit : -1]


def _size(lines: Sequence[bytes]) -> int:
    return sum(map(len, lines)) + len(lines)


def _places(left: list[bytes], core: list[bytes], right: list[bytes]) -> tuple[set[int], set[int]]:
    """Where a region may begin (as an index of ``left``) and end (as a number of lines of ``right``).

    No call may go over its ends, its first and last unit must be ones that both sides hold, and no delta may be merged
    with one outside.
    """
    heads = [line_head(line) for line in chain(left, core, right)]
    begin, end = len(left), len(left) + len(core)
    calls: dict[bytes, list[int]] = defaultdict(list)
    for number, (kind, own_id) in enumerate(heads):
        if kind in _CALLS and own_id is not None:
            calls[own_id].append(number)
    closed: set[int] = set()
    wholes: dict[int, int] = {}
    for numbers in calls.values():
        is_begun = heads[numbers[0]][0] == b"ToolUseProposed"
        is_ended = any(heads[number][0] == b"ToolOutput" for number in numbers)
        closed.update(
            range(numbers[0] + 1 if is_begun else 0, numbers[-1] + 1 if is_ended else len(heads) + 1)
        )
        if is_begun and is_ended:
            wholes[numbers[0]] = numbers[-1]
    kinds = [kind for kind, _ in heads]
    lows = {
        low
        for low in range(begin)
        if wholes.get(low, end) < begin
        or (kinds[low] not in _CALLS and (_is_apart(kinds[low]) or _is_no_delta(reversed(kinds[:low]))))
    }
    highs = {
        high - end
        for high in range(end + 1, len(heads) + 1)
        if kinds[high - 1] not in _CALLS and (_is_apart(kinds[high - 1]) or _is_no_delta(kinds[high:]))
    }
    for first, last in wholes.items():
        if first >= end and _DELTAS.isdisjoint(kinds[first:last]):
            highs.add(last + 1 - end)
    return lows - closed, {high for high in highs if high + end not in closed}


def _is_no_delta(kinds: Iterable[bytes]) -> bool:
    """Whether the next unit is none; the lines of a call stand for the unit that its proposal began."""
    for kind in kinds:
        if kind == b"ToolUseProposed" or kind not in _CALLS:
            return kind not in _DELTAS
    return False


def _is_apart(kind: bytes) -> bool:
    return kind not in _CALLS and kind not in _DELTAS
