"""What a test session pays: for the plugin, for the first test that uses it, and for each further one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rows import Row
from timing import in_turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from timing import Series

__all__ = ["TITLE", "rows"]

TITLE = "Sessions: CPU of whole pytest processes, with no other plugin"

_ROUNDS = 5
_TESTS = 100
_AIM = 1.02

_TEST = """
import json

import httpx2
import pytest

class World(httpx2.BaseTransport):
    def handle_request(self, request):
        said = json.loads(request.content)["messages"][-1]["content"]
        message = {{"role": "assistant", "content": f"You asked: {{said}}"}}
        return httpx2.Response(200, json={{"choices": [{{"message": message}}], "model": "m"}})

client = httpx2.Client(transport={transport})

def ask(n):
    for k in range(3):
        messages = [{{"role": "user", "content": f"Question {{n}}, {{k}}"}}]
        client.post("https://api.example.com/v1/chat/completions", json={{"model": "m", "messages": messages}})

def add(a: int, b: int) -> int:
    return a + b

@pytest.mark.parametrize("n", range({count}))
def test_add({fixture}n):
    {body}
"""

_MOCK = "httpx2.MockTransport(World().handle_request)"
_PLAIN, _CALLS = "assert add(n, 2) == n + 2", "ask(n)"
_KINDS = {
    "bare": ("", _PLAIN, _MOCK),
    "used": ("sparrow, ", f"sparrow.tool(add); {_PLAIN}", _MOCK),
    "bare_calls": ("", _CALLS, _MOCK),
    "calls": ("sparrow, ", _CALLS, "World()"),
    "idle": ("", _PLAIN, _MOCK),
}
"""Fixture, body and transport of each kind of test; idle tests get the fixture from an autouse one."""
_AUTOUSE = "\n@pytest.fixture(autouse=True)\ndef used(sparrow):\n    pass\n"
_FURTHER = (
    ("each further replayed test of a tool, on top of its body", "used", "bare", None),
    ("each further replayed test of three calls, on top of its body", "calls", "bare_calls", 2.0),
    ("one more test that uses the fixture and crosses nothing", "idle", "bare", 0.7),
)


def rows() -> list[Row]:
    """The section's rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in _KINDS:
            for count in (1, _TESTS):
                _write(folder, kind, count)
        _pytest(folder, "-p", "pytest_sparrow.plugin", "--sparrow-record")
        loaded = ("-p", "pytest_sparrow.plugin")
        sessions: dict[str, tuple[str, ...]] = {
            f"{kind} {count}": (*(() if kind.startswith("bare") else loaded), f"test_{kind}_{count}.py")
            for kind in _KINDS
            for count in (1, _TESTS)
        }
        sessions |= {f"unused {count}": (*loaded, f"test_bare_{count}.py") for count in (1, _TESTS)}
        taken = in_turns(
            {name: partial(_cpu, partial(_pytest, folder, *words)) for name, words in sessions.items()},
            rounds=_ROUNDS,
        )
    bare = taken["bare 1"]
    found = [_unused(taken, count) for count in (1, _TESTS)]
    one = taken["used 1"]
    peer = f"bare {bare.median * 1e3:,.0f} ms"
    found.append(
        Row(what="one replayed test", ours=one.median * 1e3, unit="ms", peer=peer, ratio=one.over(bare))
    )
    for what, kind, body, aim in _FURTHER:
        beyond = taken[f"{kind} {_TESTS}"].beyond(taken[f"{kind} 1"])
        further = (beyond - taken[f"{body} {_TESTS}"].beyond(taken[f"{body} 1"])) / (_TESTS - 1) * 1e3
        limit = {} if aim is None else {"aim": f"≤ {aim} ms", "met": further <= aim}
        found.append(Row(what=what, ours=further, unit="ms", **limit))
    return found


def _unused(taken: dict[str, Series], count: int) -> Row:
    bare, unused = taken[f"bare {count}"], taken[f"unused {count}"]
    ratio = unused.over(bare)
    return Row(
        what=f"{count} test{'s' if count > 1 else ''}, the plugin loaded and unused",
        ours=unused.median * 1e3,
        unit="ms",
        peer=f"bare {bare.median * 1e3:,.0f} ms",
        ratio=ratio,
        aim=f"≤ {_AIM} ×",
        met=ratio <= _AIM,
    )


def _cpu(work: Callable[[], object]) -> float:
    """Seconds of CPU that child processes take: on a busy machine, too."""
    before = os.times()
    work()
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def _write(folder: Path, kind: str, count: int) -> None:
    fixture, body, transport = _KINDS[kind]
    text = _TEST.format(count=count, fixture=fixture, body=body, transport=transport)
    text += _AUTOUSE if kind == "idle" else ""
    (folder / f"test_{kind}_{count}.py").write_text(text, encoding="utf-8")


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
