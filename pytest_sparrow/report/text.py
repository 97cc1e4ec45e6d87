"""Values as short lines that are safe to print: one line each, nothing raw, the part that differs in view."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_sparrow.comparing.paths import safe
from pytest_sparrow.comparing.result import MISSING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.comparing.result import Missing
    from pytest_sparrow.exchange import Json

__all__ = ["bounded", "counted", "excerpt", "one_line", "shown", "shown_pair"]

WIDTH = 100
"""Characters of a value that a report shows."""

_GAP = "…"


def one_line(text: str, width: int = 0) -> str:
    """Any text as one printable line: controls, bidi marks and line ends are escaped visibly.

    Args:
        text: any text.
        width: the most characters to show, 0 for all; a longer one ends in ``…``.
    """
    if not width:
        return safe(text)
    line = safe(text[: width + 1])
    return line if len(line) <= width else line[: width - 1] + _GAP


def shown(value: Json | Missing, width: int = WIDTH) -> str:
    """A JSON value on one line, at most ``width`` characters."""
    spelled = _spelled(value, width)
    return spelled if len(spelled) <= width else spelled[: width - 1] + _GAP


def shown_pair(golden: Json | Missing, new: Json | Missing, width: int = WIDTH) -> tuple[str, str]:
    """Two values, each on one line of at most ``width`` characters, so that their difference is in view."""
    if isinstance(golden, str) and isinstance(new, str):
        # The windows are cut before they are escaped: a text may be megabytes long.
        one, other = excerpt(golden, new, max(width - 2, 8))
        one, other = _quoted(one), _quoted(other)
        if max(len(one), len(other)) <= width:
            return one, other
        return excerpt(one, other, width)
    if golden is MISSING or new is MISSING:
        return shown(golden, width), shown(new, width)
    return excerpt(_spelled(golden, _MOST), _spelled(new, _MOST), width)


_MOST = 100_000


def _spelled(value: Json | Missing, most: int) -> str:
    """Compact JSON, escaped; a huge value is cut on the way, since only ``most`` characters are wanted."""
    if value is MISSING:
        return "(nothing)"
    if isinstance(value, str):
        return _quoted(value[: most + 1])
    if isinstance(value, dict | list):
        parts: list[str] = []
        length = 0
        # iterencode gives pieces, so that a value of megabytes costs no more than what is shown.
        for part in _ENCODER.iterencode(value):
            parts.append(part)
            length += len(part)
            if length > most:
                break
        return safe("".join(parts)[: most + 1])
    return json.dumps(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": "))


def _quoted(text: str) -> str:
    return f'"{safe(text, chr(34))}"'


def excerpt(golden_text: str, new_text: str, width: int) -> tuple[str, str]:
    """The window of two texts in which they differ, ``…`` where something is left out.

    Args:
        golden_text: a text; escape it before or after.
        new_text: another.
        width: the most characters of each result, at least 8.
    """
    if max(len(golden_text), len(new_text)) <= width:
        return golden_text, new_text
    same = _common_prefix(golden_text, new_text)
    most = min(len(golden_text), len(new_text)) - same
    ending = _common_prefix(golden_text[::-1][:most], new_text[::-1][:most])
    # A third of the window for what comes before the difference, or more where the difference is short.
    differing = max(len(golden_text), len(new_text)) - ending - same
    before = max(width // 3, (width - differing) // 2)
    start = max(0, same - before)
    # No need for a gap of one or two characters, nor for a window that ends before the text's end is used.
    longest = max(len(golden_text), len(new_text))
    start = 0 if start <= 1 else min(start, max(0, longest - width + 1))
    return _window(golden_text, start, width), _window(new_text, start, width)


def _window(text: str, start: int, width: int) -> str:
    head = _GAP if start else ""
    rest = text[start : start + width + 1]
    room = width - len(head)
    return head + (rest if len(rest) <= room else rest[: room - 1] + _GAP)


def _common_prefix(one: str, other: str) -> int:
    """By halving: slices are compared in C."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def bounded(lines: Sequence[str], limit: int, *, keep_last: int = 0) -> list[str]:
    """At most ``limit`` lines: what is left out of the middle is counted.

    Args:
        lines: the lines.
        limit: the most lines to give, at least ``keep_last`` + 2.
        keep_last: how many of the last lines stay whatever happens (the commands).
    """
    if len(lines) <= limit:
        return list(lines)
    head = limit - keep_last - 1
    left_out = len(lines) - head - keep_last
    return [*lines[:head], f"  … {left_out} more lines", *lines[len(lines) - keep_last :]]


def counted(number: int, one: str, many: str = "") -> str:
    """``1 difference``, ``3 differences``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
