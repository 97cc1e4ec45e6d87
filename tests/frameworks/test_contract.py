"""Our own adapters, held to the contract. A framework is one file of agent functions in ``agents/``."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
from inner_runs import pytest_in

from pytest_sparrow import testing
from pytest_sparrow.testing import BEHAVIOURS, CHANGES, FrameworkContract
from pytest_sparrow.testing.inner import shown
from pytest_sparrow.testing.loopback import loopback

from .results import keep, kept, table

AGENTS = Path(__file__).parent / "agents"
SHOP = Path(testing.__file__).parent / "inside" / "shop.py"

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

    def test_the_table_says_so(self, held):
        """What docs/frameworks.md says of this framework; `SPARROW_TEST_KEEP=1` keeps what was found."""
        name = self.agents.stem
        found = keep(name, held, [*shown(self.agents, BEHAVIOURS), *shown(self.agents, CHANGES)])
        assert kept()[name]["cells"] == found


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
        [first, last] = tools["context"]
        assert first["asked"]["args"] == {"text": "milk"}
        assert first["answered"]["changed"]
        assert "milk" not in json.dumps(first["asked"]["on"])
        assert "milk" in json.dumps(last["asked"]["on"])

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
        assert held.config("sync")["framework_notes"] == ["agents", "approvals", "failures", "usage"]
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


TOGETHER = """
import asyncio

import agents_here
import others_here
import pytest


def both(sparrow):
    for agents in (agents_here, others_here):
        assert asyncio.run(agents.later()).startswith("done: order 1234")
    return [call.name for call in sparrow.tool_calls]


def test_both(sparrow):
    assert both(sparrow) == ["lookup", "lookup", "refund"] * 2


@pytest.mark.sparrow(frameworks="openai-agents")
def test_named(sparrow):
    assert both(sparrow) == ["lookup", "lookup", "refund"]
"""


@pytest.mark.skipif(
    not all(map(is_installed, ("pydantic_ai", "openai_agents"))), reason="needs both frameworks"
)
def test_two_frameworks_in_one_process(tmp_path):
    """In one test, too; and where the setting names one of them, the other's tools run."""
    files = {
        "agents_here": AGENTS / "pydantic_ai.py",
        "others_here": AGENTS / "openai_agents.py",
        "shop": SHOP,
    }
    for name, source in files.items():
        shutil.copy(source, tmp_path / f"{name}.py")
    (tmp_path / "test_it.py").write_text(TOGETHER, encoding="utf-8")
    ran = tmp_path / "ran"
    with loopback(**Ours.routes) as server:
        there = Ours.run_pytest(tmp_path, "--sparrow-record", RAN=str(ran), **Ours.environ(server.url))
    assert "2 recorded" in there, there
    ran.unlink()
    gone = Ours.environ("http://127.0.0.1:9")
    again = Ours.run_pytest(tmp_path, "--sparrow-replay", RAN=str(ran), **gone)
    assert "2 replayed equal" in again, again
    assert sorted(ran.read_text("utf-8").splitlines()) == ["named lookup", "named lookup", "named refund"]


def test_the_table_stands_in_the_document():
    """Generated from `results.json`: paste what this prints."""
    document = Path(__file__).parents[2] / "docs" / "frameworks.md"
    assert table() in document.read_text("utf-8"), table()
