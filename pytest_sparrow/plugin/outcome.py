"""Decides the outcome of a test: a divergence fails the call phase once."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sparrow.plugin.session import ATTEMPT, SESSION, AttemptState

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from pytest_sparrow.findings import Verdict


HEADING = "pytest-sparrow"
"""The title of a section of a report."""


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
        error.add_note(f"{HEADING}: this test also diverged from its golden (see the section below)")
    return True


def fails_itself(error: BaseException | None, state: AttemptState) -> bool:
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
    diverge(state, [verdict for verdict in verdicts if verdict.diverged], raised)
    state.missed = any(verdict.missed for verdict in verdicts)
    state.contradicted = any(verdict.contradicted for verdict in verdicts)
    state.remarks = [remark for verdict in verdicts for remark in verdict.remarks]


def diverge(state: AttemptState, diverged: list[Verdict], raised: BaseException | None = None) -> None:
    """Keep what differs, and its text, if anything does; `raised` is the exception with which the body ended."""
    if not diverged:
        return
    from pytest_sparrow.report.plain import render_verdict

    if state.failed_itself or fails_itself(raised, state):
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
