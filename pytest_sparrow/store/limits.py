"""How big a transcript may be: a hostile golden in a pull request must not exhaust the machine that reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from pytest_sparrow.errors import TooLarge, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["DEFAULT_LIMITS", "SETTING", "Beyond", "Limits", "too_large"]

SETTING = "sparrow_limits"
"""The ini key that lifts a limit."""

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that is read of one transcript; beyond it a reader stops, before it parses.

    Depth and digits of numbers are no settings: no JSON parser in use takes more (see ``docs/format.md``).

    Attributes:
        file: bytes of a file. The default is the most that GitHub takes.
        line: bytes of a line, of ``inputs.json`` and ``meta.json``, and of a request put back together.
        events: lines of ``events.jsonl``.
        exchanges: lines of ``exchanges.jsonl``.
        values: JSON values in a file, counted by their commas, brackets and braces outside of texts. In memory an
            empty object takes a hundred times its two bytes: this, not the size, is what memory depends on.
        shared_items: items of arrays that requests share with earlier ones, in all.
        shared_bytes: bytes of all requests put back together.
    """

    file: int = 100 * _MIB
    line: int = 64 * _MIB
    events: int = 1_000_000
    exchanges: int = 1_000_000
    values: int = 2_000_000
    shared_items: int = 32_000_000
    shared_bytes: int = 4096 * _MIB

    @classmethod
    def of(cls, lines: Iterable[str], origin: str) -> Limits:
        """The defaults, but for what lines like ``events = 5000000`` or ``file = 1G`` say.

        Raises:
            UsageError: a line of another shape, or a name that is no limit; the text names the origin.
        """
        names = [field.name for field in fields(cls)]
        said: dict[str, int] = {}
        for line in lines:
            name, _, value = (part.strip() for part in line.partition("="))
            found = _NUMBER.fullmatch(value)
            if found is None or name not in names:
                raise UsageError(
                    f"{origin}: {line!r} is no limit; write a line each like 'events = 5000000' or 'file = 1G', "
                    f"with one of: {', '.join(names)}"
                )
            said[name] = int(found[1].replace("_", "")) << _SHIFTS[found[2].upper()]
        return replace(cls(), **said)


# Fifteen digits: Python itself refuses to read 4301.
_NUMBER = re.compile(r"([1-9][0-9_]{0,14}) ?([KMG]?)", re.IGNORECASE | re.ASCII)
_SHIFTS = {"": 0, "K": 10, "M": 20, "G": 30}

DEFAULT_LIMITS = Limits()


class Beyond(Exception):
    """A limit is passed, met where nobody knows the file.

    Attributes:
        found: how much was found, at least.
        name: the limit's name.
        what: what was counted.
    """

    def __init__(self, found: int, name: str, what: str) -> None:
        super().__init__(found, name, what)
        self.found = found
        self.name = name
        self.what = what


def too_large(
    path: Path | str, line: int | None, found: int, limits: Limits, name: str, what: str
) -> TooLarge:
    """What to raise where a limit is passed.

    Args:
        path: the file.
        line: the line within it, or None.
        found: how much was found, at least.
        limits: the limits in force.
        name: the limit's name.
        what: what was counted, like ``bytes in one line``.
    """
    most = getattr(limits, name)
    return TooLarge(
        str(path),
        line,
        f"holds {found:,} {what}, and at most {most:,} are read",
        f"if you trust it, lift the limit with a line in ini {SETTING}, like: {name} = {max(found, most) * 2}",
    )
