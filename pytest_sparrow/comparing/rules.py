"""Holds the rules of a comparison and applies them to JSON, before fingerprints: leave out, order, round.

The words are DeepDiff's where DeepDiff has a word, and mean the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pytest_sparrow.comparing.diff import json_within
from pytest_sparrow.comparing.identity import CanonicalKeys, Sameness
from pytest_sparrow.comparing.result import MISSING, Path, Pattern, element_label, matches, parse, render
from pytest_sparrow.errors import UsageError
from pytest_sparrow.events.jsontext import canonical
from pytest_sparrow.settings import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_sparrow.comparing.units import NumberedEvent
    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Json

EventRule: TypeAlias = "Callable[[Event], Event | None]"
"""Returns the event to compare instead, or None to leave the event out. Must depend on the event alone."""

_DIGITS_OF_NUMERIC_TYPES = 12
"""DeepDiff's ``significant_digits`` where ``ignore_numeric_type_changes`` is set and the digits are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What to compare, and how. All rules act before events are aligned, custom operators on aligned pairs.

    The words are DeepDiff's where DeepDiff has a word, and mean the same; paths are ours (no indices). JSON identity
    decides what is equal: 1 = 1.0 always, ``true`` is never a number.

    Attributes:
        level: how much is compared (a `Level`, or its name).
        exclude_paths: paths as reports print them; what lies at or below one is left out. ``*`` matches any
            run of characters in a step, ``[]`` any element, and a root without a label any label. A path
            that is only a root (``TokenUsage``, ``ToolOutput[clock]``) leaves out whole events.
        exclude_regex_paths: regular expressions, searched for in each path as printed.
        significant_digits: numbers that agree when rounded to so many digits after the point are equal.
        ignore_order: True: the order within every list means nothing; or the paths at and below which.
        ignore_string_case: whether texts and keys that differ in case alone are equal.
        ignore_numeric_type_changes: as in DeepDiff, numbers are compared to 12 digits after the point unless
            ``significant_digits`` says otherwise (an integer equals a float of its value in any case).
        custom_operators: objects with DeepDiff's operator protocol: ``match(level)``, then
            ``give_up_diffing(level, diff_instance)``, which returns True where the two values need no further
            comparison. They are asked wherever two paired values may differ; ``level.path()`` is a path as reports
            print it.
        ignore_types: event types that are left out.
        event_rules: functions that rewrite an event or leave it out, applied in order before all else.
    """

    level: Level = Level.EXACT
    exclude_paths: tuple[str, ...] = ()
    exclude_regex_paths: tuple[str, ...] = ()
    significant_digits: int | None = None
    ignore_order: bool | tuple[str, ...] = False
    ignore_string_case: bool = False
    ignore_numeric_type_changes: bool = False
    custom_operators: tuple[object, ...] = ()
    ignore_types: tuple[str, ...] = ()
    event_rules: tuple[EventRule, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what makes no sense, and make lists tuples.

        Raises:
            UsageError: an unknown level, a path or pattern that can't be read, a negative number of digits, a
                word that takes True or False, an object that is no operator.
        """
        object.__setattr__(self, "level", _level(self.level))
        for name in (
            "exclude_paths",
            "exclude_regex_paths",
            "custom_operators",
            "ignore_types",
            "event_rules",
        ):
            object.__setattr__(self, name, _tuple(name, getattr(self, name)))
        if not isinstance(self.ignore_order, bool):
            object.__setattr__(self, "ignore_order", _tuple("ignore_order", self.ignore_order))
        for path in (*self.exclude_paths, *self.unordered_paths):
            parse(path)
        check_patterns(self.exclude_regex_paths, "exclude_regex_paths")
        _check_digits(self.significant_digits)
        for name in ("ignore_string_case", "ignore_numeric_type_changes"):
            _check_flag(name, getattr(self, name))
        read_operators(self.custom_operators, "custom_operators")

    @property
    def unordered_paths(self) -> tuple[str, ...]:
        """The paths of ``ignore_order``, none where it is a bool."""
        return () if isinstance(self.ignore_order, bool) else self.ignore_order

    @property
    def change_arguments(self) -> bool:
        """Whether arguments of tools count otherwise than as they are."""
        leaves_out = self.exclude_paths or self.exclude_regex_paths
        return bool(leaves_out or self.ignore_order or self.ignore_string_case or self.digits is not None)

    @property
    def digits(self) -> int | None:
        """To how many digits after the point numbers are compared, or None for exactly."""
        if self.significant_digits is None and self.ignore_numeric_type_changes:
            return _DIGITS_OF_NUMERIC_TYPES
        return self.significant_digits

    def masked(self, mask: Callable[[str], str]) -> Callable[[str], str]:
        """The mask of texts, which also hides their case where the rules ignore case."""
        return (lambda text: mask(text).lower()) if self.ignore_string_case else mask

    def sameness(
        self,
        text: Callable[[str, str], bool],
        renamed: Callable[[str], str] = str,
        mask: Callable[[str], str] = str,
    ) -> Sameness:
        """When leaves count as equal by these rules.

        Args:
            text: whether two texts are the same, by ids and by these rules.
            renamed: the new run's spelling of a golden text.
            mask: hides ids in a text.
        """
        return Sameness(
            text=text,
            renamed=renamed,
            mask=self.masked(mask),
            digits=self.digits,
            ignore_case=self.ignore_string_case,
            operators=self.custom_operators,
        )


def _check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise UsageError(f"{name} is {value!r}: it must be True or False")


def read_operators(value: object, origin: str) -> tuple[object, ...]:
    """The operators of the setting ``custom_operators``.

    Raises:
        UsageError: the value is no list of operators; the text names the origin, and what is none.
    """
    operators = _tuple(origin, value)
    for operator in operators:
        _check_operator(operator, origin)
    return operators


def _check_operator(operator: object, origin: str) -> None:
    questions = ("match", "give_up_diffing")
    if isinstance(operator, type) or not all(callable(getattr(operator, name, None)) for name in questions):
        raise UsageError(
            f"{origin}: {operator!r} is no operator: it must be an object with the methods "
            "match(level) and give_up_diffing(level, diff_instance)"
        )


def check_patterns(patterns: tuple[str, ...], origin: str) -> None:
    """Check the regular expressions of a setting.

    Raises:
        UsageError: a text is no regular expression; the message names the origin.
    """
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise UsageError(f"{origin}: {pattern!r} is no regular expression ({error})") from error


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


class _LeftOut:
    """The type of `LEFT_OUT`."""


LEFT_OUT = _LeftOut()
"""Returned by `Canonical.value` for a value that a rule leaves out."""

_Rests = tuple[Pattern, ...]
"""The steps still to be matched of each pattern that fits so far."""


class Canonical:
    """Applies one set of rules to JSON values; ``mask`` hides ids while a list is put in order."""

    def __init__(self, rules: Rules, mask: Callable[[str], str] | None = None) -> None:
        self._left_out: _Rests = tuple(map(parse, rules.exclude_paths))
        self._regexes = [re.compile(pattern) for pattern in rules.exclude_regex_paths]
        self._unordered: _Rests = tuple(map(parse, rules.unordered_paths))
        self._all_unordered = rules.ignore_order is True
        self._keys = CanonicalKeys(rules.masked(mask or str), rules.digits)

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return not (self._left_out or self._regexes or self._unordered or self._all_unordered)

    def entries(self, found: Iterable[NumberedEvent]) -> Iterator[NumberedEvent]:
        """The events as they count; events that a rule leaves out whole are gone."""
        for entry in found:
            root = (entry.type or "Event", "[" + entry.label) if entry.label else (entry.type or "Event",)
            body = self.value(entry.body, root)
            if isinstance(body, dict):
                yield entry if body is entry.body else entry.with_body(body)

    def value(self, value: Json, root: Path) -> Json | _LeftOut:
        """The value as it counts, `LEFT_OUT`, or the very same object where no rule touches it.

        Args:
            value: the value at ``root``.
            root: its path: a name, a label if there is one, and keys.
        """
        state = _State(self._left_out, self._unordered, is_unordered=self._all_unordered)
        name, *steps = root
        state = state.into(name)
        labelled = bool(steps) and steps[0][0] == "["
        for step in steps if labelled else ("[", *steps):
            state = state.into(step) if step[0] != "[" else state.into_label(step)
        return self._apply(value, root, state)

    def _apply(self, value: Json, path: Path, state: _State) -> Json | _LeftOut:
        if state.is_left_out or self._regex_hits(path):
            return LEFT_OUT
        return value if state.is_idle and not self._regexes else self._below(value, path, state)

    def _below(self, value: Json, path: Path, state: _State) -> Json:
        if isinstance(value, dict):
            return self._object(value, path, state)
        if isinstance(value, list):
            return self._list(value, path, state)
        inner = json_within(value) if isinstance(value, str) else MISSING
        # Reports have paths into JSON text, so rules reach there too; then the JSON counts, not its spelling.
        return value if inner is MISSING else canonical(self._below(inner, path, state)).decode()

    def _regex_hits(self, path: Path) -> bool:
        if not self._regexes:
            return False
        printed = render(path)
        return any(regex.search(printed) for regex in self._regexes)

    def _object(self, value: dict[str, Json], path: Path, state: _State) -> Json:
        kept: dict[str, Json] = {}
        touched = False
        for key, item in value.items():
            step = "." + key
            other = self._apply(item, (*path, step), state.into(step))
            touched = touched or other is not item
            if other is not LEFT_OUT:
                kept[key] = other
        return kept if touched else value

    def _list(self, value: list[Json], path: Path, state: _State) -> Json:
        kept = []
        for item in value:
            step = "[" + element_label(item)
            other = self._apply(item, (*path, step), state.into(step))
            if other is not LEFT_OUT:
                kept.append(other)
        if state.is_unordered:
            kept.sort(key=self._order)
        same = len(kept) == len(value) and all(map(_is, kept, value))
        return value if same else kept

    def _order(self, value: Json) -> str:
        return repr(self._keys.key(value))


def _is(one: object, other: object) -> bool:
    return one is other


class _State:
    """How far each pattern has been matched on the way down; never changed, ``into`` gives the next."""

    __slots__ = ("_left_out", "_unordered", "is_unordered")

    def __init__(self, left_out: _Rests, unordered: _Rests, *, is_unordered: bool) -> None:
        self._left_out = left_out
        self._unordered = unordered
        self.is_unordered = is_unordered or () in unordered

    @property
    def is_left_out(self) -> bool:
        return () in self._left_out

    @property
    def is_idle(self) -> bool:
        return not (self._left_out or self._unordered or self.is_unordered)

    def into(self, step: str) -> _State:
        if self.is_idle:
            return self
        return _State(
            _rest(self._left_out, step), _rest(self._unordered, step), is_unordered=self.is_unordered
        )

    def into_label(self, step: str) -> _State:
        """As `into`, for the root's label: a pattern that gives none fits any."""
        return _State(
            _label_rest(self._left_out, step),
            _label_rest(self._unordered, step),
            is_unordered=self.is_unordered,
        )


def _rest(patterns: Iterable[Pattern], step: str) -> _Rests:
    return tuple([pattern[1:] for pattern in patterns if pattern and matches(pattern[0], step)])


def _label_rest(patterns: Iterable[Pattern], step: str) -> _Rests:
    patterns = tuple(patterns)
    without = tuple([pattern for pattern in patterns if not pattern or pattern[0][0] != "["])
    return without + _rest(patterns, step)
