"""Remembers what of a run's requests was cleaned: an agent sends its whole conversation with every request.

What is remembered holds as long as the redactor knows no more secrets and directories than it knew then: a secret that
is learned from a later answer is looked for in the earlier messages, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import is_
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_sparrow.events.pieces import Piece
    from pytest_sparrow.exchange import Json

_Cleaned: TypeAlias = "dict[bytes, Json]"
"""What became of values, by the keys of their pieces; `_SAME` for those that held nothing."""

_SAME: Any = object()
_WORTH = 256
"""Bytes from which on a value is looked up; a shorter one is read as fast."""
_LEAST_ITEM = 24
"""Bytes that an array's items have on average: numbers are read as fast as they are looked up."""


@dataclass(slots=True)
class _Part:
    """A piece of a request, and what of it is new.

    Attributes:
        piece: the piece.
        new: its value without what was cleaned before.
        known: what was cleaned before at this place; None where nothing is looked up.
        fresh: which items of an array are new; of a text, one number if it is.
        fields: the parts of an object that is looked up field by field.
    """

    piece: Piece
    new: Json
    known: _Cleaned | None = None
    fresh: list[int] = field(default_factory=list)
    fields: Mapping[str, _Part] | None = None


class Remembered:
    """What was cleaned while the redactor knew the same.

    Args:
        known: what the redactor knows.

    Attributes:
        known: the same.
        headers: headers of requests as they are kept, by name and value.
    """

    __slots__ = ("_at", "headers", "known")

    def __init__(self, known: object) -> None:
        self.known = known
        self.headers: dict[tuple[str, str], str] = {}
        # By the names of the fields around a value: these may say that it is a secret.
        self._at: dict[tuple[str, ...], _Cleaned] = {}

    def cleaned(self, piece: Piece, clean: Callable[[Json], Json]) -> Json:
        """The value of a request's body without secrets; the same object where there were none.

        Args:
            piece: the body, cut.
            clean: cleans a value, and gives back the same object where there is nothing to clean. It gets what of the
                body is new, in the same places.
        """
        part = self._part(piece, ())
        return _whole(part, clean(part.new))

    def _part(self, piece: Piece, place: tuple[str, ...]) -> _Part:
        if piece.size < _WORTH or _is_read_whole(piece.value):
            return _Part(piece, piece.value)
        if piece.fields is not None:
            fields = {name: self._part(inner, (*place, name)) for name, inner in piece.fields.items()}
            return _Part(piece, {name: part.new for name, part in fields.items()}, fields=fields)
        if piece.items is not None:
            keys = piece.items[0]
            if piece.size < _LEAST_ITEM * len(keys):
                return _Part(piece, piece.value)
            known = self._at.setdefault(place, {})
            fresh = [number for number, key in enumerate(keys) if key not in known]
            return _Part(piece, [piece.value[number] for number in fresh], known, fresh)
        if not isinstance(piece.value, str):
            return _Part(piece, piece.value)
        known = self._at.setdefault(place, {})
        return _Part(piece, "", known) if piece.key in known else _Part(piece, piece.value, known, [0])


def _is_read_whole(value: Json) -> bool:
    """Whether the members of an object, or the items of an array, may say of one another that they are secret."""
    if isinstance(value, dict):
        return "kty" in value or value.get("kind") == "Secret" or "value" in value or "Value" in value
    return isinstance(value, list) and str in set(map(type, value))  # ["--token", …]


def _whole(part: _Part, found: Json) -> Json:
    """The cleaned value of a part, from what became of the new of it; and note that."""
    piece, known = part.piece, part.known
    if part.fields is not None:
        pairs = zip(part.fields.values(), found.items(), strict=True)
        fields = {name: _whole(inner, item) for inner, (name, item) in pairs}
        same = all(map(is_, fields.values(), piece.value.values())) and all(map(is_, fields, piece.value))
        return piece.value if same else fields
    if known is None:
        return found
    if piece.items is None:
        if part.fresh:
            known[piece.key] = _SAME if found is part.new else found
        return piece.value if known[piece.key] is _SAME else known[piece.key]
    keys, items = piece.items[0], piece.value
    if found is not part.new:
        for number, item, old in zip(part.fresh, found, part.new, strict=True):
            known[keys[number]] = _SAME if item is old else item
    else:
        known.update((keys[number], _SAME) for number in part.fresh)
    if all(known[key] is _SAME for key in keys):
        return items
    return [item if known[key] is _SAME else known[key] for key, item in zip(keys, items, strict=True)]
