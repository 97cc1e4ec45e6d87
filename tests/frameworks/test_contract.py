"""Our own adapters, held to the contract. A framework is one file of agent functions in ``agents/``."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from inner_runs import pytest_in

from pytest_sparrow.testing import FrameworkContract

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
"""Frameworks that warn of nothing and whose golden is read below."""


def is_installed(name):
    try:
        return importlib.util.find_spec(FRAMEWORKS[name]) is not None
    except ModuleNotFoundError:
        return False


class Ours(FrameworkContract):
    """Each framework in its turn; not collected by itself."""

    @classmethod
    def run_pytest(cls, folder, *args, **environ):
        return pytest_in(folder, *args, **environ)[1]


class Whole(Ours):
    options = ("-W", "error")

    def test_the_golden_holds_what_a_wrapped_tool_leaves(self, held):
        """Calls by the model's ids, results as values, exceptions as exceptions, what was changed in place."""
        tools = {
            name: [each for each in held.golden(name, "exchanges.jsonl") if each["kind"] == "tool"]
            for name in ("sync", "raises", "context")
        }
        assert [each["asked"]["name"] for each in tools["sync"]] == ["lookup", "lookup", "refund"]
        assert all(
            each["proposed"] and each["asked"]["id"].startswith("<") is False for each in tools["sync"]
        )
        # By their end: the first call ends last.
        assert [each["answered"]["returned"] for each in tools["sync"]] == [
            "order 5678",
            "order 1234",
            {"order_id": "1234", "amount": 39.99},
        ]
        [raised] = [each["answered"]["raised"] for each in tools["raises"]]
        assert (raised["type"], raised["message"]) == ("Refused", "no 1234")
        [first, _] = tools["context"]
        assert first["asked"]["args"] == {"text": "milk"}
        assert first["answered"]["changed"]

    def test_what_runs_is_named(self, held):
        """The tool around an agent, and the one whose result nothing restores."""
        assert (held.ran["nested"], held.ran["unheld"]) == ({"delegate"}, {"invoice"})
        for why in (
            "delegate runs in a replay: it asks a model itself",
            "invoice runs in a replay: nothing restores",
        ):
            assert why in held.output

    def test_what_only_the_framework_knows_becomes_events(self, held):
        """Approvals, sub-agents in their lanes, hand-offs, calls that failed."""

        def events(test, *types):
            return [each for each in held.golden(test, "events.jsonl") if each["type"].startswith(types)]

        for test, decision in {"approved": "Allow", "denied": "Deny"}.items():
            [asked, decided] = events(test, "Approval")
            assert (asked["tool"], asked["risk"]) == ("erase", "Mutating")
            assert asked["summary"] == 'erase({"order_id": "1234"})'
            assert (decided["id"], decided["decision"]) == (asked["id"], decision)
        [began, ended] = events("nested", "Agent")
        assert (began["type"], ended["type"], ended["status"]) == ("AgentSpawned", "AgentStatus", "Done")
        assert began["role"] == ended["role"] != ""
        assert began["lane"].endswith("tool-1")
        if "handed_off" in held.recorded:
            assert [each["role"] for each in events("handed_off", "Agent")] == ["triage", "clerk"]
        if "resumed" in held.recorded:
            said = [each.get("summary", each.get("decision")) for each in events("resumed", "Approval")]
            assert said == ['"erase 1234?"', "Allow"]
        assert [each["is_error"] for each in events("raises", "ToolOutput")] == [True]
        assert held.config("sync")["framework_notes"] == ["agents", "approvals", "failures"]
        by = next(iter(held.config("sync")["frameworks"]))
        captured = {
            tool["name"]: (tool["by"], tool["calls"]) for tool in held.config("sync")["capture"]["tools"]
        }
        assert captured == {"lookup": (by, 2), "refund": (by, 1)}


class Plain(Ours):
    # They warn of their own, and leave loops open.
    options = ("-p", "no:unraisableexception", "-W", "default")


for _name in filter(is_installed, FRAMEWORKS):
    _base = Whole if _name in WHOLE else Plain
    globals()[f"Test_{_name}"] = type(f"Test_{_name}", (_base,), {"agents": AGENTS / f"{_name}.py"})


@pytest.mark.parametrize("name", [name for name in FRAMEWORKS if not is_installed(name)])
def test_a_framework(name):
    pytest.skip(f"{name} is not installed")
