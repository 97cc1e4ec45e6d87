"""What a change looks like where chance is its likely cause. Pure; a guess, and said as one."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import canonical

if TYPE_CHECKING:
    from pytest_sparrow.comparing.result import Missing
    from pytest_sparrow.exchange import Json

__all__ = ["likely_chance"]

_MOST = 20_000
"""Characters that are looked at: enough for a prompt, and bounded."""

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|\b[0-9a-fA-F]{32}\b")
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?"  # a date, perhaps with a time
    r"|\b\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?\b"  # a time of day
    r"|\b1\d{9}(?:\d{3})?(?:\.\d+)?\b"  # seconds or milliseconds since 1970, in these decades
)


def likely_chance(golden: Json | Missing, new: Json | Missing) -> str:
    """Which source of chance would explain that one value is another, or "" where none would.

    See docs/determinism.md, "Not covered", for all of them.
    """
    if isinstance(golden, list) and isinstance(new, list):
        same = Counter(map(canonical, golden)) == Counter(map(canonical, new))
        return _ORDER if same and golden != new else ""
    if isinstance(golden, int | float) and isinstance(new, int | float):
        golden, new = repr(golden), repr(new)
    if not isinstance(golden, str) or not isinstance(new, str) or golden == new:
        return ""
    golden, new = golden[:_MOST], new[:_MOST]
    if _alike(_UUID, golden, new):
        return "a uuid that no seed reached: drawn by uuid_utils, in a fixture, or by threads side by side?"
    if _alike(_TIME, golden, new):
        return "a time that was not moved along: of a file, a database, C code, or at the turn of a second?"
    if Counter(re.findall(r"\w+", golden)) == Counter(re.findall(r"\w+", new)):
        return _ORDER
    return ""


_ORDER = "the same in another order: of a set, which PYTHONHASHSEED decides, or of threads side by side?"


def _alike(pattern: re.Pattern[str], golden: str, new: str) -> bool:
    return bool(pattern.search(golden)) and pattern.sub("", golden) == pattern.sub("", new)
