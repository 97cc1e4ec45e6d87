"""Finds where the lines of two runs differ, on bytes and in blocks: nothing is parsed.

Two lines are equal when their bytes are. Where ids were renamed, the ids at the beginning of each line (``run``, and
``id`` behind it) are hidden, and must be renamed one to one. What lies between equal lines is a `Hunk`. Whatever bytes
can't tell raises `Unclear`: then the runs are read and compared whole.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from pytest_sparrow.store.layout import EVENTS
from pytest_sparrow.store.stored import BLOCK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.store.stored import StoredRun

_LONGEST_LINE = 1 << 26
_MOST_HUNKS = 50_000
_WINDOWS = (1 << 11, 1 << 14, 1 << 17, 1 << 20)
"""Bytes of both files, in which the next common lines after a difference are looked for."""

_STEP = 1 << 14
_HEAD = re.compile(rb'\{"type":"(\w+)","run":"([^"\\]*)"(?:,"id":"([^"\\]*)")?')
_PLAIN_ID = re.compile(rb'"[^"\d_\-]+"')
_SHORTEST_ID = len('"call_1"')
_ID = b',"id":'
_HIDDEN = b"\x00"

Span: TypeAlias = tuple[int, int]
"""A begin and an end."""


class Unclear(Exception):
    """Bytes don't tell: the runs must be compared whole."""


class _Renamed(Unclear):
    """Where ids are shown, they differ, or nothing common is in sight: all lines must be compared with hidden ids."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines without a partner at one place of both runs: where they begin in the golden and the new run, and end.

    Attributes:
        offsets: in the files.
        lines: numbered from 0.
    """

    offsets: tuple[Span, Span]
    lines: tuple[Span, Span]


@dataclass(slots=True)
class LineDiff:
    """What two runs have in common.

    Attributes:
        golden_count: lines of the golden.
        new_count: lines of the new run.
        hunks: what is not common, in order.
        golden_run: the run's id at the beginning of the golden's lines.
        new_run: the same in the new run.
        renamed: whether ids were renamed; else common lines are equal to the byte.
        new_of: the new id of each id of the golden, both in quotes.
        golden_of: the other way round.
    """

    golden_count: int = 0
    new_count: int = 0
    hunks: list[Hunk] = field(default_factory=list)
    golden_run: bytes = b""
    new_run: bytes = b""
    renamed: bool = False
    new_of: dict[bytes, bytes] = field(default_factory=dict)
    golden_of: dict[bytes, bytes] = field(default_factory=dict)

    def rename(self, golden: Sequence[bytes], new: Sequence[bytes]) -> None:
        """Note that ids were renamed.

        Raises:
            Unclear: not one to one.
        """
        known, back = self.new_of, self.golden_of
        pairs, other_pairs = dict(zip(golden, new, strict=True)), dict(zip(new, golden, strict=True))
        if (
            len(pairs) == len(other_pairs) == len(golden)
            and known.keys().isdisjoint(pairs)
            and back.keys().isdisjoint(other_pairs)
        ):
            known.update(pairs)
            back.update(other_pairs)
            return
        for one, other in set(zip(golden, new, strict=True)):
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
        found = LineDiff(golden_run=_run_of(one), new_run=_run_of(other))
        sides = _Side(golden, one), _Side(new, other)
        try:
            if found.golden_run != found.new_run:
                raise _Renamed
            if not _skip_equal_blocks(*sides):
                _walk(*sides, found)
        except _Renamed:
            found.hunks, found.renamed = [], True
            sides = _Side(golden, one, found.golden_run), _Side(new, other, found.new_run)
            _walk(*sides, found)
        found.golden_count, found.new_count = (side.lines for side in sides)
        for side in sides:
            side.check()
    return found


def _run_of(file: BinaryIO) -> bytes:
    head = _HEAD.match(file.readline(BLOCK))
    if head is None:
        raise Unclear
    return head[2]


class _Side:
    """One file: its lines, of which some are at hand, as they are or with their ids hidden.

    Attributes:
        data: the lines at hand.
        pos: where in ``data`` those begin that were not left behind.
        at: the bytes of the file that were left behind.
        lines: the lines among them.
        digest: of these.
    """

    def __init__(self, run: StoredRun, file: BinaryIO, hides: bytes = b"") -> None:
        self.data = b""
        self.pos = self.at = self.lines = 0
        self.digest = hashlib.sha256()
        self._run = run
        self._file = file
        self._sealed = run.digest(EVENTS)
        self._hides = hides
        self._heads = re.compile(rb'(\n\{"type":"\w+","run":")%b"((?:,"id":"[^"\\\n]*")?)' % re.escape(hides))
        self._raw = b""
        self._raw_pos = 0
        self._hidden: list[bytes] = []
        self._ended = False
        file.seek(0)

    @property
    def left(self) -> int:
        """Bytes at hand."""
        return len(self.data) - self.pos

    def read(self) -> bytes:
        """The next whole lines of the file; none at its end."""
        size = BLOCK
        while True:
            block = self._file.read(size)
            end = block.rfind(b"\n") + 1
            self.unread(len(block) - end)
            if end or not block:
                return block[:end]
            if len(block) < size or size > _LONGEST_LINE:
                raise Unclear
            size *= 2

    def unread(self, size: int) -> None:
        """Give back so many bytes, the last that were read."""
        self._file.seek(-size, os.SEEK_CUR)

    def leave(self, data: bytes, begin: int, end: int, lines: int | None = None) -> None:
        """Leave lines behind, hashed; without a digest to hold to, a look says whether they are damaged.

        Args:
            data: what holds them.
            begin: where they begin.
            end: where they end.
            lines: how many they are, where somebody has counted.
        """
        self.at += end - begin
        self.lines += data.count(b"\n", begin, end) if lines is None else lines
        self.digest.update(memoryview(data)[begin:end])
        if self._sealed is None:
            _look(data[begin:end])

    def follow(self, other: _Side) -> None:
        """Leave the same behind as another side."""
        self.at, self.lines, self.digest = other.at, other.lines, other.digest.copy()

    def fill(self, least: int) -> None:
        """Have so many bytes at hand, or all that are left."""
        while self.left < least and not self._ended:
            lines = self.read()
            self._ended = not lines
            if self._hides:
                self._raw, self._raw_pos = self._raw[self._raw_pos :] + lines, 0
                lines = self._hide(lines)
            self.data, self.pos = self.data[self.pos :] + lines if self.left else lines, 0

    def _hide(self, lines: bytes) -> bytes:
        if _HIDDEN in lines:
            raise Unclear
        parts = self._heads.split(b"\n" + lines)
        hidden = parts[2::3]
        parts[2::3] = [_HIDDEN] * len(hidden)
        self._hidden += hidden
        return b"".join(parts)[1:]

    def lines_within(self, size: int) -> list[bytes]:
        """The whole lines within the next bytes."""
        return self.data[self.pos : self.pos + size].split(b"\n")[:-1]

    def is_all(self, size: int) -> bool:
        """Whether nothing follows behind so many bytes."""
        return self._ended and self.left <= size

    def skip(self, size: int, lines: int | None = None) -> list[bytes]:
        """Leave whole lines of so many bytes at hand behind; gives what is hidden in each: its id, or nothing."""
        begin, self.pos = self.pos, self.pos + size
        if not self._hides:
            self.leave(self.data, begin, self.pos, lines)
            return []
        count = self.data.count(_HIDDEN, begin, self.pos)
        hidden = self._hidden[:count]
        del self._hidden[:count]
        size += len(self._hides) * count + sum(map(len, hidden))
        self.leave(self._raw, self._raw_pos, self._raw_pos + size)
        self._raw_pos += size
        return hidden

    def give_back(self) -> None:
        """Have nothing at hand."""
        self.unread(len(self._raw) - self._raw_pos)
        self.data = self._raw = b""
        self.pos = self._raw_pos = 0
        self._hidden, self._ended = [], False

    def check(self) -> None:
        """Compare digest and count of a file that was read whole with ``meta.json``."""
        if self._sealed not in (None, self.digest.hexdigest()):
            raise Unclear
        if self._run.header.meta.event_count not in (None, self.lines):
            raise Unclear


def _look(lines: bytes) -> None:
    """Each line must be an object in UTF-8."""
    count = lines.count(b"\n")
    if lines.count(b"}\n") != count or (b"\n" + lines).count(b"\n{") != count:
        raise Unclear
    try:
        lines.decode()
    except UnicodeDecodeError:
        raise Unclear from None


def _skip_equal_blocks(golden: _Side, new: _Side) -> bool:
    """The equal beginnings of both files, which are hashed once; gives whether they are all."""
    while (one := golden.read()) == (other := new.read()) and one:
        golden.leave(one, 0, len(one))
    new.follow(golden)
    if one == other:
        return True
    golden.unread(len(one))
    new.unread(len(other))
    return False


def _walk(golden: _Side, new: _Side, found: LineDiff) -> None:
    """Find the hunks of what lies ahead.

    Raises:
        _Renamed: see there.
        Unclear: ids were not renamed one to one.
    """
    while True:
        if found.renamed and not (golden.left and new.left):
            golden.give_back()
            new.give_back()
            _skip_renamed_calls(golden, new, found)
        golden.fill(1)
        new.fill(1)
        common = _common(golden, new)
        if common:
            before = golden.lines
            hidden = golden.skip(common), new.skip(common, golden.lines - before)
            if found.renamed:
                found.rename(*([each.removeprefix(_ID) for each in side] for side in hidden))
        elif golden.left or new.left:
            _add_hunk(golden, new, found)
        else:
            break


def _skip_renamed_calls(golden: _Side, new: _Side, found: LineDiff) -> None:
    """The fast way over calls that differ in their ids alone: a call's lines stand together, and share one id.

    Each part of a file from one proposal to the next is the other's when its own id is replaced.
    """
    run, new_run = (b'","run":"%b"' % each for each in (found.golden_run, found.new_run))
    begin = b'\n{"type":"ToolUseProposed%b,"id":' % new_run
    while True:
        one, other = golden.read(), new.read()
        as_new = one.replace(run, new_run)
        ours, theirs = ((b"\n" + each).split(begin) for each in (as_new, other))
        # The last part may go on behind the block.
        parts = slice(1, min(len(ours), len(theirs)) - 1)
        size, new_size = (
            sum(map(len, each[parts])) + len(begin) * (parts.stop - 1) for each in (ours, theirs)
        )
        lines = as_new.count(b"\n", 0, size)
        size += (len(run) - len(new_run)) * lines
        if (
            ours[0]
            or theirs[0]
            or one.count(run, 0, size) != lines
            or not _same_calls(ours[parts], theirs[parts], found)
        ):
            break
        golden.leave(one, 0, size, lines)
        new.leave(other, 0, new_size, lines)
        golden.unread(len(one) - size)
        new.unread(len(other) - new_size)
    golden.unread(len(one))
    new.unread(len(other))


def _same_calls(golden: list[bytes], new: list[bytes], found: LineDiff) -> bool:
    ids, new_ids = ([part[: part.find(b'"', 1) + 1] for part in parts] for parts in (golden, new))
    if not (_are_distinctive(ids) and _are_distinctive(new_ids)):
        return False
    if list(map(bytes.replace, golden, ids, new_ids)) != new:
        return False
    found.rename(ids, new_ids)
    return True


def _are_distinctive(ids: list[bytes]) -> bool:
    """Whether these ids mean nothing but themselves wherever they stand in quotes."""
    joined = b"".join(ids)
    return (
        bool(ids)
        and min(map(len, ids)) >= _SHORTEST_ID
        and b"\\" not in joined
        and not _PLAIN_ID.search(joined)
    )


def _add_hunk(golden: _Side, new: _Side, found: LineDiff) -> None:
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
    offsets, lines = (golden.at, new.at), (golden.lines, new.lines)
    golden.skip(_size(ours[: synced[0]]))
    new.skip(_size(theirs[: synced[1]]))
    found.hunks.append(
        Hunk(
            ((offsets[0], golden.at), (offsets[1], new.at)), ((lines[0], golden.lines), (lines[1], new.lines))
        )
    )


def _size(lines: Sequence[bytes]) -> int:
    """Bytes of lines with their newlines."""
    return sum(map(len, lines)) + len(lines)


def _common(golden: _Side, new: _Side) -> int:
    """How many bytes of whole lines both have at hand in common."""
    begin, other_begin = golden.pos, new.pos
    one, other, size = golden.data, new.data, min(golden.left, new.left)
    low, high = 0, size
    for step in range(0, size, _STEP):
        low, high = step, min(step + _STEP, size)
        if not one.startswith(other[other_begin + low : other_begin + high], begin + low):
            break
        low = high
    while high - low > 1:
        middle = (low + high) // 2
        if one.startswith(other[other_begin + low : other_begin + middle], begin + low):
            low = middle
        else:
            high = middle
    return max(one.rfind(b"\n", begin, begin + low) + 1 - begin, 0)


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
