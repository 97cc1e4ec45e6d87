"""What happened, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.comparing.result import MISSING
from pytest_sparrow.report.lines import one_line, shown

if TYPE_CHECKING:
    from pytest_sparrow.comparing.result import Change, Comparison

__all__ = ["headline", "headline_of"]

_NAME_WIDTH = 60
_STATUS = (".outcome", ".status")

_VALUES = {
    ("ToolUseStarted", ".args"): "{name} was called with other arguments",
    ("ToolUseProposed", ".args"): "the model proposed {name} with other arguments",
    ("ToolOutput", ""): "{name} gave another output",
    ("Message", ""): "the assistant said something else",
    ("ThinkingDelta", ""): "the assistant said something else",
    ("RouteSelected", ""): "another model was asked",
    ("RunStarted", ".task"): "the run was given another task",
    ("ApprovalResolved", ""): "the approval of {name} was decided otherwise",
}
"""What a changed value means, by event type and first key ("" for any)."""


def headline(comparison: Comparison) -> str:
    """What happened, by the first change that follows from no other."""
    if comparison.equal:
        return "the runs are equal"
    return headline_of(next(iter(comparison.roots), comparison.changes[0]))


def headline_of(change: Change) -> str:
    """What happened, by one change."""
    name = one_line(change.label, _NAME_WIDTH) or "a tool"
    if change.subject == "request":
        return "the agent sent another request"
    if change.whole:
        return _of_event(change, name)
    keys = [step for step in change.steps if step[0] == "."]
    if change.subject == "RunFinished" and tuple(keys) == _STATUS:
        return f"the run ended as {shown(change.new, 40)}, not as {shown(change.golden, 40)}"
    told = _VALUES.get((change.subject, keys[0] if keys else "")) or _VALUES.get((change.subject, ""))
    if told is not None:
        return told.format(name=name)
    return f"{one_line(change.subject, _NAME_WIDTH)} differs"


def _of_event(change: Change, name: str) -> str:
    subject = one_line(change.subject, _NAME_WIDTH)
    if change.subject == "ToolUseProposed":
        return {
            "added": f"{name} was called, where the golden has no such call",
            "removed": f"{name} was not called",
            "moved": f"{name} was called in another order",
        }[change.kind]
    if change.subject == "ToolUseStarted" and change.kind != "moved":
        return f"{name} was {'run' if change.golden is MISSING else 'proposed and not run'}"
    if change.subject == "ToolOutput" and change.kind == "removed":
        return f"{name} gave no output"
    told = {"added": "is new", "removed": "is missing", "moved": "comes in another order"}[change.kind]
    return f"{subject} {told}"
