"""Compares two runs: mask, rules, group, merge, align, rename, diff, what follows from what.

How much of a run each level compares.

exact
    everything that is left after masking.
trajectory
    what the agent did, in order: calls with name, arguments and risk; whether they failed, not what they
    returned; approvals without their wording; proposed and applied diffs; sub-agents by role; autonomy;
    numbers of passed and failed tests; the outcome's status and diffs. Not: wording, reasoning, routes,
    usage, cost, outputs, errors that were survived, events of unknown types.
outcome
    how the run ended: the outcome's status and diffs, and the numbers of the last test result. The wording of
    the final answer is not compared: two live runs hardly ever share it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_sparrow.comparing.align import Keys, align, pair_lanes
from pytest_sparrow.comparing.diff import DiffBudget, value_changes
from pytest_sparrow.comparing.identity import Bijection, Ids
from pytest_sparrow.comparing.result import MISSING, Change, Comparison, follow
from pytest_sparrow.comparing.rules import Canonical, Rules
from pytest_sparrow.comparing.typed import (
    BESIDE_ARGS,
    of_counted,
    same_orders,
    with_orders,
)
from pytest_sparrow.comparing.units import (
    Fingerprint,
    Fingerprinter,
    Group,
    NumberedEvent,
    entries,
    group_calls,
    ids_of,
    in_one_strand,
    in_run_order,
    merge_deltas,
    with_moves,
    without_strands,
)
from pytest_sparrow.settings import Level

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.comparing.result import Path
    from pytest_sparrow.comparing.units import AlignedGroups, Lanes
    from pytest_sparrow.events import Event
    from pytest_sparrow.matching.secrets import SecretPairs
    from pytest_sparrow.transcript import Transcript


def compare(
    golden: Sequence[Event] | Transcript,
    new: Sequence[Event] | Transcript,
    rules: Rules | None = None,
    *,
    secrets: SecretPairs | None = None,
    typed: bool = True,
    strands: bool = True,
) -> Comparison:
    """Compare two runs.

    Args:
        golden: the recorded run: a transcript, or its events.
        new: the run to judge.
        rules: what to ignore, round or rewrite; by default nothing.
        secrets: which secret of the new run is which of the golden's; by default any one-to-one renaming.
        typed: whether both know the types of arguments and what a tool is called on; transcripts say so themselves.
        strands: whether both know which strand did what; transcripts say so themselves.

    Raises:
        UsageError: one of the user's operators raised; the text names the operator and its error.
        Exception: whatever one of the user's event rules raises.
    """
    rules = rules or Rules()
    ours, theirs = _events(golden), _events(new)
    known = typed and _knows_types(golden) and _knows_types(new)
    if _same(ours, theirs, known=known):
        return Comparison(level=rules.level, golden_count=len(ours), new_count=len(theirs))
    sides = [list(with_orders(entries(_ruled(side, rules)), known=known)) for side in (ours, theirs)]
    if not (strands and _knows_strands(golden) and _knows_strands(new)):
        sides = without_strands(*sides)
    turns = [max((entry.at.turn for entry in side), default=0) for side in sides]
    return compare_entries(sides, rules, secrets, counts=(len(ours), len(theirs)), turns=(turns[0], turns[1]))


def compare_entries(
    sides: Sequence[list[NumberedEvent]],
    rules: Rules | None = None,
    secrets: SecretPairs | None = None,
    *,
    counts: tuple[int, int],
    turns: tuple[int, int],
    settled: Callable[[Sequence[Lanes]], None] | None = None,
) -> Comparison:
    """Compare the events of two runs, as `comparing.units` numbers them.

    Where their strands have other names, it may be the strands alone that changed (``await asyncio.to_thread(ask)``
    for ``ask()``): what is equal, or differs less, in the order of the runs is compared so.

    Args:
        sides: the events of the golden and of the new run.
        rules: see `compare`.
        secrets: see `compare`.
        counts: the number of events of both runs.
        turns: the number of turns of both runs.
        settled: sees the units of both sides before they are aligned, and may raise.
    """
    rules = rules or Rules()
    labels = [{entry.lane for entry in side} for side in sides]
    if labels[0] != labels[1]:
        one_strand = [in_one_strand(side) for side in sides]
        apart = _compare(sides, rules, None if secrets is None else secrets.copy(), counts, turns, settled)
        together = _compare(one_strand, rules, None if secrets is None else secrets.copy(), counts, turns)
        if len(together.changes) < len(apart.changes):
            sides = one_strand
    return _compare(sides, rules, secrets, counts, turns, settled)


def _compare(
    sides: Sequence[list[NumberedEvent]],
    rules: Rules,
    secrets: SecretPairs | None,
    counts: tuple[int, int],
    turns: tuple[int, int],
    settled: Callable[[Sequence[Lanes]], None] | None = None,
) -> Comparison:
    ids = Ids(ids_of(entry for side in sides for entry in side))
    fingerprinter = Fingerprinter(ids, rules.digits, ignore_case=rules.ignore_string_case)
    canonical = Canonical(rules, ids.mask)
    lanes = [_lanes(at_level(side, rules.level), canonical, fingerprinter, rules) for side in sides]
    if settled is not None:
        settled(lanes)
    pairs = with_moves(in_run_order(pair_lanes(*lanes)))
    return Comparison(
        level=rules.level,
        changes=follow(_changes(pairs, _Differ(ids, rules, secrets))),
        golden_count=counts[0],
        new_count=counts[1],
        golden_turns=turns[0],
        new_turns=turns[1],
    )


def _events(run: Sequence[Event] | Transcript) -> Sequence[Event]:
    return run if isinstance(run, Sequence) else run.events


def _knows_types(run: Sequence[Event] | Transcript) -> bool:
    return isinstance(run, Sequence) or run.notes_types


def _knows_strands(run: Sequence[Event] | Transcript) -> bool:
    return isinstance(run, Sequence) or run.knows_strands


def _same(golden: Sequence[Event], new: Sequence[Event], *, known: bool) -> bool:
    return len(golden) == len(new) and all(
        one is other
        or (one == other and (not known or one.type != "ToolUseStarted" or same_orders(one, other)))
        for one, other in zip(golden, new, strict=True)
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


def _lanes(
    found: Iterable[NumberedEvent], canonical: Canonical, fingerprinter: Fingerprinter, rules: Rules
) -> Lanes:
    """The units of one side by lane, with fingerprints; empty lanes are gone."""
    grouped = group_calls(as_counted(found, canonical, rules))
    return {label: fingerprinter.groups(merge_deltas(groups)) for label, groups in grouped.items()}


def as_counted(found: Iterable[NumberedEvent], canonical: Canonical, rules: Rules) -> Iterable[NumberedEvent]:
    """The events with what counts of them by the rules."""
    if canonical.is_idle and not rules.ignore_numeric_type_changes:
        return found
    return of_counted(canonical.entries(found), rules)


_TRAJECTORY: dict[str, frozenset[str]] = {
    "ToolUseProposed": frozenset({"name", "args", "risk"}),
    "ToolUseStarted": frozenset({"name", "args", *BESIDE_ARGS}),
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
    """The events that a level compares, with the fields that it compares."""
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


_ARGUMENTS = frozenset({"ToolUseProposed", "ToolUseStarted"})


def _changes(pairs: Iterable[AlignedGroups], differ: _Differ) -> list[Change]:
    """The changes of all pairs, in their order.

    Marked as following are: the rest of a call that was added or removed; what was added or removed side by
    side with a call (what was said around the call); the output of a call whose arguments changed.
    """
    found: list[Change] = []
    for run in _runs(pairs):
        with_call = any(_is_call(golden or new) for golden, new, _ in run)
        for golden, new, moved in run:
            changes = list(differ.groups(golden, new, moved=moved))
            follows = with_call and not _is_call(golden or new)
            found += [replace(change, follows=True) for change in changes] if follows else changes
    return found


def _runs(pairs: Iterable[AlignedGroups]) -> Iterator[list[AlignedGroups]]:
    """Unbroken runs of units that only one side has, and every other pair alone."""
    run: list[AlignedGroups] = []
    for pair in pairs:
        side = _side(pair)
        if run and (side == 0 or side != _side(run[-1])):
            yield run
            run = []
        run.append(pair)
    if run:
        yield run


def _side(pair: AlignedGroups) -> int:
    """-1: only in the golden; 1: only in the new run; 0: in both."""
    return 0 if pair[0] and pair[1] else -1 if pair[0] else 1


def _is_call(group: Group | None) -> bool:
    return group is not None and group.head.type == "ToolUseProposed"


class _Differ:
    """Turns aligned units into changes; maps ids along the way, and walks only the events that differ."""

    def __init__(self, ids: Ids, rules: Rules, secrets: SecretPairs | None) -> None:
        self._ids = Bijection(ids, secrets, ignore_case=rules.ignore_string_case)
        self._same = rules.sameness(self._ids.same_text, self._ids.renamed, ids.mask)
        self._budget = DiffBudget()

    def groups(self, golden: Group | None, new: Group | None, *, moved: bool) -> Iterator[Change]:
        if golden is None or new is None:
            yield from self._one_sided(golden, new)
            return
        if golden.head.id is not None and new.head.id is not None:
            self._ids.declare(golden.head.id, new.head.id)
        if golden.head.run != new.head.run:
            self._ids.same_id(golden.head.run, new.head.run)
        if moved:
            yield _whole(golden.head, new.head)
        if golden.exact == new.exact and all(map(self._agree, golden.fingerprints, new.fingerprints)):
            return
        yield from self._entries(golden, new)

    def _one_sided(self, golden: Group | None, new: Group | None) -> Iterator[Change]:
        group = golden or new
        assert group is not None
        for number, entry in enumerate(group.entries):
            change = _whole(entry if golden else None, entry if new else None)
            yield change if number == 0 else replace(change, follows=True)

    def _entries(self, golden: Group, new: Group) -> Iterator[Change]:
        """The first event pairs with the first event; the call's other events are aligned among themselves."""
        other_call = False
        for one, other in self._aligned_entries(golden, new):
            changes = [_whole(one, other)] if one is None or other is None else self._pair(one, other)
            for change in changes:
                other_call = other_call or change.subject in _ARGUMENTS
                is_answer = other_call and change.subject == "ToolOutput"
                yield replace(change, follows=True) if is_answer else change

    def _aligned_entries(
        self, golden: Group, new: Group
    ) -> Iterator[tuple[NumberedEvent | None, NumberedEvent | None]]:
        """The pairs that differ."""
        if not self._agree(golden.fingerprints[0], new.fingerprints[0]):
            yield golden.head, new.head
        ours, theirs = golden.fingerprints[1:], new.fingerprints[1:]
        levels: list[tuple[Keys, Keys]] = [
            ([each.exact for each in ours], [each.exact for each in theirs]),
            ([each.kind for each in ours], [each.kind for each in theirs]),
        ]
        for i, j in align(levels):
            one = None if i is None else golden.entries[i + 1]
            other = None if j is None else new.entries[j + 1]
            if i is None or j is None or not self._agree(ours[i], theirs[j]):
                yield one, other

    def _agree(self, golden: Fingerprint, new: Fingerprint) -> bool:
        return golden.exact == new.exact and self._ids.same_ids(golden.ids, new.ids)

    def _pair(self, golden: NumberedEvent, new: NumberedEvent) -> list[Change]:
        at = golden.at, new.at
        return value_changes(golden.body, new.body, _root(golden), self._same, at, budget=self._budget)


def _root(entry: NumberedEvent) -> Path:
    kind = entry.type or "Event"
    return (kind, "[" + entry.label) if entry.label else (kind,)


def _whole(golden: NumberedEvent | None, new: NumberedEvent | None) -> Change:
    """A whole event that was added, removed or (both given) moved."""
    entry = golden or new
    assert entry is not None
    return Change(
        kind="moved" if golden and new else "removed" if golden else "added",
        steps=_root(entry),
        golden=golden.body if golden else MISSING,
        new=new.body if new else MISSING,
        whole=True,
        golden_at=golden.at if golden else None,
        new_at=new.at if new else None,
    )
