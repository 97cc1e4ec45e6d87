"""Turns what was found about a run into a verdict: findings in their order, what follows from what, the ways out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_sparrow.comparing import MISSING, request_changes, tool_changes
from pytest_sparrow.comparing.result import render
from pytest_sparrow.findings import (
    NO_CIRCUMSTANCES,
    Circumstances,
    Finding,
    Kind,
    Subject,
    Verdict,
    Way,
    WayKind,
    of_change,
    of_changes,
)
from pytest_sparrow.wire.asking import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_sparrow.comparing.result import Change, Comparison
    from pytest_sparrow.run.whatif.fork import DivergencePoint

_MOST_ALIKE = 2
"""Findings of one kind that are causes of their own; further ones follow."""

_NOT_DONE = (
    Kind.NOTHING_RECORDED,
    Kind.NOTHING_REPLAYED,
    Kind.UNPLAYED,
    Kind.UNREACHED,
    Kind.UNWRAPPED,
    Kind.CHANGED_CODE,
    Kind.CHILD,
)
"""Kinds that say what the agent did not do, or nothing about what it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """The fork and the faults of a run, as far as the run came to them.

    Attributes:
        injected: whether the test has any.
        scripted: whether the model says what the test wrote for after a fault.
        recovers: whether a fault came after which the run must get back to its golden.
        divergence_point: where the run left its golden, or None.
    """

    injected: bool = False
    scripted: bool = False
    recovers: bool = False
    divergence_point: DivergencePoint | None = None

    def came_after(self, finding: Finding) -> bool:
        """Whether the run had left its golden when something was found: no recording holds it."""
        return self.divergence_point is not None and not self.divergence_point.knew(finding)


NO_WHAT_IF = WhatIf()
"""Neither a fork nor a fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A request that was answered, and is not the recorded one.

    Attributes:
        finding: the violation.
        changes: where the request differs, ids and rules applied.
        repeats: whether an earlier request had every change already.
    """

    finding: Finding
    changes: tuple[Change, ...]
    repeats: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found about a run, before it is a verdict.

    Attributes:
        violations: the violations that are failures, without request drift.
        drifts: the drifted requests that are failures.
        comparison: how the events compare; None where there was nothing to compare with.
        nothing: the finding that a recording holds nothing, or that a replay served nothing; None elsewhere.
        circumstances: what makes one source of chance a likelier cause than another.
        what_if: the doing of the test's own fork and faults.
        unwrapped: tools that the model proposed, and that the test did not wrap.
        verified: tools that ran beside their recorded answers.
        holds_answers: whether the golden holds recorded answers; else events alone.
    """

    violations: tuple[Finding, ...] = ()
    drifts: tuple[Drift, ...] = ()
    comparison: Comparison | None = None
    nothing: Finding | None = None
    circumstances: Circumstances = NO_CIRCUMSTANCES
    what_if: WhatIf = NO_WHAT_IF
    unwrapped: tuple[str, ...] = ()
    verified: frozenset[str] = frozenset()
    holds_answers: bool = True

    @property
    def answerable(self) -> bool:
        """Whether the golden's answers are all that the run needs, so that all else can be written anew.

        Where a tool ran beside its recorded answer and gave another one, the agent did not get what the tool gives.
        """
        changes = () if self.comparison is None else self.comparison.changes
        other_output = any(
            change.subject == "ToolOutput" and change.label in self.verified for change in changes
        )
        return (
            self.holds_answers
            and self.nothing is None
            and not other_output
            and all(one.kind in (Kind.ORDER, Kind.UNPLAYED) for one in self.violations)
        )

    @property
    def same_events(self) -> bool:
        """Whether the events do not differ."""
        return self.comparison is None or self.comparison.equal

    @property
    def missed(self) -> bool:
        """Whether the agent asked for something that the replay could not give."""
        return any(finding.kind in (Kind.MISS, Kind.REFUSED) for finding in self.violations)

    def of(self, kind: Kind) -> list[Finding]:
        """The violations of one kind."""
        return [finding for finding in self.violations if finding.kind is kind]


def verdict_of(found: Found, subject: Subject, remarks: Sequence[Finding] = ()) -> Verdict:
    """The verdict on a run."""
    if not (found.violations or found.drifts or found.nothing or not found.same_events):
        return Verdict(subject=subject, remarks=tuple(remarks))
    causes, followers = _ordered(found)
    return Verdict(
        subject=subject,
        findings=(*causes, *(replace(finding, follows=True) for finding in followers)),
        remarks=tuple(remarks),
        ways=() if subject.recording else tuple(_ways(found, subject, causes)),
        circumstances=found.circumstances,
        contradicted=_contradicted(found),
        answerable=found.answerable,
    )


def of_failing(verdict: Verdict) -> Verdict:
    """The verdict on a test that fails by itself as well: nothing updates the golden of such a test."""
    mend = Way(WayKind.MEND, (verdict.subject.nodeid,))
    return replace(verdict, ways=tuple(mend if way.kind is WayKind.ACCEPT else way for way in verdict.ways))


def _contradicted(found: Found) -> bool:
    roots = found.comparison.roots if found.comparison is not None else ()
    return bool(
        found.drifts
        or any(finding.kind not in _NOT_DONE for finding in found.violations)
        or any(
            change.subject != "RunFinished" and not (change.whole and change.kind == "removed")
            for change in roots
        )
    )


# Causes, and what follows from them.


def _ordered(found: Found) -> tuple[list[Finding], list[Finding]]:
    """The causes, and what merely follows from them.

    After a call that had no recorded answer the agent goes on with an error: what it does then is a consequence.
    """
    causes = [*found.of(Kind.UNRECORDABLE), *found.of(Kind.REFUSED)]
    if found.nothing is not None and not found.missed:
        causes.append(found.nothing)
    followers: list[Finding] = []
    misses = found.of(Kind.MISS)
    if found.comparison is not None and found.nothing is None:
        roots, later = _split(found.comparison, misses)
        causes += _changes(roots, found)
        followers += [of_change(change, found.comparison) for change in (*later, *found.comparison.followers)]
    for drift in found.drifts:
        (followers if drift.repeats else causes).append(drift_finding(drift, found.circumstances))
    # A retry of what had no answer is no cause of its own.
    first = [one for number, one in enumerate(misses) if all(one.new != each.new for each in misses[:number])]
    causes += [_miss(finding, found.comparison) for finding in first[:_MOST_ALIKE]]
    followers += [one for one in misses if all(one is not each for each in first[:_MOST_ALIKE])]
    order = found.of(Kind.ORDER)
    causes += map(_order, order[:_MOST_ALIKE])
    unplayed = found.of(Kind.UNPLAYED)
    asked_for = _causes_of_unplayed(
        unplayed, alone=not causes, after_miss=bool(misses) or found.nothing is not None
    )
    causes += asked_for
    followers += [finding for finding in unplayed if not any(finding is one for one in asked_for)]
    followers += order[_MOST_ALIKE:]
    causes += [finding for finding in found.violations if finding.kind not in _PLACED]
    return causes, followers


_PLACED = frozenset({Kind.UNRECORDABLE, Kind.REFUSED, Kind.MISS, Kind.ORDER, Kind.UNPLAYED})
"""The kinds that have a place of their own in the order; any other one comes last, and none is lost."""


def _split(comparison: Comparison, misses: Sequence[Finding]) -> tuple[list[Change], list[Change]]:
    """The changes of their own up to the first miss, and those after it (or of the missed call itself)."""
    if not misses:
        return list(comparison.roots), []
    missed = _calls(misses)
    before: list[Change] = []
    later: list[Change] = []
    for change in comparison.roots:
        happened = change.new_at is not None and change.new_at.event <= misses[0].event
        own = change.new_at is not None and (change.label, change.new_at.event) in missed
        (before if happened and not own else later).append(change)
    return before, later


def _calls(misses: Iterable[Finding]) -> set[tuple[str, int]]:
    """Where the events of missed calls stand: a tool's last two (its proposal and its start) at the time."""
    return {
        (miss.new["name"], at)
        for miss in misses
        if miss.boundary == "tool" and isinstance(miss.new, dict)
        for at in (miss.event, miss.event - 1)
    }


def _changes(roots: Sequence[Change], found: Found) -> list[Finding]:
    changes = [of_change(change, found.comparison) for change in roots]
    if changes:
        changes[0] = replace(changes[0], chance=_chance_of(roots, found.circumstances))
    return changes


def drift_finding(drift: Drift, circumstances: Circumstances = NO_CIRCUMSTANCES) -> Finding:
    """The drift as a finding, with its changes as parts."""
    return replace(
        drift.finding, parts=of_changes(drift.changes), chance=_chance_of(drift.changes, circumstances)
    )


def _chance_of(changes: Sequence[Change], circumstances: Circumstances) -> str:
    from pytest_sparrow.judging.chance import chance_of  # nothing differs in most replays

    return chance_of(changes, circumstances)


def _miss(finding: Finding, comparison: Comparison | None) -> Finding:
    """The miss, with the number of the run's events and the differences from the closest recorded request or call."""
    at = finding.new_at
    # What comes after a fork or a fault is not compared, nor counted.
    if comparison is not None and at is not None and at.event <= comparison.new_count:
        finding = replace(finding, new_at=replace(at, events=comparison.new_count))
    if isinstance(finding.golden, dict) and isinstance(finding.new, dict):
        if finding.boundary == "tool":
            changes = tool_changes(finding.golden, finding.new)
        else:
            changes = request_changes(finding.golden, finding.new, of_model=finding.of_model)
        finding = replace(finding, parts=of_changes(changes))
    return finding


def _order(finding: Finding) -> Finding:
    """The order, with the differences of two requests of one address: the golden's first, and the new run's first."""
    late = finding.golden
    if not isinstance(late, dict):
        return finding
    kind, early = finding.detail["before"]
    if (kind, finding.boundary) != ("http", "http"):
        return finding
    alike = describe("http", early, query=True) == describe("http", late, query=True)
    changes = request_changes(late, early, of_model=finding.of_model) if alike else ()
    return replace(finding, parts=of_changes(changes))


def _causes_of_unplayed(unplayed: Sequence[Finding], *, alone: bool, after_miss: bool) -> Sequence[Finding]:
    """The unplayed answers that are causes: where there is no other cause, the first; else the first request.

    The events of a request may say less than that it is missing.
    """
    if alone:
        return unplayed[:_MOST_ALIKE]
    if after_miss:
        return []
    return [finding for finding in unplayed if finding.boundary == "http"][:1]


# Ways out.


def _ways(found: Found, subject: Subject, causes: Sequence[Finding]) -> Iterator[Way]:
    """The ways that settle all of it, and none that does not."""
    if found.violations and all(one.kind in (Kind.UNWRAPPED, Kind.CHILD) for one in found.violations):
        yield Way(WayKind.WRAP_ANY)
        return
    yield from _wrap(found)
    if _came_after(found):
        yield _after(found.what_if)
    elif not _at_is_wrong(found) and not _lacks_a_class(found) and (found.nothing is None or found.missed):
        yield from _accept(subject, found)
    paths = tuple(dict.fromkeys(_paths(found, causes)))
    missed = [_miss(one, None) if one.kind is Kind.MISS else one for one in found.violations]
    if 0 < len(paths) <= _MOST_PATHS and _rules_settle(missed):
        yield Way(WayKind.IGNORE, paths)
    if _only_requests_differ(found):
        yield Way(WayKind.BEHAVIOUR_ONLY)


_MOST_PATHS = 8
"""The most paths that are offered to be ignored: more are another agent."""


def _paths(found: Found, causes: Sequence[Finding]) -> Iterator[str]:
    """The paths where it differs, as a rule has them: all of them, so that they settle it together."""
    for cause in causes:
        if cause.kind is Kind.CHANGE:
            yield cause.path
        elif cause.kind is Kind.DRIFT:
            yield from (part.path for part in cause.parts)
        elif _may_be_ignored(cause):
            yield from (part.path for part in cause.parts)
            yield from _of_other_tools(found, cause)


def _of_other_tools(found: Found, miss: Finding) -> Iterator[str]:
    """The same paths for the tools that were not called any more: they probably got the same argument."""
    if miss.boundary != "tool" or not isinstance(miss.new, dict):
        return
    others = (
        one.golden["name"]
        for one in found.of(Kind.UNPLAYED)
        if isinstance(one.golden, dict) and one.boundary == "tool"
    )
    for name in dict.fromkeys(others):
        if name != miss.new["name"]:
            yield from (render((part.steps[0], "[" + name, *part.steps[2:])) for part in miss.parts)


def _wrap(found: Found) -> Iterator[Way]:
    """A tool was wrapped when the golden was recorded, and is not now: its missing call is no other behaviour."""
    roots = () if found.comparison is None else found.comparison.roots
    gone = {change.label for change in roots if change.subject == "ToolUseStarted" and change.new is MISSING}
    for finding in found.of(Kind.UNPLAYED):
        if finding.boundary == "tool" and isinstance(finding.golden, dict):
            gone.add(finding.golden["name"])
    for name in [name for name in found.unwrapped if name in gone][:1]:
        yield Way(WayKind.WRAP, (name,))


def _accept(subject: Subject, found: Found) -> Iterator[Way]:
    """Update the golden, or record the test again or the test that the golden belongs to."""
    what_if = found.what_if
    if what_if.recovers:
        yield Way(WayKind.NEED_NOT_RECOVER)
    if subject.accept is not None:
        yield subject.accept
    elif subject.live:
        yield Way(WayKind.RECORD_AGAIN, (subject.nodeid,))
        if not subject.sampled:
            yield Way(WayKind.SAMPLE, (subject.nodeid,))
    elif subject.recorder in ("", subject.nodeid):
        # An update leaves forks and faults out: what they make the agent ask says nothing about that.
        answerable = found.answerable or (what_if.injected and found.holds_answers)
        if not answerable and found.holds_answers and found.of(Kind.MISS):
            yield Way(WayKind.EXTEND, (subject.nodeid,))
        yield Way(WayKind.ACCEPT if answerable else WayKind.RECORD_AGAIN, (subject.nodeid,))
    else:
        yield Way(WayKind.ACCEPT_OTHER, (subject.recorder,))
        if not what_if.injected:
            yield Way(WayKind.OWN_GOLDEN)


def _after(what_if: WhatIf) -> Way:
    """No recording holds what comes after a fork or a fault."""
    if what_if.divergence_point is not None and what_if.divergence_point.by == "fork":
        return Way(WayKind.FORK_LIVE)
    return Way(WayKind.EDIT_SCRIPT_AFTER if what_if.scripted else WayKind.SCRIPT_AFTER)


def _came_after(found: Found) -> bool:
    """Whether all that failed came after the run had left its golden."""
    violations = found.violations
    return (
        bool(violations)
        and found.same_events
        and not found.drifts
        and all(one.kind in (Kind.MISS, Kind.ORDER) or one.case == "turn" for one in violations)
        and all(found.what_if.came_after(one) for one in violations)
    )


def _at_is_wrong(found: Found) -> bool:
    """Whether the run is its golden's, and only the place of a fork or a fault was not met."""
    unreached = bool(found.violations) and all(one.kind is Kind.UNREACHED for one in found.violations)
    return unreached and found.same_events and not found.drifts


def _lacks_a_class(found: Found) -> bool:
    """Whether an answer is of a class whose module is not loaded, nor would be after another recording."""
    return any(one.kind is Kind.REFUSED and one.case == "not-loaded" for one in found.violations)


def _may_be_ignored(finding: Finding) -> bool:
    """Whether ignoring a path would find an answer to a miss.

    Of a tool's call that no model proposed, an argument; of a request, segments of its URL's path.
    """
    if finding.kind is not Kind.MISS or finding.detail.get("played"):
        return False
    if finding.boundary == "tool":
        return not finding.call_id
    return bool(finding.parts) and all(part.path.startswith(_SEGMENT) for part in finding.parts)


_SEGMENT = "request.url.path["
"""How the paths of a URL's segments begin."""


def _rules_settle(violations: Sequence[Finding]) -> bool:
    """Whether ignoring paths may be enough: no rule answers a call, or makes a call that was not made."""
    others = [
        one for one in violations if one.kind is not Kind.UNPLAYED or one.boundary not in ("tool", "http")
    ]
    settled = bool(others or not violations) and all(_may_be_ignored(one) for one in others)
    unplayed = sum(one.kind is Kind.UNPLAYED and one.boundary == "http" for one in violations)
    return settled and unplayed <= sum(one.boundary == "http" for one in others)


def _only_requests_differ(found: Found) -> bool:
    """Whether all that differs is what models were asked: the agent did what it did before."""
    asked_models = bool(found.drifts) and all(drift.finding.of_model for drift in found.drifts)
    return asked_models and found.same_events and not found.violations
