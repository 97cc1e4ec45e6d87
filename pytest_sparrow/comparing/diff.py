"""Turns two JSON values that differ into changes with paths, with DeepDiff as the engine.

DeepDiff walks, and our operators say what JSON and the rules mean: `_Children` pairs the keys of objects (through the
renaming of ids) and the elements of lists (by our own alignment, so that an element put in front is one change);
`_Leaves` compares texts and numbers. What DeepDiff finds becomes a `Change` at once. No other module knows DeepDiff,
and it is imported when the first difference is walked.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, Protocol

from pytest_sparrow.comparing.align import align
from pytest_sparrow.comparing.identity import CanonicalKeys, Sameness, same_leaf
from pytest_sparrow.comparing.result import MISSING, Change, Path, Position, element_label, parse, render
from pytest_sparrow.errors import UsageError
from pytest_sparrow.events.jsontext import BrokenJson, decode, equal
from pytest_sparrow.matching.similarity import shared_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deepdiff.model import DiffLevel

    from pytest_sparrow.exchange import Json

_MOST_SCALARS = 16
"""A list of plain values (an image's bytes, a vector) that differs in more places is one change."""

_MOST_CHILDREN = 1_000
"""An object or a list that differs in more places is one change."""


@dataclass(slots=True)
class DiffBudget:
    """How much of a comparison DeepDiff may still walk; it takes about 0.1 ms a level.

    A user's operators lift the limits: what they settle is no change.

    Attributes:
        pairs: pairs of events (or of requests) that differ; of further pairs each field that differs is one change.
        levels: values within the pairs that differ; an object or a list that holds more is one change.
    """

    pairs: int = 200
    levels: int = 5_000


def json_changes(
    golden: Json, new: Json, *, root: str, same: Sameness | None = None, budget: DiffBudget | None = None
) -> list[Change]:
    """The changes from one JSON value to another, for example between two request bodies.

    JSON text inside a string is compared as JSON. List elements are paired by content, so that one put in
    front is one change; elements with a role or a name show it in the path.

    Args:
        golden: the recorded value.
        new: the value of the new run.
        root: the path of both, like ``request`` or ``ToolUseStarted[refund].args``.
        same: when leaves count as equal; by default JSON identity.
        budget: how much may be walked; by default as much as in a comparison of its own.

    Raises:
        UsageError: an operator of the user's raised; the text names the operator and its error.
    """
    return value_changes(golden, new, parse(root), same or Sameness(), budget=budget)


def value_changes(
    golden: Json,
    new: Json,
    path: Path,
    same: Sameness,
    at: tuple[Position | None, Position | None] = (None, None),
    *,
    budget: DiffBudget | None = None,
) -> list[Change]:
    """As `json_changes`, from a path in steps, for values at a position in both runs."""
    if equal(golden, new):
        return []
    budget = budget or DiffBudget()
    walk = _Walk(same, at, budget)
    if budget.pairs <= 0 and not same.operators:
        return walk.fields(golden, new, path)
    changes = walk.changes(golden, new, path)
    budget.pairs -= bool(changes)
    return changes


class _Walk:
    """Compares the values at one place of both runs."""

    def __init__(
        self, same: Sameness, at: tuple[Position | None, Position | None], budget: DiffBudget
    ) -> None:
        self._same = same
        self._at = at
        self._budget = budget

    def change(self, path: Path, golden: Json, new: Json) -> Change:
        return Change(
            kind="added" if golden is MISSING else "removed" if new is MISSING else "changed",
            steps=path,
            golden=golden,
            new=new,
            golden_at=self._at[0],
            new_at=self._at[1],
        )

    def fields(self, golden: Json, new: Json, path: Path) -> list[Change]:
        """The fields that differ, a change each, without DeepDiff."""
        if not isinstance(golden, dict) or not isinstance(new, dict):
            return [self.change(path, golden, new)]
        return [
            self.change((*path, step), one, other)
            for step, one, other in _Children(self._same, self._budget).that_differ(golden, new)
        ]

    def changes(self, golden: Json, new: Json, path: Path) -> list[Change]:
        """The changes between two values, in the golden's order."""
        from deepdiff import DeepDiff

        tree = DeepDiff(
            golden,
            new,
            view="tree",
            custom_operators=[
                *(_UsersOperator(operator, path) for operator in self._same.operators),
                _Children(self._same, self._budget),
                _Leaves(self._same, lambda inner, level: self.changes(*inner, _path(level, path))),
            ],
            ignore_private_variables=False,
            threshold_to_diff_deeper=0,
        )
        levels = [level for found in tree.values() for level in found]
        levels.sort(key=lambda level: [step.order for step in _steps(level)])
        changes: list[Change] = []
        for lists, siblings in groupby(levels, key=_plain_lists):
            found = [change for level in siblings for change in self._of_level(level, path)]
            if lists is not None and len(found) > _MOST_SCALARS:
                found = [self.change(found[0].steps[: lists.depth + len(path)], lists.golden, lists.new)]
            changes += found
        return changes

    def _of_level(self, level: DiffLevel, path: Path) -> Iterator[Change]:
        """The changes within JSON text if the level holds them, else the level's own."""
        from deepdiff.helper import notpresent

        if _INNER in level.additional:
            yield from level.additional[_INNER]
            return
        golden, new = (MISSING if side is notpresent else side for side in (level.t1, level.t2))
        yield self.change(_path(level, path), golden, new)


class _Step(str):
    """A key of the objects that DeepDiff walks: a step of a path, and its order among its siblings.

    The text is unique among siblings; elements of a list share the ``step``.
    """

    __slots__ = ("order", "step")

    order: int
    step: str

    @classmethod
    def of(cls, order: int, step: str) -> _Step:
        made = cls(f"{order}{step}")
        made.order, made.step = order, step
        return made


def _steps(level: DiffLevel) -> list[_Step]:
    """The steps from the root of a walk to a level."""
    steps: list[_Step] = []
    above = level.up
    while above is not None:
        relationship = above.t1_child_rel or above.t2_child_rel
        assert relationship is not None
        assert isinstance(relationship.param, _Step)
        steps.append(relationship.param)
        above = above.up
    return steps[::-1]


def _path(level: DiffLevel, root: Path) -> Path:
    return (*root, *(step.step for step in _steps(level)))


@dataclass(frozen=True, slots=True, eq=False)
class _PlainLists:
    """Two lists that hold plain values only."""

    golden: list[Json]
    new: list[Json]
    depth: int


_INNER = "sparrow: changes within JSON text"
_PLAIN = "sparrow: plain lists"
"""Where a level keeps what DeepDiff has no place for."""


def _plain_lists(level: DiffLevel) -> _PlainLists | None:
    """The two lists that a level's values are elements of, if all elements are plain values."""
    return None if level.up is None else level.up.additional.get(_PLAIN)


class _Report(Protocol):
    """A DeepDiff, as far as operators need one."""

    def custom_report_result(self, report_type: str, level: DiffLevel) -> None: ...


class _UsersOperator:
    """An operator of the user's: sees our paths, and is named where it raises."""

    def __init__(self, operator: object, root: Path) -> None:
        self._operator = operator
        self._root = root

    def match(self, level: DiffLevel) -> bool:
        # In place of DeepDiff's own paths, which know neither events nor our pairs of elements.
        vars(level)["path"] = lambda *_, **__: render(_path(level, self._root))
        return bool(self._asked("match", level))

    def give_up_diffing(self, level: DiffLevel, diff_instance: _Report) -> bool:
        return bool(self._asked("give_up_diffing", level=level, diff_instance=diff_instance))

    def _asked(self, question: str, *args: object, **kwargs: object) -> object:
        try:
            return getattr(self._operator, question)(*args, **kwargs)
        except Exception as error:
            frame = extract_tb(error.__traceback__)[-1]
            raise UsageError(
                f"custom_operators: {type(self._operator).__name__}.{question} raised "
                f"{type(error).__name__}: {error}\n  at {frame.filename}:{frame.lineno}"
            ) from error


_Child = tuple[str, Any, Any]
"""A step, the golden's value and the new one; MISSING where a side has none."""


class _Children:
    """Pairs what two objects or two lists hold, and leaves to DeepDiff the pairs that may differ."""

    def __init__(self, same: Sameness, budget: DiffBudget) -> None:
        self._same = same
        self._keys = CanonicalKeys(same.mask, same.digits)
        self._budget = budget

    def match(self, level: DiffLevel) -> bool:
        return isinstance(level.t1, dict | list) and type(level.t1) is type(level.t2)

    def give_up_diffing(self, level: DiffLevel, diff_instance: _Report) -> bool:
        golden, new = level.t1, level.t2
        children = self.that_differ(golden, new)
        if not self._same.operators:
            if len(children) > min(_MOST_CHILDREN, self._budget.levels):
                diff_instance.custom_report_result("values_changed", level)
                return True
            self._budget.levels -= len(children)
        if isinstance(golden, list) and not _has_containers(golden) and not _has_containers(new):
            level.additional[_PLAIN] = _PlainLists(golden, new, len(_steps(level)))
        steps = [_Step.of(order, step) for order, (step, _, _) in enumerate(children)]
        sides = [
            {
                step: child[side]
                for step, child in zip(steps, children, strict=True)
                if child[side] is not MISSING
            }
            for side in (1, 2)
        ]
        level.t1, level.t2 = sides
        return False

    def that_differ(self, golden: Json, new: Json) -> list[_Child]:
        """The children of two objects or two lists that may differ, in the golden's order."""
        paired = self._pairs(golden, new) if isinstance(golden, dict) else self._aligned(golden, new)
        return [child for child in paired if not self._equal(child[1], child[2])]

    def _equal(self, golden: Json, new: Json) -> bool:
        """Whether two values are the same; False also where only JSON texts within them would say so."""
        if isinstance(golden, dict) and isinstance(new, dict):
            return all(self._equal(one, other) for _, one, other in self._pairs(golden, new))
        if isinstance(golden, list) and isinstance(new, list):
            return len(golden) == len(new) and all(map(self._equal, golden, new))
        if isinstance(golden, str) and isinstance(new, str):
            return self._same.text(golden, new)
        return same_leaf(golden, new, self._same.digits)

    def _pairs(self, golden: dict[str, Json], new: dict[str, Json]) -> Iterator[_Child]:
        """The values of two objects by key; each new key pairs with at most one golden key."""
        taken: set[str] = set()
        folded = {key.lower(): key for key in new} if self._same.ignore_case else {}
        for key, value in golden.items():
            other = key if key in new else self._same.renamed(key)
            other = other if other in new else folded.get(other.lower(), other)
            if other in new and other not in taken and (other == key or other not in golden):
                taken.add(other)
                yield "." + key, value, new[other]
            else:
                yield "." + key, value, MISSING
        for key, value in new.items():
            if key not in taken:
                yield "." + key, MISSING, value

    def _aligned(self, golden: list[Json], new: list[Json]) -> Iterator[_Child]:
        """The elements of two lists, paired by content, then by kind and similarity."""
        key = self._keys.key
        exact = ([key(item) for item in golden], [key(item) for item in new])
        kinds = ([_kind(item) for item in golden], [_kind(item) for item in new])
        for i, j in align([exact, kinds], lambda i, j: shared_fields(golden[i], new[j])):
            one = MISSING if i is None else golden[i]
            other = MISSING if j is None else new[j]
            yield "[" + element_label(other if one is MISSING else one), one, other


class _Leaves:
    """Compares what is no pair of objects or of lists: texts (also as the JSON within them), numbers, kinds."""

    def __init__(self, same: Sameness, walk: Callable[[tuple[Json, Json], DiffLevel], list[Change]]) -> None:
        self._same = same
        self._walk = walk

    def match(self, level: DiffLevel) -> bool:
        return not isinstance(level.t1, dict | list) or type(level.t1) is not type(level.t2)

    def give_up_diffing(self, level: DiffLevel, diff_instance: _Report) -> bool:
        # DeepDiff's own comparison of texts would also make a text of their difference, line by line.
        if isinstance(level.t1, str) and isinstance(level.t2, str):
            if not self._same.text(level.t1, level.t2) and not self._same_within(level):
                diff_instance.custom_report_result("values_changed", level)
        elif not same_leaf(level.t1, level.t2, self._same.digits):
            diff_instance.custom_report_result("values_changed", level)
        return True

    def _same_within(self, level: DiffLevel) -> bool:
        """Whether two texts are the same as JSON; what differs there is kept at the level."""
        inner = json_within(level.t1), json_within(level.t2)
        if MISSING in inner or not _of_a_kind(*inner):
            return False
        changes = self._walk(inner, level)
        if changes:
            level.additional[_INNER] = changes
            return False
        # JSON that is equal but written otherwise is still another text; values that only count as equal are not.
        return self._same.is_lenient and not equal(*inner)


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


def _has_containers(items: list[Json]) -> bool:
    return any(isinstance(item, dict | list) for item in items)
