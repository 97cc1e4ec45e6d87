"""Compares what differs between two runs on disk, and counts the rest without parsing it.

Parsed are the lines that differ, all lines of the calls whose ids they mention, and the deltas that are merged with
theirs. They go the way of whole runs, with a mark wherever other units stand between them. The outcome is that of whole
runs, because what it hangs on is made sure of: no strand but the main one is there, and no unit that only one side has
stands in what is common, where it could be paired as well. Else `Unclear` is raised.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from itertools import chain, pairwise
from typing import TYPE_CHECKING

from pytest_sparrow.comparing.lines import Unclear, line_head
from pytest_sparrow.comparing.pipeline import compare_entries
from pytest_sparrow.comparing.result import Position
from pytest_sparrow.comparing.scan import Scan, core_lines, letters_of, picked, turns_of
from pytest_sparrow.comparing.typed import with_orders
from pytest_sparrow.comparing.units import CALL_TYPES, NumberedEvent, entries
from pytest_sparrow.events import parse_event
from pytest_sparrow.events.jsontext import BrokenJson, spell
from pytest_sparrow.events.types import ToolUseStarted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.comparing.lines import LineDiff, Span
    from pytest_sparrow.comparing.result import Comparison
    from pytest_sparrow.comparing.scan import Lines
    from pytest_sparrow.comparing.units import Group, Lanes
    from pytest_sparrow.events import Event
    from pytest_sparrow.store.stored import StoredRun

_NEAR = 256
"""Lines before a call's other lines, in which its proposal is looked for."""

_OF_CALLS = b"ca"
"""What belongs to a unit that began before."""

_DELTA, _PROPOSAL, _PARSED = b"dpx"
_MERGED_DELTAS = re.compile(rb"d[ca]*d")
_DELTAS = frozenset({"ThinkingDelta", "ReasoningDelta"})


def compare_regions(golden: StoredRun, new: StoredRun, found: LineDiff) -> Comparison:
    """Compare two runs whose common lines are known.

    Raises:
        Unclear: the runs must be compared whole.
    """
    with golden.events() as one, new.events() as other:
        core = core_lines(one, found.hunks, 0), core_lines(other, found.hunks, 1)
        events = [{at: _parsed(line) for at, line in side.items()} for side in core]
        scan = Scan(found, core, events, one)
        regions = _Regions(found, core, scan)
        brief = regions.find_brief(found, core, events)
        lines = scan.mates | picked(one, regions.common - scan.mates.keys())
        regions.check_beside(
            picked(one, {n for at in regions.beside for n in range(max(at - _NEAR, 0), at + 1)})
        )
        partners = {at: regions.new_place(at) for at in lines if at not in brief}
        renamed = picked(other, set(partners.values())) if found.renamed else {}
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


def _parsed(line: bytes) -> Event:
    try:
        return parse_event(line)
    except BrokenJson:
        raise Unclear from None


class _Regions:
    """Where what is parsed stands among all lines. Lines are numbered from 0.

    Attributes:
        common: the common lines that belong to what differs, by their numbers in the golden.
        beside: common lines of calls between units that nothing else parts.
        turns: the turns of both runs, once ``entries`` are made.
    """

    def __init__(self, found: LineDiff, core: tuple[Lines, Lines], scan: Scan) -> None:
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
        self._joined: set[int] = set()
        heads = {at for at in chain(core[0], self.common) if scan.letters[at] not in _OF_CALLS}
        heads |= {self._golden_place(at) for at in core[1] if self._letters[1][at] not in _OF_CALLS}
        self._marks = list(self._found_marks(sorted(heads)))
        self._begun: tuple[dict[int, int], dict[int, int]] = {}, {}

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

    def _new_letters(self, core: Lines) -> bytes:
        parts = []
        at = 0
        for golden, new in self._spans:
            parts += [self._scan.letters[at : golden[0]], letters_of([core[line] for line in range(*new)])]
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
        for letters, parsed, its_marks, run, begun in zip(
            self._letters, events, places, self._runs, self._begun, strict=True
        ):
            numbers = sorted(parsed)
            turns, total = turns_of(letters, [begun.get(at, at) for at in numbers])
            turns.update((at + 1, turns[begin + 1]) for at, begin in begun.items())
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
                self._joined.update((one, other))
                self.beside.update(at for at, letter in enumerate(between, one) if letter in _OF_CALLS)

    def find_brief(
        self, found: LineDiff, core: tuple[Lines, Lines], events: Sequence[dict[int, Event]]
    ) -> set[int]:
        """The common lines of calls that need not be parsed: nothing but one start of a tool differs there.

        It stands for its call, where nothing stands between it and the proposal, or beside the call in its place, with
        which it could be paired as well.
        """
        brief: set[int] = set()
        letters, new_letters = self._letters
        heads = [{at: line_head(line)[1] for at, line in side.items()} for side in core]
        counts = Counter(own_id for side in heads for own_id in side.values())
        for (at, end), (new_at, new_end) in self._spans:
            if (end - at, new_end - new_at) != (1, 1):
                continue
            one, other = events[0][at], events[1][new_at]
            own_id, new_id = heads[0][at], heads[1][new_at]
            if (
                not isinstance(one, ToolUseStarted)
                or not isinstance(other, ToolUseStarted)
                or one.name != other.name
                or own_id is None
                or new_id is None
                or sum(counts[each] for each in {own_id, new_id}) != 2
            ):
                continue
            quoted = b'"%b"' % own_id
            places = [place for place in self._scan.places[quoted] if place != at]
            begin = places[0] if places else at
            if (
                begin < at
                and found.new_of.get(quoted, quoted) == b'"%b"' % new_id
                and [letters[place] == _PROPOSAL for place in places] == [True, *[False] * len(places[1:])]
                and begin not in self._joined
                and not letters[begin + 1 : at].strip(_OF_CALLS)
                and not new_letters[self.new_place(begin) + 1 : new_at].strip(_OF_CALLS)
            ):
                brief.update(places)
                self._begun[0][at], self._begun[1][new_at] = begin, self.new_place(begin)
        return brief

    def check_beside(self, lines: Lines) -> None:
        """Make sure that the lines of calls ``beside`` are no units: that their calls have begun.

        Args:
            lines: these lines, and those before them.

        Raises:
            Unclear: no proposal is near.
        """
        for at in self.beside:
            _, own_id = line_head(lines[at])
            before = (lines[n] for n in range(max(at - _NEAR, 0), at))
            if own_id is None or (b"ToolUseProposed", own_id) not in map(line_head, before):
                raise Unclear

    def check(self, lanes: Sequence[Lanes]) -> None:
        """Make sure that whole runs would be aligned as what is parsed is.

        Raises:
            Unclear: they could be aligned otherwise.
        """
        sides = [each.get("", []) for each in lanes]
        for begun, groups in zip(self._begun, sides, strict=True):
            heads = [group.head for group in groups if group.head.type in CALL_TYPES - {"ToolUseProposed"}]
            if not all(head.at.event - 1 in begun for head in heads):
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
