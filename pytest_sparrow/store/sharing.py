"""What a request repeats of earlier ones is written once: exchanges → lines, one after the other.

An agent sends its whole conversation with every request; written in full, n turns would take n² bytes. The reader's
half, and the form on disk, are in `pytest_sparrow.store.rebuilding`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events.jsontext import decode, encode, spell
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.store.lists import Arrays
from pytest_sparrow.store.pieces import cut

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.store.files import LineRedactor
    from pytest_sparrow.store.pieces import Piece

__all__ = ["SAME", "Draft", "Sharer", "draft_of"]

SAME = "same"
"""The key beside ``json`` in a body on disk; in memory there is none."""

_WORTH = 512
"""Bytes of a value that is shared: a shorter one is easier to read in full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An exchange on its way to a line.

    Attributes:
        exchange: the exchange, redacted.
        line: its line with nothing shared, redacted.
        body: the pieces of its request's JSON body; None where nothing of it is shared.
    """

    exchange: Exchange
    line: bytes
    body: Piece | None


def draft_of(exchange: Exchange, redactor: LineRedactor | None) -> Draft:
    """Spell and cut an exchange: what takes time, and needs no order.

    Args:
        exchange: the exchange.
        redactor: takes secrets out; None for an exchange that was read from a disk.

    Raises:
        NotRecordable: it holds something that JSON can't, or a body that only the disk has; the path begins with
            the exchange's kind.
    """
    body = _body(exchange)
    if SAME in body:
        raise NotRecordable(
            f"{exchange.kind}['asked']['body']", f"holds the key {SAME!r}, which only a file may have"
        )
    spelled = encode(exchange.to_json(), where=exchange.kind)
    line = spelled if redactor is None else redactor.line(spelled)
    if line is not spelled or not _is_spelled(body, line):
        exchange = Exchange.from_json(decode(line))
        body = _body(exchange)
    return Draft(exchange=exchange, line=line, body=cut(body["json"]) if "json" in body else None)


class Sharer:
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
        """That line is written: the next ones may refer to it."""
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
        """What to say of what stood here before (None: nothing), and what is left to spell."""
        if piece.size < _WORTH:
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
        if piece.size >= _WORTH:
            self._whole[piece.key] = line
        if piece.items is not None:  # a short one too: the next will be longer
            self._arrays.add(line, piece.items[0])
        for name, inner in (piece.fields or {}).items():
            if inner.size >= _WORTH or inner.items or inner.fields:
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
