"""Cuts a JSON value, the body of a request, into pieces that stand again in later requests of a run.

An agent sends its whole conversation with every request. A piece has a key, so that what is done once for a piece
(to clean it, to write it) is not done again for each request that holds it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import spell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_sparrow.exchange import Json

MAX_ITEMS = 1 << 20
"""Items of an array that is shared or decoded: a few lines that double one another must not fill the memory."""

_MAX_LEVELS = 3
"""Objects within one another that are cut: ``{"request": {"contents": […]}}`` is, what lies deeper is one piece."""

_DIGEST = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A value, and what distinguishes it from others at the same place.

    Attributes:
        value: the value.
        key: equal for values that are spelled alike to the byte, and for no others at the same place: 1 is not
            1.0, and the order of keys counts, since a request is decoded exactly. Memory per piece is bounded.
        size: bytes of its spelling, about.
        fields: an object's pieces, or None for what isn't cut so.
        items: an array's keys and sizes, or None.
    """

    value: Json
    key: bytes
    size: int
    fields: Mapping[str, Piece] | None = None
    items: tuple[Sequence[bytes], Sequence[int]] | None = None


def cut(value: Json, *, level: int = 0) -> Piece:
    """Cut a JSON value, of JSON's own types only; costs about as much as to spell it."""
    if isinstance(value, dict) and level < _MAX_LEVELS:
        fields = {name: cut(item, level=level + 1) for name, item in value.items()}
        names = (spell(name) for name in fields)
        key = _joined(
            b"{",
            (part for name, piece in zip(names, fields.values(), strict=True) for part in (name, piece.key)),
        )
        size = 2 + sum(len(name) + 4 + piece.size for name, piece in fields.items())
        return Piece(value=value, key=key, size=size, fields=fields)
    if isinstance(value, list) and level <= _MAX_LEVELS and len(value) <= MAX_ITEMS:
        texts = [spell(item) for item in value]
        keys, sizes = tuple(map(_key, texts)), tuple(len(text) + 1 for text in texts)
        return Piece(value=value, key=_joined(b"[", keys), size=2 + sum(sizes), items=(keys, sizes))
    text = spell(value)
    return Piece(value=value, key=_key(text), size=len(text))


def _key(text: bytes) -> bytes:
    """The text itself where it is shorter than a digest, so that neither is taken for the other."""
    return text if len(text) < _DIGEST else hashlib.blake2b(text, digest_size=_DIGEST).digest()


def _joined(kind: bytes, parts: Iterable[bytes]) -> bytes:
    text = kind + b"".join([b"%d:%b" % (len(part), part) for part in parts])
    return hashlib.blake2b(text, digest_size=_DIGEST).digest()
