"""What the terminal says of the session: a line on top, a few at the end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sparrow.plugin.session import SESSION
from pytest_sparrow.settings import judged_by

if TYPE_CHECKING:
    from pytest_sparrow.plugin.session import SessionState

__all__ = ["collect", "header", "write"]


def header(config: pytest.Config) -> str:
    """Which mode is in force, and who said so."""
    state = config.stash[SESSION]
    mode, origin = state.settings.mode, state.origin
    said = f"sparrow: {mode.value}" + (f" (from {origin})" if origin else "")
    return ", ".join(filter(None, (said, judged_by(state.settings))))


def collect(config: pytest.Config, report: pytest.TestReport) -> None:
    """Take in one report: its own facts, and whether it forbids keeping a recording."""
    state = config.stash[SESSION]
    running = state.attempts.get(report.nodeid)
    if running is not None and report.when == "call" and report.failed:
        running.failed = True  # a sub-report of unittest's: the test's own comes through makereport
    if _is_rerun(state, report):
        return
    facts: dict[str, Any] = getattr(report, "sparrow", {})
    if "wrong" in facts and not hasattr(config, "workerinput"):
        raise pytest.UsageError(facts["wrong"])
    if facts.get("outcome"):
        state.counts[facts["outcome"]] += 1
    if facts.get("judged_by"):
        state.ways[facts["judged_by"]] += 1
    state.counts.update(facts.get("kept", ()))
    state.remarks += json.loads(facts.get("remarks", "[]"))
    if "verdicts" in facts:
        state.verdicts[report.nodeid] = json.loads(facts["verdicts"])


def _is_rerun(state: SessionState, report: pytest.TestReport) -> bool:
    """Whether this is of an attempt that pytest-rerunfailures makes again: its failing phase, and its teardown."""
    if str(report.outcome) == "rerun":
        state.rerun.add(report.nodeid)
        return True
    if report.when == "teardown" and report.nodeid in state.rerun:
        state.rerun.discard(report.nodeid)
        return True
    return False


def write(terminal: Any, config: pytest.Config) -> None:
    """The summary; nothing where no test used sparrow."""
    state = config.stash[SESSION]
    line = _counts(state)
    if not line:
        return
    if state.remarks:
        from pytest_sparrow.findings import Finding
        from pytest_sparrow.report.plain import summary_lines

        terminal.write_sep("=", "pytest-sparrow")
        remarks = [(nodeid, Finding.from_json(remark)) for nodeid, remark in state.remarks]
        for remark_line in summary_lines(remarks):
            terminal.write_line(remark_line)
    terminal.write_line(f"sparrow: {line}")


_WORDS = (
    ("replayed", "replayed equal"),
    ("diverged", "diverged"),
    ("blocked", "without a usable golden"),
    ("recorded", "recorded"),
    ("updated", "recorded again, changed"),
    ("unchanged", "recorded again, unchanged"),
    ("dropped", "not recorded"),
    ("inert", "ran with sparrow off"),
)


def _counts(state: SessionState) -> str:
    line = ", ".join(f"{state.counts[key]} {words}" for key, words in _WORDS if state.counts[key])
    ways = "; ".join(f"{count} with {way}" for way, count in sorted(state.ways.items()))
    return f"{line} ({ways})" if line and ways else line
