"""How a failure can be settled, as its last lines: only what settles it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.replaying.ledger import Finding, Kind
from pytest_sparrow.report.blocked import record_command
from pytest_sparrow.report.lines import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.verdict import Judged, Verdict

__all__ = ["may_be_ignored", "ways_out"]

_MOST_PATHS = 3


def ways_out(judged: Judged, paths: Sequence[str]) -> Iterator[str]:
    """The lines, a way each.

    Args:
        judged: what is to be settled.
        paths: where it differs, as a rule takes it, the telling ones first.
    """
    if judged.recording:
        return
    findings = judged.verdict.findings
    if findings and all(finding.kind in (Kind.UNWRAPPED, Kind.CHILD) for finding in findings):
        yield "  wrap    sparrow.tool(…), sparrow.tools(…) or ini sparrow_tools; or allow it: unwrapped = warn"
        return
    yield f"  accept  {one_line(judged.accept or record_command(judged.recorder or judged.nodeid))}"
    if paths and _rules_settle(findings):
        ignored = ", ".join(one_line(_quoted(path)) for path in paths[:_MOST_PATHS])
        yield f"  ignore  @pytest.mark.sparrow(ignore=[{ignored}])"
    if _only_words_differ(judged.verdict):
        yield '  script  @pytest.mark.sparrow(requests="report")  # judge behaviour only'


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
    unequal = verdict.comparison is not None and not verdict.comparison.equal
    asked_models = bool(verdict.drifts) and all(drift.finding.of_model for drift in verdict.drifts)
    return asked_models and not unequal and not verdict.findings


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text and '"' not in text else repr(text)
