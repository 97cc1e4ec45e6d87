"""Makes keys of requests, equal where two ask the same, and finds which request continues which conversation."""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import canonical, digest
from pytest_sparrow.matching.counts import address_of, asked_fields, body_of
from pytest_sparrow.redact import strip_numbers
from pytest_sparrow.wire.jsonrpc import what_is_asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.exchange import Json


__all__ = ["Conversations", "prefixes", "request_key", "request_shape"]


def request_shape(asked: dict[str, Json]) -> tuple[str, str, str]:
    """Method, host and path of an ``http`` asked half: what must agree even where the request drifted.

    An MCP client sends every request to one path: there the method and the tool's name must agree, too.
    """
    address = address_of(asked["url"])
    return asked["method"].upper(), address.host, address.path + what_is_asked(asked)


def request_key(kind: str, asked: dict[str, Json]) -> str:
    """A digest that is equal for two asked halves exactly when they ask the same; `matching.counts` says what counts.

    HTTP: method, scheme, host, path, sorted query, decoded body. Tools and calls: name and arguments.
    """
    if kind != "http":
        return digest([kind, _unnumbered(asked_fields(asked)).decode()])
    # Canonical JSON holds no line break: joined by one, the parts can't run into one another.
    parts = asked["method"].upper().encode(), _address(asked["url"]), _unnumbered(body_of(asked))
    return hashlib.blake2b(b"\n".join(parts), digest_size=16).hexdigest()


@functools.lru_cache(maxsize=256)
def _address(url: str) -> bytes:
    scheme, host, path, query = address_of(url)
    return _unnumbered([scheme, host, path, [list(pair) for pair in query]])


def _unnumbered(value: Json) -> bytes:
    return strip_numbers(canonical(value))


def prefixes(conversation: Sequence[Json]) -> list[bytes]:
    """One digest for each prefix of a conversation: of its first message, its first two, … all of it."""
    running = hashlib.blake2b(digest_size=16)
    found = []
    for message in conversation:
        running.update(canonical(message))
        running.update(b"\n")
        found.append(running.digest())
    return found


class Conversations:
    """Remembers which exchange last carried a conversation, in each lane and in any lane."""

    def __init__(self) -> None:
        self._last: dict[tuple[bytes, str | None], int] = {}

    def predecessors(self, chain: list[bytes], lane: str) -> tuple[list[int], int]:
        """Find the exchanges that carried the longest known proper prefix of a conversation.

        Agents side by side may begin with the same words: then the lane tells whose conversation goes on.

        Returns:
            The exchange that last carried the prefix in this lane, then the one in any lane, and how many messages
            the prefix has; no exchange and 0 where the conversation is new.
        """
        for length in range(len(chain) - 1, 0, -1):
            anywhere = self._last.get((chain[length - 1], None))
            if anywhere is not None:
                own = self._last.get((chain[length - 1], lane), anywhere)
                return ([own] if own == anywhere else [own, anywhere]), length
        return [], 0

    def add(self, chain: list[bytes], exchange: int, lane: str) -> None:
        """Remember which exchange carried this conversation."""
        for place in (lane, None) if chain else ():
            self._last[chain[-1], place] = exchange
