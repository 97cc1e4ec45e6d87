"""Renders the remarks of a session, and what came of several live runs of a test."""

from __future__ import annotations

import shlex
from os.path import commonpath
from typing import TYPE_CHECKING

from pytest_sparrow.findings import Finding, Kind
from pytest_sparrow.report.ways import SAMPLED, command
from pytest_sparrow.report.words import title
from pytest_sparrow.text import bounded, counted, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST_REMARKS = 20
"""The most lines that the remarks of a session may have."""


def render_sampled(sampled: Finding) -> str:
    """What came of several live runs of a test, and what to do with them."""
    of = sampled.detail
    low, high = of["interval"]
    sample = shlex.quote(str(of["sample"]))
    lines = [
        title(sampled),
        f"  test    {one_line(of['test'])}",
        f"  rate    between {low:.1%} and {high:.1%} (Wilson's interval of 95 %)",
        f"  runs    {of['runs']}  (+ passed, - failed, c answered from a cache)",
        *([f"  cached  {one_line(of['cached'])} Such a run does not count"] if of["cached"] else []),
        f"  show    pytest-sparrow show {sample}",
        f"  diff    pytest-sparrow diff {shlex.quote(of['golden'])} {sample} --level {of['level']}",
        f"  replay  {command('sample=' + str(of['number']), of['test'])}",
    ]
    if of["verdict"] == "INCONCLUSIVE":
        runs = of["planned"] + (of["more"] if of["counted"] == of["planned"] else 0)
        lines.append(f"  more    {command(f'{SAMPLED}{runs}', of['test'])}")
    return "\n".join(lines)


def summary_lines(remarks: Iterable[tuple[str, Finding]]) -> list[str]:
    """The lines for the remarks of a session: one line for all equal remarks, and one for recordings not kept.

    Args:
        remarks: the test's node id (the folder, of a golden that no test uses), and the remark; in the order in which
            they came.
    """
    tests: dict[str, dict[str, None]] = {}
    not_kept: list[tuple[str, Finding]] = []
    unused: list[str] = []
    for nodeid, remark in remarks:
        if remark.kind is Kind.UNUSED:
            unused.append(nodeid)
        elif remark.kind is Kind.NOT_KEPT and not remark.case:
            not_kept.append((nodeid, remark))
        else:
            tests.setdefault(title(remark), {})[nodeid] = None
    lines = [f"{_named(list(nodeids))}: {one_line(remark)}" for remark, nodeids in tests.items()]
    if len(lines) > MOST_REMARKS:
        shown = MOST_REMARKS - 1
        left_out = {nodeid for nodeids in list(tests.values())[shown:] for nodeid in nodeids}
        more = counted(len(lines) - shown, "more remark")
        lines = [*lines[:shown], f"… and {more} of {counted(len(left_out), 'test')}"]
    return lines + _not_kept(not_kept) + _unused(unused)


def _not_kept(remarks: Sequence[tuple[str, Finding]]) -> list[str]:
    """The recordings that were not kept, in one line: the folder of the one, or the folder that holds several."""
    if len(remarks) < 2:
        return [f"{_named([nodeid])}: {one_line(title(remark))}" for nodeid, remark in remarks]
    tests = list(dict.fromkeys(nodeid for nodeid, _ in remarks))
    below = _common([remark.detail["folder"] for _, remark in remarks])
    return [
        f"{_named(tests)}: not recorded, since they did not pass; left unfinished below {one_line(below)}"
    ]


def _unused(goldens: Sequence[str]) -> list[str]:
    """The goldens that no test uses, each by its folder, and what becomes of them."""
    if not goldens:
        return []
    head = f"no test uses {counted(len(goldens), 'golden')}: `pytest-sparrow prune` removes what is left of a deleted "
    head += "test, `pytest-sparrow mv OLD NEW` keeps the golden of a renamed one"
    return [head, *bounded([f"  {one_line(golden)}" for golden in goldens], MOST_REMARKS)]


def _common(folders: Sequence[str]) -> str:
    try:
        return commonpath(folders)
    except ValueError:  # on several drives
        return folders[0]


def _named(nodeids: list[str]) -> str:
    first = one_line(nodeids[0])
    return first if len(nodeids) == 1 else f"{first} and {counted(len(nodeids) - 1, 'more test')}"
