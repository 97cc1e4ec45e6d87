"""Says how similar two requests, two calls, two units of a run or two JSON values are.

Every measure is a share from 0 to 1 of what both sides hold, and bounded in cost.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from pytest_sparrow.events.jsontext import canonical, equal
from pytest_sparrow.matching.counts import address_of, asked_fields
from pytest_sparrow.wire.asking import what_is_asked

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from pytest_sparrow.exchange import Exchange, Json

_WORD = re.compile(r"\w+")

_MOST_FEATURES = 200
_MOST_LETTERS = 2_000


def overlap(one: AbstractSet[Hashable], other: AbstractSet[Hashable]) -> float:
    """How much two sets have in common, as a share of all that they hold."""
    return len(one & other) / (len(one | other) or 1)


def shared_fields(golden: Json, new: Json) -> float:
    """How many fields of the larger of two objects have equal values in both; 0 for anything else."""
    if not isinstance(golden, dict) or not isinstance(new, dict) or not golden:
        return 0.0
    return _equal_fields(golden, new) / max(len(golden), len(new))


def shared_arguments(proposed: Json, called: Json) -> float:
    """How many of a proposal's arguments a call has; infinite where the call has them all.

    What else the call has are the function's own defaults.
    """
    if equal(proposed, called):
        return float("inf")
    if not isinstance(proposed, dict) or not isinstance(called, dict):
        return 0.0
    shared = _equal_fields(proposed, called)
    return float("inf") if shared == len(proposed) else float(shared)


def _equal_fields(one: dict[str, Json], other: dict[str, Json]) -> int:
    return sum(key in other and equal(value, other[key]) for key, value in one.items())


def features(value: Json) -> Iterator[Hashable]:
    """What a JSON value says: its plain values under their keys, and the words of its texts; bounded in number."""
    found = 0
    waiting: list[Json] = [value]
    while waiting and found < _MOST_FEATURES:
        item = waiting.pop()
        if isinstance(item, dict):
            for key, inner in item.items():
                if isinstance(inner, dict | list | str):
                    waiting.append(inner)
                else:
                    found += 1
                    yield key, repr(inner)
        elif isinstance(item, list):
            waiting.extend(item[:_MOST_FEATURES])
        elif isinstance(item, str):
            words = item[:_MOST_LETTERS].split()[:_MOST_FEATURES]
            found += len(words)
            yield from words
        else:
            found += 1
            yield repr(item)


class Similarity:
    """Compares requests and calls by their words; a recorded request or call is read once.

    Attributes:
        limit: how many bytes of a request are read, or None for all.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self._recorded: dict[int, frozenset[str]] = {}

    def most_similar(self, asked: dict[str, Json], recorded: Iterable[tuple[int, dict[str, Json]]]) -> int:
        """The number of the recorded request that is most similar to ``asked``; the first of equals."""
        words = self._words(asked)
        return max(recorded, key=lambda one: overlap(words, self._recorded_words(*one)))[0]

    def _recorded_words(self, number: int, recorded: dict[str, Json]) -> frozenset[str]:
        known = self._recorded.get(number)
        if known is None:
            known = self._recorded[number] = self._words(recorded)
        return known

    def _words(self, asked: dict[str, Json]) -> frozenset[str]:
        query, said = "", None
        if "name" in asked:
            said = {key: value for key, value in asked_fields(asked).items() if key != "name"}
        else:
            query, said = urlsplit(asked.get("url", "")).query, asked.get("body")
        text = canonical(said)[: self.limit].decode("utf-8", "replace")
        return frozenset(_WORD.findall(f"{query[: self.limit]} {text}"))


_MOST_READ = 8
"""Exchanges of the most similar address that are read for their words."""

_MOST_BYTES = 20_000


class _Recipient(NamedTuple):
    """Where a request goes: a name; or a method, host and path, and what an MCP client asks for there."""

    kind: str
    name: str
    method: str = ""
    host: str = ""
    path: str = ""


class Nearest:
    """Finds the recorded exchange that is nearest to a request without an answer, for a message only.

    Nothing is read before the first miss.
    """

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        self._exchanges = exchanges
        self._by_address: dict[_Recipient, list[int]] = {}
        self._similarity = Similarity(_MOST_BYTES)

    def find(self, kind: str, asked: dict[str, Json], unplayed: Collection[int]) -> int | None:
        """The number of the exchange most similar to what was asked, or None where none is similar.

        The address decides, then whether the exchange is still unplayed, then the words.
        """
        if not self._by_address:
            for number, exchange in enumerate(self._exchanges):
                self._by_address.setdefault(_address(exchange.kind, exchange.asked), []).append(number)
        numbers = self._most_similar_addressed(_address(kind, asked))
        if not numbers:
            return None
        # What comes next, or what came last.
        waiting = [number for number in numbers if number in unplayed][:_MOST_READ]
        candidates = waiting or numbers[-_MOST_READ:][::-1]
        return self._similarity.most_similar(
            asked, ((number, self._exchanges[number].asked) for number in candidates)
        )

    def _most_similar_addressed(self, own: _Recipient) -> list[int]:
        same = self._by_address.get(own)
        if same is not None:
            return same
        similar = {other: _address_similarity(own, other) for other in self._by_address}
        best = max(similar.values(), default=0.0)
        found = (address for address, similarity in similar.items() if best and similarity == best)
        return sorted(number for address in found for number in self._by_address[address])


def _address(kind: str, asked: dict[str, Json]) -> _Recipient:
    if kind != "http":
        return _Recipient(kind, str(asked.get("name")))
    address = address_of(asked["url"])
    return _Recipient(kind, what_is_asked(asked), asked["method"].upper(), address.host, address.path)


def _address_similarity(own: _Recipient, other: _Recipient) -> float:
    """How similar the addresses of two HTTP requests are, 0 for not at all; two tools never are."""
    if own.kind != "http" or (own.kind, own.name) != (other.kind, other.name):
        return 0.0
    same_method = own.method == other.method
    if own.path == other.path:
        return (6.0 if own.host == other.host else 4.0) + same_method
    if own.host != other.host:
        return 0.0
    steps, others = own.path.split("/")[1:], other.path.split("/")[1:]
    shared = overlap(set(steps), set(others))
    if not shared and not (same_method and len(steps) == len(others)):
        return 0.0
    return 2 + 4 * shared + same_method
