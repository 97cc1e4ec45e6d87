"""Compares the tool calls of a run with the calls that a test expects (``sparrow.expect``). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_sparrow.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.exchange import Json

__all__ = ["MODES", "Expected", "ToolCall", "check_calls"]


class ToolCall(NamedTuple):
    """A tool call to assert on; equal to a plain ``(name, args)`` pair."""

    name: str
    args: Json


Expected = str | tuple[str, Any]
"""A tool's name, or its name and arguments."""

MODES = ("strict", "unordered", "subset", "superset")


def check_calls(made: Sequence[ToolCall], expected: Sequence[Expected], mode: str = "strict") -> None:
    """Assert that the calls made are the expected ones; see `pytest_sparrow.Sparrow.expect`.

    Raises:
        AssertionError: the calls differ.
        UsageError: the mode is unknown.
    """
    __tracebackhide__ = True
    if mode not in MODES:
        raise UsageError(f"expect(mode={mode!r}): there are {', '.join(MODES)}")
    if mode == "strict":
        fits = len(made) == len(expected) and all(
            _is(call, wish) for call, wish in zip(made, expected, strict=True)
        )
        if not fits:
            raise AssertionError(_text(made, expected, "exactly these calls, in this order"))
        return
    missing, surplus = _pair(made, expected)
    if mode != "subset" and missing:
        raise AssertionError(
            _text(made, expected, f"these calls ({len(missing)} missing: {_calls(missing)})")
        )
    if mode != "superset" and surplus:
        raise AssertionError(
            _text(made, expected, f"no other calls ({len(surplus)} more: {_calls(surplus)})")
        )


def _is(call: ToolCall, wish: Expected) -> bool:
    if isinstance(wish, str):
        return call.name == wish
    name, args = wish
    # The wish stands on the left, so that a dirty-equals object decides and not the plain value.
    return bool(call.name == name and args == call.args)


def _pair(made: Sequence[ToolCall], expected: Sequence[Expected]) -> tuple[list[Expected], list[ToolCall]]:
    """The wishes and the calls that are left after the largest pairing of both (by augmenting paths).

    Pairing each wish with the first call that fits would go wrong where one wish is broader than another.
    """
    fits = [[index for index, call in enumerate(made) if _is(call, wish)] for wish in expected]
    owner: dict[int, int] = {}

    def place(wish: int, tried: set[int]) -> bool:
        free = next((call for call in fits[wish] if call not in owner), None)
        if free is not None:
            owner[free] = wish
            return True
        for call in fits[wish]:
            if call not in tried:
                tried.add(call)
                if place(owner[call], tried):
                    owner[call] = wish
                    return True
        return False

    missing = [expected[wish] for wish in range(len(expected)) if not place(wish, set())]
    return missing, [call for index, call in enumerate(made) if index not in owner]


def _text(made: Sequence[ToolCall], expected: Sequence[Expected], rule: str) -> str:
    return f"expected {rule}\n  expected  {_calls(expected)}\n  made      {_calls(made)}"


def _calls(calls: Sequence[Expected | ToolCall]) -> str:
    if not calls:
        return "none"
    return ", ".join(call if isinstance(call, str) else f"{call[0]}({call[1]!r})" for call in calls)
