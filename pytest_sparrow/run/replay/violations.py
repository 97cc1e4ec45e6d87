"""The ledger: what went wrong at the boundaries of a run, kept whatever the agent did with its exception."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.exchange import Json

__all__ = ["Finding", "Kind", "Violations"]


class Kind(enum.Enum):
    """What kind of thing was found, in the order in which a report tells them."""

    MISS = "miss"
    """The golden holds no answer to this."""
    REFUSED = "refused"
    """A contact with the world that a replay refuses."""
    UNRECORDABLE = "unrecordable"
    """A value that JSON cannot hold faithfully."""
    DRIFT = "drift"
    """An answer was given, but the request is not the recorded one."""
    ORDER = "order"
    """Calls that no event tells of came in another order."""
    UNPLAYED = "unplayed"
    """A recorded answer that nobody asked for."""
    UNREACHED = "unreached"
    """A fork that the run never came to."""
    UNWRAPPED = "unwrapped"
    """A proposed tool ran without a wrapper."""
    UNREAD = "unread"
    """Calls of a model in a format that no codec reads."""
    UNCAPTURED = "unseen"
    """A connection that no boundary recorded: a replay will refuse it."""
    CHILD = "child"
    """A process that a replay started outside of a tool."""
    LATE = "late"
    """A crossing that was still open when the test ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found.

    Attributes:
        kind: what kind of thing.
        summary: it in one line.
        hint: the way out, or "".
        boundary: "http", "tool", "call" or "".
        asked: what the agent asked, for a miss or a drift.
        golden: the recorded asked half that it was held against (the closest one, for a miss).
        number: the recorded exchange's place in the golden, from 0, or None.
        played: that exchange had been given already.
        call_id: the tool call's id, or "".
        of_model: what was asked, for a drift, was a model's next turn.
        at: how many events the run had told when it was found.
        caller: the line of the user's code that asked, like ``agent.py:56``, or "".
    """

    kind: Kind
    summary: str
    hint: str = ""
    boundary: str = ""
    asked: dict[str, Json] | None = None
    golden: dict[str, Json] | None = None
    number: int | None = None
    played: bool = False
    call_id: str = ""
    of_model: bool = False
    at: int = 0
    caller: str = ""


_ASKED = (Kind.MISS, Kind.REFUSED, Kind.UNRECORDABLE, Kind.DRIFT, Kind.ORDER)
"""Kinds that are found while somebody asks."""


class Violations:
    """The findings of a run, in the order in which they came. Appending is atomic; the run's lock guards the rest.

    Args:
        now: how many events the run has told so far.
        caller: the line of the user's code that is asking.

    Attributes:
        findings: the findings.
        mirror: in a forked child, what tells the original of a finding's summary.
    """

    def __init__(self, now: Callable[[], int], caller: Callable[[], str] = str) -> None:
        self.findings: list[Finding] = []
        self.mirror: Callable[[str], None] | None = None
        self._now = now
        self._caller = caller

    def add(self, finding: Finding) -> Finding:
        """Write a finding down, with where in the run it was found."""
        placed = replace(finding, at=self._now(), caller=self._caller() if finding.kind in _ASKED else "")
        self.findings.append(placed)
        if self.mirror is not None:
            self.mirror(placed.summary)
        return placed

    def of(self, kind: Kind) -> list[Finding]:
        """The findings of one kind."""
        return [finding for finding in self.findings if finding.kind is kind]
