"""Makes the units that are aligned out of events: a tool call with all its events, or any other event alone.

Events become plain JSON, numbered, with lane and turn. Events of a call move behind its proposal, into its lane:
tools that run in parallel finish in any order, and that order means nothing. Then deltas that follow one another
in a lane are merged: how a provider cuts its text into chunks means nothing either. Then each unit gets fingerprints.
Units that were paired lane by lane (`comparing.align`) get the order of the run back here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from pytest_sparrow.comparing.identity import CanonicalKeys
from pytest_sparrow.comparing.result import Position
from pytest_sparrow.exchange import LOOSE_LANES
from pytest_sparrow.matching.counts import event_fields

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

    from pytest_sparrow.comparing.identity import Ids
    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Json

CALL_TYPES = frozenset(
    {"ToolUseProposed", "ToolUseStarted", "ToolOutput", "ApprovalRequested", "ApprovalResolved"}
)
"""Types whose ``id`` is a tool call's."""

_SPEAKING = frozenset({"ReasoningDelta", "ThinkingDelta", "Message", "ToolUseProposed"})
_ENDS_ANSWER = frozenset({"Message", "TokenUsage", "ToolUseStarted", "ToolOutput", "Error"})


@dataclass(frozen=True, slots=True)
class NumberedEvent:
    """An event on its way through the comparison.

    Attributes:
        at: its position in its run.
        type: the event's type, "" where it has none.
        lane: its lane's label, "" for the main one.
        run: its run's id, "" where it has none.
        id: its own id, or None.
        label: the tool's name or the role, "" where there is none.
        body: its other fields; masked ones are gone. Never changed in place: it may be the event's own.
    """

    at: Position
    type: str
    lane: str
    run: str
    id: str | None
    label: str
    body: dict[str, Json]

    def with_body(self, body: dict[str, Json]) -> NumberedEvent:
        """The same event with other fields."""
        return NumberedEvent(self.at, self.type, self.lane, self.run, self.id, self.label, body)


def entries(
    events: Iterable[tuple[int, Event]], known: Mapping[int, int] | None = None
) -> Iterator[NumberedEvent]:
    """Turn numbered events into `NumberedEvent`: mask what does not count, find labels and count turns.

    A turn is one answer of a model. In each lane a turn begins with the first text, reasoning or proposal after
    a tool call, a whole message, a usage or an error. A call's events belong to the turn of its proposal; what a
    lane does before its first answer belongs to turn 0.

    Args:
        events: the events with their numbers.
        known: by their numbers the turns that their lanes are in, where events are left out.
    """
    turns = _Turns(known or {})
    names: dict[str, str] = {}
    for number, event in events:
        wire = event.to_json()
        if not isinstance(wire, dict):
            wire = {"value": wire}
        kind = _text(wire.get("type"))
        lane = _text(wire.get("lane"))
        own_id = wire.get("id") if isinstance(wire.get("id"), str) else None
        body = event_fields(wire)
        if own_id is not None:
            del body["id"]
        label = _label(kind, own_id, body, names)
        place = Position(number, turns.of(number, kind, lane, own_id))
        yield NumberedEvent(place, kind, lane, _text(wire.get("run")), own_id, label, body)


_OF_THE_RUN = frozenset({"RunStarted", "RunFinished"})


def without_strands(*sides: list[NumberedEvent]) -> list[list[NumberedEvent]]:
    """The events of two runs of which one does not say which strand did what.

    Where neither did anything side by side, all stand in the main lane, in their order. Else only what the strands
    did counts, and no order between its parts.
    """
    labels = [{entry.lane for entry in side if entry.type not in _OF_THE_RUN} for side in sides]
    side_by_side = any(len(lanes) > 1 for lanes in labels)
    return [
        [
            replace(entry, lane=f"{LOOSE_LANES}{entry.lane}")
            if side_by_side and entry.type not in _OF_THE_RUN
            else replace(entry, lane="")
            for entry in side
        ]
        for side in sides
    ]


def in_one_strand(side: Iterable[NumberedEvent]) -> list[NumberedEvent]:
    """The events of a run as if one strand had done all: no further strand has a route of its own to a model."""
    found, route = [], None
    for entry in side:
        if entry.type == "RouteSelected":
            if entry.body == route:
                continue
            route = entry.body
        found.append(replace(entry, lane=""))
    return found


def ids_of(found: Iterable[NumberedEvent]) -> Iterator[str]:
    """The ids that events carry as ``id`` or ``run``."""
    for entry in found:
        yield entry.run
        if entry.id is not None:
            yield entry.id


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _label(kind: str, own_id: str | None, body: dict[str, Json], names: dict[str, str]) -> str:
    """The tool's name for a call's events (known from the proposal), the role for other events."""
    if kind in CALL_TYPES:
        name = body.get("name", body.get("tool"))
        if isinstance(name, str) and own_id is not None:
            if kind == "ToolUseProposed":
                names[own_id] = name
            return name
        return names.get(own_id, "") if own_id is not None else ""
    return _text(body.get("role"))


class _Turns:
    """Counts the turns of a run; numbers follow the order in which turns begin."""

    def __init__(self, known: Mapping[int, int]) -> None:
        self._known = known
        self._count = 0
        self._current: dict[str, int] = {}
        self._speaking: set[str] = set()
        self._proposed_in: dict[str, tuple[str, int]] = {}

    def of(self, number: int, kind: str, lane: str, own_id: str | None) -> int:
        if kind in _SPEAKING and lane not in self._speaking:
            self._count += 1
            self._current[lane] = self._count
            self._speaking.add(lane)
        turn = self._known.get(number) or self._current.get(lane, 0)
        if own_id is not None and kind in CALL_TYPES:
            if kind == "ToolUseProposed":
                self._proposed_in[own_id] = (lane, turn)
            lane, turn = self._proposed_in.get(own_id, (lane, turn))
        if kind in _ENDS_ANSWER:
            self._speaking.discard(lane)
        return turn


_DELTAS = frozenset({"ThinkingDelta", "ReasoningDelta"})


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The fingerprints of one event.

    Attributes:
        exact: equal exactly for events that are equal but for ids.
        kind: equal for events of one type and label.
        ids: the ids in the event's fields, in a fixed order.
    """

    exact: int
    kind: int
    ids: tuple[str, ...]


@dataclass(slots=True)
class Group:
    """A unit of the comparison.

    Attributes:
        entries: the event, or the call's proposal and its other events as they came.
        fingerprints: the fingerprints of each event, once made.
        exact: the fingerprint of the whole unit, 0 until made.
        finished: whether the call's output is here.
        features: what the similarity of two units is measured by, once asked for.
    """

    entries: list[NumberedEvent]
    fingerprints: list[Fingerprint] = field(default_factory=list)
    exact: int = 0
    finished: bool = False
    features: frozenset[Hashable] = frozenset()

    @property
    def head(self) -> NumberedEvent:
        """The event that the unit stands for."""
        return self.entries[0]


def group_calls(found: Iterable[NumberedEvent]) -> dict[str, list[Group]]:
    """Units by lane, lanes in order of first appearance."""
    lanes: dict[str, list[Group]] = {}
    calls = _CallUnits()
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


class _CallUnits:
    """Which call an event belongs to. Some providers use an id again in every answer, or in every lane."""

    def __init__(self) -> None:
        self._here: dict[tuple[str, str], Group] = {}
        self._open: dict[str, deque[Group]] = defaultdict(deque)
        self._newest: dict[str, Group] = {}

    def proposed(self, entry: NumberedEvent, own_id: str, group: Group) -> None:
        self._here[entry.lane, own_id] = self._newest[own_id] = group
        self._open[own_id].append(group)

    def of(self, entry: NumberedEvent, own_id: str) -> Group | None:
        known = self._here.get((entry.lane, own_id))
        if known is not None and not known.finished:
            return known
        # A lane without proposals gets the oldest call that no such lane has got, until that call ends.
        waiting = self._open[own_id]
        while waiting and waiting[0].finished:
            waiting.popleft()
        taken = waiting.popleft() if waiting else known or self._newest.get(own_id)
        if taken is not None:
            self._here[entry.lane, own_id] = taken
        return taken


def merge_deltas(groups: Iterable[Group]) -> Iterator[Group]:
    """Deltas of one type that follow one another become one, at the place of the first."""
    run: list[NumberedEvent] = []
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


def _apart(one: NumberedEvent, other: NumberedEvent) -> bool:
    return (
        one.type != other.type or one.label != other.label or ("text" in one.body) != ("text" in other.body)
    )


def _mergeable(entry: NumberedEvent) -> bool:
    if entry.type not in _DELTAS or not isinstance(entry.body.get("text", ""), str):
        return False
    # A rule may have left the text out: the number of its chunks still means nothing. A delta with further fields
    # stays as it is, or those fields would be lost.
    return len(entry.body) == ("text" in entry.body) + bool(entry.label)


def _merged(run: list[NumberedEvent]) -> Group:
    body = dict(run[0].body)
    if "text" in body:
        body["text"] = "".join(entry.body["text"] for entry in run)
    return Group([run[0].with_body(body)])


_SHORT = 20
"""Characters of a text that is kept with its mask: most keys are no longer, and come again and again."""


class Fingerprinter:
    """Makes fingerprints that can be compared with each other: a small integer for each distinct content."""

    def __init__(self, ids: Ids, digits: int | None = None, *, ignore_case: bool = False) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._ids = ids
        self._found: list[str] = []
        self._fold = str.lower if ignore_case else str
        self._plain: dict[str, str] = {}
        self._keys = CanonicalKeys(self._mask, digits)

    def _mask(self, text: str) -> str:
        plain = self._plain.get(text)
        if plain is not None:
            return plain
        within = self._ids.within(text)
        if not within:
            folded = self._fold(text)
            if len(text) <= _SHORT:
                self._plain[text] = folded
            return folded
        self._found.extend(within)
        return self._fold(self._ids.mask(text))

    def number(self, key: Hashable) -> int:
        """The number of a key; the same for equal keys, from 1."""
        return self._numbers.setdefault(key, len(self._numbers) + 1)

    def entry(self, entry: NumberedEvent) -> Fingerprint:
        """The fingerprints of one event."""
        self._found = []
        body = self._keys.key(entry.body)
        label = self._fold(entry.label)
        kind = self.number(("kind", entry.type, label))
        exact = self.number((entry.type, label, entry.id is None, body))
        return Fingerprint(exact, kind, tuple(self._found))

    def groups(self, groups: Iterable[Group]) -> list[Group]:
        """The units with their fingerprints."""
        done = []
        for group in groups:
            group.fingerprints = [self.entry(entry) for entry in group.entries]
            group.exact = self.number(("group", *[each.exact for each in group.fingerprints]))
            done.append(group)
        return done


Lane: TypeAlias = list[Group]
Lanes: TypeAlias = dict[str, Lane]
GroupPair: TypeAlias = tuple[Group | None, Group | None]
AlignedGroups: TypeAlias = tuple[Group | None, Group | None, bool]
"""A unit of the golden, its partner in the new run, and whether the unit has moved."""


def in_run_order(lanes: Iterable[list[GroupPair]]) -> list[GroupPair]:
    """All pairs in the golden's order; a unit that only the new run has stands behind its predecessor.

    The predecessor is the unit before it in its lane, or in the run where a lane begins with it: something began
    the new lane.
    """
    lanes = list(lanes)
    # Where the units of both stand: in the new run, then in the golden.
    both = sorted(
        (new.head.at.event, golden.head.at.event) for golden, new in chain(*lanes) if golden and new
    )
    placed: list[tuple[int, int, GroupPair]] = []
    for pairs in lanes:
        after = 0
        for golden, new in pairs:
            if golden is not None:
                after = golden.head.at.event
                placed.append((after, 0, (golden, new)))
            elif new is not None:
                at = new.head.at.event
                before = bisect_left(both, (at,))
                placed.append((after or (both[before - 1][1] if before else 0), at, (golden, new)))
    placed.sort(key=lambda each: each[:2])
    return [pair for _, _, pair in placed]


def with_moves(pairs: list[GroupPair]) -> Iterator[AlignedGroups]:
    """Pairs as (golden, new, moved): a unit missing in one place and found whole in another has moved."""
    lost: dict[int, list[Group]] = {}
    for golden, new in reversed(pairs):
        if golden is not None and new is None:
            lost.setdefault(golden.exact, []).append(golden)
    moved_to: dict[int, Group] = {}
    arrived: set[int] = set()
    for golden, new in pairs:
        if new is not None and golden is None and lost.get(new.exact):
            moved_to[id(lost[new.exact].pop())] = new
            arrived.add(id(new))
    for golden, new in pairs:
        if golden is not None and id(golden) in moved_to:
            yield golden, moved_to[id(golden)], True
        elif id(new) not in arrived:
            yield golden, new, False
