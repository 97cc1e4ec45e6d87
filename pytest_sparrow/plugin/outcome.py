"""The outcome of a test: a divergence makes the call phase fail, once, without our frames."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from pytest_sparrow.plugin.state import ATTEMPT, AttemptState

__all__ = ["call_phase", "reported"]

_HEADING = "pytest-sparrow"


def call_phase(item: pytest.Item) -> Generator[None, Any, Any]:
    """Run the body, then judge the run.

    A test that fails by itself keeps its own failure; the divergence is added to it as a note.
    """
    state = item.stash.get(ATTEMPT, None)
    if state is None:
        return (yield)
    if state.attempt.blocked is not None:
        pytest.fail(state.attempt.blocked, pytrace=False)
    try:
        result = yield
    except (pytest.skip.Exception, pytest.xfail.Exception, KeyboardInterrupt, SystemExit):
        state.attempt.finish(failed=True)
        raise
    except BaseException as error:
        _judge(state, failed=True)
        if state.divergence:
            error.add_note(f"{_HEADING}: this test also diverged from its golden (see the section below)")
        raise
    _judge(state, failed=False)
    if state.divergence:
        pytest.fail(state.divergence, pytrace=False)
    return result


def _judge(state: AttemptState, *, failed: bool) -> None:
    verdicts = state.attempt.finish(failed=failed)
    if any(judged.verdict.diverged for judged in verdicts):
        from pytest_sparrow.report.verdict import render

        state.divergence = "\n\n".join(render(judged) for judged in verdicts if judged.verdict.diverged)
    state.remarks = [remark for judged in verdicts for remark in judged.verdict.remarks]


def reported(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Note how a phase was reported, and hand the report what the summary needs (it crosses xdist with it)."""
    state = item.stash.get(ATTEMPT, None)
    if state is None:
        return
    if report.when == "call":
        if report.passed and not hasattr(report, "wasxfail"):
            state.passed = True
        else:
            state.failed = True
        if report.failed and state.divergence and state.divergence not in report.longreprtext:
            report.sections.append((_HEADING, state.divergence))
        facts: dict[str, Any] = {"outcome": _word(state, report), "remarks": list(state.remarks)}
    elif report.when == "teardown":
        facts = {"kept": [[kept.what, kept.nodeid, kept.folder] for kept in state.kept]}
    else:
        return
    report.sparrow = facts  # type: ignore[attr-defined]


def _word(state: AttemptState, report: pytest.TestReport) -> str:
    if state.attempt.blocked is not None:
        return "blocked"
    if state.divergence:
        return "diverged"
    return state.attempt.behaviour.value if report.passed else ""
