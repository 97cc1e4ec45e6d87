"""Turns names into folder names that are safe on every file system.

It imports the standard library only, since the plugin needs names before a run is opened.
"""

from __future__ import annotations

import hashlib
import re

from pytest_sparrow.errors import UnsafeName

__all__ = ["MAX_RUN_ID", "check_run_id", "safe_name"]

MAX_RUN_ID = 200
"""Bytes of a run id: file systems stop at 255, and the store adds a few of its own."""

_MAX_SLUG = 80
_OTHERS = re.compile(r"[^a-z0-9_.-]+")
_LIKE_OURS = re.compile(r"--[0-9a-f]{8}\Z")
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file: reserved with any extension too.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\Z)")


def safe_name(exact: str) -> str:
    """A folder name for a test or a module: the name itself where it is safe, else a slug and a digest.

    The slug is lower-case ASCII, at most 80 bytes; ``--`` and 8 hex digits of the exact name's SHA-256 follow
    whenever the slug is not the exact name, or would not be safe alone. So names that differ only in case, or
    in what a file system folds, stay apart.

    >>> safe_name("test_refund")
    'test_refund'
    >>> safe_name("test_refund[40.0-EUR]")
    'test_refund-40.0-eur--a8ad8524'
    """
    slug = _OTHERS.sub("-", exact.lower())[:_MAX_SLUG].strip("-.")
    reserved = _RESERVED.match(slug)
    if slug and slug == exact and not reserved and not _LIKE_OURS.search(slug):
        return slug
    if reserved:
        # "con.x--…" would still be the console: the part before the first dot decides.
        slug = slug.replace(".", "-")
    return f"{slug or 'unnamed'}--{hashlib.sha256(exact.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def check_run_id(run_id: str) -> str:
    """The run id, if it can be a folder's name and nothing else.

    Raises:
        UnsafeName: it is empty, a path, hidden, too long, or would be another name on some system.
    """
    fault = _fault(run_id)
    if fault:
        raise UnsafeName(f"the run id {run_id!r} {fault}; a run id is the name of a folder in the store")
    return run_id


def _fault(run_id: str) -> str:
    if not run_id:
        return "is empty"
    for sign in run_id:
        if sign in "/\\:":
            return f"holds {sign!r}, as a path does"
        if sign < " " or sign == "\x7f" or "\ud800" <= sign <= "\udfff":
            return f"holds the control character {sign!r}"
    if run_id.startswith("."):
        return "begins with a dot"
    if run_id.endswith((".", " ")):
        return "ends with a dot or a space, which Windows drops"
    if len(run_id.encode()) > MAX_RUN_ID:
        return f"is longer than {MAX_RUN_ID} bytes"
    return ""
