"""The pipeline: mask → rules → group → merge → align → rename → diff → what follows from what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from pytest_sparrow.comparing.canonical import Canonical
from pytest_sparrow.comparing.causality import follow
from pytest_sparrow.comparing.differ import changes_of, in_run_order, with_moves
from pytest_sparrow.comparing.entries import Entry, entries
from pytest_sparrow.comparing.group import Printer, group_calls, merge_deltas, printed
from pytest_sparrow.comparing.ids import IdText
from pytest_sparrow.comparing.lanes import Lanes, pair_lanes
from pytest_sparrow.comparing.levels import at_level
from pytest_sparrow.comparing.result import Comparison
from pytest_sparrow.comparing.rules import Rules

if TYPE_CHECKING:
    from pytest_sparrow.events import Event

__all__ = ["HasEvents", "compare"]


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


def _lanes(found: Iterable[Entry], canonical: Canonical, printer: Printer) -> Lanes:
    """The units of one side by lane, with fingerprints; empty lanes are gone."""
    grouped = group_calls(found if canonical.idle else canonical.entries(found))
    return {label: printed(merge_deltas(groups), printer) for label, groups in grouped.items()}
