"""A verdict as text: what happened, where, which paths with both values, what follows, how to settle it. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.http import covered_libraries
from pytest_sparrow.comparing import Change, Comparison, request_changes, tool_changes
from pytest_sparrow.report.chance import likely_chance, likely_race
from pytest_sparrow.report.comparison import MOST_LINES, change_lines, follow_line, headline_of, where
from pytest_sparrow.report.ways_out import may_be_ignored, ways_out
from pytest_sparrow.run.replay.violations import Finding, Kind
from pytest_sparrow.text import bounded, counted, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_sparrow.judging.replay import Drift, Judged, Verdict
    from pytest_sparrow.provenance import Circumstances

__all__ = ["render"]

_MOST_CHANGES = 3
"""Changes that one cause shows; more are counted."""

_MOST_ALIKE = 2
"""Findings of one kind that are told one by one; more are counted."""

_SINCE = 200
"""Characters of what has changed since."""


@dataclass(frozen=True, slots=True)
class _Cause:
    """One thing that went wrong.

    Attributes:
        title: its headline.
        lines: what is told of it.
        path: what a rule could ignore, or "".
        chance: which source of chance would explain it, or "".
    """

    title: str
    lines: tuple[str, ...] = ()
    path: str = ""
    chance: str = ""


def render(judged: Judged) -> str:
    """The text of a failure, at most `MOST_LINES` lines."""
    causes, follows = _told(judged.verdict)
    first, *others = causes
    lines = [
        first.title,
        f"  test    {one_line(judged.nodeid)}",
        f"  golden  {one_line(judged.folder)}",
        *([f"  judged  by {one_line(judged.judged_by)}"] if judged.judged_by else []),
        *first.lines,
    ]
    for cause in others:
        lines += [f"also: {cause.title}", *cause.lines]
    commands = list(ways_out(judged, [cause.path for cause in causes if cause.path]))
    if first.chance:
        commands.insert(0, f"  maybe   {first.chance}")
    if judged.since:
        commands.insert(0, f"  since   {one_line(judged.since, _SINCE)}")
    if follows:
        commands.insert(0, follow_line(follows))
    return "\n".join(bounded([*lines, *commands], MOST_LINES, keep_last=len(commands)))


def _told(verdict: Verdict) -> tuple[list[_Cause], Counter[str]]:
    """The causes, the telling ones first, and what merely follows from them, counted by kind.

    What the agent did after a call that had no recorded answer it did with an error in its hands: that follows.
    """
    causes = [*_plain(verdict, Kind.UNRECORDABLE), *_plain(verdict, Kind.REFUSED), *_nothing(verdict)]
    follows: Counter[str] = Counter()
    misses = [finding for finding in verdict.findings if finding.kind is Kind.MISS]
    roots, later = _split(verdict.comparison, misses)
    if verdict.comparison is not None and not verdict.served_nothing:
        follows.update(change.subject for change in (*later, *verdict.comparison.followers))
        causes += _of_roots(roots, verdict)
    causes += [_of_drift(drift, verdict.circumstances) for drift in verdict.drifts if not drift.repeats]
    follows["request drift"] += sum(drift.repeats for drift in verdict.drifts)
    causes += [_of_miss(finding, verdict.comparison) for finding in misses[:_MOST_ALIKE]]
    follows["no recorded answer"] += len(misses[_MOST_ALIKE:])
    causes += list(_plain(verdict, Kind.ORDER))[:_MOST_ALIKE]
    unplayed = [finding for finding in verdict.findings if finding.kind is Kind.UNPLAYED]
    told = _worth_telling(unplayed, alone=not causes, after_miss=bool(misses) or verdict.served_nothing)
    causes += [_plain_cause(finding) for finding in told]
    follows["not asked for"] += len(unplayed) - len(told)
    causes += _plain(verdict, Kind.UNREACHED)
    causes += _plain(verdict, Kind.UNWRAPPED)
    causes += _plain(verdict, Kind.CHILD)
    return causes, +follows


def _nothing(verdict: Verdict) -> Iterator[_Cause]:
    if verdict.recorded_nothing:
        yield _Cause(
            "nothing crossed a boundary: there is nothing to record",
            (
                f"  sparrow sees HTTP through {covered_libraries()}, tools wrapped",
                "  by sparrow.tool, and sparrow.call;",
                "  the agent ran past all of them, or not at all",
            ),
        )
    if verdict.served_nothing and not verdict.missed:
        yield _Cause(
            "nothing was replayed: the golden holds answers, and the agent asked for none of them",
            ("  did the agent run, and through a library that sparrow sees?",),
        )


def _split(comparison: Comparison | None, misses: Sequence[Finding]) -> tuple[list[Change], list[Change]]:
    """The changes of their own up to the first miss, and those after it (or of the missed call itself)."""
    if comparison is None:
        return [], []
    if not misses:
        return list(comparison.roots), []
    missed = _calls(misses)
    before: list[Change] = []
    later: list[Change] = []
    for change in comparison.roots:
        happened = change.new_at is not None and change.new_at.event <= misses[0].at
        own = change.new_at is not None and (change.label, change.new_at.event) in missed
        (before if happened and not own else later).append(change)
    return before, later


def _calls(misses: Iterable[Finding]) -> set[tuple[str, int]]:
    """Where the events of missed calls stand: a tool's last two (its proposal and its start) at the time."""
    return {
        (miss.asked["name"], at)
        for miss in misses
        if miss.boundary == "tool" and miss.asked is not None
        for at in (miss.at, miss.at - 1)
    }


def _worth_telling(unplayed: Sequence[Finding], *, alone: bool, after_miss: bool) -> Sequence[Finding]:
    """What was not asked for: all there is to tell, else only the first request, whose events may say less."""
    if alone:
        return unplayed[:_MOST_ALIKE]
    if after_miss:
        return []
    return [finding for finding in unplayed if finding.boundary == "http"][:1]


def _plain(verdict: Verdict, kind: Kind) -> Iterator[_Cause]:
    return (_plain_cause(finding) for finding in verdict.findings if finding.kind is kind)


def _plain_cause(finding: Finding) -> _Cause:
    lines = [f"  where   {_called_from(finding).removeprefix(', ')}"] if finding.caller else []
    lines += [f"  {one_line(line)}" for line in finding.hint.splitlines()]
    return _Cause(one_line(finding.summary), tuple(lines))


def _of_roots(roots: Sequence[Change], verdict: Verdict) -> Iterator[_Cause]:
    comparison = verdict.comparison
    if not roots or comparison is None:
        return
    lines = [f"  where   {where(roots[0], comparison)}"]
    for number, change in enumerate(roots[:_MOST_CHANGES]):
        lines += change_lines(change, comparison if number else None)
    if len(roots) > _MOST_CHANGES:
        lines.append(f"  {counted(len(roots) - _MOST_CHANGES, 'more difference')} of their own")
    yield _Cause(headline_of(roots[0]), tuple(lines), roots[0].path, _chance(roots, verdict.circumstances))


def _chance(changes: Sequence[Change], circumstances: Circumstances) -> str:
    """What would explain the first change; or, where it is no such thing, all of them together."""
    within = [change for change in changes if not change.whole]
    if not within or changes[0].whole:
        return ""
    found = likely_chance(within[0].golden, within[0].new, circumstances)
    return found or likely_race(within, circumstances)


def _of_drift(drift: Drift, circumstances: Circumstances) -> _Cause:
    finding = drift.finding
    place = "" if finding.number is None else f"recorded exchange {finding.number + 1}"
    lines = [f"  where   {place}{_called_from(finding)}", *_first_changes(drift.changes)]
    first = drift.changes[0]
    return _Cause(one_line(finding.summary), tuple(lines), first.path, _chance(drift.changes, circumstances))


def _of_miss(finding: Finding, comparison: Comparison | None) -> _Cause:
    # What comes after a fork or a fault is not compared, nor counted.
    counted_too = comparison is not None and finding.at <= comparison.new_count
    total = f" of {comparison.new_count}" if comparison is not None and counted_too else ""
    lines = [f"  where   event {finding.at}{total} of the new run{_called_from(finding)}"]
    lines += [f"  {one_line(line)}" for line in finding.hint.splitlines()]
    path = ""
    if finding.golden is not None and finding.asked is not None:
        alike = tool_changes if finding.boundary == "tool" else request_changes
        changes = alike(finding.golden, finding.asked)
        lines += _first_changes(changes)
        if changes and may_be_ignored(finding):
            path = changes[0].path
    return _Cause(one_line(finding.summary), tuple(lines), path)


def _first_changes(changes: Sequence[Change]) -> Iterator[str]:
    for change in changes[:_MOST_CHANGES]:
        yield from change_lines(change)
    if len(changes) > _MOST_CHANGES:
        yield f"  {counted(len(changes) - _MOST_CHANGES, 'more difference')} in this request"


def _called_from(finding: Finding) -> str:
    return f", called from {one_line(finding.caller)}" if finding.caller else ""
