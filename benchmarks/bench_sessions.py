"""What a test session pays: for the plugin, for the first test that uses it, and for each further one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from rows import Row
from timing import in_turns, seconds

__all__ = ["TITLE", "rows"]

TITLE = "Sessions: whole pytest processes, with no other plugin"

_ROUNDS = 7
_TESTS = 100
_AIM = 1.05

_TEST = """
import pytest

def add(a: int, b: int) -> int:
    return a + b

@pytest.mark.parametrize("n", range({count}))
def test_add({fixture}n):
    {wrapped}
    assert add(n, 2) == n + 2
"""


def rows() -> list[Row]:
    """The section's rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in (1, _TESTS):
            _write(folder, f"test_bare_{count}.py", count, fixture="", wrapped="")
            _write(folder, f"test_used_{count}.py", count, fixture="sparrow, ", wrapped="sparrow.tool(add)")
        _pytest(folder, "-p", "pytest_sparrow.plugin", "--sparrow-record", *folder.glob("test_used_*.py"))
        loaded = ("-p", "pytest_sparrow.plugin")
        sessions: dict[str, tuple[str, ...]] = {
            "bare": ("test_bare_1.py",),
            "unused": (*loaded, "test_bare_1.py"),
            "one": (*loaded, "test_used_1.py"),
            "many bare": (*loaded, f"test_bare_{_TESTS}.py"),
            "many": (*loaded, f"test_used_{_TESTS}.py"),
        }
        taken = in_turns(
            {name: partial(seconds, partial(_pytest, folder, *words)) for name, words in sessions.items()},
            rounds=_ROUNDS,
        )
    bare, unused, one = taken["bare"], taken["unused"], taken["one"]
    peer = f"bare {bare.median * 1e3:,.0f} ms"
    ratio = unused.over(bare)
    further = (taken["many"].beyond(taken["many bare"]) - one.beyond(unused)) / (_TESTS - 1)
    return [
        Row(
            what="one test, the plugin loaded and unused",
            ours=unused.median * 1e3,
            unit="ms",
            peer=peer,
            ratio=ratio,
            aim=f"≤ {_AIM} ×",
            met=ratio <= _AIM,
        ),
        Row(what="one replayed test", ours=one.median * 1e3, unit="ms", peer=peer, ratio=one.over(bare)),
        Row(what="each further replayed test, on top of its body", ours=further * 1e3, unit="ms"),
    ]


def _write(folder: Path, name: str, count: int, *, fixture: str, wrapped: str) -> None:
    (folder / name).write_text(_TEST.format(count=count, fixture=fixture, wrapped=wrapped), encoding="utf-8")


def _pytest(folder: Path, *words: str | Path) -> None:
    left_out = {"CI", "PYTEST_ADDOPTS", "SPARROW_MODE"}
    environ = {name: value for name, value in os.environ.items() if name not in left_out}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words],
        cwd=folder,
        env={**environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError((done.stdout + done.stderr)[-2_000:])
