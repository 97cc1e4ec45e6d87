"""Says which source of chance would explain a difference: a clock, a draw, the order in which strands came.

A hint for whoever reads a failure; no verdict hangs on one.
"""

from __future__ import annotations

import os
import platform
import re
from collections import Counter
from itertools import islice
from os.path import commonprefix
from typing import TYPE_CHECKING

from pytest_sparrow import real_time
from pytest_sparrow.events.jsontext import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from pytest_sparrow.comparing.result import Change, Missing
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.findings import Circumstances

_MOST = 20_000
"""Characters that are compared: enough for a prompt."""

_MOST_CHANGES = 100
"""Changes that are compared with each other."""

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|\b[0-9a-fA-F]{32}\b")
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?"  # a date, perhaps with a time
    r"|\b\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?\b"  # a time of day
    r"|\b1\d{9}(?:\d{3})?(?:\.\d+)?\b"  # seconds or milliseconds since 1970, in these decades
)
_MOMENT = re.compile(
    r"(.*:|1\d{8})(\d\d?[.,]\d+)"
)  # a time with fractions: what is said before its seconds, and these
_DRAWN = re.compile(
    r"\b\d+\.\d{10,}(?:e-?\d+)?\b"  # random.random(), and what is made of it
    r"|\b\d{8,}\b"  # random.getrandbits(), as a decimal number
    r"|\b(?=[a-zA-Z_]*\d[a-zA-Z_]*\d)(?=[\d_]*[a-zA-Z])\w{10,}\b"  # secrets.token_hex(), and other ids
)


def chance_of(changes: Sequence[Change], circumstances: Circumstances) -> str:
    """The source of chance that would explain the first change; or, where none would, all of them together; or ""."""
    within = [change for change in changes if not change.whole]
    if not within or changes[0].whole:
        return ""
    likely = likely_chance(within[0].golden, within[0].new)
    return likely or ("race" if circumstances.side_by_side and is_race(within) else "")


def likely_chance(golden: Json | Missing, new: Json | Missing) -> str:
    """The source of chance that would explain the difference of two values, or "" where none would.

    Returns:
        "uuid", "today", "time", "fraction", "machine", "random", "order" or ""; docs/determinism.md, "Not covered",
        explains them.
    """
    if isinstance(golden, list) and isinstance(new, list):
        same = Counter(map(canonical, golden)) == Counter(map(canonical, new))
        return "order" if same and golden != new else ""
    if isinstance(golden, int | float) and isinstance(new, int | float):
        golden, new = repr(golden), repr(new)
    if not isinstance(golden, str) or not isinstance(new, str) or golden == new:
        return ""
    golden, new = golden[:_MOST], new[:_MOST]
    if _alike(_UUID, golden, new):
        return "uuid"
    if _names_today(new) and not _names_today(golden):
        return "today"
    if _alike(_TIME, golden, new):
        return "fraction" if _are_fractions(golden, new) else "time"
    if _names_machine(golden, new):
        return "machine"
    if _alike(_DRAWN, golden, new):
        return "random"
    words, others = re.findall(r"\w+", golden), re.findall(r"\w+", new)
    return "order" if words != others and Counter(words) == Counter(others) else ""


def _are_fractions(golden: str, new: str) -> bool:
    """Whether the times in two texts differ by seconds and fractions of seconds alone."""
    pairs = [
        (one[0], other[0]) for one, other in zip(_TIME.finditer(golden), _TIME.finditer(new), strict=False)
    ]
    moments = [map(_MOMENT.fullmatch, pair) for pair in pairs if pair[0] != pair[1]]
    return all(one is not None and other is not None and one[1] == other[1] for one, other in moments)


def _names_machine(golden: str, new: str) -> bool:
    """Whether the new text has this machine's name, user, process id or terminal width where the golden has another."""
    environ = os.environ
    own = {
        platform.node(),
        environ.get("USER"),
        environ.get("LOGNAME"),
        str(os.getpid()),
        environ.get("COLUMNS"),
    }
    for name in own - {None, ""}:
        for found in re.finditer(rf"(?<!\w){re.escape(str(name))}(?!\w)", new):
            before, after = new[: found.start()], new[found.end() :]
            other = golden[len(before) : len(golden) - len(after)]
            if golden.startswith(before) and golden.endswith(after) and re.fullmatch(r"[\w.-]+", other):
                return True
    return False


_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y")


def _names_today(text: str) -> bool:
    """Whether a text holds the real date of this moment, here or in UTC: the replay's clock shows the recorded one."""
    now = real_time.now()
    return any(_holds_date(text, day) for day in (now, now.astimezone()))


def _holds_date(text: str, day: datetime) -> bool:
    months = (day.strftime(f"{month} %Y").split() for month in ("%B", "%b"))
    numbers = {f"{day.day}", f"{day.day:02}"}
    return any(day.strftime(form) in text for form in _DATES) or any(
        f"{month} {number}, {year}" in text or f"{number} {month} {year}" in text
        for month, year in months
        for number in numbers
    )


def is_race(changes: Iterable[Change]) -> bool:
    """Whether several changes only hand the same values out to others, as strands that draw side by side do."""
    pairs = [_apart(change.golden, change.new) for change in islice(changes, _MOST_CHANGES)]
    if len(pairs) < 2:
        return False
    golden, new = (Counter(values) for values in zip(*pairs, strict=True))
    return golden == new


def _apart(golden: Json | Missing, new: Json | Missing) -> tuple[str, str]:
    """Two values as texts, without the beginning and the end that they share."""
    one, other = ((value if isinstance(value, str) else repr(value))[:_MOST] for value in (golden, new))
    start = len(commonprefix([one, other]))  # noqa: RUF071 - texts, not paths
    one, other = one[start:], other[start:]
    end = len(commonprefix([one[::-1], other[::-1]]))  # noqa: RUF071
    return one[: len(one) - end], other[: len(other) - end]


def _alike(pattern: re.Pattern[str], golden: str, new: str) -> bool:
    return bool(pattern.search(golden)) and pattern.sub("", golden) == pattern.sub("", new)
