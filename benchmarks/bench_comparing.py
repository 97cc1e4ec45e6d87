"""What comparing 100,000 events costs, beside reading them."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from rows import Row
from timing import in_turns, seconds

from pytest_sparrow.comparing import compare
from pytest_sparrow.events import parse_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.events import Event

__all__ = ["TITLE", "rows"]

_EVENTS = 100_000
_CHANGES = 100
_ROUNDS = 1

TITLE = f"Comparing: {_EVENTS:,} events a side, all read from their lines"


def rows() -> list[Row]:
    """The section's rows."""
    lines = [_line(number) for number in range(_EVENTS)]
    golden = _read(lines)
    middle, step = _EVENTS // 2, _EVENTS // _CHANGES
    changed = [_line(n, amount=139.99) if n % step == 1 else line for n, line in enumerate(lines)]
    others = {
        "equal": (_read(lines), 0),
        "one insertion": (_read([*lines[:middle], _line(_EVENTS + 1), *lines[middle:]]), 1),
        f"{_CHANGES} changed arguments": (_read(changed), _CHANGES),
    }
    timed = {what: partial(seconds, partial(_compare, golden, *other)) for what, other in others.items()}
    taken = in_turns(
        {"reading": lambda: seconds(lambda: (_read(lines), _read(changed))), **timed}, rounds=_ROUNDS
    )
    reading = taken["reading"]
    return [
        Row(
            what=what,
            ours=taken[what].median * 1e3,
            unit="ms",
            peer=f"reading both {reading.median * 1e3:,.0f} ms",
            ratio=taken[what].over(reading),
        )
        for what in others
    ]


def _compare(golden: Sequence[Event], new: Sequence[Event], expected: int) -> None:
    found = len(compare(golden, new).changes)
    if found != expected:
        raise RuntimeError(f"{found} changes were found, not {expected}")


def _read(lines: list[bytes]) -> list[Event]:
    return [parse_event(line) for line in lines]


def _line(number: int, *, amount: float = 39.99) -> bytes:
    """Calls and text in turns: proposal, call, output, answer."""
    call = f"call_{number // 4}"
    kinds: tuple[dict[str, Any], ...] = (
        {
            "type": "ToolUseProposed",
            "id": call,
            "name": "refund",
            "args": {"amount": 39.99},
            "risk": "Mutating",
        },
        {"type": "ToolUseStarted", "id": call, "name": "refund", "args": {"amount": amount, "n": number}},
        {"type": "ToolOutput", "id": call, "blocks": [{"Json": {"ticket": f"T{number}"}}], "is_error": False},
        {"type": "ThinkingDelta", "text": f"Order {number} is refunded."},
    )
    kind = kinds[number % 4]
    event = {"type": kind["type"], "run": "r", **kind}
    return json.dumps(event, separators=(",", ":")).encode()
