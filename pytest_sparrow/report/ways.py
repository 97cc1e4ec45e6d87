"""Renders what settles a finding: a word, and a command or a line to paste."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from pytest_sparrow.findings import Way, WayKind
from pytest_sparrow.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_NAME_WIDTH = 60


def way_lines(ways: Iterable[Way]) -> list[str]:
    """A line for each way out: its word, and what to do."""
    return [f"  {word:<6}  {what}" for word, what in map(way_out, ways)]


def record_command(nodeid: str) -> str:
    """The command that records one test."""
    return command("record", nodeid)


def command(mode: str, nodeid: str) -> str:
    """The command that runs one test in a mode."""
    return f"pytest --sparrow-{mode} {shlex.quote(nodeid)}"


def way_out(way: Way) -> tuple[str, str]:
    """A way out: the word that stands before it, and what to do."""
    word, say = _WAYS[way.kind]
    return word, say(*way.values)


def _ignore(*paths: str) -> str:
    quoted = ", ".join(one_line(_quoted(path)) for path in paths)
    return f"@pytest.mark.sparrow(ignore=[{quoted}])"


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text and '"' not in text else repr(text)


REVIEW = "pytest-sparrow review"

SAMPLED = "mode=verify --sparrow-runs="

_WAYS: dict[WayKind, tuple[str, Callable[..., str]]] = {
    WayKind.RECORD: ("record", record_command),
    WayKind.ACCEPT: ("accept", lambda nodeid: one_line(command("update", nodeid))),
    WayKind.REVIEW: (
        "review",
        lambda change: f"{REVIEW}  # or all that changed alike: pytest-sparrow accept --like {change}",
    ),
    WayKind.EXTEND: ("extend", lambda nodeid: one_line(f"{command('mode=extend', nodeid)}")),
    WayKind.RECORD_AGAIN: ("record", lambda nodeid: one_line(record_command(nodeid))),
    WayKind.MEND: (
        "mend",
        lambda nodeid: (
            f"what the test fails by itself, or let new answers make it pass: {one_line(record_command(nodeid))}"
        ),
    ),
    WayKind.SAMPLE: (
        "sample",
        lambda nodeid: f"{one_line(command(f'{SAMPLED}10', nodeid))}  # does it always?",
    ),
    WayKind.ACCEPT_OTHER: (
        "accept",
        lambda nodeid: f"{one_line(record_command(nodeid))}  # the test that this golden belongs to",
    ),
    WayKind.OWN_GOLDEN: ("own", lambda: "remove golden=, and this test can record a golden of its own"),
    WayKind.EDIT_SCRIPT: ("accept", lambda: "change the script"),
    WayKind.EDIT_GOLDEN: ("accept", lambda folder: f"change {one_line(folder)}, which no test records"),
    WayKind.IGNORE: ("ignore", _ignore),
    WayKind.BEHAVIOUR_ONLY: (
        "script",
        lambda: '@pytest.mark.sparrow(requests="report")  # judge behaviour only',
    ),
    WayKind.WRAP: (
        "wrap",
        lambda name: (
            f"sparrow.tool({one_line(name, _NAME_WIDTH)}): the recorded call went through the wrapper, this one did not"
        ),
    ),
    WayKind.WRAP_ANY: (
        "wrap",
        lambda: "sparrow.tool(…), sparrow.tools(…) or ini sparrow_tools; or allow it: unwrapped = warn",
    ),
    WayKind.NEED_NOT_RECOVER: (
        "allow",
        lambda: "leave out recovers=True: after the fault only the test's own asserts judge",
    ),
    WayKind.FORK_LIVE: ("live", lambda: "sparrow.fork(…, live=True): from there on the world answers"),
    WayKind.SCRIPT_AFTER: (
        "then",
        lambda: "sparrow.inject(…, then=[…]): what the model says after the fault, written by hand",
    ),
    WayKind.EDIT_SCRIPT_AFTER: (
        "then",
        lambda: "change then=[…]: all that the model is asked after the fault, and no more",
    ),
}
"""The word before a way out, and what says it, given the way's values."""
