"""Says in words how findings can be settled, and which source of chance would explain one."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from pytest_sparrow.findings import Finding, Way, WayKind
from pytest_sparrow.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.findings import Circumstances

__all__ = ["likely", "record_command", "way_out"]

_NAME_WIDTH = 60
_MOST_PATHS = 3


def record_command(nodeid: str) -> str:
    """The command that records one test."""
    return f"pytest --sparrow-record {shlex.quote(nodeid)}"


def way_out(way: Way) -> tuple[str, str]:
    """A way out: the word that stands before it, and what to do."""
    word, say = _WAYS[way.kind]
    return word, say(*way.values)


def _ignore(*paths: str) -> str:
    quoted = ", ".join(one_line(_quoted(path)) for path in paths[:_MOST_PATHS])
    return f"@pytest.mark.sparrow(ignore=[{quoted}])"


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text and '"' not in text else repr(text)


_WAYS: dict[WayKind, tuple[str, Callable[..., str]]] = {
    WayKind.RECORD: ("record", record_command),
    WayKind.ACCEPT: ("accept", lambda nodeid: one_line(record_command(nodeid))),
    WayKind.ACCEPT_OTHER: (
        "accept",
        lambda nodeid: f"{one_line(record_command(nodeid))}  # whose golden this is",
    ),
    WayKind.OWN_GOLDEN: ("own", lambda: "without golden= this test can record one of its own"),
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
            f"sparrow.tool({one_line(name, _NAME_WIDTH)}): recorded through its wrapper, it ran without"
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


def likely(finding: Finding, circumstances: Circumstances) -> str:
    """The source of chance that would explain a finding, as a guess; "" where none would."""
    match finding.chance:
        case "uuid":
            return _uuid(circumstances)
        case "order":
            return _other_order(circumstances)
    return _CHANCES.get(finding.chance, "")


_CHANCES = {
    "time": "a time that the replay's clock does not control (of a file, a database, C code), or the turn of a second?",
    "random": "drawn at random where no seed reached: by secrets or os.urandom, by a random.Random() without a seed, "
    "in a fixture, or by threads side by side?",
    "race": "the same values, dealt out otherwise: by threads or tasks side by side, which draw in any order?",
}


def _uuid(circumstances: Circumstances) -> str:
    if circumstances.own_ids:
        drawn = f"{' and '.join(circumstances.own_ids)}, loaded here, which no seed reaches"
        return f"a uuid that no seed reached: drawn by {drawn}? sparrow.call records one"
    return "a uuid that no seed reached: drawn in a fixture, by threads side by side, or by C code?"


def _other_order(circumstances: Circumstances) -> str:
    start = "the same in another order: "
    match circumstances.hash_seeds:
        case None:
            return f"{start}of a set, which PYTHONHASHSEED decides, or of threads side by side?"
        case (then, now) if "random" in (then, now):
            return f"{start}of a set, which is another in each process unless PYTHONHASHSEED is set? sort it"
        case (then, now) if then != now:
            return f"{start}of a set? PYTHONHASHSEED was {then} when this was recorded, and is {now} here"
        case _:
            return f"{start}of threads or tasks side by side? (no set's: PYTHONHASHSEED is the recorded one)"
