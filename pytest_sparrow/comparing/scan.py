"""Reads the lines of two runs: those that differ, and once, in blocks, all of the golden's, without parsing them.

Of the golden's lines, which are the new run's but for those that differ, it is noted what each means to turns and to
units, which of them have ids that differing lines mention, and which end as differing lines do.
"""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import compress, count
from operator import itemgetter
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from pytest_sparrow.comparing.identity import SHORTEST_ID, words_of
from pytest_sparrow.comparing.lines import Unclear, line_head
from pytest_sparrow.comparing.units import CALL_TYPES
from pytest_sparrow.store.stored import BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.comparing.lines import Hunk, LineDiff
    from pytest_sparrow.events import Event

_MOST_LINES = 200_000
"""Lines that are parsed at most: more are read as whole runs are."""

_FEW = 4
"""So many ids are searched one by one; where there are more, all ids of a block are read."""

_TEXTS, _WORDS, _DISTINCTIVE = map(re.compile, (rb'"([^"]*)"', rb"[\w\-]+", rb"[\d_\-]"))
"""Texts in a line without escapes, words that could be ids, and what makes an id of them."""

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

_HAS_ID = bytes(each in b"pcak" for each in range(256))
"""To 1 what has an id, to 0 all else."""

_BEGINS = bytes.maketrans(b"epc", b"xdx")
"""To "d" whoever speaks, to "x" what ends a turn; "m" does both."""

_CALL_TYPES = frozenset(kind.encode() for kind in CALL_TYPES)


Lines: TypeAlias = dict[int, bytes]
"""Lines, or parts of them, by their numbers."""


def core_lines(file: BinaryIO, hunks: Sequence[Hunk], side: int) -> Lines:
    """The lines that differ."""
    found: Lines = {}
    for hunk in hunks:
        begin, end = hunk.offsets[side]
        file.seek(begin)
        found.update(zip(range(*hunk.lines[side]), file.read(end - begin).split(b"\n"), strict=False))
    return found


def picked(file: BinaryIO, places: set[int]) -> Lines:
    """Lines by their numbers."""
    found: Lines = {}
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


def letters_of(lines: Sequence[bytes]) -> bytes:
    """A letter for each line.

    Raises:
        Unclear: a line does not begin as we and serde write an event.
    """
    try:
        return b"".join(map(_HEADS.__getitem__, map(_HEAD, lines)))
    except KeyError:
        return b"".join([_HEADS.get(_HEAD(line)) or _letter(line) for line in lines])


def _letter(line: bytes) -> bytes:
    kind, _ = line_head(line)
    if not kind:
        raise Unclear
    return _LETTERS.get(kind, b"o")


class Scan:
    """Reads all lines of the golden; what is common is the new run's, too.

    Attributes:
        letters: a letter for each line.
        mates: the common lines whose ids what differs mentions.
        places: all lines of these ids, in quotes.
        tails: the ends of the lines that differ, on either side; none where nothing could be paired with them.
        met: which of these ends common lines have.
        is_one_sided: whether there is but one difference, and one run lacks it.

    Raises:
        Unclear: a strand beside the main one, or events that are not spelled as ours.
    """

    def __init__(
        self,
        found: LineDiff,
        core: tuple[Lines, Lines],
        events: Sequence[dict[int, Event]],
        golden: BinaryIO,
    ) -> None:
        self.letters = b""
        self.mates: Lines = {}
        self.places: dict[bytes, list[int]] = defaultdict(list)
        self.tails: tuple[Lines, Lines] = {}, {}
        self.met: set[bytes] = set()
        self._core = core[0]
        run, runs = found.golden_run, (found.golden_run, found.new_run)
        # The end of the run's id is found faster than the whole.
        self._own_id = re.compile(re.escape(run[-2:]) + rb'","id":("[^"\\\n]*").*')
        # A run's id is known as an id without a line that has it.
        self._ids = {b'"%b"' % each for each in _mentioned(core, events).difference(runs)}
        self._ids.update([found.golden_of[each] for each in self._ids if each in found.golden_of])
        self.is_one_sided = len(found.hunks) == 1 and not all(core)
        if self.is_one_sided:
            if b"p" in letters_of([*core[0].values(), *core[1].values()]):
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
            here = letters_of(lines)
            letters.append(here)
            if b',"lane":"' in block:
                raise Unclear
            if len(self._ids) > _FEW or any(each in block for each in self._ids):
                self._find_mates(block, lines, here, first)
            if not wanted.isdisjoint(map(_END, lines)):
                met = map(wanted.__contains__, map(_END, lines))
                here_too = [at for at in compress(count(first), met) if at not in self._core]
                self.met.update(_END(lines[at - first]) for at in here_too)
            first += len(lines)
        self.letters = b"".join(letters)

    def _find_mates(self, block: bytes, lines: list[bytes], letters: bytes, first: int) -> None:
        ids = self._own_id.findall(block)
        met = self._ids.intersection(ids)
        if not met:
            return
        places = list(compress(count(first), letters.translate(_HAS_ID)))
        if len(places) != len(ids):
            raise Unclear
        for at, own_id in compress(zip(places, ids, strict=True), map(met.__contains__, ids)):
            if line_head(lines[at - first])[1] != own_id[1:-1]:
                raise Unclear
            self.places[own_id].append(at)
            if at not in self._core:
                self.mates[at] = lines[at - first]
        if len(self.mates) > _MOST_LINES:
            raise Unclear


def _mentioned(core: tuple[Lines, Lines], events: Sequence[dict[int, Event]]) -> set[bytes]:
    """What could be an id in these lines: the ids of events, and distinctive words of their texts."""
    ids: set[bytes | None] = set()
    words: set[bytes] = set()
    for lines, parsed in zip(core, events, strict=True):
        for at, line in lines.items():
            ids.add(line_head(line)[1])
            if line.isascii() and b"\\" not in line:
                words.update(_TEXTS.findall(line), _WORDS.findall(line))
            else:
                words.update(word.encode() for word in words_of(parsed[at].to_json()))
    words = {each for each in words if len(each) >= SHORTEST_ID and _DISTINCTIVE.search(each)}
    return words.union(each for each in ids if each is not None)


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


def turns_of(letters: bytes, places: Sequence[int]) -> tuple[dict[int, int], int]:
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
