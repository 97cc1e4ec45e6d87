"""Finds the recorded request that is most similar to one without an answer.

Which of a few recorded requests is most like one that was edited: by the words they share. Pure.

Which recorded exchange is most like what has no answer: for a message only. Pure, and bounded in cost.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from pytest_sparrow.events.jsontext import canonical
from pytest_sparrow.matching.keys import host_of
from pytest_sparrow.wire.jsonrpc import what_is_asked

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pytest_sparrow.exchange import Exchange, Json

__all__ = ["Nearest", "Similarity"]


_WORD = re.compile(r"\w+")


class Similarity:
    """Compares requests by the words of their bodies; a recorded one is read once."""

    def __init__(self) -> None:
        self._recorded: dict[int, frozenset[str]] = {}

    def most_similar(self, asked: dict[str, Json], recorded: Iterable[tuple[int, dict[str, Json]]]) -> int:
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


_MOST = 8
"""Exchanges of the likest address that are read for their words."""

_MOST_TEXT = 20_000
"""Bytes of a request that are read."""

_NEAREST_WORD = re.compile(r"\w+")


class _Address(NamedTuple):
    """What an exchange is addressed to: a name; or a method, host and path, and what an MCP client asks for there."""

    kind: str
    name: str
    method: str = ""
    host: str = ""
    path: str = ""


class Nearest:
    """The exchanges of a golden by what they are addressed to; nothing is read before the first miss."""

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        self._exchanges = exchanges
        self._by_address: dict[_Address, list[int]] = {}

    def find(self, kind: str, asked: dict[str, Json], unplayed: Collection[int]) -> int | None:
        """The exchange most like what was asked, one of the ``unplayed`` if it can be; None where none is alike.

        The address decides, then whether it was played, then the words.
        """
        if not self._by_address:
            for number, exchange in enumerate(self._exchanges):
                self._by_address.setdefault(_address(exchange.kind, exchange.asked), []).append(number)
        numbers = self._most_similar_addressed(_address(kind, asked))
        waiting = [number for number in numbers if number in unplayed]
        if not numbers:
            return None
        # What comes next, or what came last.
        return self._most_similar(kind, asked, waiting[:_MOST] or reversed(numbers[-_MOST:]))

    def _most_similar_addressed(self, own: _Address) -> list[int]:
        same = self._by_address.get(own)
        if same is not None:
            return same
        alike = {other: _similarity(own, other) for other in self._by_address}
        best = max(alike.values(), default=0.0)
        found = (address for address, similarity in alike.items() if best and similarity == best)
        return sorted(number for address in found for number in self._by_address[address])

    def _most_similar(self, kind: str, asked: dict[str, Json], numbers: Iterable[int]) -> int:
        words = _nearest_words(kind, asked)
        return max(
            numbers, key=lambda number: _share(words, _nearest_words(kind, self._exchanges[number].asked))
        )


def _address(kind: str, asked: dict[str, Json]) -> _Address:
    if kind != "http":
        return _Address(kind, asked["name"])
    url = asked["url"]
    return _Address(kind, what_is_asked(asked), asked["method"].upper(), host_of(url), urlsplit(url).path)


def _similarity(own: _Address, other: _Address) -> float:
    """How like two addresses of HTTP requests are; 0: not at all. Another tool is never alike."""
    if own.kind != "http" or (own.kind, own.name) != (other.kind, other.name):
        return 0.0
    same_method = own.method == other.method
    if own.path == other.path:
        return (6.0 if own.host == other.host else 4.0) + same_method
    if own.host != other.host:
        return 0.0
    steps, others = own.path.split("/")[1:], other.path.split("/")[1:]
    shared = _share(Counter(steps), Counter(others))
    if not shared and not (same_method and len(steps) == len(others)):
        return 0.0
    return 2 + 4 * shared + same_method


def _share(one: Counter[str], other: Counter[str]) -> float:
    """How much of two texts they have in common, 0 to 1."""
    return (one & other).total() / ((one | other).total() or 1)


def _nearest_words(kind: str, asked: dict[str, Json]) -> Counter[str]:
    if kind == "http":
        query, told = urlsplit(asked["url"]).query, asked.get("body")
    else:
        query, told = "", {key: value for key, value in asked.items() if key not in ("name", "id")}
    text = canonical(told)[:_MOST_TEXT].decode("utf-8", "replace")
    return Counter(_NEAREST_WORD.findall(f"{query[:_MOST_TEXT]} {text}"))
