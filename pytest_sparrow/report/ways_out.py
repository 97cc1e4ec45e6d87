"""The last lines of a failure: what settles it, and why a test's body was not run.

Why a test's body is not run. Pure.

How a failure can be settled, as its last lines: only what settles it. Pure.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from pytest_sparrow.comparing.result import MISSING
from pytest_sparrow.run.replay.violations import Finding, Kind
from pytest_sparrow.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.judging.replay import Judged, Verdict, WhatIf

__all__ = ["damaged_text", "may_be_ignored", "missing_text", "record_command", "unreadable_text", "ways_out"]


def record_command(nodeid: str) -> str:
    """The command that records one test."""
    return f"pytest --sparrow-record {shlex.quote(nodeid)}"


def missing_text(nodeid: str, folder: str) -> str:
    """There is no golden."""
    return (
        f"no golden for this test: nothing to replay\n  golden  {folder}\n  record  {record_command(nodeid)}"
    )


def damaged_text(error: str, folder: str) -> str:
    """The golden is not what was written. Damaged is never missing: nothing is recorded over it."""
    return (
        f"the golden of this test is damaged, and nothing is recorded over it\n  {error}\n  golden  {folder}"
    )


def unreadable_text(error: str, folder: str) -> str:
    """The golden may be there or not: the disk refuses, or a link leads out of its folder."""
    return f"the golden of this test can't be read\n  golden  {folder}\n  {error}"


_MOST_PATHS = 3
_MOST_NAME = 60


def ways_out(judged: Judged, paths: Sequence[str]) -> Iterator[str]:
    """The lines, a way each.

    Args:
        judged: what is to be settled.
        paths: where it differs, as a rule takes it, the telling ones first.
    """
    if judged.recording:
        return
    verdict = judged.verdict
    if verdict.findings and all(finding.kind in (Kind.UNWRAPPED, Kind.CHILD) for finding in verdict.findings):
        yield "  wrap    sparrow.tool(…), sparrow.tools(…) or ini sparrow_tools; or allow it: unwrapped = warn"
        return
    yield from _wrap(verdict)
    if _came_after(verdict):
        yield from _after(verdict.what_if)
    elif not _at_is_wrong(verdict) and not _asks_nothing(verdict):
        yield from _accept(judged)
    if paths and _rules_settle(verdict.findings):
        ignored = ", ".join(one_line(_quoted(path)) for path in paths[:_MOST_PATHS])
        yield f"  ignore  @pytest.mark.sparrow(ignore=[{ignored}])"
    if _only_words_differ(verdict):
        yield '  script  @pytest.mark.sparrow(requests="report")  # judge behaviour only'


def _wrap(verdict: Verdict) -> Iterator[str]:
    """A tool was wrapped when this was recorded, and is not now: that its call is missing is no other behaviour."""
    roots = () if verdict.comparison is None else verdict.comparison.roots
    gone = {change.label for change in roots if change.subject == "ToolUseStarted" and change.new is MISSING}
    for finding in verdict.findings:
        if finding.kind is Kind.UNPLAYED and finding.boundary == "tool" and finding.golden is not None:
            gone.add(finding.golden["name"])
    for name in [name for name in verdict.unwrapped if name in gone][:1]:
        yield f"  wrap    sparrow.tool({one_line(name, _MOST_NAME)}): recorded through its wrapper, it ran without"


def _accept(judged: Judged) -> Iterator[str]:
    """Record it: the test, or the one whose golden this is."""
    what_if = judged.verdict.what_if
    if what_if.recovers:
        yield "  allow   leave out recovers=True: after the fault only the test's own asserts judge"
    if judged.accept:
        yield f"  accept  {one_line(judged.accept)}"
    elif judged.recorder in ("", judged.nodeid):
        yield f"  accept  {one_line(record_command(judged.nodeid))}"
    else:
        yield f"  accept  {one_line(record_command(judged.recorder))}  # whose golden this is"
        if not what_if.injected:
            yield "  own     without golden= this test can record one of its own"


def _after(what_if: WhatIf) -> Iterator[str]:
    """No recording holds what comes after a fork or a fault."""
    if what_if.divergence_point is not None and what_if.divergence_point.by == "fork":
        yield "  live    sparrow.fork(…, live=True): from there on the world answers"
    elif what_if.scripted:
        yield "  then    change then=[…]: all that the model is asked after the fault, and no more"
    else:
        yield "  then    sparrow.inject(…, then=[…]): what the model says after the fault, written by hand"


def _came_after(verdict: Verdict) -> bool:
    """Whether all that failed came after the run had left its golden."""
    found = verdict.findings
    return (
        bool(found)
        and verdict.same_events
        and not verdict.drifts
        and all(one.kind in (Kind.MISS, Kind.ORDER) or _is_scripted(one) for one in found)
        and all(verdict.what_if.came_after(one) for one in found)
    )


def _is_scripted(finding: Finding) -> bool:
    """Whether it is a turn, written for this test, that nobody asked for."""
    return finding.kind is Kind.UNPLAYED and finding.boundary == "http" and finding.golden is None


def _at_is_wrong(verdict: Verdict) -> bool:
    """Whether the run is its golden's, and only the place of a fork or a fault was not met."""
    unreached = bool(verdict.findings) and all(one.kind is Kind.UNREACHED for one in verdict.findings)
    return unreached and verdict.same_events and not verdict.drifts


def _asks_nothing(verdict: Verdict) -> bool:
    """Whether nothing crossed a boundary: a recording would hold nothing."""
    return verdict.served_nothing and not verdict.missed


def may_be_ignored(finding: Finding) -> bool:
    """Whether leaving out an argument would find this an answer: a tool's call that no model proposed."""
    unproposed = finding.boundary == "tool" and not finding.call_id
    return finding.kind is Kind.MISS and unproposed and not finding.played


def _rules_settle(findings: Sequence[Finding]) -> bool:
    """Whether to ignore paths may be enough: no rule answers a call, or makes one that was not made."""
    missed = [
        finding for finding in findings if not (finding.kind is Kind.UNPLAYED and finding.boundary == "tool")
    ]
    return bool(missed or not findings) and all(may_be_ignored(finding) for finding in missed)


def _only_words_differ(verdict: Verdict) -> bool:
    """Whether all that differs is what models were asked: the agent did what it did before."""
    asked_models = bool(verdict.drifts) and all(drift.finding.of_model for drift in verdict.drifts)
    return asked_models and verdict.same_events and not verdict.findings


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text and '"' not in text else repr(text)
