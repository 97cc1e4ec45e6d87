"""What else works within a test, and is no part of the agent: frozen clocks, and clients that report."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

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
        assert not json.loads((golden / "inputs.json").read_text())["timestamp"].startswith("2024")
        assert not any("/v1/traces" in line or "/runs/batch" in line for line in lines)
    code, output = pytest_in(tmp_path, "--sparrow-replay", URL="http://127.0.0.1:9", BATCHES="5")
    assert (code, "3 replayed equal" in output) == (0, True), output


OUTSIDE = """
import os, httpx2, pytest

URL = os.environ["URL"]

def ask(path, **body):
    return httpx2.post(f"{URL}/{path}", json=body).raise_for_status().json()["n"]

@pytest.fixture
def store():
    number = ask("stores", by=os.environ.get("BY", "me"))
    yield number
    assert ask("closed", store=number) > number

@pytest.fixture(scope="session")
def signed_on():
    number = ask("sign-on", by=os.environ.get("BY", "me"))
    yield number
    httpx2.delete(f"{URL}/sign-off").raise_for_status().json()

def test_before(store, sparrow): sparrow.call("f", str, store)
def test_after(sparrow, store): ask("within", store=store)
def test_session(signed_on, sparrow): sparrow.call("f", str, signed_on)
def test_session_again(sparrow, signed_on): ask("within", signed_on=signed_on)
"""


def halves(folder: Path) -> list[dict[str, Any]]:
    """The lines of all exchanges of fixtures."""
    files = sorted((folder / "__sparrow__/test_inner").glob("*+fixtures/exchanges.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_what_fixtures_ask_for_is_recorded_beside_the_test(tmp_path: Path) -> None:
    """Setup before `sparrow` and after it, teardown, and fixtures of a session replay; a changed request is refused.

    Each test replays alone, and with one that was recorded apart. What was refused stands in place of the client's own
    error, also for each test of a session's fixture. An older golden, which lacks such requests, is refused likewise.
    """
    (tmp_path / "test_inner.py").write_text(OUTSIDE)
    with serving() as url:
        code, output = pytest_in(tmp_path, "--sparrow-record", URL=url)
        assert (code, "asked for by" in output, "4 recorded" in output) == (0, False, True), output
        code, output = pytest_in(tmp_path, "--sparrow-record", "-k", "again", URL=url)
        assert code == 0, output
    away = "http://127.0.0.1:9"
    for options in ((), ("-k", "again"), ("-k", "session and not again")):
        code, output = pytest_in(tmp_path, "--sparrow-replay", *options, URL=away)
        assert code == 0, output
    code, output = pytest_in(tmp_path, "--sparrow-replay", URL=away, BY="you")
    assert "/stores: the fixture 'store' of test_inner.py::test_before asks for what __sparrow__" in output, (
        output
    )
    assert "/sign-on: the fixture 'signed_on' of test_inner.py::test_session asks for" in output, output
    assert "fixtures does not hold at request.by" in output, output
    assert "accept it offline: pytest --sparrow-update test_inner.py::test_before" in output, output
    # An update accepts it, also for a test for which a fixture of the session was not set up again.
    before = halves(tmp_path)
    assert len(before) == 6  # what one test's own fixture asks stands in no other test's golden
    code, output = pytest_in(tmp_path, "--sparrow-update", URL=away, BY="you")
    assert code == 0, output
    assert "/sign-on differs from the recorded request at request.by (the fixture signed_on)" in output
    assert "sparrow: 4 updated" in output, output
    after = halves(tmp_path)
    assert [each["answered"] for each in after] == [each["answered"] for each in before]
    changed = [new["asked"] for new, old in zip(after, before, strict=True) if new["asked"] != old["asked"]]
    assert [each["body"]["json"] for each in changed] == [{"by": "you"}] * 3
    code, output = pytest_in(tmp_path, "--sparrow-replay", "-k", "again", URL=away, BY="you")
    assert code == 0, output
    code, output = pytest_in(tmp_path, "--sparrow-update", URL=away, BY="you")
    assert "sparrow: 4 up to date" in output, output
    for golden in (tmp_path / "__sparrow__/test_inner").glob("*+fixtures"):
        shutil.rmtree(golden)
    _, output = pytest_in(tmp_path, "--sparrow-replay", URL=away)
    assert "/stores: the fixture 'store' of test_inner.py::test_before reaches out" in output, output
    assert "/closed: the fixture 'store' of test_inner.py::test_after reaches out" in output, output
    assert (
        output.count("/sign-on: the fixture 'signed_on' of test_inner.py::test_session reaches out") == 2
    ), output
    assert output.count("so it failed: HTTPStatusError: Client error '418") == 4, output
    assert "raise_for_status()" not in output, output
