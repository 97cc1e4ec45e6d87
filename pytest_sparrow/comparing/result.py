"""What a comparison found: changes, and where they are."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from pytest_sparrow.comparing.paths import Path, render

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.settings import Level

__all__ = ["MISSING", "Change", "ChangeKind", "Comparison", "Missing", "Position"]


class Missing(enum.Enum):
    """The type of `MISSING` (an enum, so that it stays one object when pickled)."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING
"""There is no value on this side (None would be JSON's null)."""

ChangeKind = Literal["changed", "added", "removed", "moved"]


@dataclass(frozen=True, slots=True)
class Position:
    """Where an event stands in its run, both counted from 1.

    Attributes:
        event: its number among the run's events: its line in ``events.jsonl``.
        turn: the model's answer that it belongs to, 0 before the first.
    """

    event: int
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference.

    Attributes:
        kind: "changed", "added" (only the new side has it), "removed" (only the golden), "moved" (both have
            the same event, in another order).
        steps: where, as steps (see `compare.paths`).
        golden: the golden's value, or MISSING; for a whole event its fields.
        new: the new value, or MISSING.
        whole: whether a whole event was added, removed or moved, not a value within one.
        golden_at: the event in the golden, or None.
        new_at: the event in the new run, or None.
        follows: whether this merely follows from an earlier change; see `compare.causality`.
    """

    kind: ChangeKind
    steps: Path
    golden: Json | Missing = MISSING
    new: Json | Missing = MISSING
    whole: bool = False
    golden_at: Position | None = None
    new_at: Position | None = None
    follows: bool = False

    @property
    def path(self) -> str:
        """The path as printed, and as `Rules.exclude_paths` takes it."""
        return render(self.steps)

    @property
    def subject(self) -> str:
        """The event type, or "request"."""
        return self.steps[0]

    @property
    def label(self) -> str:
        """The tool's name or the role that stands behind the subject, or ""."""
        return self.steps[1][1:] if len(self.steps) > 1 and self.steps[1][0] == "[" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The outcome of `compare`. True where the runs are equal, so that ``assert compare(a, b)`` means it.

    Attributes:
        level: how much was compared.
        changes: every difference, in the order of the run.
        golden_count: events of the golden.
        new_count: events of the new run.
        golden_turns: model answers in the golden.
        new_turns: model answers in the new run.
    """

    level: Level
    changes: tuple[Change, ...] = ()
    golden_count: int = 0
    new_count: int = 0
    golden_turns: int = 0
    new_turns: int = 0

    @property
    def equal(self) -> bool:
        """Whether there is no difference."""
        return not self.changes

    @property
    def roots(self) -> tuple[Change, ...]:
        """The changes that follow from no other."""
        return tuple(change for change in self.changes if not change.follows)

    @property
    def followers(self) -> tuple[Change, ...]:
        """The changes that merely follow from an earlier one."""
        return tuple(change for change in self.changes if change.follows)

    @property
    def inserted(self) -> int:
        """Whole events that only the new run has (merged deltas count once)."""
        return sum(change.whole and change.kind == "added" for change in self.changes)

    @property
    def removed(self) -> int:
        """Whole events that only the golden has (merged deltas count once)."""
        return sum(change.whole and change.kind == "removed" for change in self.changes)

    def __bool__(self) -> bool:
        return self.equal

    def __str__(self) -> str:
        if self.equal:
            return f"equal at level {self.level.value}"
        follow = len(self.followers)
        return (
            f"{len(self.changes)} differences ({follow} of them follow), the first at {self.changes[0].path}"
        )
