"""Judges a replay: violations and comparison, weighed by the settings; and what is the test's own doing.

What of a replay is the test's own, and no golden's: its fork, its faults, and what came of them. Pure.

The verdict on a run: what the ledger holds and what the comparison found, weighed by the settings. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_sparrow.comparing import Budget, Change, Comparison, Rules, compare, request_changes
from pytest_sparrow.events import Event, dump_event, parse_event
from pytest_sparrow.provenance import NO_CIRCUMSTANCES, Circumstances, circumstances
from pytest_sparrow.redact import Redactor, strip_numbers
from pytest_sparrow.run.replay.violations import Finding, Kind
from pytest_sparrow.run.whatif.fork import before_fork
from pytest_sparrow.run.whatif.projection import LEFT_OUT, both_sides
from pytest_sparrow.run.whatif.replayer import EventReplayer
from pytest_sparrow.settings import Requests, Settings, Unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_sparrow.run.run import Run
    from pytest_sparrow.run.whatif.fork import DivergencePoint
    from pytest_sparrow.transcript import Transcript

__all__ = [
    "NOTHING_INJECTED",
    "Drift",
    "Judged",
    "Verdict",
    "WhatIf",
    "judge_recording",
    "judge_replay",
    "rules_of",
    "what_if_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """A fork and faults, as far as they came.

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
        """Whether it was found when the run had left its golden: no recording holds it."""
        return self.divergence_point is not None and not self.divergence_point.knew(finding)


NOTHING_INJECTED = WhatIf()
"""Neither a fork nor a fault."""


def what_if_of(run: Run) -> WhatIf:
    """What came of a run's fork and faults, once it is over."""
    fork, fault_plan = run.answers.fork, run.answers.fault_plan
    return WhatIf(
        injected=fork is not None or bool(fault_plan.faults),
        scripted=fault_plan.then is not None,
        recovers=any(fault.recovers and fault.hits for fault in fault_plan.faults),
        divergence_point=run.answers.divergence_point,
    )


_FATAL = (Kind.MISS, Kind.REFUSED, Kind.UNRECORDABLE, Kind.ORDER, Kind.UNPLAYED, Kind.UNREACHED)

_NOT_DONE = (Kind.UNPLAYED, Kind.UNREACHED, Kind.UNWRAPPED, Kind.CHILD)
"""Findings that say what the agent did not do, or nothing of what it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A request that was answered, and is not the recorded one.

    Attributes:
        finding: as the ledger has it.
        changes: where it differs, ids and rules applied.
        repeats: every change of it was found in an earlier request already.
    """

    finding: Finding
    changes: tuple[Change, ...]
    repeats: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of a run.

    Attributes:
        findings: what the ledger holds and is a failure.
        drifts: drifted requests that are a failure.
        comparison: how the events compare; None where there was nothing to compare with.
        served_nothing: the golden holds answers, and none was asked for.
        recorded_nothing: a recording in which nothing crossed a boundary.
        remarks: what is worth a line, and no failure.
        circumstances: what makes one source of chance a likelier cause than another.
        what_if: what is the doing of the test's own fork and faults.
        unwrapped: tools that the model proposed, and that nobody wrapped.
    """

    findings: tuple[Finding, ...] = ()
    drifts: tuple[Drift, ...] = ()
    comparison: Comparison | None = None
    served_nothing: bool = False
    recorded_nothing: bool = False
    remarks: tuple[str, ...] = ()
    circumstances: Circumstances = NO_CIRCUMSTANCES
    what_if: WhatIf = NOTHING_INJECTED
    unwrapped: tuple[str, ...] = ()

    @property
    def diverged(self) -> bool:
        """Whether the test must fail."""
        nothing = self.served_nothing or self.recorded_nothing
        return bool(self.findings or self.drifts or nothing or not self.same_events)

    @property
    def same_events(self) -> bool:
        """Whether the events do not differ."""
        return self.comparison is None or self.comparison.equal

    @property
    def missed(self) -> bool:
        """Whether the agent asked for something that the replay could not give."""
        return any(finding.kind in (Kind.MISS, Kind.REFUSED) for finding in self.findings)

    @property
    def contradicted(self) -> bool:
        """Whether the agent did something else than the golden says; to stop before its end is nothing else."""
        roots = self.comparison.roots if self.comparison is not None else ()
        return bool(
            self.drifts
            or any(finding.kind not in _NOT_DONE for finding in self.findings)
            or any(
                change.subject != "RunFinished" and not (change.whole and change.kind == "removed")
                for change in roots
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A verdict, and what it is about.

    Attributes:
        verdict: the verdict.
        nodeid: the test.
        folder: where its golden lies.
        recorder: the test that records that, "" for the same.
        recording: whether this was a recording; else a replay.
        judged_by: the settings it was judged by, where they are not the defaults.
        since: what has changed since the golden was recorded besides the agent, in words.
        accept: how to accept a difference, where recording the test would not do; else "".
    """

    verdict: Verdict
    nodeid: str
    folder: str
    recorder: str = ""
    recording: bool = False
    judged_by: str = ""
    since: str = ""
    accept: str = ""


def judge_replay(
    golden: Transcript, run: Run, redactor: Redactor, *, failed: bool, further: Sequence[str] = ()
) -> Verdict:
    """Judge a replay.

    Args:
        golden: what was fed, and is compared with.
        run: the run, closed.
        redactor: hides in the new run what was hidden in the golden.
        failed: whether the test failed by itself; its status is then no divergence of its own.
        further: the ids of the further runs that the test opened.

    Raises:
        UsageError: one of the user's operators raised; the text names the operator and its error.
    """
    settings = run.settings
    rules = rules_of(settings, *_judged_elsewhere(failed=failed))
    left = run.answers.divergence_point
    theirs, mine = _sides(golden, run, left)
    hidden = None
    if isinstance(run.answers.replayer, EventReplayer):
        rules = replace(rules, ignore_types=LEFT_OUT)
        hidden = redactor  # what was recorded is redacted already; what was written by hand is not
    comparison = compare(_unnumbered(theirs, hidden), _unnumbered(mine, redactor), rules)
    found = run.violations.of(Kind.DRIFT)
    drifts = _drifts([one for one in found if left is None or left.knew(one)], rules)
    failing, remarks = _weigh_drifts(drifts, settings)
    return Verdict(
        findings=(*_failures(run), *_never_opened(golden, further)),
        drifts=tuple(failing),
        comparison=comparison,
        served_nothing=run.answers.served_nothing,
        remarks=(*remarks, *_remarks(run)),
        what_if=what_if_of(run),
        unwrapped=tuple(_unwrapped(run)),
        circumstances=circumstances(
            golden.inputs.config_snapshot, side_by_side=any(getattr(event, "lane", "") for event in mine)
        ),
    )


def _sides(
    golden: Transcript, run: Run, left: DivergencePoint | None
) -> tuple[Sequence[Event], Sequence[Event]]:
    """What is compared: both runs up to where the new one left the golden, without what only tells of faults.

    Of a run that was fed from events what both can tell.
    """
    hidden = run.answers.fault_plan.hidden
    theirs: Sequence[Event] = golden.events
    mine: Sequence[Event] = run.events
    if hidden:
        mine = [event for number, event in enumerate(mine) if number not in hidden]
        if left is not None:
            left = replace(left, emitted=left.emitted - sum(number < left.emitted for number in hidden))
    if isinstance(run.answers.replayer, EventReplayer):
        theirs, mine = both_sides(
            run.answers.replayer, mine if left is None else mine[: left.emitted], run.wraps
        )
        if left is not None:  # cut by counting, and what only one side tells must not count
            theirs, mine = (
                [event for event in side if event.type not in LEFT_OUT] for side in (theirs, mine)
            )
            left = replace(left, emitted=len(mine))
    return (theirs, mine) if left is None else before_fork(left, theirs, mine)


def rules_of(settings: Settings, *further: str) -> Rules:
    """The rules that the settings ask for, and further paths to leave out.

    Raises:
        UsageError: a path or a regular expression that can't be read; the text names it.
    """
    return Rules(
        level=settings.level,
        exclude_paths=(*settings.ignore, *settings.exclude_paths, *further),
        exclude_regex_paths=settings.exclude_regex_paths,
        significant_digits=settings.significant_digits,
        ignore_order=settings.ignore_order,
        ignore_string_case=settings.ignore_string_case,
        ignore_numeric_type_changes=settings.ignore_numeric_type_changes,
        custom_operators=settings.custom_operators,
    )


def judge_recording(run: Run, *, failed: bool, alone: bool) -> Verdict:
    """Judge a recording: it must hold something, and all of it.

    Args:
        run: the run, closed.
        failed: whether the test failed before it could hold something.
        alone: whether the test opened no further runs, which may hold what there is.
    """
    return Verdict(
        findings=_failures(run),
        recorded_nothing=alone and not failed and run.crossings == 0 and not run.events,
        remarks=_remarks(run),
    )


def _never_opened(golden: Transcript, further: Sequence[str]) -> Iterator[Finding]:
    for run_id in golden.inputs.further_runs:
        if run_id not in further:
            yield Finding(
                kind=Kind.UNPLAYED, summary=f"the further run {run_id} was recorded, and not opened"
            )


def _judged_elsewhere(*, failed: bool) -> list[str]:
    # The task is the first user text of a request, and requests are judged by the setting `requests`.
    paths = ["RunStarted.task"]
    return [*paths, "RunFinished.outcome['status']"] if failed else paths


def _failures(run: Run) -> tuple[Finding, ...]:
    kinds = _FATAL if run.settings.unwrapped is Unwrapped.WARN else (*_FATAL, Kind.UNWRAPPED, Kind.CHILD)
    return tuple(finding for finding in run.violations.findings if finding.kind in kinds)


def _remarks(run: Run) -> tuple[str, ...]:
    left_out = [
        f"sparrow.{said}: not in a recording, which runs without faults"
        for said in run.answers.fault_plan.left_out
    ]
    kinds = {Kind.LATE, Kind.UNREAD, Kind.UNCAPTURED}
    if run.settings.unwrapped is Unwrapped.WARN:
        kinds |= {Kind.UNWRAPPED, Kind.CHILD}
    found = [finding.summary for finding in run.violations.findings if finding.kind in kinds]
    return (*left_out, *found)


def _unwrapped(run: Run) -> Iterator[str]:
    for finding in run.violations.of(Kind.UNWRAPPED):
        if finding.asked is not None and not run.wraps(finding.asked["name"]):
            yield finding.asked["name"]


def _drifts(found: Iterable[Finding], rules: Rules) -> list[Drift]:
    """Drift that is more than renamed ids and what the rules leave out; equal drift is told once."""
    drifts: list[Drift] = []
    known: set[tuple[str, str]] = set()
    budget = Budget()
    for finding in found:
        assert finding.golden is not None
        assert finding.asked is not None
        changes = tuple(request_changes(finding.golden, finding.asked, rules, budget))
        if changes:
            seen = {(change.path, repr((change.golden, change.new))) for change in changes}
            drifts.append(Drift(finding=finding, changes=changes, repeats=seen <= known))
            known |= seen
    return drifts


def _weigh_drifts(drifts: Sequence[Drift], settings: Settings) -> tuple[list[Drift], list[str]]:
    match settings.requests:
        case Requests.COMPARE:
            return list(drifts), []
        case Requests.IGNORE:
            return [], []
        case Requests.REPORT:
            paths = dict.fromkeys(change.path for drift in drifts for change in drift.changes)
            return [], [
                f"{len(drifts)} requests differ from the recorded ones at {', '.join(paths)}"
            ] if drifts else []


def _unnumbered(events: Iterable[Event], redactor: Redactor | None = None) -> list[Event]:
    """Events as the disk has them, with secrets' placeholders by kind only: their numbers depend on the order."""
    plain: list[Event] = []
    for event in events:
        line = dump_event(event)
        kept = strip_numbers(line if redactor is None else redactor.line(line))
        plain.append(event if kept == line else parse_event(kept))
    return plain
