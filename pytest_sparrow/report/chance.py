"""What a change looks like where chance is its likely cause. Pure; a guess, and said as one."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from os.path import commonprefix
from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import canonical
from pytest_sparrow.provenance import NO_CIRCUMSTANCES, Circumstances

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sparrow.comparing.result import Change, Missing
    from pytest_sparrow.exchange import Json

__all__ = ["likely_chance", "likely_race"]

_MOST = 20_000
"""Characters that are looked at: enough for a prompt, and bounded."""

_MOST_CHANGES = 100
"""Changes that are held against each other."""

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|\b[0-9a-fA-F]{32}\b")
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?"  # a date, perhaps with a time
    r"|\b\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?\b"  # a time of day
    r"|\b1\d{9}(?:\d{3})?(?:\.\d+)?\b"  # seconds or milliseconds since 1970, in these decades
)
_DRAWN = re.compile(
    r"\b\d+\.\d{10,}(?:e-?\d+)?\b"  # random.random(), and what is made of it
    r"|\b\d{8,}\b"  # random.getrandbits(), as a decimal number
    r"|\b(?=[a-zA-Z_]*\d[a-zA-Z_]*\d)(?=[\d_]*[a-zA-Z])\w{10,}\b"  # secrets.token_hex(), and other ids
)


def likely_chance(
    golden: Json | Missing, new: Json | Missing, circumstances: Circumstances = NO_CIRCUMSTANCES
) -> str:
    """Which source of chance would explain that one value is another, or "" where none would.

    See docs/determinism.md, "Not covered", for all of them.
    """
    if isinstance(golden, list) and isinstance(new, list):
        same = Counter(map(canonical, golden)) == Counter(map(canonical, new))
        return _order(circumstances) if same and golden != new else ""
    if isinstance(golden, int | float) and isinstance(new, int | float):
        golden, new = repr(golden), repr(new)
    if not isinstance(golden, str) or not isinstance(new, str) or golden == new:
        return ""
    golden, new = golden[:_MOST], new[:_MOST]
    if _alike(_UUID, golden, new):
        return _uuid(circumstances)
    if _alike(_TIME, golden, new):
        return "a time that was not moved along: of a file, a database, C code, or at the turn of a second?"
    if _alike(_DRAWN, golden, new):
        return (
            "drawn at random where no seed reached: by secrets or os.urandom, a random.Random() without a seed, "
            "in a fixture, or by threads side by side?"
        )
    if Counter(re.findall(r"\w+", golden)) == Counter(re.findall(r"\w+", new)):
        return _order(circumstances)
    return ""


def likely_race(changes: Iterable[Change], circumstances: Circumstances) -> str:
    """Whether several changes only deal the same values out to others, as strands that draw side by side do; or ""."""
    if not circumstances.side_by_side:
        return ""
    pairs = [_apart(change.golden, change.new) for change in islice(changes, _MOST_CHANGES)]
    golden, new = (Counter(values) for values in zip(*pairs, strict=True)) if len(pairs) > 1 else ((), ())
    if golden != new or not golden:
        return ""
    return "the same values, dealt out otherwise: by threads or tasks side by side, where chance says who draws first?"


def _apart(golden: Json | Missing, new: Json | Missing) -> tuple[str, str]:
    """Two values as texts, without what they begin and end with alike."""
    one, other = ((value if isinstance(value, str) else repr(value))[:_MOST] for value in (golden, new))
    start = len(commonprefix([one, other]))  # noqa: RUF071 - texts, not paths
    one, other = one[start:], other[start:]
    end = len(commonprefix([one[::-1], other[::-1]]))  # noqa: RUF071
    return one[: len(one) - end], other[: len(other) - end]


def _uuid(circumstances: Circumstances) -> str:
    if circumstances.own_ids:
        asks = f"{' and '.join(circumstances.own_ids)}, loaded here, which no seed reaches"
        return f"a uuid that no seed reached: drawn by {asks}? sparrow.call records one"
    return "a uuid that no seed reached: drawn in a fixture, by threads side by side, or by C code?"


def _order(circumstances: Circumstances) -> str:
    said = "the same in another order: "
    match circumstances.hash_seeds:
        case None:
            return f"{said}of a set, which PYTHONHASHSEED decides, or of threads side by side?"
        case (then, now) if "random" in (then, now):
            return f"{said}of a set, which is another in each process unless PYTHONHASHSEED is set? sort it"
        case (then, now) if then != now:
            return f"{said}of a set? PYTHONHASHSEED was {then} when this was recorded, and is {now} here"
        case _:
            return f"{said}of threads or tasks side by side? (no set's: PYTHONHASHSEED is the recorded one)"


def _alike(pattern: re.Pattern[str], golden: str, new: str) -> bool:
    return bool(pattern.search(golden)) and pattern.sub("", golden) == pattern.sub("", new)
