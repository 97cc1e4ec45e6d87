"""Renders what waits for a review: the failure of a replay, longer texts line by line, and why nothing is accepted."""

from __future__ import annotations

from dataclasses import replace
from difflib import unified_diff
from typing import TYPE_CHECKING

from pytest_sparrow.findings import Way, WayKind
from pytest_sparrow.report.plain import render_verdict
from pytest_sparrow.report.ways import way_lines
from pytest_sparrow.text import WIDTH, bounded, one_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_sparrow.findings import Finding, Verdict

_MOST_TEXTS = 3
_MOST_LINES = 30


def render_pending(verdicts: Iterable[Verdict]) -> list[str]:
    """The lines of a test that waits: what was found in each run, without ways out, and the texts that differ."""
    lines: list[str] = []
    for verdict in verdicts:
        lines += render_verdict(replace(verdict, ways=())).splitlines()
        texts = {
            (change.path, str(change.golden), str(change.new)): change for change in _texts(verdict.findings)
        }
        for change in list(texts.values())[:_MOST_TEXTS]:
            lines += _line_by_line(change)
    return lines


def _texts(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The changes of texts that no single line of a report shows whole, those of requests among them."""
    for finding in findings:
        golden, new = finding.golden, finding.new
        if finding.follows:
            continue
        if isinstance(golden, str) and isinstance(new, str) and finding.how:
            longest = max(golden, new, key=len)
            if len(longest) > WIDTH or "\n" in longest:
                yield finding
        yield from _texts(finding.parts)


def _line_by_line(change: Finding) -> list[str]:
    golden, new = (str(text).splitlines() for text in (change.golden, change.new))
    diff = list(unified_diff(golden, new, n=1, lineterm=""))[2:]
    shown = bounded([f"    {printable(line)}" for line in diff if not line.startswith("@@")], _MOST_LINES)
    return [f"  {one_line(change.path)}, line by line", *shown]


def refusal(why: str, nodeid: str) -> list[str]:
    """Why a change can't be accepted, and what settles it; nothing where it can.

    Args:
        why: see `pytest_sparrow.store.pending.Pending`.
        nodeid: the test.
    """
    said, kinds = _REFUSALS[why]
    return [said, *way_lines(Way(kind, (nodeid,)) for kind in kinds)] if said else []


_REFUSALS: dict[str, tuple[str, Sequence[WayKind]]] = {
    "": ("", ()),
    "answers": (
        "the golden lacks answers that the agent asks for, and only a recording gives them",
        (WayKind.EXTEND, WayKind.RECORD_AGAIN),
    ),
    "own": ("the test failed by itself, too", (WayKind.MEND,)),
    "what-if": (
        "a fork or a fault of the test decides what it asks for: run it without them",
        (WayKind.ACCEPT,),
    ),
}
