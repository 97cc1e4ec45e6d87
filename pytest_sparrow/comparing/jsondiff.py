"""Two JSON values → changes with paths without indices. One walk; an element put in front doesn't cascade."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.comparing.align import align
from pytest_sparrow.comparing.freeze import Freezer, rounded
from pytest_sparrow.comparing.paths import Path, element_label, parse
from pytest_sparrow.comparing.result import MISSING, Change, Place
from pytest_sparrow.events.jsontext import BrokenJson, decode, equal

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.exchange import Json

__all__ = ["Sameness", "json_changes", "json_within", "value_changes"]

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
    golden_at: Place | None = None,
    new_at: Place | None = None,
) -> list[Change]:
    """As `json_changes`, from a path in steps, for a value at a place in both runs."""
    walk = _Walk(same, golden_at, new_at)
    walk.values(golden, new, path)
    return walk.changes


class _Walk:
    def __init__(self, same: Sameness, golden_at: Place | None, new_at: Place | None) -> None:
        self.changes: list[Change] = []
        self._same = same
        self._freezer = Freezer(same.mask, same.digits)
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
        key = self._freezer.key
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
        return not golden or not new or 2 * len(golden.keys() & new.keys()) >= min(len(golden), len(new))
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
