"""Decides the outcome of a test: a divergence fails the call phase once, and no report shows a secret."""

from __future__ import annotations

import json
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sparrow.plugin.session import ATTEMPT, BLOCKED, SESSION, AttemptState, SessionState
from pytest_sparrow.settings import judged_by
from pytest_sparrow.text import counted, one_line

if TYPE_CHECKING:
    import warnings
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from pytest_sparrow.findings import Finding, Verdict
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


_HEADING = "pytest-sparrow"


def forget(item: pytest.Item) -> None:
    """Drop the state of an attempt: after its last report, and before a rerun."""
    if ATTEMPT in item.stash:
        del item.stash[ATTEMPT]


def call_phase(item: pytest.Item) -> Generator[None, Any, Any]:
    """Run the body, then judge the run.

    A test that fails by itself keeps its own failure, with the divergence as a note. A test that fails only because
    the replay had no answer fails with the divergence alone. So does a test that skips itself (`pytest.skip()`,
    `pytest.xfail()`) after the agent did something else than recorded: `except Exception: pytest.skip()` must not
    hide a miss.
    """
    session = item.config.stash[SESSION]
    state = item.stash.get(ATTEMPT, None)
    if state is not None:
        refuse_blocked(state)
        state.attempt.find_directories()
    session.in_body = True
    result = None
    try:
        with nullcontext() if state is None else state.attempt.world.around_body(item):
            result = yield
    except KeyboardInterrupt:
        _judge_body(item, failed=True)
        raise
    except BaseException as error:
        state = _judge_body(item, failed=True, error=error)
        if state is None or _stands(error, state):
            raise
    else:
        state = _judge_body(item, failed=False, error=_of_unittest(item))
    finally:
        session.in_body = False
    if state is None:
        return result
    refuse_blocked(state)
    if state.divergence:
        pytest.fail(state.divergence, pytrace=False)
    return result


def refuse_blocked(state: AttemptState) -> None:
    """Fail a test that has no usable golden.

    Raises:
        pytest.fail.Exception: the test has none.
    """
    if state.attempt.blocked is not None:
        state.attempt.finish(failed=True)
        pytest.fail(state.attempt.blocked_text, pytrace=False)


def _judge_body(
    item: pytest.Item, *, failed: bool, error: BaseException | None = None
) -> AttemptState | None:
    """Judge the run of a body that is over, also a run that only the body asked for; None where there is no run."""
    state = item.stash.get(ATTEMPT, None)
    if state is not None:
        judge(state, failed=failed, raised=error)
    return state


def _of_unittest(item: pytest.Item) -> BaseException | None:
    """The failure that a ``unittest.TestCase`` kept to itself, until pytest reports it; None where there is none."""
    found: list[pytest.ExceptionInfo[BaseException]] = getattr(item, "_excinfo", None) or []
    return found[0].value if found else None


def _stands(error: BaseException, state: AttemptState) -> bool:
    """Whether the body's exception is the test's outcome; a divergence is then added to the exception as a note."""
    if state.attempt.blocked is not None:
        return False
    if isinstance(error, pytest.skip.Exception | pytest.xfail.Exception):
        return not state.contradicted
    if state.divergence and _is_ours(error, state):
        return False
    if state.divergence:
        error.add_note(f"{_HEADING}: this test also diverged from its golden (see the section below)")
    return True


def _fails_itself(error: BaseException | None, state: AttemptState) -> bool:
    """Whether a body's exception is a failure, and no miss that comes back."""
    skips = isinstance(error, pytest.skip.Exception | pytest.xfail.Exception)
    return not (error is None or skips or _is_ours(error, state))


def _is_ours(error: BaseException, state: AttemptState) -> bool:
    """Whether the exception is a miss coming back: raised at a tool, or by an SDK that got the miss as an answer.

    A group of exceptions is one if each of its exceptions is.
    """
    from pytest_sparrow.boundaries.http.exchange import REFUSED
    from pytest_sparrow.errors import NotRecordable, ReplayDivergence, ReplayStopped

    texts = state.attempt.findings
    return any(
        all(_is_ours(each, state) for each in one.exceptions)
        if isinstance(one, BaseExceptionGroup)
        else isinstance(one, ReplayDivergence | ReplayStopped | NotRecordable)
        or any(text in str(one) for text in texts)
        or (bool(texts) and _status_of(one) == REFUSED)
        for one in _chain(error)
    )


def _status_of(error: BaseException) -> object:
    """The status of the answer that an HTTP library's error is about; None for any other error."""
    of: Any = getattr(error, "response", None) or error
    return getattr(of, "status_code", None) or getattr(of, "status", None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def judge(state: AttemptState, *, failed: bool, raised: BaseException | None = None) -> None:
    """End the run and judge it; a run that is over was judged.

    Args:
        state: gets the verdict.
        failed: whether the test has failed by itself.
        raised: the exception with which its body ended, or None.
    """
    from pytest_sparrow.errors import DamagedTranscript, UsageError

    if state.attempt.closed:
        return
    try:
        verdicts = state.attempt.finish(failed=failed)
    except UsageError as error:
        _failed_to_judge(state, "broken-rule", error)
        return
    except DamagedTranscript as error:  # an event that nobody had to parse until something differed
        _failed_to_judge(state, "damaged", error)
        return
    _diverge(state, [verdict for verdict in verdicts if verdict.diverged], raised)
    state.missed = any(verdict.missed for verdict in verdicts)
    state.contradicted = any(verdict.contradicted for verdict in verdicts)
    state.remarks = [remark for verdict in verdicts for remark in verdict.remarks]


def _diverge(state: AttemptState, diverged: list[Verdict], raised: BaseException | None = None) -> None:
    """Keep what differs, and its text, if anything does; `raised` is the exception with which the body ended."""
    if not diverged:
        return
    from pytest_sparrow.report.plain import render_verdict

    if state.failed_itself or _fails_itself(raised, state):
        from pytest_sparrow.judging.verdict import of_failing

        diverged = [of_failing(verdict) for verdict in diverged]
    if state.attempt.may_be_pending:
        from pytest_sparrow.plugin.leaving import name_review

        diverged, state.change = name_review(state.attempt, diverged)
    state.diverged, state.cause = diverged, diverged[0].findings[0]
    state.divergence = state.attempt.shown("\n\n".join(map(render_verdict, diverged)))


def _failed_to_judge(state: AttemptState, kind: str, error: Exception) -> None:
    """A rule of the user's that can't be applied, and a golden that is damaged, fail their test, and no other."""
    from pytest_sparrow.findings import Finding, Kind
    from pytest_sparrow.report.plain import render_finding

    detail: dict[str, Any] = {"text": str(error), "golden": state.attempt.place.shown}
    state.cause = Finding(kind=Kind(kind), detail=detail)
    state.divergence = state.attempt.shown(render_finding(state.cause))


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
    if report.failed and texts and not _fails_itself(error, state):
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
            _diverge(state, [each.accepted for each in state.attempt.attempts if each.accepted is not None])
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
        report.sections.append((_HEADING, text))


def _word(state: AttemptState, report: pytest.TestReport) -> str:
    behaviour = state.attempt.behaviour
    if state.attempt.blocked is not None:
        return BLOCKED
    if state.divergence and (not report.skipped or hasattr(report, "wasxfail")):
        return behaviour.diverged
    if behaviour.revises and state.failed:
        return behaviour.diverged
    return behaviour.outcome if report.passed and not state.failed else ""
