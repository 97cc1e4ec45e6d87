"""The order of calls that no event tells of: plain HTTP and ``sparrow.call``. Their answers are found in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.exchange import LOOSE_LANES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.exchange import Exchange

__all__ = ["Order"]


class Order:
    """Watches, strand by strand, whether what one recorded lane asked one after the other is asked so again.

    Between lanes there is no order, nor within those of threads without context.
    """

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        self._exchanges = exchanges
        self._latest: dict[tuple[str, str], int] = {}

    def overtaken_by(self, number: int, lane: str) -> int | None:
        """Take note that an exchange was asked for; gives the one that came before it, and was recorded after it."""
        recorded_lane = self._exchanges[number].lane
        if lane.startswith(LOOSE_LANES) or recorded_lane.startswith(LOOSE_LANES):
            return None
        latest = self._latest.get((lane, recorded_lane), -1)
        self._latest[lane, recorded_lane] = max(latest, number)
        return latest if number < latest else None
