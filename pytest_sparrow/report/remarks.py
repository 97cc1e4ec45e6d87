"""What is worth a line in the summary and no failure: each once, whoever says it, and not too many. Pure."""

from __future__ import annotations

from os.path import commonpath
from typing import TYPE_CHECKING

from pytest_sparrow.text import counted, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["MOST_LINES", "aside_lines", "remark_lines"]

MOST_LINES = 20
"""The most lines that remarks may have."""


def remark_lines(remarks: Iterable[tuple[str, str]]) -> list[str]:
    """One line for all equal remarks: the first test that makes it, how many more do, and what it says.

    Args:
        remarks: the test's node id, and the remark; in the order in which they came.
    """
    tests: dict[str, dict[str, None]] = {}
    for nodeid, remark in remarks:
        tests.setdefault(remark, {})[nodeid] = None
    lines = [f"{_named(list(nodeids))}: {one_line(remark)}" for remark, nodeids in tests.items()]
    if len(lines) <= MOST_LINES:
        return lines
    shown = MOST_LINES - 1
    left_out = {nodeid for nodeids in list(tests.values())[shown:] for nodeid in nodeids}
    more = counted(len(lines) - shown, "more remark")
    return [*lines[:shown], f"… and {more} of {counted(len(left_out), 'test')}"]


def aside_lines(aside: Sequence[tuple[str, str]]) -> list[str]:
    """The recordings that were not kept, in a line: of one the folder it was put aside in, of several what holds these.

    Args:
        aside: the test's node id, and the folder.
    """
    if not aside:
        return []
    (nodeid, folder), *others = aside
    if not others:
        return [
            f"{_named([nodeid])}: not recorded, since the test did not pass; put aside in {one_line(folder)}"
        ]
    tests = list(dict.fromkeys(nodeid for nodeid, _ in aside))
    below = _common([folder for _, folder in aside])
    return [f"{_named(tests)}: not recorded, since they did not pass; put aside below {one_line(below)}"]


def _common(folders: Sequence[str]) -> str:
    try:
        return commonpath(folders)
    except ValueError:  # on several drives
        return folders[0]


def _named(nodeids: list[str]) -> str:
    first = one_line(nodeids[0])
    return first if len(nodeids) == 1 else f"{first} and {counted(len(nodeids) - 1, 'more test')}"
