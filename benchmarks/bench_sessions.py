"""What a test session pays: for the plugin, for the first test that uses it, and for each further one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from loopback import serving
from plugins import BODIES, PLUGINS
from rows import Row
from timing import in_turns, sized

if TYPE_CHECKING:
    from collections.abc import Callable

    from timing import Series

__all__ = ["TITLE", "rows"]

TITLE = "Sessions: CPU of whole pytest processes, with no other plugin"

_ROUNDS = sized(1, 3, 5)
_TESTS = sized(3, 100, 100)
_UNUSED = sized(10, 1_000, 1_000)
_AIM = 1.02
_OVER_PEER = 1.2

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
        _write(folder, "bare", _UNUSED)
        _pytest(folder, "-p", "pytest_sparrow.plugin", "--sparrow-record")
        loaded = ("-p", "pytest_sparrow.plugin")
        sessions: dict[str, tuple[str, ...]] = {
            f"{kind} {count}": (*(() if kind.startswith("bare") else loaded), f"test_{kind}_{count}.py")
            for kind in _KINDS
            for count in (1, _TESTS)
        }
        sessions |= {f"unused {count}": (*loaded, f"test_bare_{count}.py") for count in (1, _UNUSED)}
        sessions[f"bare {_UNUSED}"] = (f"test_bare_{_UNUSED}.py",)
        sessions |= _of_plugins(folder)
        taken = in_turns(
            {name: partial(_cpu, partial(_pytest, folder, *words)) for name, words in sessions.items()},
            rounds=_ROUNDS,
        )
    bare = taken["bare 1"]
    found = [_unused(taken, count) for count in (1, _UNUSED)]
    one = taken["used 1"]
    peer = f"bare {bare.median * 1e3:,.0f} ms"
    found.append(
        Row(what="one replayed test", ours=one.median * 1e3, unit="ms", peer=peer, ratio=one.over(bare))
    )
    for what, kind, body, limit in _FURTHER:
        further = _further(taken, kind, body)
        found.append(Row(what=what, ours=further, unit="ms", limit=limit))
    return found + _beside_plugins(taken)


def _further(taken: dict[str, Series], kind: str, body: str) -> float:
    """Milliseconds that one more test of a kind costs, beyond one more of its body alone."""
    more, alone = (taken[f"{name} {_TESTS}"].beyond(taken[f"{name} 1"]) for name in (kind, body))
    return (more - alone) / (_TESTS - 1) * 1e3


def _of_plugins(folder: Path) -> dict[str, tuple[str, ...]]:
    """The sessions of other plugins, each recorded once, and those of their tests' bodies."""
    installed = {name: each for name, each in PLUGINS.items() if each.is_installed}
    texts = {f"body-{name}": text for name, text in BODIES.items()}
    texts |= {name: each.test for name, each in installed.items()}
    sessions: dict[str, tuple[str, ...]] = {}
    with serving() as url:
        for name, text in texts.items():
            loaded = ("-p", installed[name].module) if name in installed else ()
            for count in (1, _TESTS):
                file = f"test_{name.replace('-', '_')}_{count}.py"
                (folder / file).write_text(text.format(count=count, url=url), encoding="utf-8")
                sessions[f"{name} {count}"] = (*loaded, file)
                if name in installed:
                    _pytest(folder, *loaded, *installed[name].record, file)
    return sessions


def _beside_plugins(taken: dict[str, Series]) -> list[Row]:
    """Our further test beside each plugin's; the aim is that of the cheapest one that replays HTTP."""
    theirs = {
        name: _further(taken, name, f"body-{each.body}")
        for name, each in PLUGINS.items()
        if each.is_installed
    }
    cheapest = min(
        (name for name in theirs if PLUGINS[name].body == "calls"),
        key=lambda name: theirs[name],
        default=None,
    )
    kinds = {
        "calls": ("each further replayed test of three calls", _further(taken, "calls", "bare_calls")),
        "adding": ("one more test that crosses nothing, and a snapshot's", _further(taken, "idle", "bare")),
    }
    found = []
    for name, plugin in PLUGINS.items():
        what, ours = kinds[plugin.body]
        if name not in theirs:
            found.append(Row(what=what, ours=ours, unit="ms", peer=f"{name} is not installed"))
            continue
        ratio = ours / theirs[name]
        most = _OVER_PEER if name == cheapest else None
        peer = f"{name} {theirs[name]:.1f} ms"
        found.append(Row(what=what, ours=ours, unit="ms", peer=peer, ratio=ratio, most=most))
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
        most=_AIM,
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
