"""Keeps what went wrong at the boundaries of a run, whatever the agent did with the exception."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_sparrow.errors import ReplayDivergence
from pytest_sparrow.findings import Finding, Kind, Location
from pytest_sparrow.report.words import hints, title

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Violations", "divergence"]

_ASKED = (Kind.MISS, Kind.REFUSED, Kind.UNRECORDABLE, Kind.DRIFT, Kind.ORDER)
"""Kinds that are found while the user's code asks for something."""


class Violations:
    """The findings of a run's boundaries, in the order in which they came.

    Appending is atomic; the run's lock guards the rest.

    Args:
        now: how many events the run has emitted so far.
        caller: the line of the user's code that is asking.

    Attributes:
        findings: the findings.
        mirror: in a forked child, what sends a finding's title to the original process.
    """

    def __init__(self, now: Callable[[], int], caller: Callable[[], str] = str) -> None:
        self.findings: list[Finding] = []
        self.mirror: Callable[[str], None] | None = None
        self._now = now
        self._caller = caller

    def add(self, finding: Finding) -> Finding:
        """Keep a finding; returns it with its place in the run and the line of code that asked."""
        placed = replace(
            finding,
            new_at=replace(finding.new_at or Location(), event=self._now()),
            caller=self._caller() if finding.kind in _ASKED else "",
        )
        self.findings.append(placed)
        if self.mirror is not None:
            self.mirror(title(placed))
        return placed

    def of(self, kind: Kind) -> list[Finding]:
        """The findings of one kind."""
        return [finding for finding in self.findings if finding.kind is kind]


def divergence(finding: Finding) -> ReplayDivergence:
    """The exception that tells the agent of a finding."""
    return ReplayDivergence(title(finding), tuple(hints(finding)))
