"""Sessions of MCP over stdio and in memory: recorded with real servers, replayed without; by the real client."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_sparrow.testing.loopback import loopback

AGENTS = Path(__file__).parent / "agents"


@pytest.fixture
def recorded(inner):
    """A folder of clients, recorded once."""

    def record():
        for name, source in {
            "test_it": "mcp_clients",
            "mcp_servers": "mcp_servers",
            "mcp_bare": "mcp_bare",
        }.items():
            inner.write(f"{name}.py", (AGENTS / f"{source}.py").read_text("utf-8"))
        with loopback(say=lambda call: call.answer(b"{}", content_type="application/json")) as model:
            inner.env(MODEL=f"{model.url}/say")
            inner.record().assert_outcomes(passed=5)

    places = {"RAN": str(inner.path / "ran"), "ORDER": str(inner.path / "order")}
    inner.env(**places)
    inner.once(record)
    inner.env(**places, MODEL="http://127.0.0.1:9/say")
    return inner


def ran(inner):
    return (inner.path / "ran").read_text("utf-8").split()


def test_no_server_answers_in_a_replay(recorded):
    """No program is started, no body runs; order, progress, notifications, questions, timeouts, deaths come again."""
    before = ran(recorded)
    assert before.count("started") == 1
    assert before.count("refund") == 3
    recorded.replay().assert_outcomes(passed=5)
    assert ran(recorded) == before
    order = (recorded.path / "order").read_text("utf-8").splitlines()
    assert order[3:] == order[:3]


def test_calls_are_events(recorded):
    """With their arguments and outputs, as over HTTP."""
    for golden in ("test_stdio", "test_memory-auto--*", "test_memory-legacy--*"):
        (folder,) = (recorded.path / "__sparrow__" / "test_it").glob(golden)
        events = [json.loads(line) for line in (folder / "events.jsonl").read_text("utf-8").splitlines()]
        calls = [event["name"] for event in events if event["type"] == "ToolUseStarted"]
        assert calls[:6] == ["refund", "broken", "steps", "slow", "slow", "slow"]
        outputs = [event for event in events if event["type"] == "ToolOutput"]
        assert [event["is_error"] for event in outputs[:2]] == [False, True]
        assert json.loads((folder / "inputs.json").read_text("utf-8"))["config_snapshot"]["frameworks"]["mcp"]


@pytest.mark.parametrize(
    ("change", "tests", "said"),
    [
        ({"MORE": "100"}, 3, "ToolUseProposed[refund].args['amount']"),
        ({"UNSURE": "1"}, 2, "request.result.content.sure"),
        ({"ARGS": "--dry"}, 1, "request.args[]"),
    ],
    ids=["argument", "answer", "start"],
)
def test_a_changed_client_is_red(recorded, change, tests, said):
    """Another argument, another answer to the server's question, another way to start the server."""
    recorded.env(**change)
    outcome = recorded.replay("-k", "stdio or memory")
    outcome.assert_outcomes(failed=tests, passed=3 - tests)
    assert said in outcome.stdout.str()


def test_a_tool_in_memory_that_changed(recorded):
    """Its code does not run, and a change of it is named; the setting fails the test, and a policy runs the tool."""
    servers = (recorded.path / "mcp_servers.py").read_text("utf-8")
    recorded.write("mcp_servers.py", servers.replace('"refunded": amount', '"refunded": round(amount)'))
    named = "refund's code changed since it was recorded; it did not run: policy verify runs it"
    before, memory = ran(recorded), ("-k", "memory")
    outcome = recorded.replay(*memory)
    outcome.assert_outcomes(passed=2)
    outcome.stdout.fnmatch_lines([f"*and 1 more test: {named}"])
    recorded.replay(*memory, "-o", "sparrow_changed_code=fail").assert_outcomes(failed=2)
    assert ran(recorded) == before
    for policy in ("verify", "run"):
        outcome = recorded.replay(*memory, "-o", f"sparrow_policy=refund = {policy}")
        outcome.assert_outcomes(failed=2)
        assert ("assert '39.5'" in outcome.stdout.str()) == (policy == "run")
        assert "ToolOutput[refund]" in outcome.stdout.str()
    assert ran(recorded) == before + ["refund"] * 4
    recorded.write("mcp_servers.py", servers)
    recorded.replay(*memory, "-o", "sparrow_policy=* = verify").assert_outcomes(passed=2)


def test_a_server_in_memory_is_the_agents_own(recorded):
    """What it offers is asked for in a replay, too, and nothing of that stands in the golden."""
    (folder,) = (recorded.path / "__sparrow__" / "test_it").glob("test_memory-legacy--*")
    exchanges = (folder / "exchanges.jsonl").read_text("utf-8")
    assert "tools/call" in exchanges
    assert "resources/read" in exchanges
    for method in ('"initialize"', '"tools/list"', '"prompts/get"'):
        assert method not in exchanges


def test_switched_off(recorded):
    """With ``frameworks = off`` a session over stdio is nothing that crosses."""
    recorded.write("test_off.py", (AGENTS / "mcp_clients.py").read_text("utf-8"))
    recorded.write("pytest.ini", "[pytest]\nsparrow_frameworks = off\n")
    outcome = recorded.record("test_off.py", "-k", "unasked")
    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines(["nothing crossed a boundary*"])
