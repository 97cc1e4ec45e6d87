"""A catalogue of edges: changes that must be red, and differences that must stay green, each with its own agent."""

from __future__ import annotations

import re
from pathlib import Path

from full import FULL
from inner_runs import pytest_in

from edges.world import serving

_INNER = """
import os

import aiohttp, httpx, httpx2, pytest, requests, trio, urllib3

from edges.catalogue import GREEN, RED

EVERY = int(os.environ["EVERY"])
URL = os.environ["URL"]


@pytest.mark.parametrize("name", sorted(RED)[::EVERY])
def test_red(sparrow, name):
    RED[name](sparrow, URL)


@pytest.mark.parametrize("name", sorted(GREEN)[::EVERY])
def test_green(sparrow, name):
    GREEN[name](sparrow, URL)
"""
# A step that meets each library and each way to drive it.
_EVERY = 1 if FULL else 29


def test_what_changed_is_red_and_what_did_not_is_green(tmp_path):
    """Each agent is recorded, replayed unchanged (all green), and replayed with its change: exactly these go red."""
    (tmp_path / "test_edges.py").write_text(_INNER)
    tests = str(Path(__file__).parent.parent)
    environ = {"EVERY": str(_EVERY), "PYTHONPATH": tests}
    with serving() as url:
        code, output = pytest_in(tmp_path, "--sparrow-record", URL=url, **environ)
    assert code == 0, output
    shut = {"URL": "http://127.0.0.1:9", **environ}
    _, output = pytest_in(tmp_path, "--sparrow-replay", "-rA", "--tb=no", **shut)
    assert _named("FAILED", output) == [], output
    _, output = pytest_in(tmp_path, "--sparrow-replay", "-rA", "--tb=short", CHANGED="1", **shut)
    assert _named("FAILED", output, "green") == [], output
    assert _named("PASSED", output, "red") == [], output
    assert len(_named("FAILED", output, "red")) > 10


def _named(outcome: str, output: str, kind: str = "") -> list[str]:
    return re.findall(rf"^{outcome} test_edges\.py::test_{kind}\S*?\[(.*?)\]", output, re.MULTILINE)
