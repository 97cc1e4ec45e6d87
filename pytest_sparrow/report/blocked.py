"""Why a test's body is not run. Pure."""

from __future__ import annotations

import shlex

__all__ = ["damaged_text", "missing_text", "record_command", "unreadable_text"]


def record_command(nodeid: str) -> str:
    """The command that records one test."""
    return f"pytest --sparrow-record {shlex.quote(nodeid)}"


def missing_text(nodeid: str, folder: str) -> str:
    """There is no golden."""
    return (
        f"no golden for this test: nothing to replay\n  golden  {folder}\n  record  {record_command(nodeid)}"
    )


def damaged_text(error: str, folder: str) -> str:
    """The golden is not what was written. Damaged is never missing: nothing is recorded over it."""
    return (
        f"the golden of this test is damaged, and nothing is recorded over it\n  {error}\n  golden  {folder}"
    )


def unreadable_text(error: str, folder: str) -> str:
    """The golden may be there or not: the disk refuses, or a link leads out of its folder."""
    return f"the golden of this test can't be read\n  golden  {folder}\n  {error}"
