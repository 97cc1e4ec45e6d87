"""Which of a few recorded requests is most like one that was edited: by the words they share. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sparrow.exchange import Json

__all__ = ["Likeness"]

_WORD = re.compile(r"\w+")


class Likeness:
    """Compares requests by the words of their bodies; a recorded one is read once."""

    def __init__(self) -> None:
        self._recorded: dict[int, frozenset[str]] = {}

    def likest(self, asked: dict[str, Json], recorded: Iterable[tuple[int, dict[str, Json]]]) -> int:
        """The number of the recorded request that shares most words with ``asked``; the first of equals."""
        words = _words(asked)
        return max(recorded, key=lambda one: self._share(words, *one))[0]

    def _share(self, words: frozenset[str], number: int, recorded: dict[str, Json]) -> float:
        known = self._recorded.get(number)
        if known is None:
            known = self._recorded[number] = _words(recorded)
        return len(words & known) / (len(words | known) or 1)


def _words(asked: dict[str, Json]) -> frozenset[str]:
    return frozenset(_WORD.findall(canonical(asked.get("body")).decode("utf-8", "replace")))
