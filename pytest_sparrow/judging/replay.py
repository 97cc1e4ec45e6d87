"""Judges a run: by its golden where the run is compared, and a recording by what it holds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.http import covered_libraries
from pytest_sparrow.comparing import DiffBudget, Rules, compare, request_changes
from pytest_sparrow.comparing.identity import Ids
from pytest_sparrow.comparing.result import Comparison, render
from pytest_sparrow.comparing.units import entries, ids_of
from pytest_sparrow.events import Event, dump_event, parse_event
from pytest_sparrow.events.jsontext import canonical, digest
from pytest_sparrow.findings import Finding, Kind, Subject, Verdict
from pytest_sparrow.judging.patterns import header_path
from pytest_sparrow.judging.verdict import Drift, Found, WhatIf, verdict_of
from pytest_sparrow.matching.counts import JUDGED_AS_REQUESTS, request_key
from pytest_sparrow.matching.secrets import SecretPairs, placeholders
from pytest_sparrow.provenance import changed_since, circumstances
from pytest_sparrow.run.whatif.fork import before_fork
from pytest_sparrow.run.whatif.replayer import LEFT_OUT, EventReplayer, both_sides
from pytest_sparrow.settings import ChangedCode, Requests, Settings, Unwrapped
from pytest_sparrow.transcript import CODE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_sparrow.redact import Redactor
    from pytest_sparrow.run.run import Run
    from pytest_sparrow.run.whatif.fork import DivergencePoint
    from pytest_sparrow.transcript import Transcript

_FATAL = (Kind.MISS, Kind.REFUSED, Kind.UNRECORDABLE, Kind.ORDER, Kind.UNPLAYED, Kind.UNREACHED)


def judge_comparison(
    golden: Transcript,
    run: Run,
    redactor: Redactor,
    subject: Subject,
    *,
    failed: bool,
    further: Sequence[str] = (),
) -> Verdict:
    """Judge a run by its golden, whether the golden or the world answered the agent.

    Args:
        golden: what is compared with.
        run: the run, closed.
        redactor: hides in the new run what was hidden in the golden.
        subject: what is judged, for the verdict.
        failed: whether the test failed by itself; its status is then no divergence of its own.
        further: the ids of the further runs that the test opened.

    Raises:
        UsageError: one of the user's operators raised; the text names the operator and its error.
    """
    settings = run.settings
    rules = rules_of(settings, *_judged_elsewhere(failed=failed))
    left = run.answers.divergence_point
    by_construction = run.equal_by_construction
    theirs, mine = ((), ()) if by_construction else _sides(golden, run, left)
    hidden = None
    from_events = isinstance(run.answers.replayer, EventReplayer)
    if from_events:
        rules = replace(rules, ignore_types=LEFT_OUT)
        hidden = redactor  # what was recorded is redacted already; what was written by hand is not
    secrets = run.answers.replayer.secrets if run.answers.replayer is not None else SecretPairs()
    found_drifts = [one for one in run.violations.of(Kind.DRIFT) if left is None or left.knew(one)]
    drifts = drifts_of(found_drifts, rules, secrets)
    config = golden.inputs.config_snapshot
    recorded = () if golden.source is None else golden.source.events[1]
    lines = _lines(mine, redactor, recorded)
    found = Found(
        violations=(*_failures(run), *_never_opened(golden, further)),
        # The setting speaks of requests to models only.
        drifts=tuple(
            drift
            for drift in drifts
            if settings.requests_in_force is Requests.COMPARE or not drift.finding.of_model
        ),
        comparison=_equal_by_lines(golden, theirs, lines, rules, by_construction=by_construction)
        or _shown(
            compare(
                theirs if hidden is None else redacted(theirs, hidden),
                _of_lines(mine, lines),
                rules,
                typed=golden.notes_types and not from_events,
                strands=golden.knows_strands,
                secrets=secrets,
            ),
            secrets,
        ),
        nothing=Finding(kind=Kind.NOTHING_REPLAYED) if run.answers.served_nothing else None,
        circumstances=circumstances(config, side_by_side=any(getattr(event, "lane", "") for event in mine)),
        what_if=_what_if_of(run),
        unwrapped=tuple(_unwrapped(run)),
        verified=frozenset(run.answers.verified),
        holds_answers=golden.holds_exchanges and not from_events,
    )
    remarks = (
        _drift_remark([drift for drift in drifts if drift.finding.of_model])
        if settings.requests_in_force is Requests.REPORT
        else []
    )
    verdict = verdict_of(found, subject, (*remarks, *_remarks(run)))
    return replace(verdict, since=changed_since(config)) if verdict.diverged else verdict


def _sides(
    golden: Transcript, run: Run, left: DivergencePoint | None
) -> tuple[Sequence[Event], Sequence[Event]]:
    """The events to compare: both runs up to the divergence point, without the events that only a fault makes.

    A run that was replayed from events is compared in what both sides can hold.
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
        if left is not None:  # cut by counting, and what only one side holds must not count
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
    global _rules  # noqa: PLW0603 - all tests of a session have the same settings, but for those with markers
    if _rules[0] is not settings:
        _rules = settings, {}
    known = _rules[1]
    if further not in known:
        known[further] = _rules_of(settings, further)
    return known[further]


_rules: tuple[Settings | None, dict[tuple[str, ...], Rules]] = None, {}
"""The settings that rules were made of last, and the rules, by the further paths."""


def _rules_of(settings: Settings, further: tuple[str, ...]) -> Rules:
    return Rules(
        level=settings.level_in_force,
        exclude_paths=(
            *settings.ignore,
            *settings.exclude_paths,
            *map(header_path, settings.ignore_headers),
            *further,
        ),
        exclude_regex_paths=settings.exclude_regex_paths,
        significant_digits=settings.significant_digits,
        ignore_order=settings.ignore_order,
        ignore_string_case=settings.ignore_string_case,
        ignore_numeric_type_changes=settings.ignore_numeric_type_changes,
        custom_operators=settings.custom_operators,
    )


def judge_recording(run: Run, subject: Subject, *, failed: bool, alone: bool) -> Verdict:
    """Judge a recording: it must hold something, and all of it.

    Args:
        run: the run, closed.
        subject: what is judged, for the verdict.
        failed: whether the test failed before it could hold something.
        alone: whether the test opened no further runs, which may hold what there is.
    """
    nothing = None
    if alone and not failed and run.crossings == 0 and not run.events:
        nothing = Finding(kind=Kind.NOTHING_RECORDED, detail={"libraries": covered_libraries()})
    return verdict_of(Found(violations=_failures(run), nothing=nothing), subject, _remarks(run))


def _what_if_of(run: Run) -> WhatIf:
    """What came of a run's fork and faults, once the run is over."""
    fork, fault_plan = run.answers.fork, run.answers.fault_plan
    return WhatIf(
        injected=fork is not None or bool(fault_plan.faults),
        scripted=fault_plan.then is not None,
        recovers=any(fault.recovers and fault.hits for fault in fault_plan.faults),
        divergence_point=run.answers.divergence_point,
    )


def _never_opened(golden: Transcript, further: Sequence[str]) -> Iterator[Finding]:
    for run_id in golden.inputs.further_runs:
        if run_id not in further:
            yield Finding(kind=Kind.UNPLAYED, case="further-run", detail={"run": run_id})


def _judged_elsewhere(*, failed: bool) -> list[str]:
    paths = [*JUDGED_AS_REQUESTS]
    return [*paths, "RunFinished.outcome['status']"] if failed else paths


def _failures(run: Run) -> tuple[Finding, ...]:
    kinds = _FATAL if run.settings.unwrapped is Unwrapped.WARN else (*_FATAL, Kind.UNWRAPPED, Kind.CHILD)
    if run.settings.changed_code is ChangedCode.FAIL:
        kinds = (*kinds, Kind.CHANGED_CODE)
    return tuple(finding for finding in run.violations.findings if finding.kind in kinds)


def _remarks(run: Run) -> tuple[Finding, ...]:
    left_out = (
        Finding(kind=Kind.LEFT_OUT, detail={"said": said}) for said in run.answers.fault_plan.left_out
    )
    kinds = {Kind.LATE, Kind.UNREAD, Kind.UNCAPTURED, Kind.NOT_COMPARED}
    if run.settings.unwrapped is Unwrapped.WARN:
        kinds |= {Kind.UNWRAPPED, Kind.CHILD}
    if run.settings.changed_code is ChangedCode.WARN:
        kinds.add(Kind.CHANGED_CODE)
    return (*left_out, *(finding for finding in run.violations.findings if finding.kind in kinds))


def _unwrapped(run: Run) -> Iterator[str]:
    for finding in run.violations.of(Kind.UNWRAPPED):
        if not run.wraps(finding.detail["name"]):
            yield finding.detail["name"]


def drifts_of(found: Iterable[Finding], rules: Rules, secrets: SecretPairs) -> list[Drift]:
    """Drift that is more than renamed ids and what the rules leave out; a drift marks where it only repeats."""
    drifts: list[Drift] = []
    known: set[tuple[str, str]] = set()
    budget = DiffBudget()
    for finding in found:
        assert isinstance(finding.golden, dict)
        assert isinstance(finding.new, dict)
        found_here = request_changes(
            finding.golden, finding.new, rules, budget, of_model=finding.of_model, secrets=secrets
        )
        changes = tuple(replace(change, new=secrets.shown(change.new)) for change in found_here)
        if changes:
            seen = {(change.path, repr((change.golden, change.new))) for change in changes}
            drifts.append(Drift(finding=finding, changes=changes, repeats=seen <= known))
            known |= seen
    return drifts


def _drift_remark(drifts: Sequence[Drift]) -> list[Finding]:
    paths = list(dict.fromkeys(render(change.steps) for drift in drifts for change in drift.changes))
    detail = {"count": len(drifts), "paths": paths}
    return [Finding(kind=Kind.DRIFT, case="remark", boundary="http", detail=detail)] if drifts else []


def _shown(comparison: Comparison, secrets: SecretPairs) -> Comparison:
    changes = (replace(change, new=secrets.shown(change.new)) for change in comparison.changes)
    return replace(comparison, changes=tuple(changes))


def _lines(
    events: Iterable[Event], redactor: Redactor, recorded: Sequence[bytes] = ()
) -> list[tuple[bytes, bytes]]:
    """The line of each event, and the line as the disk has it; one that is recorded so hides nothing."""
    lines = list(map(dump_event, events))
    # Nearly always all of them.
    same = map(bytes.__eq__, lines, recorded)
    return [(line, line if next(same, False) else redactor.line(line)) for line in lines]


def redacted(events: Sequence[Event], redactor: Redactor) -> list[Event]:
    """Events of a run as the disk has them."""
    return _of_lines(events, _lines(events, redactor))


def _of_lines(events: Sequence[Event], lines: Sequence[tuple[bytes, bytes]]) -> list[Event]:
    return [
        event if clean is line else parse_event(clean)
        for event, (line, clean) in zip(events, lines, strict=True)
    ]


def _equal_by_lines(
    golden: Transcript,
    theirs: Sequence[Event],
    lines: Sequence[tuple[bytes, bytes]],
    rules: Rules,
    *,
    by_construction: bool,
) -> Comparison | None:
    """The comparison of a run whose events are the golden's to the byte, which nobody need parse; None elsewhere."""
    if by_construction:
        count = len(golden.events)
        return Comparison(level=rules.level, golden_count=count, new_count=count)
    source = golden.source
    if source is None or theirs is not source.events[0]:
        return None
    recorded = source.events[1]
    if len(lines) != len(recorded) or any(
        clean != line for (_, clean), line in zip(lines, recorded, strict=True)
    ):
        return None
    return Comparison(level=rules.level, golden_count=len(recorded), new_count=len(lines))


def same_recording(before: Transcript, after: Transcript) -> bool:
    """Whether events, asked and answered halves are equal in all that counts between recordings."""
    if before.inputs.further_runs != after.inputs.further_runs:
        return False
    if not _is_same_code(before, after):
        return False
    if not compare(before, after, Rules(exclude_paths=JUDGED_AS_REQUESTS)).equal:
        return False
    # Sorted: parallel exchanges end in any order.
    one, other = sorted(_fingerprints(before)), sorted(_fingerprints(after))
    if [each[0] for each in one] != [each[0] for each in other]:
        return False
    pairs = SecretPairs()
    return all(_same_secrets(ours[2], theirs[2], pairs) for ours, theirs in zip(one, other, strict=True))


def _is_same_code(before: Transcript, after: Transcript) -> bool:
    """Whether the tools have the code that they had; what an older golden does not note is no change."""
    noted, new = ((each.inputs.config_snapshot or {}).get(CODE) for each in (before, after))
    return (
        not isinstance(noted, dict)
        or not isinstance(new, dict)
        or all(noted.get(name, digest) == digest for name, digest in new.items())
    )


def _fingerprints(transcript: Transcript) -> Iterator[tuple[str, float, list[str]]]:
    """Of each exchange what counts of it, when it began, and the secrets in it."""
    from pytest_sparrow.matching.recordings import between_recordings  # a replay compares no two recordings

    ids = Ids(ids_of(entries(enumerate(transcript.events, 1))))
    all_optional = all(exchange.optional for exchange in transcript.exchanges)  # of fixtures
    for exchange in transcript.exchanges:
        if exchange.optional and not all_optional:
            continue
        asked, answered = between_recordings(exchange, ids.mask)
        what = digest([request_key(exchange.kind, asked), exchange.complete, answered])
        secrets = placeholders(canonical([exchange.asked, exchange.answered]))
        yield what, exchange.began, secrets


def _same_secrets(golden: list[str], new: list[str], pairs: SecretPairs) -> bool:
    if not pairs.fit(golden, new):
        return False
    pairs.declare(golden, new)
    return True
