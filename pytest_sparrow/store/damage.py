"""What is wrong with a file of a transcript, in words that name the line and the way out."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pytest_sparrow.errors import DamagedTranscript

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_sparrow.events.jsontext import BrokenJson

__all__ = [
    "changed_file",
    "conflict",
    "line_damage",
    "missing_file",
    "object_damage",
    "torn_line",
    "wrong_count",
]

_RESTORE = "restore the file from version control, or delete the whole folder and record the test again"
_NEWLINES = (
    "git or an editor converted it: put `* -text` in a .gitattributes beside the goldens, "
    "then check the file out again"
)
_MARKERS = (b"<<<<<<< ", b"||||||| ", b">>>>>>> ")


def conflict(path: Path, data: bytes) -> DamagedTranscript | None:
    """The first merge conflict marker in a file, if there is one."""
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.startswith(_MARKERS) or line.rstrip(b"\r") == b"=======":
            return DamagedTranscript(
                str(path),
                number,
                "holds a merge conflict marker",
                "settle the conflict by taking one side whole, or delete the whole folder and record the test again",
            )
    return None


def line_damage(path: Path, number: int, line: bytes, error: BrokenJson) -> DamagedTranscript:
    """A line that is no JSON."""
    return conflict(path, b"\n" * (number - 1) + line) or DamagedTranscript(
        str(path), number, f"the line is no JSON: {error}", _RESTORE
    )


def torn_line(path: Path, number: int) -> DamagedTranscript:
    """A last line without its newline."""
    return DamagedTranscript(
        str(path), number, "the last line is torn: no newline ends it, so more may be missing", _RESTORE
    )


def object_damage(path: Path, data: bytes, reason: str, column: int | None = None) -> DamagedTranscript:
    """A file of one object that is no JSON, or of the wrong shape; the column counts from its start."""
    line = None
    if column is not None:
        line = data.decode("utf-8", "replace")[: column - 1].count("\n") + 1
    return conflict(path, data) or DamagedTranscript(str(path), line, reason, _RESTORE)


def missing_file(path: Path) -> DamagedTranscript:
    """A file that should be there."""
    return DamagedTranscript(str(path), None, "the file is missing", _RESTORE)


def wrong_count(path: Path, found: int, told: int, what: str) -> DamagedTranscript:
    """More or fewer lines than meta.json says."""
    reason = f"holds {found} {what}, and meta.json says {told}"
    return DamagedTranscript(str(path), max(found, 1), reason, _RESTORE)


def changed_file(path: Path, data: bytes, told: str) -> DamagedTranscript | None:
    """A file whose SHA-256 is another than the recorded one; newlines alone are named as such."""
    if hashlib.sha256(data).hexdigest() == told:
        return None
    if by_newline := conflict(path, data):
        return by_newline
    unix = data.replace(b"\r\n", b"\n")
    if hashlib.sha256(unix).hexdigest() == told:
        line = data[: data.index(b"\r\n")].count(b"\n") + 1
        return DamagedTranscript(
            str(path), line, "only its newlines were changed: \\n became \\r\\n", _NEWLINES
        )
    if hashlib.sha256(unix.rstrip(b"\n") + b"\n").hexdigest() == told:
        line = unix.count(b"\n") or 1
        return DamagedTranscript(str(path), line, "only the newlines at its end were changed", _NEWLINES)
    return DamagedTranscript(
        str(path),
        None,
        "was changed after it was recorded: its SHA-256 is not the one in meta.json",
        _RESTORE,
    )
