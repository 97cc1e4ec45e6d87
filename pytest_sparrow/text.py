"""Escapes and shortens texts and JSON values, so that each is one short line that is safe to print."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.exchange import Json

WIDTH = 100
"""Characters of a value that a report shows."""

_GAP = "…"

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LONG = {short[1]: char for char, short in _SHORT.items()}
_ESCAPED = r"(?s)\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.))"


def printable(text: str, quote: str = "") -> str:
    """The text with every character that is not printable (controls, bidi marks, odd spaces) escaped visibly.

    Args:
        text: any text.
        quote: the quotation mark around the text. The mark and the backslash are escaped too, so that `unescaped`
            can read the text back. "" for none.
    """
    if text.isprintable() and (not quote or ("\\" not in text and quote not in text)):
        return text
    return "".join(_escape(char, quote) for char in text)


def _escape(char: str, quote: str) -> str:
    if quote and char in ("\\", quote):
        return "\\" + char
    if char.isprintable():
        return char
    if char in _SHORT:
        return _SHORT[char]
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unescaped(text: str) -> str:
    """The text that `printable` escaped for a quotation mark."""

    def one(match: re.Match[str]) -> str:
        two, four, eight, char = match.groups()
        if char is not None:
            return _LONG.get(char, char)
        code = int(two or four or eight, 16)
        return chr(code) if code < 0x110000 else match.group()

    return re.sub(_ESCAPED, one, text) if "\\" in text else text


def cut(text: str, width: int) -> str:
    """The first ``width`` characters of a text; a longer text ends in ``…``."""
    return text if len(text) <= width else text[: width - 1] + _GAP


def one_line(text: str, width: int = 0) -> str:
    """Any text as one printable line: controls, bidi marks and line ends are escaped visibly.

    Args:
        text: any text.
        width: the most characters to show, 0 for all; a longer one ends in ``…``.
    """
    if not width:
        return printable(text)
    return cut(printable(text[: width + 1]), width)


def shown(value: Json, width: int = WIDTH) -> str:
    """A JSON value on one line, at most ``width`` characters."""
    return cut(_spelled(value, width), width)


def shown_pair(golden: Json, new: Json, width: int = WIDTH) -> tuple[str, str]:
    """Two values, each on one line of at most ``width`` characters, so that their difference is in view."""
    if isinstance(golden, str) and isinstance(new, str):
        # The windows are cut before they are escaped: a text may be megabytes long.
        one, other = excerpt(golden, new, max(width - 2, 8))
        one, other = _quoted(one), _quoted(other)
        if max(len(one), len(other)) <= width:
            return one, other
        return excerpt(one, other, width)
    return excerpt(_spelled(golden, _MOST), _spelled(new, _MOST), width)


_MOST = 100_000
_MOST_PIECES = 4_000
_MOST_FURTHER = 2


def shown_further(golden: Json, new: Json, width: int = WIDTH) -> list[tuple[str, str]]:
    """Where two long texts differ beyond what `shown_pair` shows, up to two more places, sentence by sentence."""
    if not isinstance(golden, str) or not isinstance(new, str) or max(len(golden), len(new)) <= width:
        return []
    ours, theirs = (re.findall(_PIECE, text) for text in (golden, new))
    if len(ours) + len(theirs) > _MOST_PIECES:
        return []
    import difflib  # only a failure needs it

    in_view = common_prefix(golden, new) + width // 2
    found = []
    for what, start, stop, other_start, other_stop in difflib.SequenceMatcher(
        None, ours, theirs, autojunk=False
    ).get_opcodes():
        if what != "equal" and len("".join(ours[:start])) > in_view:
            pair = "".join(ours[start:stop]).strip(), "".join(theirs[other_start:other_stop]).strip()
            found.append(shown_pair(*pair, width))
    return found[:_MOST_FURTHER]


_PIECE = r"[^\n.]*[\n.]|[^\n.]+"


def _spelled(value: Json, most: int) -> str:
    """Compact JSON, escaped; a huge value is cut early, since only ``most`` characters are wanted."""
    if isinstance(value, str):
        return _quoted(value[: most + 1])
    import json  # errors import this module, and the plugin imports errors before it needs any JSON

    if isinstance(value, dict | list):
        encoder = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": "))
        parts: list[str] = []
        length = 0
        # iterencode gives pieces, so that a value of megabytes costs no more than what is shown.
        for part in encoder.iterencode(value):
            parts.append(part)
            length += len(part)
            if length > most:
                break
        return printable("".join(parts)[: most + 1])
    return json.dumps(value)


def _quoted(text: str) -> str:
    return f'"{printable(text, chr(34))}"'


def excerpt(golden_text: str, new_text: str, width: int) -> tuple[str, str]:
    """The window of two texts in which they differ, ``…`` where something is left out.

    Args:
        golden_text: a text; escape it before or after.
        new_text: another.
        width: the most characters of each result, at least 8.
    """
    if max(len(golden_text), len(new_text)) <= width:
        return golden_text, new_text
    same = common_prefix(golden_text, new_text)
    most = min(len(golden_text), len(new_text)) - same
    ending = common_prefix(golden_text[::-1][:most], new_text[::-1][:most])
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
    return head + cut(rest, room)


def common_prefix(one: str, other: str) -> int:
    """How many characters two texts begin with alike, by halving: slices are compared in C."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def bounded(lines: Sequence[str], limit: int, *, keep_last: int = 0) -> list[str]:
    """At most ``limit`` lines; a line in the middle counts the lines that are left out.

    Args:
        lines: the lines.
        limit: the most lines to give, at least ``keep_last`` + 2.
        keep_last: how many of the last lines (the commands) are never left out.
    """
    if len(lines) <= limit:
        return list(lines)
    head = limit - keep_last - 1
    left_out = len(lines) - head - keep_last
    return [*lines[:head], f"  … {left_out} more lines", *lines[len(lines) - keep_last :]]


def shown_path(path: str | Path) -> str:
    """A path as a message names it: from the working directory, if it lies below."""
    named = str(path if isinstance(path, Path) else Path(path))
    try:
        here = os.getcwd()  # noqa: PTH109 - for each test
    except OSError:
        return named
    return "." if named == here else named.removeprefix(os.path.join(here, ""))  # noqa: PTH118 - see above


def counted(number: int, one: str) -> str:
    """``1 difference``, ``3 differences``."""
    return f"{number:,} {one}" + ("" if number == 1 else "s")


def times(number: int) -> str:
    """``once``, ``2 times``."""
    return "once" if number == 1 else f"{number} times"
