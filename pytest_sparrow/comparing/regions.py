"""Compares what differs between two runs on disk, and counts the rest without parsing it.

Parsed are the lines that differ, all lines of the calls whose ids they mention, and the deltas that are merged with
theirs. They go the way of whole runs, with a mark wherever other units stand between them. The outcome is that of whole
runs, because what it hangs on is made sure of: no strand but the main one is there, and no unit that only one side has
stands in what is common, where it could be paired as well. Else `Unclear` is raised.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import chain, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from pytest_sparrow.comparing.identity import is_distinctive, words_of
from pytest_sparrow.comparing.lines import Unclear, line_head
from pytest_sparrow.comparing.pipeline import compare_entries
from pytest_sparrow.comparing.result import Position
from pytest_sparrow.comparing.typed import with_orders
from pytest_sparrow.comparing.units import CALL_TYPES, NumberedEvent, entries
from pytest_sparrow.events import parse_event
from pytest_sparrow.events.jsontext import BrokenJson, spell
from pytest_sparrow.store.stored import BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.comparing.lines import Hunk, LineDiff, Span
    from pytest_sparrow.comparing.result import Comparison
    from pytest_sparrow.comparing.units import Group, Lanes
    from pytest_sparrow.events import Event
    from pytest_sparrow.store.stored import StoredRun

_MOST_LINES = 500_000
"""Lines that are parsed at most: more are read as whole runs are."""

_NEAR = 256
"""Lines before a call's other lines, in which its proposal is looked for."""

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

_WITH_ID = b"pcak"
_OF_CALLS = b"ca"
"""What belongs to a unit that began before."""

_DELTA, _PARSED = b"dx"
_BEGINS = bytes.maketrans(b"epc", b"xdx")
"""To "d" whoever speaks, to "x" what ends a turn; "m" does both."""

_MERGED_DELTAS = re.compile(rb"d[ca]*d")
_DELTAS = frozenset({"ThinkingDelta", "ReasoningDelta"})
_CALL_TYPES = frozenset(kind.encode() for kind in CALL_TYPES)

_Lines: TypeAlias = dict[int, bytes]
"""Lines, or parts of them, by their numbers."""


def compare_regions(golden: StoredRun, new: StoredRun, found: LineDiff) -> Comparison:
    """Compare two runs whose common lines are known.

    Raises:
        Unclear: the runs must be compared whole.
    """
    with golden.events() as one, new.events() as other:
        core = _core(one, found.hunks, 0), _core(other, found.hunks, 1)
        events = [{at: _parsed(line) for at, line in side.items()} for side in core]
        scan = _Scan(found, core, events, one)
        regions = _Regions(found, core, scan)
        lines = scan.mates | _picked(one, regions.common - scan.mates.keys())
        regions.check_beside(
            _picked(one, {n for at in regions.beside for n in range(max(at - _NEAR, 0), at + 1)})
        )
        partners = {at: regions.new_place(at) for at in lines}
        renamed = _picked(other, set(partners.values())) if found.renamed else {}
    for at, partner in partners.items():
        events[0][at] = event = _parsed(lines[at])
        line = renamed.get(partner, lines[at])
        events[1][partner] = event if line == lines[at] else _parsed(line)
    known = golden.header.notes_types
    return compare_entries(
        [list(with_orders(side, known=known)) for side in regions.entries(events)],
        counts=(found.golden_count, found.new_count),
        turns=regions.turns,
        settled=regions.check,
    )


def _core(file: BinaryIO, hunks: Sequence[Hunk], side: int) -> _Lines:
    """The lines that differ."""
    found: _Lines = {}
    for hunk in hunks:
        begin, end = hunk.offsets[side]
        file.seek(begin)
        found.update(zip(range(*hunk.lines[side]), file.read(end - begin).split(b"\n"), strict=False))
    return found


def _picked(file: BinaryIO, places: set[int]) -> _Lines:
    """Lines by their numbers."""
    found: _Lines = {}
    waiting = sorted(places, reverse=True)
    first = 0
    for block in _blocks(file) if waiting else ():
        following = first + block.count(b"\n")
        if waiting and waiting[-1] < following:
            lines = block.split(b"\n")
            while waiting and waiting[-1] < following:
                at = waiting.pop()
                found[at] = lines[at - first]
        first = following
    return found


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """Whole lines, some at a time."""
    file.seek(0)
    rest = b""
    while block := file.read(BLOCK):
        block = rest + block
        cut = block.rfind(b"\n") + 1
        rest = block[cut:]
        if cut:
            yield block[:cut]


def _parsed(line: bytes) -> Event:
    try:
        return parse_event(line)
    except BrokenJson:
        raise Unclear from None


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


class _Scan:
    """Reads all lines of the golden; what is common is the new run's, too.

    Attributes:
        letters: a letter for each line.
        mates: the common lines whose ids what differs mentions.
        tails: the ends of the lines that differ, on either side; none where nothing could be paired with them.
        met: which of these ends common lines have.
        is_one_sided: whether there is but one difference, and one run lacks it.

    Raises:
        Unclear: a strand beside the main one, or events that are not spelled as ours.
    """

    def __init__(
        self,
        found: LineDiff,
        core: tuple[_Lines, _Lines],
        events: Sequence[dict[int, Event]],
        golden: BinaryIO,
    ) -> None:
        self.letters = b""
        self.mates: _Lines = {}
        self.tails: tuple[_Lines, _Lines] = {}, {}
        self.met: set[bytes] = set()
        self._core = core[0]
        run, runs = found.golden_run, (found.golden_run, found.new_run)
        self._begin = b'","run":"%b","id":"' % run
        # The end of the run's id is found faster than the whole.
        self._own_id = re.compile(re.escape(run[-2:]) + rb'","id":("[^"\\\n]*").*')
        ids = {own_id for side in core for _, own_id in map(line_head, side.values()) if own_id is not None}
        for side in events:
            for event in side.values():
                ids.update(word.encode() for word in words_of(event.to_json()) if is_distinctive(word))
        self._ids = {b'"%b"' % each for each in ids}
        self._ids.update([found.golden_of[each] for each in self._ids if each in found.golden_of])
        self.is_one_sided = len(found.hunks) == 1 and not all(core)
        if self.is_one_sided:
            self._ids |= _following_call(golden, found.hunks[0])
        else:
            for tails, lines, its_run in zip(self.tails, core, runs, strict=True):
                tails.update((at, _tail(line, its_run, run)) for at, line in lines.items())
        self._read(golden)

    def _read(self, file: BinaryIO) -> None:
        wanted = {tail for side in self.tails for tail in side.values()}
        letters = []
        first = 0
        for block in _blocks(file):
            lines = block.split(b"\n")
            lines.pop()
            here = _letters(lines)
            letters.append(here)
            if b',"lane":"' in block or block.count(self._begin) != sum(map(here.count, _WITH_ID)):
                raise Unclear
            if self._ids:
                self._find_mates(block, lines, here, first)
            if not wanted.isdisjoint(map(_END, lines)):
                for at, tail in enumerate(map(_END, lines), first):
                    if tail in wanted and at not in self._core:
                        self.met.add(tail)
            first += len(lines)
        self.letters = b"".join(letters)

    def _find_mates(self, block: bytes, lines: list[bytes], letters: bytes, first: int) -> None:
        ids = self._own_id.findall(block)
        met = self._ids.intersection(ids)
        if not met:
            return
        places = [at for at, letter in enumerate(letters, first) if letter in _WITH_ID]
        if len(places) != len(ids):
            raise Unclear
        for at, own_id in zip(places, ids, strict=True):
            if own_id in met and at not in self._core:
                self.mates[at] = lines[at - first]
        if len(self.mates) > _MOST_LINES:
            raise Unclear


def _following_call(golden: BinaryIO, hunk: Hunk) -> set[bytes]:
    """The id of the call that follows, if that is the next unit: what was added may equal it."""
    golden.seek(hunk.offsets[0][1])
    for line in golden:
        kind, own_id = line_head(line)
        if kind not in _CALL_TYPES or kind == b"ToolUseProposed":
            return {b'"%b"' % own_id} if kind in _CALL_TYPES and own_id is not None else set()
    return set()


def _tail(line: bytes, run: bytes, golden_run: bytes) -> bytes:
    """A line's end, as it would be in the golden; empty where that does not say what it is but for its id."""
    _, own_id = line_head(line)
    if own_id is not None:
        begin = line.index(b'"' + own_id + b'"') + len(own_id) + 2
        return line[-_TAIL:] if len(line) - begin >= _TAIL else b""
    return line.replace(b'","run":"' + run + b'"', b'","run":"' + golden_run + b'"', 1)[-_TAIL:]


class _Regions:
    """Where what is parsed stands among all lines. Lines are numbered from 0.

    Attributes:
        common: the common lines that are parsed, by their numbers in the golden.
        beside: common lines of calls between units that nothing else parts.
        turns: the turns of both runs, once ``entries`` are made.
    """

    def __init__(self, found: LineDiff, core: tuple[_Lines, _Lines], scan: _Scan) -> None:
        self.turns = 0, 0
        self._runs = found.golden_run.decode(), found.new_run.decode()
        self._scan = scan
        self._spans = [hunk.lines for hunk in found.hunks]
        self._begins = [new[0] for _, new in self._spans]
        self._ends = [golden[1] for golden, _ in self._spans]
        self._letters = scan.letters, self._new_letters(core[1])
        self.common = {*scan.mates, *self._deltas()}
        if scan.is_one_sided:
            self.common.update(self._following())
        marked = bytearray(scan.letters)
        for at in chain(core[0], self.common):
            marked[at] = _PARSED
        self._marked = bytes(marked)
        self._merges_deltas = _MERGED_DELTAS.search(self._marked) is not None
        self.beside: set[int] = set()
        heads = {at for at in chain(core[0], self.common) if scan.letters[at] not in _OF_CALLS}
        heads |= {self._golden_place(at) for at in core[1] if self._letters[1][at] not in _OF_CALLS}
        self._marks = list(self._found_marks(sorted(heads)))

    def new_place(self, golden: int) -> int:
        """The number of a common line in the new run."""
        at = bisect_right(self._ends, golden) - 1
        return golden if at < 0 else golden - self._ends[at] + self._spans[at][1][1]

    def _golden_place(self, new: int) -> int:
        """Where a line of the new run stands in the golden, or would stand."""
        at = bisect_right(self._begins, new) - 1
        if at < 0:
            return new
        golden, (_, end) = self._spans[at]
        return golden[0] if new < end else new - end + golden[1]

    def _new_letters(self, core: _Lines) -> bytes:
        parts = []
        at = 0
        for golden, new in self._spans:
            parts += [self._scan.letters[at : golden[0]], _letters([core[line] for line in range(*new)])]
            at = golden[1]
        return b"".join([*parts, self._scan.letters[at:]])

    def _deltas(self) -> Iterator[int]:
        """The common deltas that are merged with what differs, or would be but for what differs."""
        letters, new_letters = self._letters
        clusters: list[list[tuple[Span, Span]]] = []
        for span in self._spans:
            if clusters and not letters[clusters[-1][-1][0][1] : span[0][0]].strip(b"cad"):
                clusters[-1].append(span)
            else:
                clusters.append([span])
        for cluster in clusters:
            ((begin, _), (new_begin, _)), ((_, end), (_, new_end)) = cluster[0], cluster[-1]
            units = [
                each.translate(None, _OF_CALLS)
                for each in (letters[begin:end], new_letters[new_begin:new_end])
            ]
            if not any(units):
                continue
            for (one, _), (other, _) in pairwise(cluster):
                yield from (at for at in range(one[1], other[0]) if letters[at : at + 1] == b"d")
            if not all(units) or any(each.startswith(b"d") for each in units):
                yield from self._deltas_along(range(begin - 1, -1, -1))
            if not all(units) or any(each.endswith(b"d") for each in units):
                yield from self._deltas_along(range(end, len(letters)))

    def _following(self) -> Iterator[int]:
        """The unit behind the only difference, but for a call."""
        letters, ((_, end), _) = self._letters[0], self._spans[0]
        head = next((at for at in range(end, len(letters)) if letters[at] not in _OF_CALLS), end)
        if letters[head : head + 1] == b"d":
            yield from self._deltas_along(range(end, len(letters)))
        elif letters[head : head + 1] not in (b"p", b"c", b"a", b""):
            yield head

    def _deltas_along(self, places: range) -> Iterator[int]:
        letters = self._letters[0]
        for at in places:
            letter = letters[at]
            if letter == _DELTA:
                yield at
            elif letter not in _OF_CALLS:
                break

    def entries(self, events: Sequence[dict[int, Event]]) -> list[list[NumberedEvent]]:
        """The events of both sides, with a mark wherever other units stand between them.

        Raises:
            Unclear: strands beside the main one.
        """
        places = self._marks, [self.new_place(at) for at in self._marks]
        sides = []
        totals = []
        for letters, parsed, its_marks, run in zip(self._letters, events, places, self._runs, strict=True):
            numbers = sorted(parsed)
            turns, total = _turns(letters, numbers)
            side = list(entries(((at + 1, parsed[at]) for at in numbers), turns))
            if any(entry.lane for entry in side):
                raise Unclear
            side += [NumberedEvent(Position(at + 1, 0), "", "", run, None, "", {}) for at in its_marks]
            side.sort(key=lambda entry: entry.at.event)
            sides.append(side)
            totals.append(total)
        self.turns = totals[0], totals[1]
        return sides

    def _found_marks(self, heads: list[int]) -> Iterator[int]:
        """Common lines of units that are not parsed: one wherever some stand between those that are."""
        for one, other in pairwise(heads):
            between = self._marked[one:other]
            units = between.translate(None, b"cax")
            if units:
                yield one + max(map(between.rfind, set(units)))
            else:
                self.beside.update(at for at, letter in enumerate(between, one) if letter in _OF_CALLS)

    def check_beside(self, lines: _Lines) -> None:
        """Make sure that the lines of calls ``beside`` are no units: that their calls have begun.

        Args:
            lines: these lines, and those before them.

        Raises:
            Unclear: no proposal is near.
        """
        for at in self.beside:
            proposal = b"ToolUseProposed", line_head(lines[at])[1]
            if not any(line_head(lines[n]) == proposal for n in range(at - 1, max(at - _NEAR, 0) - 1, -1)):
                raise Unclear

    def check(self, lanes: Sequence[Lanes]) -> None:
        """Make sure that whole runs would be aligned as what is parsed is.

        Raises:
            Unclear: they could be aligned otherwise.
        """
        sides = [each.get("", []) for each in lanes]
        if any(group.head.type in CALL_TYPES - {"ToolUseProposed"} for groups in sides for group in groups):
            raise Unclear
        keys = [{group.exact for group in side} for side in sides]
        common = keys[0] & keys[1]
        rows = [[group.exact for group in groups if group.exact in common] for groups in sides]
        if rows[0] != rows[1]:
            raise Unclear
        alone = [[group for group in groups if group.exact not in common] for groups in sides]
        if self._scan.is_one_sided and not all(alone):
            return
        for side, groups in enumerate(alone):
            if not all(self._is_only_here(side, group) for group in groups):
                raise Unclear

    def _is_only_here(self, side: int, group: Group) -> bool:
        """Whether a unit surely has no equal one in what is common."""
        tails = [self._scan.tails[side].get(entry.at.event - 1, b"") for entry in group.entries]
        if group.head.type in _DELTAS and "text" in group.head.body:
            # Several that were merged end otherwise than the first one's line.
            end = spell(group.head.body["text"]) + b"}"
            if self._merges_deltas or tails[0][-len(end) :] != end[-len(tails[0]) :]:
                return False
        return any(tail and tail not in self._scan.met for tail in tails)


def _turns(letters: bytes, places: Sequence[int]) -> tuple[dict[int, int], int]:
    """The turn of each of these lines by its event's number, and the number of turns in all."""
    turns: dict[int, int] = {}
    count = at = 0
    speaking = False
    for place in (*places, len(letters)):
        text = (b"d" if speaking else b"x") + letters[at : place + 1].translate(_BEGINS, b"oak")
        # A turn begins where somebody begins to speak, and with a message that nobody was speaking.
        count += text.count(b"xd") + text.count(b"md") + text.count(b"m") - text.count(b"dm")
        speaking = text.endswith(b"d")
        turns[place + 1] = count
        at = place + 1
    return turns, count
