"""A verdict as text: what happened, where, which paths with both values, what follows, how to settle it. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.compare import Comparison, request_changes
from pytest_sparrow.matching.keys import comparable
from pytest_sparrow.replaying.ledger import Finding, Kind
from pytest_sparrow.report.blocked import record_command
from pytest_sparrow.report.comparison import MOST_LINES, change_lines, follow_line, where
from pytest_sparrow.report.headline import headline
from pytest_sparrow.report.lines import bounded, counted, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.verdict import Drift, Judged, Verdict

__all__ = ["render"]

_MOST_CHANGES = 3
"""Changes that one cause shows; more are counted."""


@dataclass(frozen=True, slots=True)
class _Cause:
    """One thing that went wrong: its headline, its lines, and the path that a rule could ignore, or ""."""

    title: str
    lines: tuple[str, ...] = ()
    path: str = ""


def render(judged: Judged) -> str:
    """The text of a failure, at most `MOST_LINES` lines."""
    causes = list(_causes(judged.verdict))
    follows = _follows(judged.verdict)
    first, *others = causes
    lines = [
        first.title,
        f"  test    {one_line(judged.nodeid)}",
        f"  golden  {one_line(judged.folder)}",
        *first.lines,
    ]
    for cause in others:
        lines += [f"also: {cause.title}", *cause.lines]
    if follows:
        lines.append(follow_line(follows))
    commands = list(_commands(judged, causes))
    return "\n".join(bounded([*lines, *commands], MOST_LINES, keep_last=len(commands)))


def _causes(verdict: Verdict) -> Iterator[_Cause]:
    """The causes, the telling ones first: what was refused, what the agent did otherwise, what it asked otherwise."""
    for kind in (Kind.UNRECORDABLE, Kind.REFUSED):
        yield from _plain(verdict, kind)
    if verdict.recorded_nothing:
        yield _Cause(
            "nothing crossed a boundary: there is nothing to record",
            (
                "  sparrow sees HTTP through httpx and httpx2, tools wrapped by sparrow.tool, and sparrow.call;",
                "  the agent ran past all of them, or not at all",
            ),
        )
    if verdict.served_nothing:
        yield _Cause(
            "nothing was replayed: the golden holds answers, and the agent asked for none of them",
            ("  did the agent run, and through a library that sparrow sees?",),
        )
        return
    if verdict.comparison is not None and verdict.comparison.roots:
        yield _of_comparison(verdict.comparison)
    for drift in verdict.drifts:
        if not drift.repeats:
            yield _of_drift(drift)
    told = (
        {change.label for change in verdict.comparison.changes} if verdict.comparison is not None else set()
    )
    for finding in verdict.findings:
        if finding.kind is Kind.MISS and not _is_told(finding, told):
            yield _of_miss(finding)
    if not _has_roots(verdict):
        yield from _plain(verdict, Kind.UNPLAYED)
    yield from _plain(verdict, Kind.UNWRAPPED)


def _follows(verdict: Verdict) -> Counter[str]:
    """What merely follows from the causes, or says the same again, counted by kind."""
    follows: Counter[str] = Counter()
    if verdict.comparison is not None:
        follows.update(change.subject for change in verdict.comparison.followers)
    follows["request drift"] += sum(drift.repeats for drift in verdict.drifts)
    if _has_roots(verdict):
        told = (
            {change.label for change in verdict.comparison.changes}
            if verdict.comparison is not None
            else set()
        )
        follows["no answer"] += sum(f.kind is Kind.MISS and _is_told(f, told) for f in verdict.findings)
        follows["not asked for"] += sum(f.kind is Kind.UNPLAYED for f in verdict.findings)
    return +follows


def _has_roots(verdict: Verdict) -> bool:
    return bool(verdict.served_nothing or verdict.drifts or (verdict.comparison and verdict.comparison.roots))


def _is_told(finding: Finding, told: set[str]) -> bool:
    """Whether the comparison tells of this call already: an added call has no recorded answer, of course."""
    return finding.boundary == "tool" and finding.asked is not None and finding.asked["name"] in told


def _plain(verdict: Verdict, kind: Kind) -> Iterator[_Cause]:
    for finding in verdict.findings:
        if finding.kind is kind:
            hints = tuple(f"  {one_line(line)}" for line in finding.hint.splitlines())
            yield _Cause(one_line(finding.summary), hints)


def _of_comparison(comparison: Comparison) -> _Cause:
    roots = comparison.roots
    lines = [f"  where   {where(roots[0], comparison)}"]
    for number, change in enumerate(roots[:_MOST_CHANGES]):
        lines += change_lines(change, comparison if number else None)
    if len(roots) > _MOST_CHANGES:
        lines.append(f"  {counted(len(roots) - _MOST_CHANGES, 'more difference')} of their own")
    return _Cause(headline(comparison), tuple(lines), roots[0].path)


def _of_drift(drift: Drift) -> _Cause:
    number = drift.finding.number
    place = "" if number is None else f" (recorded exchange {number + 1})"
    lines = [line for change in drift.changes[:_MOST_CHANGES] for line in change_lines(change)]
    if len(drift.changes) > _MOST_CHANGES:
        lines.append(f"  {counted(len(drift.changes) - _MOST_CHANGES, 'more difference')} in this request")
    return _Cause(one_line(drift.finding.summary) + place, tuple(lines), drift.changes[0].path)


def _of_miss(finding: Finding) -> _Cause:
    lines = [f"  {one_line(line)}" for line in finding.hint.splitlines()]
    path = ""
    if finding.golden is not None and finding.asked is not None:
        changes = request_changes(comparable(finding.golden), comparable(finding.asked))
        lines += [line for change in changes[:_MOST_CHANGES] for line in change_lines(change)]
    return _Cause(one_line(finding.summary), tuple(lines), path)


def _commands(judged: Judged, causes: Sequence[_Cause]) -> Iterator[str]:
    """The two ways to settle it."""
    if judged.recording:
        return
    yield f"  accept  {one_line(record_command(judged.nodeid))}"
    path = next((cause.path for cause in causes if cause.path), "")
    if path:
        yield f"  ignore  @pytest.mark.sparrow(ignore=[{one_line(_quoted(path))}])"


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text and '"' not in text else repr(text)
