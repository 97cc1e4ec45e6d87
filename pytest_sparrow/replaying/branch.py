"""Where a replay leaves its golden: one call whose answer is another one; and what of two runs lies before it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.events import ToolUseStarted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.replaying.ledger import Finding

__all__ = ["Branch", "before_branch"]


@dataclass(slots=True, kw_only=True)
class Branch:
    """The call at which a run leaves its golden. The run's lock guards it.

    Attributes:
        said: as the user wrote it, like ``fork(at="refund")``.
        kind: "tool" or "http".
        name: the tool's name, "" for HTTP.
        nth: which of its calls, or which HTTP request of the run, from 1.
        answered: the answer that it gets.
        error: the exception to raise instead, or None.
        live: whether the world is open from there; else the golden goes on feeding what still fits.
        met: how many such calls there were so far.
        told: how many events had been told when it was reached, the call's own beginning included; None: not yet.
        known: what the ledger held then.
        exchange: the recorded exchange whose answer was replaced, or None: the golden has no such call.
    """

    said: str
    kind: str
    name: str = ""
    nth: int = 1
    answered: dict[str, Json]
    error: Exception | None = None
    live: bool = False
    met: int = 0
    told: int | None = None
    known: tuple[Finding, ...] = ()
    exchange: Exchange | None = None

    def meets(self, kind: str, asked: dict[str, Json]) -> bool:
        """Count a crossing; whether it is the one."""
        if self.told is not None or kind != self.kind or (kind == "tool" and asked["name"] != self.name):
            return False
        self.met += 1
        return self.met == self.nth

    @property
    def opened(self) -> bool:
        """Whether the world is open by now."""
        return self.live and self.told is not None

    def knew(self, finding: Finding) -> bool:
        """Whether a finding is older than the fork."""
        return any(finding is known for known in self.known)


def before_branch(
    branch: Branch, golden: Sequence[Event], new: Sequence[Event]
) -> tuple[list[Event], list[Event]]:
    """The events of both runs up to the fork.

    Of the golden: in the lane of the call up to its beginning, in others as many as the new run had told: what runs
    side by side is told in any order.
    """
    mine = list(new[: branch.told])
    left = Counter(_lane(event) for event in mine)
    own = branch.exchange if branch.exchange is not None and branch.kind == "tool" else None
    start = None if own is None else _start(golden, own)
    theirs = []
    for number, event in enumerate(golden):
        lane = _lane(event)
        if start is not None and lane == _lane(golden[start]):
            if number <= start:
                theirs.append(event)
        elif left[lane] > 0:
            left[lane] -= 1
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
