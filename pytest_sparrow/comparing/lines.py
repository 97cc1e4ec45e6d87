"""Finds where the lines of two runs differ, on bytes and in blocks: nothing is parsed.

Two lines are equal when their bytes are. Where ids were renamed, the ids at the beginning of each line (``run``, and
``id`` behind it) are hidden, and must be renamed one to one. What lies between equal lines is a `Hunk`. Whatever bytes
can't tell raises `Unclear`: then the runs are read and compared whole.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from pytest_sparrow.store.layout import EVENTS
from pytest_sparrow.store.stored import BLOCK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.store.stored import StoredRun

_LONGEST_LINE = 1 << 26
_MOST_HUNKS = 50_000
_WINDOWS = (1 << 11, 1 << 14, 1 << 17, 1 << 20)
"""Bytes of both files, in which the next common lines after a difference are looked for."""

_LINES = (16, 256, 4_096)
"""The same in lines, where ids are hidden."""

_STEP = 1 << 14
_HEAD = re.compile(rb'\{"type":"(\w+)","run":"([^"\\]*)"(?:,"id":"([^"\\]*)")?')
_PLAIN_ID = re.compile(rb'"[^"\d_\-]+"')
_SHORTEST_ID = len('"call_1"')
_HIDDEN_RUN, _HIDDEN_ID = b"\x00", b"\x01"


class Unclear(Exception):
    """Bytes don't tell: the runs must be compared whole."""


class _Renamed(Exception):
    """Ids differ: all lines must be compared with their ids hidden."""


class _Reused(Exception):
    """An id belongs to several calls: each line must be looked at."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines without a partner at one place of both runs, as offsets in their files.

    Attributes:
        golden: where they begin in the golden.
        golden_end: where the next common line begins there.
        new: where they begin in the new run.
        new_end: where the next common line begins there.
        more: how many lines more the new run has.
    """

    golden: int
    golden_end: int
    new: int
    new_end: int
    more: int


@dataclass(slots=True)
class LineDiff:
    """What two runs have in common.

    Attributes:
        golden_count: lines of the golden.
        new_count: lines of the new run.
        hunks: what is not common, in order.
        golden_run: the run's id at the beginning of the golden's lines.
        new_run: the same in the new run.
        new_of: the new id of each id of the golden, both in quotes; None where common lines are equal to the byte.
        golden_of: the other way round.
    """

    golden_count: int = 0
    new_count: int = 0
    hunks: list[Hunk] = field(default_factory=list)
    golden_run: bytes = b""
    new_run: bytes = b""
    new_of: dict[bytes, bytes] | None = None
    golden_of: dict[bytes, bytes] = field(default_factory=dict)

    def rename(self, golden: Sequence[bytes], new: Sequence[bytes]) -> None:
        """Note that ids were renamed.

        Raises:
            Unclear: not one to one.
        """
        assert self.new_of is not None
        known, back = self.new_of, self.golden_of
        for one, other in zip(golden, new, strict=True):
            if known.setdefault(one, other) != other or back.setdefault(other, one) != one:
                raise Unclear


def line_head(line: bytes) -> tuple[bytes, bytes | None]:
    """The type and the id of a line; no type where it does not begin as we and serde write an event."""
    head = _HEAD.match(line)
    return (head[1], head[3]) if head else (b"", None)


def diff_lines(golden: StoredRun, new: StoredRun) -> LineDiff:
    """The common lines of two runs, and what lies between them; counts and digests are judged on the way.

    Raises:
        Unclear: bytes don't tell, or a file is not what its ``meta.json`` says.
    """
    with golden.events() as one, new.events() as other:
        runs = _run_of(one), _run_of(other)
        found = LineDiff(golden_run=runs[0], new_run=runs[1])
        sides = _Side(golden, one), _Side(new, other)
        try:
            if runs[0] != runs[1]:
                raise _Renamed
            _skip_equal_blocks(*sides)
            _ByBytes(*sides, found).walk()
        except _Renamed:
            found, sides = _by_hidden_ids(sides, found)
        found.golden_count = sides[0].lines
        found.new_count = sides[0].lines + sum(hunk.more for hunk in found.hunks)
        sides[0].check(golden, found.golden_count)
        sides[1].check(new, found.new_count)
    return found


def _by_hidden_ids(sides: tuple[_Side, _Side], before: LineDiff) -> tuple[LineDiff, tuple[_Side, _Side]]:
    for all_careful in (False, True):
        found = LineDiff(golden_run=before.golden_run, new_run=before.new_run, new_of={})
        for side in sides:
            side.restart()
        try:
            _ByHiddenIds(*sides, found, careful=all_careful).walk()
            break
        except _Reused:
            continue
    return found, sides


def _run_of(file: BinaryIO) -> bytes:
    head = _HEAD.match(file.readline(BLOCK))
    if head is None:
        raise Unclear
    return head[2]


class _Side:
    """One file: what is at hand of it, and where that begins."""

    def __init__(self, run: StoredRun, file: BinaryIO) -> None:
        self.file = file
        self.sealed = run.digest(EVENTS)
        self.restart()

    def restart(self) -> None:
        """Begin with the file's first line."""
        self.file.seek(0)
        self.digest = hashlib.sha256()
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self.data = b""
        self.pos = 0
        self.at = 0
        self.lines = 0
        self.ended = False

    @property
    def left(self) -> int:
        """Bytes at hand."""
        return len(self.data) - self.pos

    def fill(self, least: int) -> None:
        """Have so many bytes at hand, or all that are left."""
        if self.left >= least or self.ended:
            return
        blocks = [self.data[self.pos :]]
        size = self.left
        while size < least:
            block = self.file.read(BLOCK)
            self.note(block)
            blocks.append(block)
            size += len(block)
            if len(block) < BLOCK:
                break
        self.data, self.pos = b"".join(blocks), 0
        if len(blocks[-1]) < BLOCK and self.data and not self.data.endswith(b"\n"):
            raise Unclear

    def note(self, block: bytes) -> None:
        """Hash a block that was read."""
        self.ended = len(block) < BLOCK
        if self.sealed is not None:
            self.digest.update(block)
        else:
            self._look(block)

    def _look(self, block: bytes) -> None:
        """Nothing but a look says here whether a line is damaged: each must be an object in UTF-8."""
        lines = block.count(b"\n")
        ends = block.count(b"}\n") + block.startswith(b"\n")
        starts = block.count(b"\n{") + block.endswith(b"\n")
        if ends != lines or starts != lines:
            raise Unclear
        try:
            self._decode(block)
        except UnicodeDecodeError:
            raise Unclear from None

    def lines_within(self, size: int) -> list[bytes]:
        """The whole lines within the next bytes."""
        return self.data[self.pos : self.pos + size].split(b"\n")[:-1]

    def is_all(self, size: int) -> bool:
        """Whether nothing follows behind so many bytes."""
        return self.ended and self.left <= size

    def skip(self, count: int) -> None:
        """Leave bytes behind."""
        self.pos += count
        self.at += count

    def check(self, run: StoredRun, count: int) -> None:
        """Compare digest and count of a file that was read whole with ``meta.json``."""
        if self.sealed not in (None, self.digest.hexdigest()):
            raise Unclear
        if run.header.meta.event_count not in (None, count):
            raise Unclear


def _skip_equal_blocks(golden: _Side, new: _Side) -> None:
    """The equal beginnings of both files, which are hashed once."""
    one = other = rest = b""
    while not golden.ended:
        one, other = golden.file.read(BLOCK), new.file.read(BLOCK)
        if one != other:
            break
        golden.note(one)
        if golden.sealed is None and new.sealed is not None:
            golden.digest.update(one)
        golden.lines += one.count(b"\n")
        golden.at += len(one)
        end = one.rfind(b"\n") + 1
        rest = one[end:] if end else rest + one
        one = other = b""
    golden.at -= len(rest)
    new.at, new.ended, new.digest = golden.at, golden.ended, golden.digest.copy()
    for side, block in ((golden, one), (new, other)):
        if block or other:
            side.note(block)
        side.data = rest + block
        if side.ended and side.data and not side.data.endswith(b"\n"):
            raise Unclear


class _ByBytes:
    """Walks two files whose ids are the same."""

    def __init__(self, golden: _Side, new: _Side, found: LineDiff) -> None:
        self._golden, self._new, self._found = golden, new, found

    def walk(self) -> None:
        golden, new, least = self._golden, self._new, 1
        while True:
            golden.fill(least)
            new.fill(least)
            if not golden.left or not new.left:
                break
            common, differ = _common(golden, new)
            if common:
                golden.lines += golden.data.count(b"\n", golden.pos, golden.pos + common)
                golden.skip(common)
                new.skip(common)
                least = 1
            elif differ:
                self._hunk()
            else:
                least = _more(max(least, golden.left, new.left))
        if golden.left or new.left:
            self._hunk()

    def _hunk(self) -> None:
        golden, new, found = self._golden, self._new, self._found
        for size in _WINDOWS:
            golden.fill(size)
            new.fill(size)
            ours, theirs = golden.lines_within(size), new.lines_within(size)
            if ours and theirs and _hidden(ours[0]) == _hidden(theirs[0]):
                raise _Renamed
            synced = _synced(ours, theirs, at_ends=golden.is_all(size) and new.is_all(size))
            if synced is not None and len(found.hunks) < _MOST_HUNKS:
                break
        else:
            raise _Renamed
        begin = golden.at, new.at
        golden.skip(_size(ours[: synced[0]]))
        golden.lines += synced[0]
        new.skip(_size(theirs[: synced[1]]))
        found.hunks.append(Hunk(begin[0], golden.at, begin[1], new.at, synced[1] - synced[0]))


def _size(lines: Sequence[bytes]) -> int:
    """Bytes of lines with their newlines."""
    return sum(map(len, lines)) + len(lines)


def _more(least: int) -> int:
    if least >= _LONGEST_LINE:
        raise Unclear
    return max(least, BLOCK) * 2


def _common(golden: _Side, new: _Side) -> tuple[int, bool]:
    """How many bytes of whole lines both have at hand in common, and whether they differ behind them."""
    begin, other_begin = golden.pos, new.pos
    one, other, size = golden.data, new.data, min(golden.left, new.left)
    low = 0
    while low < size:
        high = min(low + _STEP, size)
        if one[begin + low : begin + high] != other[other_begin + low : other_begin + high]:
            break
        low = high
    else:
        return max(one.rfind(b"\n", begin, begin + size) + 1 - begin, 0), False
    while high - low > 1:
        middle = (low + high) // 2
        if one[begin + low : begin + middle] == other[other_begin + low : other_begin + middle]:
            low = middle
        else:
            high = middle
    return max(one.rfind(b"\n", begin, begin + low) + 1 - begin, 0), True


def _hidden(line: bytes) -> bytes:
    head = _HEAD.match(line)
    return line if head is None else head[1] + line[head.end() :]


def _synced(golden: Sequence[bytes], new: Sequence[bytes], *, at_ends: bool) -> tuple[int, int] | None:
    """How many lines have no partner before both sides go on in common; None where that is not in sight."""

    def go_on(i: int, j: int) -> bool:
        if i >= len(golden) or j >= len(new) or golden[i] != new[j]:
            return False
        return i + 1 >= len(golden) or j + 1 >= len(new) or golden[i + 1] == new[j + 1]

    for i, j in ((1, 1), (0, 1), (1, 0)):
        if go_on(i, j):
            return i, j
    places = {line: len(new) - 1 - j for j, line in enumerate(reversed(new))}
    best: tuple[int, int] | None = None
    for i, line in enumerate(golden):
        j = places.get(line, -1)
        if j >= 0 and (best is None or i + j < sum(best)) and go_on(i, j):
            best = i, j
    return (len(golden), len(new)) if best is None and at_ends else best


class _Hidden:
    """One side's next lines, as they are and with their ids hidden."""

    def __init__(self, side: _Side, run: bytes) -> None:
        self.side = side
        self._heads = re.compile(
            rb'((?:\A|\n)\{"type":"\w+","run":")' + re.escape(run) + rb'"(?:,"id":("[^"\\\n]*"))?'
        )
        self.raw: list[bytes] = []
        self.lines: list[bytes] = []
        self.ids: list[bytes] = []

    def fill(self, least: int) -> None:
        """Have so many lines at hand, or all that are left."""
        size = BLOCK
        while len(self.lines) < least and (self.side.left or not self.side.ended):
            self.side.fill(size)
            data = self.side.data[self.side.pos :]
            end = data.rfind(b"\n") + 1
            if end or not data:
                self._add(data[:end])
                self.side.pos += end
            else:
                size = _more(size)

    def _add(self, data: bytes) -> None:
        parts = self._heads.split(data)
        ids = parts[2::3]
        parts[2::3] = [_HIDDEN_RUN if own_id is None else _HIDDEN_ID for own_id in ids]
        hidden = b"".join(parts)
        if hidden.count(_HIDDEN_ID) + hidden.count(_HIDDEN_RUN) != len(ids):
            raise Unclear
        self.raw += data.split(b"\n")[:-1]
        self.lines += hidden.split(b"\n")[:-1]
        self.ids += [own_id for own_id in ids if own_id is not None]

    def is_all(self, count: int) -> bool:
        """Whether no line follows so many."""
        return len(self.lines) <= count and self.side.ended and not self.side.left

    def give_back(self) -> None:
        """Have no lines at hand, but their bytes."""
        self.side.pos -= _size(self.raw)
        self.raw, self.lines, self.ids = [], [], []

    def skip(self, count: int) -> list[bytes]:
        """Leave lines behind; gives their ids."""
        self.side.at += _size(self.raw[:count])
        self.side.lines += count
        number = sum([_HIDDEN_ID in line for line in self.lines[:count]])
        ids = self.ids[:number]
        del self.raw[:count], self.lines[:count], self.ids[:number]
        return ids


class _ByHiddenIds:
    """Walks two files whose ids were renamed."""

    def __init__(self, golden: _Side, new: _Side, found: LineDiff, *, careful: bool) -> None:
        self._golden, self._new = _Hidden(golden, found.golden_run), _Hidden(new, found.new_run)
        self._found = found
        self._careful = careful

    def walk(self) -> None:
        golden, new, found = self._golden, self._new, self._found
        while True:
            if not self._careful and (not golden.lines or not new.lines):
                golden.give_back()
                new.give_back()
                _skip_renamed_calls(golden.side, new.side, found)
            golden.fill(1)
            new.fill(1)
            count = min(len(golden.lines), len(new.lines))
            if not count:
                break
            if golden.lines[:count] != new.lines[:count]:
                pairs = zip(golden.lines, new.lines, strict=False)
                count = next(number for number, (one, other) in enumerate(pairs) if one != other)
            if count:
                found.rename(golden.skip(count), new.skip(count))
            else:
                self._hunk()
        if golden.lines or new.lines:
            self._hunk()

    def _hunk(self) -> None:
        golden, new, found = self._golden, self._new, self._found
        for most in _LINES:
            golden.fill(most)
            new.fill(most)
            synced = _synced(
                golden.lines[:most], new.lines[:most], at_ends=golden.is_all(most) and new.is_all(most)
            )
            if synced is not None and len(found.hunks) < _MOST_HUNKS:
                break
        else:
            raise Unclear
        begin = golden.side.at, new.side.at
        golden.skip(synced[0])
        new.skip(synced[1])
        more = synced[1] - synced[0]
        found.hunks.append(Hunk(begin[0], golden.side.at, begin[1], new.side.at, more))


def _skip_renamed_calls(golden: _Side, new: _Side, found: LineDiff) -> None:
    """The fast way over calls that differ in their ids alone: a call's lines stand together, and share one id.

    Each part of a file from one proposal to the next is the other's when its own id is replaced.
    """
    begin = b'\n{"type":"ToolUseProposed","run":"' + found.new_run + b'","id":'
    while True:
        golden.fill(BLOCK)
        new.fill(BLOCK)
        data, lines = _with_run(b"\n" + golden.data[golden.pos : golden.data.rfind(b"\n") + 1], found)
        other = b"\n" + new.data[new.pos : new.data.rfind(b"\n") + 1]
        ours, theirs = data.split(begin), other.split(begin)
        # The last part may go on behind the block.
        count = min(len(ours), len(theirs)) - 1
        if count < 2 or ours[0] or theirs[0] or not _same_calls(ours[1:count], theirs[1:count], found):
            return
        skipped, other_skipped = (
            sum(map(len, parts[1:count])) + len(begin) * (count - 1) for parts in (ours, theirs)
        )
        lines -= data.count(b"\n", skipped + 1)
        golden.skip(skipped + (len(found.golden_run) - len(found.new_run)) * lines)
        golden.lines += lines
        new.skip(other_skipped)


def _with_run(data: bytes, found: LineDiff) -> tuple[bytes, int]:
    """The golden's lines with the new run's id, and their number; no lines where that id stands elsewhere, too."""
    lines = data.count(b"\n") - 1
    if found.golden_run == found.new_run:
        return data, lines
    run, new_run = (b'","run":"' + each + b'"' for each in (found.golden_run, found.new_run))
    return (data.replace(run, new_run) if data.count(run) == lines else b""), lines


def _same_calls(golden: list[bytes], new: list[bytes], found: LineDiff) -> bool:
    ids = [part[: part.find(b'"', 1) + 1] for part in golden]
    new_ids = [part[: part.find(b'"', 1) + 1] for part in new]
    if not (_are_distinctive(ids) and _are_distinctive(new_ids)):
        return False
    if list(map(bytes.replace, golden, ids, new_ids)) != new:
        return False
    known, back = found.new_of, found.golden_of
    assert known is not None
    expected = len(known) + len(ids), len(back) + len(ids)
    known.update(zip(ids, new_ids, strict=True))
    back.update(zip(new_ids, ids, strict=True))
    if (len(known), len(back)) != expected:
        raise _Reused
    return True


def _are_distinctive(ids: list[bytes]) -> bool:
    """Whether these ids mean nothing but themselves wherever they stand in quotes."""
    joined = b"".join(ids)
    return min(map(len, ids)) >= _SHORTEST_ID and b"\\" not in joined and not _PLAIN_ID.search(joined)
