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
    """The conversations seen so far, each known by the exchange that last carried it, in each lane and in any."""

    def __init__(self) -> None:
        self._last: dict[tuple[bytes, str | None], int] = {}

    def predecessors(self, chain: list[bytes], lane: str) -> tuple[list[int], int]:
        """What the longest known proper prefix of this conversation belongs to.

        Agents side by side may begin with the same words: then the lane tells whose conversation goes on.

        Returns:
            The exchange that last carried it in this lane, then the one in any, and how many messages it has;
            none and 0 where the conversation is new.
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
