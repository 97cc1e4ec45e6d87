"""What a user tells the comparison to ignore, round or rewrite."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pytest_sparrow.comparing.paths import parse
from pytest_sparrow.errors import UsageError
from pytest_sparrow.settings import Level

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.events import Event

__all__ = ["EventRule", "Rules"]

EventRule: TypeAlias = "Callable[[Event], Event | None]"
"""Gives the event to compare instead, or None to leave it out. It must depend on the event alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What to compare, and how. All rules act before events are aligned.

    The words are DeepDiff's where it has one, and mean the same; paths are ours (no indices).

    Attributes:
        level: how much is compared (a `Level`, or its name).
        exclude_paths: paths as reports print them; what lies at or below one is left out. ``*`` matches any
            run of characters in a step, ``[]`` any element, and a root without a label any label. A path
            that is only a root (``TokenUsage``, ``ToolOutput[clock]``) leaves out whole events.
        exclude_regex_paths: regular expressions, searched for in each path as printed.
        significant_digits: numbers that agree when rounded to so many digits after the point are equal.
        ignore_order: True: the order within every list means nothing; or the paths at and below which.
        ignore_types: event types that are left out.
        event_rules: functions that rewrite an event or leave it out, applied in order before all else.
    """

    level: Level = Level.EXACT
    exclude_paths: tuple[str, ...] = ()
    exclude_regex_paths: tuple[str, ...] = ()
    significant_digits: int | None = None
    ignore_order: bool | tuple[str, ...] = False
    ignore_types: tuple[str, ...] = ()
    event_rules: tuple[EventRule, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what makes no sense, and make lists tuples.

        Raises:
            UsageError: an unknown level, a path or pattern that can't be read, a negative number of digits.
        """
        object.__setattr__(self, "level", _level(self.level))
        for name in ("exclude_paths", "exclude_regex_paths", "ignore_types", "event_rules"):
            object.__setattr__(self, name, _tuple(name, getattr(self, name)))
        if not isinstance(self.ignore_order, bool):
            object.__setattr__(self, "ignore_order", _tuple("ignore_order", self.ignore_order))
        for path in (*self.exclude_paths, *self.unordered_paths):
            parse(path)
        _check_patterns(self.exclude_regex_paths)
        _check_digits(self.significant_digits)

    @property
    def unordered_paths(self) -> tuple[str, ...]:
        """The paths of ``ignore_order``, none where it is a bool."""
        return () if isinstance(self.ignore_order, bool) else self.ignore_order


def _check_patterns(patterns: tuple[str, ...]) -> None:
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise UsageError(
                f"exclude_regex_paths: {pattern!r} is no regular expression ({error})"
            ) from error


def _check_digits(digits: object) -> None:
    if digits is not None and (isinstance(digits, bool) or not isinstance(digits, int) or digits < 0):
        raise UsageError(f"significant_digits is {digits!r}: it must be an integer of at least 0, or None")


def _level(value: object) -> Level:
    try:
        return Level(value)
    except ValueError:
        names = ", ".join(level.value for level in Level)
        raise UsageError(f"level is {value!r}: it must be one of {names}") from None


def _tuple(name: str, value: object) -> tuple[object, ...]:
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise UsageError(f"{name} is {value!r}: it must be a tuple or a list")
    return tuple(value)
