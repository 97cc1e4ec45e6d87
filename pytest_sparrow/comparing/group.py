"""The units that are aligned: a tool call with all its events, or any other event alone.

Events of a call are moved behind its proposal, into its lane: tools that run in parallel finish in any order,
and that order means nothing. Then deltas that follow one another in a lane are merged: how a provider cuts
its text into chunks means nothing either.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_sparrow.comparing.entries import CALL_TYPES, Entry
from pytest_sparrow.comparing.freeze import Freezer

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from pytest_sparrow.comparing.ids import IdText

__all__ = ["Group", "Print", "Printer", "group_calls", "merge_deltas", "printed"]

_DELTAS = frozenset({"ThinkingDelta", "ReasoningDelta"})


@dataclass(frozen=True, slots=True)
class Print:
    """An entry's fingerprints.

    Attributes:
        exact: equal exactly for entries that are equal but for ids.
        kind: equal for entries of one type and label.
        ids: the ids in its fields, in a fixed order.
    """

    exact: int
    kind: int
    ids: tuple[str, ...]


@dataclass(slots=True)
class Group:
    """One unit.

    Attributes:
        entries: the event, or the call's proposal and its other events as they came.
        prints: the fingerprints of each, once made.
        exact: fingerprint of the whole unit, 0 until made.
        finished: whether the call's output is here.
        features: what makes it like another one, once asked for.
    """

    entries: list[Entry]
    prints: list[Print] = field(default_factory=list)
    exact: int = 0
    finished: bool = False
    features: frozenset[Hashable] = frozenset()

    @property
    def head(self) -> Entry:
        """The event that the unit stands for."""
        return self.entries[0]


def group_calls(found: Iterable[Entry]) -> dict[str, list[Group]]:
    """Units by lane, lanes in order of first appearance."""
    lanes: dict[str, list[Group]] = {}
    calls = _Calls()
    for entry in found:
        if entry.type in CALL_TYPES and entry.id is not None and entry.type != "ToolUseProposed":
            group = calls.of(entry, entry.id)
            if group is not None:
                group.entries.append(entry)
                group.finished = group.finished or entry.type == "ToolOutput"
                continue
        group = Group([entry])
        if entry.type == "ToolUseProposed" and entry.id is not None:
            calls.proposed(entry, entry.id, group)
        lanes.setdefault(entry.lane, []).append(group)
    return lanes


class _Calls:
    """Which call an event belongs to. Some providers use an id again in every answer, or in every lane."""

    def __init__(self) -> None:
        self._here: dict[tuple[str, str], Group] = {}
        self._open: dict[str, deque[Group]] = defaultdict(deque)
        self._newest: dict[str, Group] = {}

    def proposed(self, entry: Entry, own_id: str, group: Group) -> None:
        self._here[entry.lane, own_id] = self._newest[own_id] = group
        self._open[own_id].append(group)

    def of(self, entry: Entry, own_id: str) -> Group | None:
        known = self._here.get((entry.lane, own_id))
        if known is not None and not known.finished:
            return known
        # A lane that proposed nothing takes the oldest call that no such lane has taken, and keeps it to its end.
        waiting = self._open[own_id]
        while waiting and waiting[0].finished:
            waiting.popleft()
        taken = waiting.popleft() if waiting else known or self._newest.get(own_id)
        if taken is not None:
            self._here[entry.lane, own_id] = taken
        return taken


def merge_deltas(groups: Iterable[Group]) -> Iterator[Group]:
    """Deltas of one type that follow one another become one, at the place of the first."""
    run: list[Entry] = []
    for group in groups:
        head = group.head
        if run and (not _mergeable(head) or _apart(run[0], head)):
            yield _merged(run)
            run = []
        if _mergeable(head):
            run.append(head)
        else:
            yield group
    if run:
        yield _merged(run)


def _apart(one: Entry, other: Entry) -> bool:
    return (
        one.type != other.type or one.label != other.label or ("text" in one.body) != ("text" in other.body)
    )


def _mergeable(entry: Entry) -> bool:
    if entry.type not in _DELTAS or not isinstance(entry.body.get("text", ""), str):
        return False
    # A rule may have left the text out: in how many pieces it came still means nothing. One that says more than a
    # text and whose it is stays as it is, or what more it says would be lost.
    return len(entry.body) == ("text" in entry.body) + bool(entry.label)


def _merged(run: list[Entry]) -> Group:
    body = dict(run[0].body)
    if "text" in body:
        body["text"] = "".join(entry.body["text"] for entry in run)
    return Group([run[0].with_body(body)])


class Printer:
    """Makes fingerprints that can be compared with each other: a small integer for each distinct content."""

    def __init__(self, ids: IdText, digits: int | None) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._ids = ids
        self._found: list[str] = []
        self._freezer = Freezer(self._mask, digits)

    def _mask(self, text: str) -> str:
        within = self._ids.within(text)
        if not within:
            return text
        self._found.extend(within)
        return self._ids.mask(text)

    def number(self, key: Hashable) -> int:
        """The number of a key; the same for equal keys, from 1."""
        return self._numbers.setdefault(key, len(self._numbers) + 1)

    def entry(self, entry: Entry) -> Print:
        """The fingerprints of one entry."""
        self._found = []
        body = self._freezer.key(entry.body)
        kind = self.number(("kind", entry.type, entry.label))
        exact = self.number((entry.type, entry.label, entry.id is None, body))
        return Print(exact, kind, tuple(self._found))


def printed(groups: Iterable[Group], printer: Printer) -> list[Group]:
    """The units with their fingerprints."""
    done = []
    for group in groups:
        group.prints = [printer.entry(entry) for entry in group.entries]
        group.exact = printer.number(("group", *[each.exact for each in group.prints]))
        done.append(group)
    return done
