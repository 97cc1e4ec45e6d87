"""The same behaviours for every framework: an untouched agent is recorded, and replayed without running a tool.

A framework is one file of agent functions in ``agents/``; a behaviour that the framework lacks is None there.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from boundaries.http.loopback import loopback

from .provider import PLANS, chat, gemini

AGENTS = Path(__file__).parent / "agents"

FRAMEWORKS = {
    "pydantic_ai": "pydantic_ai",
    "langchain": "langchain",
    "openai_agents": "agents",
    "agent_framework": "agent_framework",
    "agno": "agno",
    "crewai": "crewai",
    "google_adk": "google.adk",
    "llama_index": "llama_index.core",
    "smolagents": "smolagents",
    "strands": "strands",
}
"""By its file in ``agents/``, the module that a framework is installed as."""

WHOLE = ("pydantic_ai", "langchain", "openai_agents")
"""Frameworks that are held to every behaviour; the others to plain tools."""

TESTS = (
    "approved",
    "async",
    "cancelled",
    "context",
    "denied",
    "nested",
    "raises",
    "streamed",
    "sync",
    "unheld",
)
"""What every framework can do."""

WARNING = ("-p", "no:unraisableexception", "-W", "default")
"""The others warn of their own, and leave loops open."""


@pytest.fixture(params=FRAMEWORKS)
def framework(request, inner):
    """A folder with the agents of one framework and the tests, recorded once."""
    if not is_installed(FRAMEWORKS[request.param]):
        pytest.skip(f"{request.param} is not installed")

    def record():
        files = {"shop": "shop", "test_it": "contract", "agents_here": request.param}
        for name, source in files.items():
            inner.write(f"{name}.py", (AGENTS / f"{source}.py").read_text("utf-8"))
        inner.env(
            OPENAI_API_KEY="sk-test-0123456789abcdef0123456789abcdef",
            GOOGLE_API_KEY="none",
            RAN=str(inner.path / "ran"),
        )
        models = {f"v1beta/models/gemini-{plan}:generateContent": gemini(plan) for plan in PLANS}
        with loopback(**models, **{"v1/chat/completions": chat}) as server:
            inner.env(OPENAI_BASE_URL=f"{server.url}/v1", GOOGLE_GEMINI_BASE_URL=server.url)
            outcome = inner.record("-rs", *inner.options)
        assert outcome.ret == 0, outcome.stdout.str()
        (inner.path / "ran").unlink()

    inner.whole = request.param in WHOLE
    inner.options = () if inner.whole else WARNING
    inner.once(record, request.param)
    inner.env(RAN=str(inner.path / "ran"))
    return inner


def is_installed(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def exchanges(inner, test):
    lines = (inner.golden(f"test_it/test_{test}") / "exchanges.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def events(inner, test):
    lines = (inner.golden(f"test_it/test_{test}") / "events.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_no_tool_runs_in_a_replay(framework):
    """Sync, async and streamed; parallel, raising, steering, approved, denied and cancelled: all is replayed."""
    held = TESTS if framework.whole else ("raises",)
    assert {f"__sparrow__/test_it/test_{name}" for name in held} <= set(framework.goldens())
    outcome = framework.replay(
        *framework.options,
        *(f"test_it.py::test_{path.rpartition('test_')[2]}" for path in framework.goldens()),
    )
    outcome.assert_outcomes(passed=len(framework.goldens()))
    ran = framework.path / "ran"
    if framework.whole:
        # But for the tool around an agent, and the one whose result nothing restores.
        assert sorted(ran.read_text().split()) == ["delegate", "invoice"]
        outcome.stdout.fnmatch_lines(["*delegate runs in a replay: it asks a model itself*"])
        outcome.stdout.fnmatch_lines(["*invoice runs in a replay: nothing restores its result*"])
    else:
        assert not ran.exists()
    assert "not wrapped" not in outcome.stdout.str()
    noted = framework.inputs("test_it/test_sync")["config_snapshot"]["frameworks"]
    assert noted
    assert all(noted.values())


def test_the_golden_holds_what_a_wrapped_tool_leaves(framework):
    """Calls by the model's ids, results as values, exceptions as exceptions, what was changed in place."""
    if not framework.whole:
        pytest.skip("held to plain tools")
    tools = [each for each in exchanges(framework, "sync") if each["kind"] == "tool"]
    assert [each["asked"]["name"] for each in tools] == ["lookup", "lookup", "refund"]
    assert all(each["proposed"] and each["asked"]["id"].startswith("<") is False for each in tools)
    # By their end: the first call ends last.
    assert [each["answered"]["returned"] for each in tools] == [
        "order 5678",
        "order 1234",
        {"order_id": "1234", "amount": 39.99},
    ]
    [raised] = [
        each["answered"]["raised"] for each in exchanges(framework, "raises") if each["kind"] == "tool"
    ]
    assert (raised["type"], raised["message"]) == ("Refused", "no 1234")
    [first, _] = [each for each in exchanges(framework, "context") if each["kind"] == "tool"]
    assert first["asked"]["args"] == {"text": "milk"}
    assert first["answered"]["changed"]


def test_what_only_the_framework_knows_becomes_events(framework):
    """Approvals, sub-agents in their lanes, hand-offs, calls that failed."""
    if not framework.whole:
        pytest.skip("held to plain tools")
    for test, decision in {"approved": "Allow", "denied": "Deny"}.items():
        [asked, decided] = [each for each in events(framework, test) if each["type"].startswith("Approval")]
        assert (asked["tool"], asked["risk"]) == ("erase", "Mutating")
        assert asked["summary"] == 'erase({"order_id": "1234"})'
        assert (decided["id"], decided["decision"]) == (asked["id"], decision)
    [began, ended] = [each for each in events(framework, "nested") if each["type"].startswith("Agent")]
    assert (began["type"], ended["type"], ended["status"]) == ("AgentSpawned", "AgentStatus", "Done")
    assert began["role"] == ended["role"] != ""
    assert began["lane"].endswith("tool-1")
    if "__sparrow__/test_it/test_handed_off" in framework.goldens():
        agents = [each for each in events(framework, "handed_off") if each["type"].startswith("Agent")]
        assert [each["role"] for each in agents] == ["triage", "clerk"]
    if "__sparrow__/test_it/test_resumed" in framework.goldens():
        interrupt = [each for each in events(framework, "resumed") if each["type"].startswith("Approval")]
        assert [each.get("summary", each.get("decision")) for each in interrupt] == ['"erase 1234?"', "Allow"]
    failed = [each["is_error"] for each in events(framework, "raises") if each["type"] == "ToolOutput"]
    assert failed == [True]
    config = framework.inputs("test_it/test_sync")["config_snapshot"]
    assert config["framework_notes"] == ["agents", "approvals", "failures"]
    by = next(iter(config["frameworks"]))
    assert config["capture"]["tools"] == [
        {"name": "lookup", "by": by, "calls": 2},
        {"name": "refund", "by": by, "calls": 1},
    ]
