"""Renders a comparison as text: what happened, where, what changed, what follows.

What happened, in one line.

A comparison as text: what happened, where, what changed, what follows. Pure.

No boxes, nothing wrapped, one line a value; bounded in lines whatever was compared.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_sparrow.comparing.result import MISSING
from pytest_sparrow.text import WIDTH, bounded, counted, one_line, shown, shown_pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_sparrow.comparing.result import Change, Comparison, Missing, Position
    from pytest_sparrow.exchange import Json

__all__ = [
    "MOST_LINES",
    "change_lines",
    "follow_line",
    "headline",
    "headline_of",
    "render_comparison",
    "where",
]


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
        return f"the run ended as {_value(change.new, 40)}, not as {_value(change.golden, 40)}"
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


MOST_LINES = 25
"""The most lines that a failure may have."""

_MOST_PATH = 160
_MOST_KINDS = 6


def render_comparison(
    comparison: Comparison,
    *,
    title: str = "",
    header: Sequence[str] = (),
    commands: Sequence[str] = (),
    also_follow: Mapping[str, int] | None = None,
    everything: bool = False,
    limit: int | None = MOST_LINES,
) -> list[str]:
    """The lines of a report, or only the title's where the runs are equal.

    Args:
        comparison: what was found.
        title: what happened; by default said by the first change.
        header: lines that come next: the test, the golden.
        commands: the last lines, shown whatever happens: how to settle it.
        also_follow: what else follows, by kind (``{"request drift": 1}``), counted with the rest.
        everything: also show what merely follows, each marked so.
        limit: the most lines, or None.
    """
    lines = [title or headline(comparison)]
    if comparison.equal:
        return lines
    told = comparison.changes if everything else comparison.roots
    lines += [*header, f"  where   {where(told[0], comparison)}"]
    room = None if limit is None else max(limit - len(lines) - len(commands), 3)
    lines += _body(comparison, told, also_follow or {}, room)
    lines += commands
    return lines if limit is None else bounded(lines, limit, keep_last=len(commands))


def _body(
    comparison: Comparison, told: Sequence[Change], also_follow: Mapping[str, int], room: int | None
) -> list[str]:
    """Changes as long as there is room, then how many more there are, then what follows."""
    follows = (
        Counter(change.subject for change in comparison.followers)
        if told is not comparison.changes
        else Counter()
    )
    follows.update(also_follow)
    last = [follow_line(follows)] if follows else []
    lines: list[str] = []
    at = told[0]
    for number, change in enumerate(told):
        block = change_lines(
            change, comparison if _elsewhere(change, at) else None, mark=told is comparison.changes
        )
        at = change
        left = len(told) - number
        if room is not None and len(lines) + len(block) + len(last) + (left > 1) > room:
            return [*lines, f"  {counted(left, 'more difference')}", *last]
        lines += block
    return lines + last


def _elsewhere(change: Change, before: Change) -> bool:
    return (change.golden_at, change.new_at) != (before.golden_at, before.new_at)


def change_lines(change: Change, comparison: Comparison | None = None, *, mark: bool = False) -> list[str]:
    """One change: its path, and both values.

    Args:
        change: the change.
        comparison: where it was found, to say at which turn and event; None to leave that out.
        mark: say so where it merely follows.
    """
    notes = [where(change, comparison)] if comparison is not None else []
    if change.kind == "moved":
        notes.insert(0, "moved")
    if mark and change.follows:
        notes.append("follows")
    path = one_line(change.path, _MOST_PATH)
    lines = [f"  {path}" + (f"  ({'; '.join(notes)})" if notes else "")]
    if change.kind == "moved":
        return [*lines, f"    both    {_value(change.golden)}"]
    golden, new = _both(change)
    return [*lines, f"    golden  {golden}", f"    new     {new}"]


def _both(change: Change) -> tuple[str, str]:
    golden, new = change.golden, change.new
    if golden is MISSING or new is MISSING:
        return _value(golden), _value(new)
    return shown_pair(golden, new)


def _value(value: Json | Missing, width: int = WIDTH) -> str:
    return "(nothing)" if value is MISSING else shown(value, width)


def where(change: Change, comparison: Comparison) -> str:
    """``turn 3 of 4, event 17 of 43``: in the golden, or in the new run for what only that one has."""
    if change.golden_at is not None:
        place = _place(change.golden_at, comparison.golden_turns, comparison.golden_count)
        if change.kind == "moved" and change.new_at is not None:
            return f"{place}; now event {change.new_at.event} of {comparison.new_count}"
        return place
    if change.new_at is not None:
        return f"{_place(change.new_at, comparison.new_turns, comparison.new_count)} of the new run"
    return "outside the events"


def _place(at: Position, turns: int, events: int) -> str:
    turn = f"turn {at.turn} of {turns}, " if at.turn else ""
    return f"{turn}event {at.event} of {events}"


def follow_line(follows: Mapping[str, int] | Iterable[str]) -> str:
    """``3 more differences follow from this (request drift 1, ToolOutput 1, RunFinished 1)``."""
    kinds = Counter(follows)
    total = kinds.total()
    named = [f"{one_line(kind, 40)} {number}" for kind, number in kinds.most_common(_MOST_KINDS)]
    if len(kinds) > _MOST_KINDS:
        named.append("…")
    verb = "follows" if total == 1 else "follow"
    return f"  {counted(total, 'more difference')} {verb} from this ({', '.join(named)})"
