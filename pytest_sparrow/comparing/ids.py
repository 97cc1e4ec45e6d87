"""Ids: found cheaply inside any text, masked before aligning, and mapped from golden to new afterwards.

An id is what an event carries as ``id`` or ``run``. Inside other strings only *distinctive* ids count: at
least six characters, with a digit, a dash or an underscore. A tool call whose id is "1" or "refund" must not
make the words "1" and "refund" mean nothing wherever they stand.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_sparrow.comparing.units import NumberedEvent

__all__ = ["Bijection", "IdText"]

_TOKEN = re.compile(r"[\w\-]+")
_TELLING = re.compile(r"[\d_\-]")
_LEAST = 6
_MARK = "\x00id"


class IdText:
    """Knows the ids of both runs, and finds them as whole words of a text in one pass over it."""

    def __init__(self, found: Iterable[NumberedEvent]) -> None:
        self._ids = _distinctive(
            each for entry in found for each in (entry.run, entry.id) if each is not None
        )

    @classmethod
    def of(cls, ids: Iterable[str]) -> IdText:
        """For ids that were found elsewhere."""
        text = cls(())
        text._ids = _distinctive(ids)
        return text

    def within(self, text: str) -> list[str]:
        """The ids in a text, in order."""
        if len(text) < _LEAST or not self._ids:
            return []
        if text in self._ids:
            return [text]
        words = _TOKEN.findall(text)
        if self._ids.isdisjoint(words):
            return []
        return [word for word in words if word in self._ids]

    def mask(self, text: str) -> str:
        """The text with the same mark for every id."""
        if not self.within(text):
            return text
        if text in self._ids:
            return _MARK
        return _TOKEN.sub(lambda word: _MARK if word.group() in self._ids else word.group(), text)


def _distinctive(ids: Iterable[str]) -> frozenset[str]:
    return frozenset(each for each in set(ids) if len(each) >= _LEAST and _TELLING.search(each))


class Bijection:
    """One id of the golden ↔ one id of the new run."""

    def __init__(self, ids: IdText) -> None:
        self._text = ids
        self._new_of: dict[str, str] = {}
        self._golden_of: dict[str, str] = {}

    def declare(self, golden: str, new: str) -> None:
        """A proposal (or a run) introduces its id: from here on it means this one.

        Providers that count their ids anew in every answer use one again and again: the older meaning
        gives way.
        """
        stale = self._new_of.get(golden)
        if stale is not None:
            self._golden_of.pop(stale, None)
        stale = self._golden_of.get(new)
        if stale is not None:
            self._new_of.pop(stale, None)
        self._new_of[golden] = new
        self._golden_of[new] = golden

    def same_id(self, golden: str, new: str) -> bool:
        """Whether two ids answer to each other; a pair of which neither is known yet is learned."""
        known = self._new_of.get(golden)
        if known is None and new not in self._golden_of:
            self.declare(golden, new)
            return True
        return known == new

    def same_text(self, golden: str, new: str) -> bool:
        """Whether two texts are equal, as they are or with the golden's ids replaced by the new ones."""
        if golden == new:
            return True
        ids = self._text.within(golden)
        if not ids or self._text.mask(golden) != self._text.mask(new):
            return False
        return self.same_ids(ids, self._text.within(new))

    def same_ids(self, golden: Sequence[str], new: Sequence[str]) -> bool:
        """Whether two sequences of ids answer to each other, one by one (or are the same)."""
        return golden == new or (len(golden) == len(new) and all(map(self.same_id, golden, new)))

    def renamed(self, golden: str) -> str:
        """The golden's text with every known id replaced by the new one."""
        if not self._text.within(golden):
            return golden
        if golden in self._new_of:
            return self._new_of[golden]
        return _TOKEN.sub(lambda word: self._new_of.get(word.group(), word.group()), golden)
