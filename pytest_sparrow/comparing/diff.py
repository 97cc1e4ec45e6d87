"""Turns aligned units that differ into changes with paths.

Two JSON values → changes with paths without indices. One walk; an element put in front doesn't cascade.

Aligned units → changes: ids are mapped along the way, and only what differs is walked.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from pytest_sparrow.comparing.align import Keys, align
from pytest_sparrow.comparing.ids import Bijection, IdText
from pytest_sparrow.comparing.paths import Path, element_label, parse
from pytest_sparrow.comparing.result import MISSING, Change, Position
from pytest_sparrow.comparing.units import CanonicalKeys, Fingerprint, Group, rounded
from pytest_sparrow.events.jsontext import BrokenJson, decode, equal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_sparrow.comparing.lanes import GroupPair
    from pytest_sparrow.comparing.paths import Path
    from pytest_sparrow.comparing.units import NumberedEvent
    from pytest_sparrow.exchange import Json

__all__ = [
    "Sameness",
    "changes_of",
    "in_run_order",
    "json_changes",
    "json_within",
    "value_changes",
    "with_moves",
]


_MOST_SCALARS = 16
"""A list of plain values (an image's bytes, a vector) that differs in more places is told as one change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sameness:
    """When two leaves count as equal.

    Attributes:
        text: whether two texts do.
        renamed: the new run's spelling of a golden text, for keys that are ids.
        mask: hides ids, so that list elements are paired whatever their ids.
        digits: numbers count as equal when rounded to so many digits after the point.
    """

    text: Callable[[str, str], bool] = str.__eq__
    renamed: Callable[[str], str] = str
    mask: Callable[[str], str] | None = None
    digits: int | None = None


def json_changes(golden: Json, new: Json, *, root: str, same: Sameness | None = None) -> list[Change]:
    """The changes from one JSON value to another, for example between two request bodies.

    JSON text inside a string is compared as JSON. List elements are paired by content, so that one put in
    front is one change; elements with a role or a name show it in the path.

    Args:
        golden: the recorded value.
        new: the value of the new run.
        root: the path of both, like ``request`` or ``ToolUseStarted[refund].args``.
        same: when leaves count as equal; by default JSON identity.
    """
    return value_changes(golden, new, parse(root), same or Sameness())


def value_changes(
    golden: Json,
    new: Json,
    path: Path,
    same: Sameness,
    golden_at: Position | None = None,
    new_at: Position | None = None,
) -> list[Change]:
    """As `json_changes`, from a path in steps, for a value at a place in both runs."""
    walk = _Walk(same, golden_at, new_at)
    walk.values(golden, new, path)
    return walk.changes


class _Walk:
    def __init__(self, same: Sameness, golden_at: Position | None, new_at: Position | None) -> None:
        self.changes: list[Change] = []
        self._same = same
        self._keys = CanonicalKeys(same.mask, same.digits)
        self._golden_at = golden_at
        self._new_at = new_at

    def _changed(self, path: Path, golden: Json, new: Json) -> None:
        self.changes.append(
            Change(
                kind="added" if golden is MISSING else "removed" if new is MISSING else "changed",
                steps=path,
                golden=golden,
                new=new,
                golden_at=self._golden_at,
                new_at=self._new_at,
            )
        )

    def values(self, golden: Json, new: Json, path: Path) -> None:
        if isinstance(golden, dict) and isinstance(new, dict):
            self._objects(golden, new, path)
        elif isinstance(golden, list) and isinstance(new, list):
            self._lists(golden, new, path)
        elif isinstance(golden, str) and isinstance(new, str):
            self._texts(golden, new, path)
        elif not self._same_scalar(golden, new):
            self._changed(path, golden, new)

    def _same_scalar(self, golden: Json, new: Json) -> bool:
        if golden is None or isinstance(golden, bool) or isinstance(new, bool):
            return golden is new
        if isinstance(golden, int | float) and isinstance(new, int | float):
            return rounded(golden, self._same.digits) == rounded(new, self._same.digits)
        return False

    def _objects(self, golden: dict[str, Json], new: dict[str, Json], path: Path) -> None:
        taken: set[str] = set()
        for key, value in golden.items():
            step = "." + key
            other = key if key in new else self._same.renamed(key)
            # A key that answers to itself, or to another one already, is no partner of this one as well.
            if other in new and other not in taken and (other == key or other not in golden):
                taken.add(other)
                self.values(value, new[other], (*path, step))
            else:
                self._changed((*path, step), value, MISSING)
        for key, value in new.items():
            if key not in taken:
                self._changed((*path, "." + key), MISSING, value)

    def _lists(self, golden: list[Json], new: list[Json], path: Path) -> None:
        key = self._keys.key
        exact = ([key(item) for item in golden], [key(item) for item in new])
        if exact[0] == exact[1] and self._same.mask is None:
            return
        kinds = ([_kind(item) for item in golden], [_kind(item) for item in new])
        before = len(self.changes)
        for i, j in align([exact, kinds], lambda i, j: _alike(golden[i], new[j])):
            if i is None and j is not None:
                self._changed((*path, "[" + element_label(new[j])), MISSING, new[j])
            elif i is not None:
                step = "[" + element_label(golden[i])
                if j is None:
                    self._changed((*path, step), golden[i], MISSING)
                else:
                    self.values(golden[i], new[j], (*path, step))
        if (
            len(self.changes) - before > _MOST_SCALARS
            and not _has_containers(golden)
            and not _has_containers(new)
        ):
            del self.changes[before:]
            self._changed(path, golden, new)

    def _texts(self, golden: str, new: str, path: Path) -> None:
        if self._same.text(golden, new):
            return
        inner = json_within(golden), json_within(new)
        if MISSING not in inner and _of_a_kind(*inner):
            before = len(self.changes)
            self.values(*inner, path)
            # JSON that is equal but written otherwise is still another text; numbers that only count as equal are not.
            if len(self.changes) > before or (self._same.digits is not None and not equal(*inner)):
                return
        self._changed(path, golden, new)


def _of_a_kind(golden: Json, new: Json) -> bool:
    """Whether two JSON texts say something about the same: else they are shown as the two texts they are."""
    if isinstance(golden, dict) and isinstance(new, dict):
        return 2 * len(golden.keys() & new.keys()) >= min(len(golden), len(new))
    return type(golden) is type(new)


def json_within(text: str) -> Json:
    """The object or array that a text spells, or MISSING."""
    if text[:1] not in ("{", "["):
        return MISSING
    try:
        return decode(text)
    except BrokenJson:
        return MISSING


def _kind(item: Json) -> tuple[str, str]:
    if isinstance(item, dict):
        return "object", element_label(item)
    return ("list", "") if isinstance(item, list) else ("value", "")


def _alike(golden: Json, new: Json) -> float:
    """How many of the keys two objects share with equal plain values; 0 for anything else."""
    if not isinstance(golden, dict) or not isinstance(new, dict) or not golden:
        return 0.0
    same = sum(bool(key in new and value == new[key]) for key, value in golden.items())
    return same / max(len(golden), len(new))


def _has_containers(items: list[Json]) -> bool:
    return any(isinstance(item, dict | list) for item in items)


Aligned: TypeAlias = tuple[Group | None, Group | None, bool]
"""A unit of the golden, the one that answers to it, and whether it has moved."""

_ARGUMENTS = frozenset({"ToolUseProposed", "ToolUseStarted"})


def in_run_order(lanes: Iterable[list[GroupPair]]) -> list[GroupPair]:
    """All pairs in the golden's order; a unit that only the new run has stands behind the one before it.

    That is the one before it in its lane, or in the run where its lane begins with it: a lane that is new was begun
    by something.
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


def with_moves(pairs: list[GroupPair]) -> Iterator[Aligned]:
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


def changes_of(pairs: Iterable[Aligned], ids: IdText, digits: int | None) -> list[Change]:
    """The changes of all pairs, in their order.

    Marked as following are: the rest of a call that was added or removed; what was added or removed side by
    side with a call (what was said around it); the output of a call whose arguments changed.
    """
    diff = _Differ(ids, digits)
    found: list[Change] = []
    for run in _runs(pairs):
        with_call = any(_is_call(golden or new) for golden, new, _ in run)
        for golden, new, moved in run:
            told = list(diff.units(golden, new, moved=moved))
            aside = with_call and not _is_call(golden or new)
            found += [replace(change, follows=True) for change in told] if aside else told
    return found


def _runs(pairs: Iterable[Aligned]) -> Iterator[list[Aligned]]:
    """Unbroken runs of units that only one side has, and every other pair alone."""
    run: list[Aligned] = []
    for pair in pairs:
        side = _side(pair)
        if run and (side == 0 or side != _side(run[-1])):
            yield run
            run = []
        run.append(pair)
    if run:
        yield run


def _side(pair: Aligned) -> int:
    """-1: only in the golden; 1: only in the new run; 0: in both."""
    return 0 if pair[0] and pair[1] else -1 if pair[0] else 1


def _is_call(group: Group | None) -> bool:
    return group is not None and group.head.type == "ToolUseProposed"


class _Differ:
    def __init__(self, ids: IdText, digits: int | None) -> None:
        self._ids = Bijection(ids)
        self._same = Sameness(
            text=self._ids.same_text, renamed=self._ids.renamed, mask=ids.mask, digits=digits
        )

    def units(self, golden: Group | None, new: Group | None, *, moved: bool) -> Iterator[Change]:
        if golden is None or new is None:
            yield from self._one_sided(golden, new)
            return
        if golden.head.id is not None and new.head.id is not None:
            self._ids.declare(golden.head.id, new.head.id)
        if golden.head.run != new.head.run:
            self._ids.same_id(golden.head.run, new.head.run)
        if moved:
            yield _whole(golden.head, new.head)
        if golden.exact == new.exact and self._ids_agree(golden, new):
            return
        yield from self._entries(golden, new)

    def _ids_agree(self, golden: Group, new: Group) -> bool:
        return all(map(self._agree, golden.prints, new.prints))

    def _one_sided(self, golden: Group | None, new: Group | None) -> Iterator[Change]:
        group = golden or new
        assert group is not None
        for number, entry in enumerate(group.entries):
            change = _whole(entry if golden else None, entry if new else None)
            yield change if number == 0 else replace(change, follows=True)

    def _entries(self, golden: Group, new: Group) -> Iterator[Change]:
        """The head answers to the head; the call's other events are aligned among themselves."""
        other_call = False
        for one, other in self._aligned_entries(golden, new):
            told = [_whole(one, other)] if one is None or other is None else self._pair(one, other)
            for change in told:
                other_call = other_call or change.subject in _ARGUMENTS
                is_answer = other_call and change.subject == "ToolOutput"
                yield replace(change, follows=True) if is_answer else change

    def _aligned_entries(
        self, golden: Group, new: Group
    ) -> Iterator[tuple[NumberedEvent | None, NumberedEvent | None]]:
        """The pairs that differ."""
        yield golden.head, new.head
        ours, theirs = golden.prints[1:], new.prints[1:]
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
        return value_changes(golden.body, new.body, _root(golden), self._same, golden.at, new.at)


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
