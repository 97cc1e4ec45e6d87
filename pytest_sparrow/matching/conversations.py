"""Follows conversations: which exchange carried the words with which a request goes on."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.exchange import Json


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

        Agents side by side may begin with the same words: then the lane shows whose conversation goes on.

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
