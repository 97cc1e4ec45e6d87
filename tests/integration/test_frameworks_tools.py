"""Tools that a framework took when the agent was imported: `sparrow.tool(fn)` reaches them, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from inner_runs import pytest_in

from .test_frameworks_any_day import model

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = '''
import os


def look_up(city: str) -> str:
    """Look a city up."""
    with open(os.environ["RAN"], "a") as log:
        log.write(city + "\\n")
    return f"{city} is fine"
'''

AGENTS = {
    "langgraph": """
import os
from tools import look_up
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

MADE = [tool(look_up)]
MODEL = ChatOpenAI(model="m", base_url=os.environ["WORLD"], api_key="k").bind_tools(MADE)
GRAPH = StateGraph(MessagesState)
GRAPH.add_node("ask", lambda state: {"messages": [MODEL.invoke(state["messages"])]})
GRAPH.add_node("tools", ToolNode(MADE))
GRAPH.add_edge(START, "ask")
GRAPH.add_conditional_edges("ask", tools_condition, {"tools": "tools", END: END})
GRAPH.add_edge("tools", "ask")
COMPILED = GRAPH.compile()


def agent(task):
    return COMPILED.invoke({"messages": [("user", task)]})["messages"][-1].content
""",
    "pydantic_ai": """
import os
from tools import look_up
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

AGENT = Agent(
    OpenAIChatModel("m", provider=OpenAIProvider(base_url=os.environ["WORLD"], api_key="k")), tools=[look_up]
)


def agent(task):
    return AGENT.run_sync(task).output
""",
}

TEST = """
import tools
from agent import agent

def test_it(sparrow):
    sparrow.tool(tools.look_up, risk="ReadOnly")
    assert agent("Berlin and Paris?") == "Have a nice day."
    assert sparrow.tool_calls == [("look_up", {"city": "Berlin"}), ("look_up", {"city": "Paris"})]
"""


@pytest.mark.parametrize("framework", AGENTS)
def test_a_tool_object_made_at_import_is_replayed(tmp_path: Path, framework: str) -> None:
    """Recorded with its calls; in a replay its function does not run, and no remark says that it went past."""
    pytest.importorskip(framework)
    for name, text in (("tools", TOOLS), ("agent", AGENTS[framework]), ("test_it", TEST)):
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    ran = tmp_path / "ran.txt"
    with model() as url:
        environ = {"WORLD": url, "RAN": str(ran)}
        code, said = pytest_in(tmp_path, "--sparrow-record", **environ)
    assert (code, ran.read_text()) == (0, "Berlin\nParis\n"), said
    ran.unlink()
    code, said = pytest_in(tmp_path, "--sparrow-replay", **environ)
    assert (code, ran.exists()) == (0, False), said
    assert "not wrapped" not in said, said
    assert "without its wrapper" not in said, said
