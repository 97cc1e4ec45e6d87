"""Where a replay leaves its golden: one call whose answer is another one; and what of two runs lies before it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.events import ToolUseStarted
from pytest_sparrow.replaying.place import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.replaying.place import Departure

__all__ = ["Branch", "before_branch"]


@dataclass(slots=True, kw_only=True)
class Branch(Place):
    """A fork: the call at which a run leaves its golden.

    Attributes:
        answered: the answer that it gets.
        error: the exception to raise instead, or None.
        live: whether the world is open from there; else the golden goes on feeding what still fits.
        reached: whether the run has come to it.
    """

    answered: dict[str, Json]
    error: Exception | None = None
    live: bool = False
    reached: bool = False

    def meets(self, kind: str, asked: dict[str, Json]) -> bool:
        """Count a crossing; whether it is the one."""
        if self.reached or not self.counts(kind, asked):
            return False
        self.reached = self.met == self.nth
        return self.reached

    @property
    def opened(self) -> bool:
        """Whether the world is open by now."""
        return self.live and self.reached


def before_branch(
    left: Departure, golden: Sequence[Event], new: Sequence[Event]
) -> tuple[list[Event], list[Event]]:
    """The events of both runs up to where the new one left the golden.

    Of the golden: in the lane of the call up to its beginning, in others as many as the new run had told: what runs
    side by side is told in any order.
    """
    mine = list(new[: left.told])
    missing = Counter(left.lanes.get(lane, lane) for lane in map(_lane, mine))
    own = left.exchange if left.exchange is not None and left.kind == "tool" else None
    start = None if own is None else _start(golden, own)
    theirs = []
    for number, event in enumerate(golden):
        lane = _lane(event)
        if start is not None and lane == _lane(golden[start]):
            if number <= start:
                theirs.append(event)
        elif missing[lane] > 0:
            missing[lane] -= 1
            theirs.append(event)
    return theirs, mine


def _start(golden: Sequence[Event], call: Exchange) -> int | None:
    wanted = call.asked.get("id")
    starts = (
        number
        for number, event in enumerate(golden)
        if isinstance(event, ToolUseStarted) and event.id == wanted and _lane(event) == call.lane
    )
    return next(starts, None)


def _lane(event: Event) -> str:
    lane = (event.model_extra or {}).get("lane", "") if hasattr(event, "model_extra") else ""
    return lane if isinstance(lane, str) else ""
