"""The pipeline of a comparison: mask, rules, group, merge, align, rename, diff, causality; and its levels.

How much of a run each level compares.

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

Which changes merely follow from an earlier one. They are counted and can be shown; none is dropped.

A change follows when there is an earlier change that does not, and

- it carries the very values of an earlier change: the same golden and the same new value (values as common as
  true, null or 3 only where both belong to the same tool or role, or have the same path);
- it is a text that becomes the new one when an earlier change's golden value is replaced by its new value;
- it counts or ends: usage, cost, and everything in RunFinished.

What belongs together within one call or one turn is marked before, in `compare.differ`: the rest of a call
that was added or removed, what was said beside it, and the output of a call whose arguments changed.

The pipeline: mask → rules → group → merge → align → rename → diff → what follows from what.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from pytest_sparrow.comparing.diff import changes_of, in_run_order, with_moves
from pytest_sparrow.comparing.ids import IdText
from pytest_sparrow.comparing.lanes import Lanes, pair_lanes
from pytest_sparrow.comparing.result import MISSING, Change, Comparison
from pytest_sparrow.comparing.rules import Canonical, Rules
from pytest_sparrow.comparing.units import (
    CanonicalKeys,
    NumberedEvent,
    Printer,
    entries,
    group_calls,
    merge_deltas,
    printed,
)
from pytest_sparrow.settings import Level

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from pytest_sparrow.comparing.units import NumberedEvent
    from pytest_sparrow.events import Event

__all__ = ["HasEvents", "at_level", "compare", "follow"]


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


def at_level(found: Iterable[NumberedEvent], level: Level) -> Iterator[NumberedEvent]:
    """The entries that a level looks at, with the fields that it looks at."""
    if level is Level.EXACT:
        yield from found
    elif level is Level.TRAJECTORY:
        yield from _only(found, _TRAJECTORY)
    else:
        yield from _last_test(list(_only(found, _OUTCOME)))


def _only(found: Iterable[NumberedEvent], kept: dict[str, frozenset[str]]) -> Iterator[NumberedEvent]:
    for entry in found:
        fields = kept.get(entry.type)
        if fields is None:
            continue
        body = {key: value for key, value in entry.body.items() if key in fields}
        outcome = body.get("outcome")
        if isinstance(outcome, dict):
            body["outcome"] = {key: value for key, value in outcome.items() if key in _ENDING}
        yield entry.with_body(body)


def _last_test(found: list[NumberedEvent]) -> Iterator[NumberedEvent]:
    tests = [number for number, entry in enumerate(found) if entry.type == "TestResult"]
    for number, entry in enumerate(found):
        if entry.type != "TestResult" or number == tests[-1]:
            yield entry


_TOTALS = frozenset({"TokenUsage", "TokenUsageEstimated", "CostUpdate", "RunFinished"})
_COMMON_BELOW = 100
_MOST_REPLACEMENTS = 20
_LONGEST_TEXT = 100_000


def follow(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The same changes, those marked that follow from an earlier one. Order matters: earlier comes first."""
    seen = _Seen()
    marked: list[Change] = []
    for change in changes:
        told = change if change.follows or not seen.explains(change) else replace(change, follows=True)
        seen.add(told)
        marked.append(told)
    return tuple(marked)


class _Seen:
    """What earlier changes have shown."""

    def __init__(self) -> None:
        self._key = CanonicalKeys().key
        self._values: set[Hashable] = set()
        self._replacements: list[tuple[str, str]] = []
        self._any = False

    def explains(self, change: Change) -> bool:
        if not self._any:
            return False
        if change.subject in _TOTALS:
            return True
        if change.whole:
            return False
        return self._values_key(change) in self._values or self._is_replaced(change)

    def add(self, change: Change) -> None:
        self._any = self._any or not change.follows
        if change.whole:
            return
        self._values.add(self._values_key(change))
        if not change.follows and change.kind == "changed" and len(self._replacements) < _MOST_REPLACEMENTS:
            golden, new = _spelled(change.golden), _spelled(change.new)
            if golden and new:
                self._replacements.append((golden, new))

    def _values_key(self, change: Change) -> Hashable:
        common = _is_common(change.golden) and _is_common(change.new)
        scope = (change.label or change.steps) if common else None
        return (scope, self._side(change.golden), self._side(change.new))

    def _side(self, value: object) -> Hashable:
        return ("missing",) if value is MISSING else ("value", self._key(value))

    def _is_replaced(self, change: Change) -> bool:
        golden, new = change.golden, change.new
        if not isinstance(golden, str) or not isinstance(new, str) or len(golden) > _LONGEST_TEXT:
            return False
        return any(was in golden and _replaced(golden, was, now) == new for was, now in self._replacements)


def _replaced(text: str, was: str, now: str) -> str:
    """The text with one word for another; never within a longer word, where it is chance."""
    return re.sub(rf"(?<!\w){re.escape(was)}(?!\w)", lambda _: now, text)


def _is_common(value: object) -> bool:
    """Whether a value is so common that meeting it twice says nothing."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return abs(value) < _COMMON_BELOW and float(value).is_integer()
    return (
        value is MISSING
        or value is None
        or isinstance(value, bool)
        or (hasattr(value, "__len__") and len(value) < 2)
    )


def _spelled(value: object) -> str:
    """How a value would stand within a text; "" for what is too common to be told from chance."""
    if _is_common(value):
        return ""
    if isinstance(value, str):
        return value
    return repr(value) if isinstance(value, int | float) else ""


class HasEvents(Protocol):
    """A transcript, as far as the comparison needs it."""

    @property
    def events(self) -> Sequence[Event]:
        """The events in order."""
        ...


def compare(
    golden: Sequence[Event] | HasEvents, new: Sequence[Event] | HasEvents, rules: Rules | None = None
) -> Comparison:
    """Compare two runs.

    Args:
        golden: the recorded run: a transcript, or its events.
        new: the run to judge.
        rules: what to ignore, round or rewrite; by default nothing.

    Raises:
        Whatever a rule of the user's raises.
    """
    rules = rules or Rules()
    ours, theirs = _events(golden), _events(new)
    if _same(ours, theirs):
        return Comparison(level=rules.level, golden_count=len(ours), new_count=len(theirs))
    sides = list(entries(_ruled(ours, rules))), list(entries(_ruled(theirs, rules)))
    ids = IdText(entry for side in sides for entry in side)
    printer = Printer(ids, rules.significant_digits)
    canonical = Canonical(rules, ids.mask)
    lanes = [_lanes(at_level(side, rules.level), canonical, printer) for side in sides]
    pairs = in_run_order(pair_lanes(*lanes))
    changes = changes_of(with_moves(pairs), ids, rules.significant_digits)
    return Comparison(
        level=rules.level,
        changes=follow(changes),
        golden_count=len(ours),
        new_count=len(theirs),
        golden_turns=max((entry.at.turn for entry in sides[0]), default=0),
        new_turns=max((entry.at.turn for entry in sides[1]), default=0),
    )


def _events(run: Sequence[Event] | HasEvents) -> Sequence[Event]:
    return run if isinstance(run, Sequence) else run.events


def _same(golden: Sequence[Event], new: Sequence[Event]) -> bool:
    return len(golden) == len(new) and all(
        one is other or one == other for one, other in zip(golden, new, strict=True)
    )


def _ruled(events: Iterable[Event], rules: Rules) -> Iterator[tuple[int, Event]]:
    """Events with their numbers, after the user's own functions."""
    left_out = frozenset(rules.ignore_types)
    for number, event in enumerate(events, start=1):
        kept: Event | None = event
        for rule in rules.event_rules:
            kept = rule(kept) if kept is not None else None
        if kept is not None and kept.type not in left_out:
            yield number, kept


def _lanes(found: Iterable[NumberedEvent], canonical: Canonical, printer: Printer) -> Lanes:
    """The units of one side by lane, with fingerprints; empty lanes are gone."""
    grouped = group_calls(found if canonical.idle else canonical.entries(found))
    return {label: printed(merge_deltas(groups), printer) for label, groups in grouped.items()}
