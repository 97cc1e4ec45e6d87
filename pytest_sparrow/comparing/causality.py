"""Which changes merely follow from an earlier one. They are counted and can be shown; none is dropped.

A change follows when there is an earlier change that does not, and

- it carries the very values of an earlier change: the same golden and the same new value (values as common as
  true, null or 3 only where both belong to the same tool or role, or have the same path);
- it is a text that becomes the new one when an earlier change's golden value is replaced by its new value;
- it counts or ends: usage, cost, and everything in RunFinished.

What belongs together within one call or one turn is marked before, in `compare.differ`: the rest of a call
that was added or removed, what was said beside it, and the output of a call whose arguments changed.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_sparrow.comparing.freeze import Freezer
from pytest_sparrow.comparing.result import MISSING, Change

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

__all__ = ["follow"]

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
        self._key = Freezer().key
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
