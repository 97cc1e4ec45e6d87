"""Refuses what a run cannot answer: traffic that no boundary carries, and what is asked for elsewhere, or too late."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.findings import Finding, Kind, Location
from pytest_sparrow.report.words import FORKED, OUT_OF_A_FORK, title
from pytest_sparrow.run.context import COLLECTOR, is_collecting, strand_name
from pytest_sparrow.run.violations import divergence

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.errors import ReplayDivergence
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.violations import Violations


class Refusals:
    """What one run refuses. No lock is needed.

    Args:
        violations: the run's.
        label: the label of the calling strand's lane.
        is_shut: whether the world is shut.
        report_late: gets each finding after the run's end.
    """

    def __init__(
        self,
        violations: Violations,
        label: Callable[[], str],
        is_shut: Callable[[], bool],
        report_late: Callable[[Finding], None] | None,
    ) -> None:
        self._violations = violations
        self._label = label
        self._is_shut = is_shut
        self._report_late = report_late
        self._late: set[str] = set()

    def refuse(self, case: str, detail: dict[str, Json], *, closed: bool = False) -> ReplayDivergence:
        """Add a refused contact with the world to the violations; returns what to raise.

        Args:
            case: which case of a refusal.
            detail: what the words need.
            closed: whether the run is over.
        """
        finding = Finding(kind=Kind.REFUSED, case=case, new_at=Location(lane=self._label()), detail=detail)
        if closed or is_collecting():
            return self.late(title(finding))
        return divergence(self._violations.add(finding))

    def late(self, what: str) -> ReplayDivergence:
        """Report what a strand asks for after the test's end; returns what to raise in a replay."""
        strand, came = strand_name(), "refused" if self._is_shut() else "not recorded"
        case = "collected" if strand == COLLECTOR else ""
        finding = Finding(
            kind=Kind.LEFT_OVER, case=case, detail={"strand": strand, "what": what, "came": came}
        )
        if self._report_late is not None and what not in self._late:
            self._late.add(what)
            self._report_late(finding)
        return divergence(finding)

    def in_a_child(self, kind: str, asked: dict[str, Json]) -> Exception:
        """What to raise in a forked child, which holds a copy of this run: the run never knows what the copy gets.

        No lock is taken and no value is shown: another thread may have held the lock when the child was forked.
        """
        what = f"{asked['method']} {urlsplit(asked['url']).hostname}" if kind == "http" else asked["name"]
        if self._is_shut():
            return self.refuse("forked", {"what": what})
        error = NotRecordable(what, FORKED, OUT_OF_A_FORK)
        self._violations.unrecordable(error)
        return error
