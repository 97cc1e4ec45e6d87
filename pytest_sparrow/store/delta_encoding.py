"""Encodes requests as deltas: a value that an earlier request of the run holds is written once.

An agent sends its whole conversation with every request; written in full, n turns would take n² bytes. The reader's
half, and the form on disk, are in `pytest_sparrow.store.delta_decoding`.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events.jsontext import decode, encode, spell
from pytest_sparrow.events.pieces import cut
from pytest_sparrow.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.events.pieces import Piece
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.store.files import LineRedactor

Run = tuple[int, int, int, int]
"""(at, line, start, stop): the items from ``at`` on are those from ``start`` to before ``stop`` of that line's."""

_MAX_TIPS = 16
"""Arrays that are held whole: conversations that go on side by side, the latest request of each."""

WORTH = 32
"""Bytes that are shared: less is easier to read in full. A prompt must not stand in every line, or a word changed in it
would change them all."""


class Arrays:
    """The arrays that stood at one place, and what a new one has in common with them.

    Looking costs about as much as the new array is long, however many came before. In memory: an entry for each
    distinct item, and the last `_MAX_TIPS` arrays that no later one goes on from.
    """

    __slots__ = ("_base", "_latest", "_tips")

    def __init__(self) -> None:
        self._latest: dict[bytes, tuple[int, int]] = {}
        self._tips: list[_Tip] = []

    def runs(self, keys: Sequence[bytes], sizes: Sequence[int]) -> list[Run]:
        """The runs that another line holds, in order; what they leave out must be spelled."""
        tip = self._nearest(keys)
        found: list[Run] = []
        at = after = 0
        while at < len(keys):
            run = (tip and tip.run(keys, at, after)) or self._elsewhere(keys, at)
            if run is None:
                at += 1
                continue
            _, line, start, stop = run
            end = at + stop - start
            if sum(sizes[at:end]) >= WORTH:
                found.append(run)
            if tip is not None and line == tip.line:
                after = stop
            at = end
        return found

    def add(self, line: int, keys: Sequence[bytes]) -> None:
        """An array is written on that line."""
        base = self._nearest(keys)
        if base is not None and 2 * base.common(frozenset(keys)) >= len(base.distinct):
            self._tips.remove(base)
        self._tips = [*self._tips[-_MAX_TIPS + 1 :], _Tip(line, keys)]
        self._latest.update((key, (line, at)) for at, key in enumerate(keys))

    def _nearest(self, keys: Sequence[bytes]) -> _Tip | None:
        """The array that has most in common, the latest of equals: agents side by side take turns."""
        distinct = frozenset(keys)
        best = max(reversed(self._tips), key=lambda tip: tip.common(distinct), default=None)
        return best if best is not None and best.common(distinct) else None

    def _elsewhere(self, keys: Sequence[bytes], at: int) -> Run | None:
        """The run that begins with an item where that stood last, in an array that may be held no more."""
        last = self._latest.get(keys[at])
        if last is None:
            return None
        line, start = last
        end = at + 1
        while end < len(keys) and self._latest.get(keys[end]) == (line, start + end - at):
            end += 1
        return at, line, start, start + end - at


class _Tip:
    """An array that is held whole."""

    __slots__ = ("_places", "distinct", "keys", "line")

    def __init__(self, line: int, keys: Sequence[bytes]) -> None:
        self.line = line
        self.keys = keys
        self.distinct = frozenset(keys)
        self._places: dict[bytes, list[int]] | None = None

    def common(self, distinct: frozenset[bytes]) -> int:
        """How many distinct items it has in common with another."""
        return len(self.distinct & distinct)

    def run(self, keys: Sequence[bytes], at: int, after: int) -> Run | None:
        """The run that begins with an item here: the first one from ``after`` on, else the first at all."""
        mine = self.keys
        if after < len(mine) and mine[after] == keys[at]:
            start = after
        elif keys[at] in self.distinct:
            places = self._places_of(keys[at])
            next_one = bisect_left(places, after)
            start = places[next_one] if next_one < len(places) else places[0]
        else:
            return None
        length = 1
        while (
            at + length < len(keys)
            and start + length < len(mine)
            and keys[at + length] == mine[start + length]
        ):
            length += 1
        return at, self.line, start, start + length

    def _places_of(self, key: bytes) -> list[int]:
        if self._places is None:
            self._places = {}
            for place, each in enumerate(self.keys):
                self._places.setdefault(each, []).append(place)
        return self._places[key]


SAME = "same"
"""The key beside ``json`` in a body on disk; in memory there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An exchange on its way to a line.

    Attributes:
        exchange: the exchange, redacted.
        body: the pieces of its request's JSON body; None where nothing of it is shared.
    """

    exchange: Exchange
    body: Piece | None

    @property
    def line(self) -> bytes:
        """Its line with nothing shared, redacted; spelled anew each time.

        Raises:
            NotRecordable: it holds something that JSON can't; the path begins with the exchange's kind.
        """
        return encode(self.exchange.to_json(), where=self.exchange.kind)


def draft_of(exchange: Exchange, redactor: LineRedactor | None, *, body: Piece | None = None) -> Draft:
    """Redact and cut an exchange: what takes time, and needs no order.

    Args:
        exchange: the exchange.
        redactor: takes secrets out; None for an exchange that was redacted before, or read from a disk.
        body: the exchange's JSON body, where it was cut before, and holds no types but JSON's own.

    Raises:
        NotRecordable: it holds something that JSON can't, or a body that only the disk has; the path begins with
            the exchange's kind.
    """
    asked = _body(exchange)
    if SAME in asked:
        raise NotRecordable(
            f"{exchange.kind}['asked']['body']", f"holds the key {SAME!r}, which only a file may have"
        )
    if redactor is not None or (body is None and "json" in asked):
        spelled = encode(exchange.to_json(), where=exchange.kind)
        line = spelled if redactor is None else redactor.line(spelled)
        if line is not spelled or not _is_spelled(asked, line):
            exchange = Exchange.from_json(decode(line))
            asked, body = _body(exchange), None
    if body is None and "json" in asked:
        body = cut(asked["json"])
    return Draft(exchange=exchange, body=body)


class DeltaEncoder:
    """Writes the lines of one ``exchanges.jsonl``. Not thread safe: its order is that of the lines.

    A line costs what its request costs, however many came before; in memory are digests of distinct content.
    """

    __slots__ = ("_lines", "_root")

    def __init__(self) -> None:
        self._lines = 0
        self._root = _Place()

    def line(self, draft: Draft) -> bytes:
        """The line of the next exchange; nothing is remembered before `add`."""
        if draft.body is None:
            return draft.line
        same, rest = self._root.split(draft.body)
        if same is None:
            return draft.line
        exchange = draft.exchange
        body = {SAME: same, **exchange.asked["body"], "json": rest}
        return encode(
            replace(exchange, asked={**exchange.asked, "body": body}).to_json(), where=exchange.kind
        )

    def add(self, draft: Draft) -> None:
        """Note a written line: the next lines may refer to it."""
        self._lines += 1
        if draft.body is not None:
            self._root.add(draft.body, self._lines)


class _Place:
    """A place in requests' bodies, and what stood there."""

    __slots__ = ("_arrays", "_below", "_whole")

    def __init__(self) -> None:
        self._whole: dict[bytes, int] = {}
        self._below: dict[str, _Place] = {}
        self._arrays = Arrays()

    def split(self, piece: Piece) -> tuple[Json, Json]:
        """The reference to the earlier value at this place (None: no reference), and the rest, which is spelled out."""
        if piece.size < WORTH:
            return None, piece.value
        if line := self._whole.get(piece.key):
            return line, None
        if piece.fields is not None:
            return self._split_fields(piece)
        if piece.items is None:
            return None, piece.value
        runs = self._arrays.runs(*piece.items)
        return [list(run) for run in runs] or None, _without(piece.value, runs)

    def add(self, piece: Piece, line: int) -> None:
        """A value stands here, on that line. What was known stays with the line that spells it."""
        if piece.key in self._whole:
            return
        if piece.size >= WORTH:
            self._whole[piece.key] = line
        if piece.items is not None:  # a short one too: the next will be longer
            self._arrays.add(line, piece.items[0])
        for name, inner in (piece.fields or {}).items():
            if inner.size >= WORTH or inner.items or inner.fields:
                self._below.setdefault(name, _Place()).add(inner, line)

    def _split_fields(self, piece: Piece) -> tuple[Json, Json]:
        same, rest = {}, dict(piece.value)
        for name, inner in (piece.fields or {}).items():
            if name in self._below:
                said, left = self._below[name].split(inner)
                if said is not None:
                    same[name], rest[name] = said, left
        return same or None, rest


def _without(items: list[Json], runs: list[tuple[int, int, int, int]]) -> list[Json]:
    left: list[Json] = []
    done = 0
    for at, _, start, stop in runs:
        left += items[done:at]
        done = at + stop - start
    return left + items[done:]


def _is_spelled(body: dict[str, Json], line: bytes) -> bool:
    """Whether the body's value has no types of its own (a ``StrEnum``), which may be spelled otherwise in parts."""
    return "json" not in body or line.startswith(spell(body["json"]), line.find(_JSON) + len(_JSON))


_JSON = b'"json":'


def _body(exchange: Exchange) -> dict[str, Json]:
    body = exchange.asked.get("body") if exchange.kind == "http" else None
    return body if isinstance(body, dict) else {}
