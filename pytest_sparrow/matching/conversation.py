"""Which request continues which: a request repeats the conversation so far and adds to it. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.exchange import Json

__all__ = ["Conversations", "prefixes"]


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
    """The conversations seen so far, each known by the exchange that last carried it."""

    def __init__(self) -> None:
        self._last: dict[bytes, int] = {}

    def predecessor(self, chain: list[bytes]) -> int | None:
        """The exchange that the newest proper prefix of this conversation belongs to, or None: it is new."""
        for prefix in reversed(chain[:-1]):
            found = self._last.get(prefix)
            if found is not None:
                return found
        return None

    def add(self, chain: list[bytes], exchange: int) -> None:
        """Remember which exchange carried this conversation."""
        if chain:
            self._last[chain[-1]] = exchange
