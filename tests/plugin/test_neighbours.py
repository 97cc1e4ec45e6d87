"""What else works within a test, and is no part of the agent: frozen clocks, and clients that report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edges.world import serving
from inner_runs import pytest_in

if TYPE_CHECKING:
    from pathlib import Path

INNER = """
import datetime
import os
import sys

import freezegun
import httpx2
import requests

URL = os.environ["URL"]
EXPORTER = {"user-agent": "OTel-OTLP-Exporter-Python/1.40.0"}


def frozen():
    others = {name.partition(".")[0] for name in sys.modules} - {"pytest_sparrow"}
    return freezegun.freeze_time("2024-02-29", ignore=sorted(others - {"test_inner"}))


def ask():
    return httpx2.post(f"{URL}/x", json={"today": str(datetime.date.today())}).status_code


def test_freezes_first(sparrow):
    with frozen():
        ask()
    ask()


def test_freezes_between(sparrow):
    ask()
    with frozen():
        ask()
    ask()


def test_reports(sparrow):
    ask()
    for _ in range(int(os.environ.get("BATCHES", "3"))):
        requests.post(f"{URL}/v1/traces", data=os.urandom(9), headers=EXPORTER)
        httpx2.post(f"{URL}/runs/batch", content=os.urandom(9), headers={"user-agent": "langsmith-py/0.4-httpx"})
    ask()
"""


def test_neighbours_are_in_no_golden(tmp_path: Path) -> None:
    """A frozen clock reaches no time of a golden, and what clients report is neither recorded nor compared."""
    (tmp_path / "test_inner.py").write_text(INNER)
    with serving() as url:
        code, output = pytest_in(tmp_path, "--sparrow-record", URL=url)
    assert (code, "3 recorded" in output) == (0, True), output
    for golden in (tmp_path / "__sparrow__/test_inner").iterdir():
        lines = (golden / "exchanges.jsonl").read_text().splitlines()
        exchanges = [exchange for exchange in map(json.loads, lines) if "asked" in exchange]
        assert all(0 <= exchange["began"] <= exchange["ended"] < 600 for exchange in exchanges)
        assert "2024" not in json.loads((golden / "inputs.json").read_text())["timestamp"]
        assert not any("/v1/traces" in line or "/runs/batch" in line for line in lines)
    code, output = pytest_in(tmp_path, "--sparrow-replay", URL="http://127.0.0.1:9", BATCHES="5")
    assert (code, "3 replayed equal" in output) == (0, True), output


OUTSIDE = """
import os, httpx2, pytest

URL = os.environ["URL"]

@pytest.fixture
def warm():
    httpx2.post(f"{URL}/warm", json={}).raise_for_status()

@pytest.fixture(scope="session")
def signed_on():
    httpx2.post(f"{URL}/sign-on", json={}).raise_for_status()

@pytest.fixture
def cool():
    yield
    httpx2.post(f"{URL}/cool", json={}).raise_for_status()

def test_setup(warm, sparrow): sparrow.call("f", int)
def test_teardown(cool, sparrow): sparrow.call("f", int)
def test_session(signed_on, sparrow): sparrow.call("f", int)
def test_session_again(signed_on, sparrow): sparrow.call("f", int)
"""


def test_a_status_418_is_never_all_that_is_said(tmp_path: Path) -> None:
    """What was refused stands in place of the client's own error, also for each test of a session's fixture.

    A recording names it, too.
    """
    (tmp_path / "test_inner.py").write_text(OUTSIDE)
    with serving() as url:
        code, output = pytest_in(tmp_path, "--sparrow-record", URL=url)
    assert (code, output.count("asked for by the fixture")) == (0, 3), output
    _, output = pytest_in(tmp_path, "--sparrow-replay", URL="http://127.0.0.1:9")
    assert "/warm: the fixture 'warm' of test_inner.py::test_setup reaches out" in output, output
    assert "/cool: the fixture 'cool' of test_inner.py::test_teardown reaches out" in output, output
    assert (
        output.count("/sign-on: the fixture 'signed_on' of test_inner.py::test_session reaches out") == 2
    ), output
    assert output.count("so it failed: HTTPStatusError: Client error '418") == 4, output
    assert "raise_for_status()" not in output, output
