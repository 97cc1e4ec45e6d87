"""Describes damage to a transcript's files in words that name the line and the way out, and limits their size.

The limits protect the machine that reads a hostile golden of a pull request.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sparrow.errors import DamagedTranscript, TooLarge, UsageError
from pytest_sparrow.store.layout import INPUTS
from pytest_sparrow.text import shown_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.events.jsontext import BrokenJson

_RESTORE = "restore the file from version control, or delete the whole folder and record the test again"
_NEWLINES = (
    "git or an editor converted it: put `* -text` in a .gitattributes beside the goldens, "
    "then check the file out again"
)
_MARKERS = (b"<<<<<<< ", b"||||||| ", b">>>>>>> ")


def conflict(path: Path | str, data: bytes) -> DamagedTranscript | None:
    """The first merge conflict marker in a file, if there is one."""
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.startswith(_MARKERS) or line.rstrip(b"\r") == b"=======":
            golden = named(Path(path).parent)
            return DamagedTranscript(
                str(path),
                number,
                "holds a merge conflict marker",
                f"merge  pytest-sparrow install-merge-driver && git checkout --merge -- {golden}\n"
                f"  or     git checkout --theirs -- {golden}  (or --ours)\n"
                f"  then   pytest-sparrow check --fix-meta {golden}",
            )
    return None


def named(golden: Path) -> str:
    """A golden as a command names it."""
    return shlex.quote(shown_path(golden))


def line_damage(path: Path | str, number: int, line: bytes, error: BrokenJson) -> DamagedTranscript:
    """A line that is no JSON."""
    return conflict(path, b"\n" * (number - 1) + line) or DamagedTranscript(
        str(path), number, f"the line is no JSON: {error}", _RESTORE
    )


def torn_line(path: Path | str, number: int) -> DamagedTranscript:
    """A last line without its newline."""
    return DamagedTranscript(
        str(path), number, "the last line is torn: no newline ends it, so more may be missing", _RESTORE
    )


def object_damage(path: Path | str, data: bytes, reason: str, column: int | None = None) -> DamagedTranscript:
    """A file of one object that is no JSON, or of the wrong shape; the column counts from its start."""
    line = None
    if column is not None:
        line = data.decode("utf-8", "replace")[: column - 1].count("\n") + 1
    return conflict(path, data) or DamagedTranscript(str(path), line, reason, _RESTORE)


def refused_name(folder: Path, key: str, name: str, reason: str, way: str = "") -> DamagedTranscript:
    """A variable of ``inputs.json`` that nobody may set by a golden, at its line.

    Args:
        folder: the transcript's folder.
        key: the key of ``config_snapshot`` that holds the name.
        name: the variable.
        reason: why it is refused, as the end of a sentence that begins with the name.
        way: what to do once the setting names it.
    """
    path = folder / INPUTS
    try:
        before, _, behind = path.read_text(encoding="utf-8", errors="replace").partition(f'"{key}": {{')
    except OSError:
        before = behind = ""
    within = behind.partition(f"{json.dumps(name, ensure_ascii=False)}:")[0]
    return DamagedTranscript(
        str(path),
        (before + within).count("\n") + 1,
        f"{key}: {name} {reason}",
        f"record the test again, or, if you trust this golden, name the variable in the setting env{way}",
    )


def missing_file(path: Path | str) -> DamagedTranscript:
    """A file that should be there."""
    return DamagedTranscript(str(path), None, "the file is missing", _RESTORE)


def wrong_count(path: Path | str, found: int, recorded: int, what: str) -> DamagedTranscript:
    """More or fewer lines than meta.json says."""
    reason = f"holds {found} {what}, and meta.json says {recorded}"
    return DamagedTranscript(str(path), max(found, 1), reason, _RESTORE)


def changed_file(path: Path | str, data: bytes, recorded: str) -> DamagedTranscript | None:
    """A file whose SHA-256 is another than the recorded one; newlines alone are named as such."""
    if hashlib.sha256(data).hexdigest() == recorded:
        return None
    if by_newline := conflict(path, data):
        return by_newline
    unix = data.replace(b"\r\n", b"\n")
    if hashlib.sha256(unix).hexdigest() == recorded:
        line = data[: data.index(b"\r\n")].count(b"\n") + 1
        return DamagedTranscript(
            str(path), line, "only its newlines were changed: \\n became \\r\\n", _NEWLINES
        )
    if hashlib.sha256(unix.rstrip(b"\n") + b"\n").hexdigest() == recorded:
        line = unix.count(b"\n") or 1
        return DamagedTranscript(str(path), line, "only the newlines at its end were changed", _NEWLINES)
    return DamagedTranscript(
        str(path),
        None,
        "was changed after it was recorded: its SHA-256 is not the one in meta.json",
        f"goldens are not edited by hand: {_RESTORE}; if you mean the change: pytest-sparrow check --fix-meta "
        f"{named(Path(path).parent)}",
    )


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
    def of(cls, lines: Sequence[str], origin: str) -> Limits:
        """The defaults, but for what lines like ``events = 5000000`` or ``file = 1G`` say.

        Raises:
            UsageError: a line of another shape, or a name that is no limit; the text names the origin.
        """
        if not lines:
            return DEFAULT_LIMITS
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
