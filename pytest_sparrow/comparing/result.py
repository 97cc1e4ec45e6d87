"""Holds what a comparison found: changes, their paths, and which merely follow from an earlier change.

A change follows when there is an earlier change that does not, and

- it carries the very values of an earlier change: the same golden and the same new value (values as common as
  true, null or 3 only where both belong to the same tool or role, or have the same path);
- it is a text that becomes the new one when an earlier change's golden value is replaced by its new value;
- it counts or ends: usage, cost, and everything in RunFinished.

What belongs together within one call or one turn is marked before, in `comparing.pipeline`: the rest of a call
that was added or removed, what was said beside the call, and the output of a call whose arguments changed.
Following changes are counted and can be shown; none is dropped.

A path says without indices where in an event or a request a value stands. It is a tuple of steps: the root's name,
then ``".key"`` for a key and ``"[label"`` for a label. The label after the root is the tool's name or the role; the
label of a list's element is its role or name, or "". Printed: ``ToolUseStarted[refund].args['lines'][]['qty']``,
``request.messages[system].content``. In an event the first key is dotted (a field of the format) and the keys below
stand in brackets (the user's data); in a request every key that is a plain word is dotted. What `render` prints,
`parse` reads.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from pytest_sparrow.comparing.identity import CanonicalKeys
from pytest_sparrow.errors import UsageError
from pytest_sparrow.text import printable, unescaped

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.settings import Level

Path: TypeAlias = tuple[str, ...]
"""Steps as in the module's docstring."""

Pattern: TypeAlias = tuple[str, ...]
"""A path in which ``*`` stands for any run of characters within a step."""

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_PLAIN_LABEL = re.compile(r"[\w./:@+\-]*\Z", re.ASCII)
_ROOT = re.compile(r"[A-Za-z_*][\w*]*")
_STEP = re.compile(
    r"""\.(?P<word>[A-Za-z_*][\w*]*)
      | \['(?P<key>(?:[^'\\]|\\.)*)'\]
      | \["(?P<quoted>(?:[^"\\]|\\.)*)"\]
      | \[(?P<label>[^\]'"]*)\]""",
    re.VERBOSE,
)


def render(path: Path) -> str:
    """The path as reports print it: one line, printable characters only."""
    root, *steps = path
    all_dotted = root == "request"
    parts = [root]
    keys = 0
    for step in steps:
        name = step[1:]
        if step[0] == "[":
            parts.append(f"[{name}]" if _PLAIN_LABEL.match(name) else f'["{printable(name, chr(34))}"]')
        else:
            dotted = (all_dotted or keys == 0) and _WORD.match(name)
            parts.append(f".{name}" if dotted else f"['{printable(name, chr(39))}']")
            keys += 1
    return "".join(parts)


def check_paths(paths: Iterable[str], origin: str) -> None:
    """Check the paths of a setting.

    Raises:
        UsageError: a text is no path; the message names the origin.
    """
    for path in paths:
        try:
            parse(path)
        except UsageError as error:
            raise UsageError(f"{origin}: {error}") from None


def parse(text: str) -> Pattern:
    """Read a path as printed, or one with ``*``.

    Raises:
        UsageError: the text is no path, or holds an index.
    """
    root = _ROOT.match(text)
    if root is None:
        raise UsageError(f"{text!r} is no path: it begins with an event type or 'request'.\n  {_EXAMPLE}")
    steps = [root.group()]
    at = root.end()
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            raise UsageError(f"{text!r} is no path: {text[at:]!r} can't be read.\n  {_EXAMPLE}")
        label = step["label"]
        if label is not None and label.isdecimal() and len(steps) > 1:
            raise UsageError(f"{text!r}: paths have no indices, write [] for [{label}].\n  {_EXAMPLE}")
        steps.append(_step(step))
        at = step.end()
    return tuple(steps)


def _step(match: re.Match[str]) -> str:
    if match["word"] is not None:
        return "." + match["word"]
    if match["key"] is not None:
        return "." + unescaped(match["key"])
    return "[" + (unescaped(match["quoted"]) if match["quoted"] is not None else match["label"])


_EXAMPLE = "Copy it from a report, like ToolUseStarted[refund].args['amount']; * matches any name."


def matches(pattern: str, step: str) -> bool:
    """Whether one step of a pattern fits a step of a path; ``[]`` fits every element."""
    if pattern in (step, "[") and pattern[0] == step[0]:
        return True
    if "*" not in pattern:
        return False
    glob = ".*".join(map(re.escape, pattern.split("*")))
    return re.fullmatch(glob, step, re.DOTALL) is not None


def element_label(element: object) -> str:
    """What a list's element is called in a path: its role, its name, its function's name, or ""."""
    if not isinstance(element, dict):
        return ""
    for key in ("role", "name"):
        if isinstance(element.get(key), str):
            return str(element[key])
    function = element.get("function")
    if isinstance(function, dict) and isinstance(function.get("name"), str):
        return str(function["name"])
    return ""


class Missing(enum.Enum):
    """The type of `MISSING` (an enum, so that it stays one object when pickled)."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING
"""There is no value on this side (None would be JSON's null)."""

ChangeKind = Literal["changed", "added", "removed", "moved"]


@dataclass(frozen=True, slots=True)
class Position:
    """The position of an event in its run; both numbers count from 1.

    Attributes:
        event: its number among the run's events: its line in ``events.jsonl``.
        turn: the model's answer that the event belongs to, 0 before the first.
    """

    event: int
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A difference between two runs.

    Attributes:
        kind: "changed", "added" (only the new side has it), "removed" (only the golden), "moved" (both have
            the same event, in another order).
        steps: where, as steps of a path (see the module's docstring).
        golden: the golden's value, or MISSING; for a whole event its fields.
        new: the new value, or MISSING.
        whole: whether a whole event was added, removed or moved, not a value within one.
        golden_at: the event in the golden, or None.
        new_at: the event in the new run, or None.
        follows: whether the change merely follows from an earlier one; see the module's docstring.
    """

    kind: ChangeKind
    steps: Path
    golden: Json | Missing = MISSING
    new: Json | Missing = MISSING
    whole: bool = False
    golden_at: Position | None = None
    new_at: Position | None = None
    follows: bool = False

    @property
    def path(self) -> str:
        """The path as printed, and as `Rules.exclude_paths` takes it."""
        return render(self.steps)

    @property
    def subject(self) -> str:
        """The event type, or "request"."""
        return self.steps[0]

    @property
    def label(self) -> str:
        """The tool's name or the role that stands behind the subject, or ""."""
        return self.steps[1][1:] if len(self.steps) > 1 and self.steps[1][0] == "[" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The outcome of `compare`. True where the runs are equal, so that ``assert compare(a, b)`` means it.

    Attributes:
        level: how much was compared.
        changes: every difference, in the order of the run.
        golden_count: events of the golden.
        new_count: events of the new run.
        golden_turns: model answers in the golden.
        new_turns: model answers in the new run.
    """

    level: Level
    changes: tuple[Change, ...] = ()
    golden_count: int = 0
    new_count: int = 0
    golden_turns: int = 0
    new_turns: int = 0

    @property
    def equal(self) -> bool:
        """Whether there is no difference."""
        return not self.changes

    @property
    def roots(self) -> tuple[Change, ...]:
        """The changes that follow from no other."""
        return tuple(change for change in self.changes if not change.follows)

    @property
    def followers(self) -> tuple[Change, ...]:
        """The changes that merely follow from an earlier one."""
        return tuple(change for change in self.changes if change.follows)

    @property
    def inserted(self) -> int:
        """Whole events that only the new run has (merged deltas count once)."""
        return sum(change.whole and change.kind == "added" for change in self.changes)

    @property
    def removed(self) -> int:
        """Whole events that only the golden has (merged deltas count once)."""
        return sum(change.whole and change.kind == "removed" for change in self.changes)

    def __bool__(self) -> bool:
        return self.equal

    def __str__(self) -> str:
        if self.equal:
            return f"equal at level {self.level.value}"
        follow = len(self.followers)
        return (
            f"{len(self.changes)} differences ({follow} of them follow), the first at {self.changes[0].path}"
        )


_TOTALS = frozenset({"TokenUsage", "TokenUsageEstimated", "CostUpdate", "RunFinished"})
_COMMON_BELOW = 100
_MOST_REPLACEMENTS = 20
_LONGEST_TEXT = 100_000


def follow(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The same changes in their order, with those marked that follow from an earlier one."""
    seen = _Seen()
    return tuple([seen.marked(each) for each in changes])


class _Seen:
    """What earlier changes have shown."""

    def __init__(self) -> None:
        self._key = CanonicalKeys().key
        self._values: set[Hashable] = set()
        self._replacements: list[tuple[str, str]] = []
        self._any = False

    def marked(self, change: Change) -> Change:
        """The change, marked if the earlier ones explain it, and seen from now on."""
        key = None if change.whole else self._values_key(change)
        if not change.follows and self._any and self._explains(change, key):
            change = replace(change, follows=True)
        self._any = self._any or not change.follows
        if key is not None:
            self._values.add(key)
            if (
                not change.follows
                and change.kind == "changed"
                and len(self._replacements) < _MOST_REPLACEMENTS
            ):
                golden, new = _spelled(change.golden), _spelled(change.new)
                if golden and new:
                    self._replacements.append((golden, new))
        return change

    def _explains(self, change: Change, key: Hashable | None) -> bool:
        return change.subject in _TOTALS or (
            key is not None and (key in self._values or self._is_replaced(change))
        )

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
    """The text with one word replaced by another; a part of a longer word is chance and stays."""
    return re.sub(rf"(?<!\w){re.escape(was)}(?!\w)", lambda _: now, text)


def _is_common(value: object) -> bool:
    """Whether a value is so common that two of them say nothing."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return abs(value) < _COMMON_BELOW and float(value).is_integer()
    return (
        value is MISSING
        or value is None
        or isinstance(value, bool)
        or (hasattr(value, "__len__") and len(value) < 2)
    )


def _spelled(value: object) -> str:
    """A value as it would stand within a text; "" for a value so common that it may stand there by chance."""
    if _is_common(value):
        return ""
    if isinstance(value, str):
        return value
    return repr(value) if isinstance(value, int | float) else ""
