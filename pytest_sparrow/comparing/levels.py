"""How much of a run each level compares.

exact
    everything that is left after masking.
trajectory
    what the agent did, in order: calls with name, arguments and risk; whether they failed, not what they
    returned; approvals without their wording; proposed and applied diffs; sub-agents by role; autonomy;
    numbers of passed and failed tests; the outcome's status and diffs. Not: wording, reasoning, routes,
    usage, cost, outputs, errors that were survived, events of unknown types.
outcome
    how it ended: the outcome's status and diffs, and the numbers of the last test result. The wording of the
    final answer is not compared: two live runs hardly ever share it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.settings import Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_sparrow.comparing.entries import Entry

__all__ = ["at_level"]

_TRAJECTORY: dict[str, frozenset[str]] = {
    "ToolUseProposed": frozenset({"name", "args", "risk"}),
    "ToolUseStarted": frozenset({"name", "args"}),
    "ToolOutput": frozenset({"is_error"}),
    "ApprovalRequested": frozenset({"tool", "risk"}),
    "ApprovalResolved": frozenset({"decision"}),
    "DiffProposed": frozenset({"file", "patch", "plus", "minus"}),
    "DiffApplied": frozenset({"file"}),
    "TestResult": frozenset({"passed", "failed"}),
    "AgentSpawned": frozenset({"role"}),
    "AutonomyChanged": frozenset({"level"}),
    "RunFinished": frozenset({"outcome"}),
}
_OUTCOME = {kind: _TRAJECTORY[kind] for kind in ("RunFinished", "TestResult")}
_ENDING = frozenset({"status", "diffs"})


def at_level(found: Iterable[Entry], level: Level) -> Iterator[Entry]:
    """The entries that a level looks at, with the fields that it looks at."""
    if level is Level.EXACT:
        yield from found
    elif level is Level.TRAJECTORY:
        yield from _only(found, _TRAJECTORY)
    else:
        yield from _last_test(list(_only(found, _OUTCOME)))


def _only(found: Iterable[Entry], kept: dict[str, frozenset[str]]) -> Iterator[Entry]:
    for entry in found:
        fields = kept.get(entry.type)
        if fields is None:
            continue
        body = {key: value for key, value in entry.body.items() if key in fields}
        outcome = body.get("outcome")
        if isinstance(outcome, dict):
            body["outcome"] = {key: value for key, value in outcome.items() if key in _ENDING}
        yield entry.with_body(body)


def _last_test(found: list[Entry]) -> Iterator[Entry]:
    tests = [number for number, entry in enumerate(found) if entry.type == "TestResult"]
    for number, entry in enumerate(found):
        if entry.type != "TestResult" or number == tests[-1]:
            yield entry
