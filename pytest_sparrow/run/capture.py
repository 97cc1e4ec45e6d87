"""Says which tools a recording saw, and which it did not: for its golden, where nobody compares this."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_sparrow.findings import Kind
from pytest_sparrow.providers.codec import ToolRequest
from pytest_sparrow.report.words import title

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.crossing import Crossing
    from pytest_sparrow.run.run import Run

_OF_MACHINES = ("file", "server", "unwritten")
"""Remarks that may name a folder or a port; those say nothing of the run."""


class Capture:
    """Counts the calls of tools, by who saw them; see `pytest_sparrow.run.emitter.Watcher`."""

    def __init__(self) -> None:
        self._calls: Counter[tuple[str, str]] = Counter()
        self._runs: dict[str, str] = {}

    def asked(self, crossing: Crossing) -> None:
        """Nothing is known yet."""

    def answered(self, crossing: Crossing, _: dict[str, Json] | None) -> None:
        """The call is over."""
        if crossing.kind == "tool":
            name = crossing.asked["name"]
            self._calls[name, crossing.by or "sparrow.tool"] += 1
            if crossing.runs:
                self._runs[name] = crossing.runs
        elif crossing.call_id and crossing.model is not None:
            request = crossing.model.request
            if isinstance(request, ToolRequest):
                self._calls[request.name, "server"] += 1

    def manifest(self, run: Run) -> dict[str, Json]:
        """What was captured of a run that is over; see ``capture`` in ``docs/format.md``."""
        calls = Counter(self._calls)
        calls.update((name, "provider") for _, name in run.hosted)
        uncaptured = []
        for finding in run.violations.findings:
            if finding.kind is Kind.UNWRAPPED:
                calls[finding.detail["name"], "nobody"] += finding.detail["count"]
            elif finding.kind is Kind.NOT_COMPARED and finding.case not in (*_OF_MACHINES, "runs"):
                uncaptured.append(title(finding))
        tools: list[Json] = [
            {
                "name": name,
                "by": by,
                "calls": count,
                **({"runs": self._runs[name]} if name in self._runs else {}),
            }
            for (name, by), count in sorted(calls.items())
        ]
        return {key: said for key, said in (("tools", tools), ("uncaptured", uncaptured)) if said}
