"""What the report of each phase gets: facts for the summary, sections, and no secret in its texts."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_sparrow.plugin.outcome import HEADING, diverge, fails_itself, forget, judge
from pytest_sparrow.plugin.session import ATTEMPT, BLOCKED, SESSION, AttemptState, SessionState
from pytest_sparrow.settings import judged_by
from pytest_sparrow.text import counted, one_line

if TYPE_CHECKING:
    import warnings
    from collections.abc import Callable, Iterable, Sequence

    import pytest

    from pytest_sparrow.findings import Finding
    from pytest_sparrow.plugin.attempt import Attempt
    from pytest_sparrow.transcript import Transcript


def clean(report: pytest.TestReport, shown: Callable[[str], str]) -> None:
    """Hide the secrets in a report's failure and in its captured output, which end up in CI logs and JUnit files.

    pytest prints values where an assert fails, and the agent's output. Only a text with a secret is changed: a
    traceback becomes plain text then, and loses its colours.

    Args:
        report: changed in place.
        shown: removes the secrets from a text.
    """
    if isinstance(getattr(report, "wasxfail", None), str):
        report.wasxfail = shown(report.wasxfail)
    report.user_properties = [
        (name, shown_by_name(name, value, shown) if isinstance(value, str) else value)
        for name, value in report.user_properties
    ]
    if report.failed or hasattr(report, "wasxfail"):
        text = report.longreprtext
        hidden = shown(text)
        if hidden != text:
            report.longrepr = hidden
    if report.skipped and isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        report.longrepr = (path, line, shown(reason))
    report.sections[:] = [(name, shown(text)) for name, text in report.sections]


def shown_by_name(name: str, value: str, shown: Callable[[str], str]) -> str:
    """The value of a property (``record_property``) without secrets; what its name says counts, too."""
    hidden = shown(value)
    said = shown(f"{name}={value}")
    return hidden if hidden != value or said == f"{name}={value}" else said.removeprefix(f"{name}=")


def clean_warning(session: SessionState, warning: warnings.WarningMessage, nodeid: str) -> None:
    """Hide the secrets in a warning of the test that has just ended: pytest lists them behind all tests."""
    if session.ended is not None and session.ended[0] == nodeid:
        text = str(warning.message)
        hidden = session.ended[1](text)
        if hidden != text:
            warning.message = Warning(hidden)


def refused_text(refused: Sequence[str]) -> str:
    """What was refused outside a test's run, as its failure says it."""
    first, *others = refused
    return "\n".join([first, *([f"  {counted(len(others), 'more request')} of this kind"] if others else [])])


def _say_what_was_refused(item: pytest.Item, report: pytest.TestReport) -> dict[str, Any]:
    """Add what fixtures were refused to the report; returns the facts on that, and on strands of earlier tests.

    A phase that passed fails for it, where the golden knows what fixtures ask and a fixture's own code asked. Else the
    summary names it.
    """
    session = item.config.stash[SESSION]
    if session.refused and report.passed:
        own = [text for text, by_fixture in session.refused.items() if by_fixture]
        state = item.stash.get(ATTEMPT, None)
        golden = None if state is None else state.attempt.source.golden
        if own and golden is not None and golden.notes_types:
            report.outcome, report.longrepr = "failed", refused_text(own)
        else:
            session.late += map(partial(_unfelt, item), session.refused)
    late = {"late": json.dumps(session.late)} if session.late else {}
    session.late.clear()
    for text in session.refused:
        _add_section(report, text)
    session.refused.clear()
    return late


def _unfelt(item: pytest.Item, text: str) -> tuple[str, dict[str, Any]]:
    """What was refused outside a run, and fails no test: the summary names it."""
    from pytest_sparrow.findings import Finding, Kind

    return item.nodeid, Finding(kind=Kind.REFUSED, detail={"text": text.partition("\n")[0]}).to_json()


def reported(item: pytest.Item, report: pytest.TestReport, error: BaseException | None) -> None:
    """Note how a phase was reported, and add what the summary needs to the report, which crosses xdist.

    Args:
        item: the test.
        report: the phase's report.
        error: the exception with which the phase ended, or None.
    """
    session = item.config.stash[SESSION]
    if session.wrong and report.failed:
        report.sparrow = {"wrong": session.wrong}  # type: ignore[attr-defined]
        session.wrong = ""
        return
    late = _say_what_was_refused(item, report)
    report.sparrow = late  # type: ignore[attr-defined]
    state = item.stash.get(ATTEMPT, None)
    if state is None:
        return
    if state.attempt.world.moves_clock:
        _in_real_time(report)
    clean(report, state.attempt.shown)
    item.config.stash[SESSION].ended = (item.nodeid, state.attempt.shown)
    report.sparrow = {**late, **_of_phase(state, report, session, error)}  # type: ignore[attr-defined]
    if report.when == "teardown":
        forget(item)  # pytest keeps each test to the end of the session, and so would keep its run in memory


def _of_phase(
    state: AttemptState, report: pytest.TestReport, session: SessionState, error: BaseException | None
) -> dict[str, Any]:
    """Note how a phase of a test with a run was reported; returns what the summary needs."""
    if report.when == "setup":
        return {} if report.passed else _setup_ended(state, report)
    if report.when == "teardown":
        return _torn_down(state)
    if (
        not state.attempt.closed
    ):  # the body is still running: a block of `subtests`, whose test is reported later
        _of_block(state, report, error)
        return {}
    facts = _called(state, report)
    if report.passed and not state.diverged:
        known = [pattern for pattern, tests in session.patterns.items() if tests is None]
        facts["patterns"] = state.attempt.patterns(known)
    return facts


def _of_block(state: AttemptState, report: pytest.TestReport, error: BaseException | None) -> None:
    """Note how a block of `subtests` ended; where it failed for a miss alone, the test's own report says more."""
    state.failed = state.failed or report.failed or hasattr(report, "wasxfail")
    texts = state.attempt.findings
    if report.failed and texts and not fails_itself(error, state):
        said = next((text for text in texts if text in str(error)), texts[-1])
        report.longrepr = f"{state.attempt.shown(one_line(said))}\n  more    in the report of {report.nodeid}"
    else:
        state.failed_itself = state.failed_itself or report.failed


def _torn_down(state: AttemptState) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "kept": [kept.what for kept in state.kept],
        "secrets": sum(kept.secrets for kept in state.kept),
        "pending": state.change if state.reported else "",
    }
    remarks = [(kept.nodeid, kept.remark) for kept in state.kept if kept.remark]
    if state.not_pending is not None:
        remarks.append((state.attempt.place.nodeid, state.not_pending))
    if remarks:
        facts["remarks"] = _sent(state, remarks)
    return facts


def _in_real_time(report: pytest.TestReport) -> None:
    """Correct a time that was read from the moved clock; the duration comes from another clock."""
    if report.when == "setup":
        report.stop = report.start + report.duration
    elif report.when == "call":
        report.start = report.stop - report.duration


def _setup_ended(state: AttemptState, report: pytest.TestReport) -> dict[str, Any]:
    """Judge a run whose setup failed or skipped, perhaps for a missing answer; unplayed exchanges say nothing here."""
    judge(state, failed=True)
    if report.skipped:
        blocked = state.attempt.blocked_text if state.attempt.crossed else ""
        if not (state.contradicted or blocked):
            return {}
        report.outcome, report.longrepr = "failed", blocked or state.divergence
    elif state.attempt.blocked is None and not state.missed:
        return {}
    _add_section(report, state.attempt.blocked_text or state.divergence)
    return {"outcome": _word(state, report)}


def _called(state: AttemptState, report: pytest.TestReport) -> dict[str, Any]:
    expected = hasattr(report, "wasxfail")
    if report.skipped and state.contradicted and not expected:
        # A unittest skips itself behind pytest's back, where call_phase can't see it.
        report.outcome, report.longrepr = "failed", state.divergence
    if state.attempt.blocked is not None and expected:
        # What a mark expects to fail is the test, and it did not run.
        del report.wasxfail
        report.outcome, report.longrepr = "failed", state.attempt.blocked_text
    # A known bug and a test that skips itself are recorded: else a replay would never find a golden for them.
    if report.passed or (report.skipped and not state.divergence):
        state.passed = True
    else:
        state.failed = True
    state.reported = True
    if report.failed:
        state.failed_itself = state.failed_itself or state.divergence not in report.longreprtext
        if not state.divergence:  # an update would have accepted it, had the test passed
            state.failed_itself = True
            diverge(state, [each.accepted for each in state.attempt.attempts if each.accepted is not None])
        _add_section(report, state.divergence)
    facts: dict[str, Any] = {
        "outcome": _word(state, report),
        "missing": state.attempt.missing_golden,
        "saved": _saved(state.attempt) if report.passed else {},
    }
    remarks = [*state.remarks, *_old_golden(state.attempt)]
    if expected and report.skipped and state.cause is not None:
        remarks.append(_expected(state.cause))
    if remarks:
        facts["remarks"] = _sent(state, ((report.nodeid, remark) for remark in remarks))
    if state.diverged:
        facts["verdicts"] = json.dumps([verdict.sent(state.attempt.shown) for verdict in state.diverged])
    if facts["outcome"] and state.attempt.blocked is None and state.attempt.behaviour.compares:
        facts["judged_by"] = judged_by(state.attempt.settings)
    return facts


def _saved(attempt: Attempt) -> dict[str, int]:
    """The calls, tokens and milliseconds of the recordings, which the replays did without; further runs, too."""
    replayed = (each for each in attempt.attempts if each.behaviour.replays and not each.run.answers.extended)
    goldens = [each.sparrow.golden for each in replayed]
    held = [golden for golden in goldens if golden is not None and golden.exchanges]
    return {
        "calls": sum(len(golden.exchanges) for golden in held),
        "tokens": sum(map(_tokens_of, held)),
        # Exchanges stand in the order of their ends.
        "milliseconds": sum(int(1000 * (golden.exchanges[-1].ended or 0)) for golden in held),
    }


def _tokens_of(golden: Transcript) -> int:
    """The tokens of a golden, by its last line: a replay that is equal by bytes parses no event."""
    if golden.source is None or not golden.source.events[1]:
        return 0
    try:
        event = json.loads(golden.source.events[1][-1])
        tokens = event["outcome"]["tokens"] if event["type"] == "RunFinished" else {}
        return int(tokens.get("input", 0)) + int(tokens.get("output", 0))
    except (ValueError, LookupError, TypeError, AttributeError):
        return 0


def _old_golden(attempt: Attempt) -> list[Finding]:
    """The finding that the golden is older than the setting ``max_age`` allows, or none."""
    from pytest_sparrow import real_time
    from pytest_sparrow.findings import Finding, Kind

    most, golden = attempt.settings.max_age, attempt.sparrow.golden
    if most is None or golden is None or (real_time.now() - golden.created_at).days <= most.days:
        return []
    return [Finding(kind=Kind.OLD, detail={"count": most.days})]


def _expected(cause: Finding) -> Finding:
    from pytest_sparrow.findings import Finding, Kind

    return Finding(kind=Kind.EXPECTED, parts=(cause,))


def _sent(state: AttemptState, remarks: Iterable[tuple[str, Finding]]) -> str:
    """Remarks as pytest-xdist carries them: a text of JSON, each remark with its node id."""
    clean = state.attempt.shown
    return json.dumps([[nodeid, remark.cleaned(clean).to_json()] for nodeid, remark in remarks])


def _add_section(report: pytest.TestReport, text: str) -> None:
    """Add a section, unless the failure itself has the text."""
    if text and text not in report.longreprtext:
        report.sections.append((HEADING, text))


def _word(state: AttemptState, report: pytest.TestReport) -> str:
    behaviour = state.attempt.behaviour
    if state.attempt.blocked is not None:
        return BLOCKED
    if state.divergence and (not report.skipped or hasattr(report, "wasxfail")):
        return behaviour.diverged
    if behaviour.revises and state.failed:
        return behaviour.diverged
    return behaviour.outcome if report.passed and not state.failed else ""
