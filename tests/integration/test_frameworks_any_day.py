"""The same agent on LangGraph and on pydantic-ai: recorded once, green on any day, red where it is changed."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from typing import TYPE_CHECKING

import pytest
from boundaries.http.loopback import loopback
from inner_runs import pytest_in
from plugin.anyday import FAKETIME

if TYPE_CHECKING:
    from pathlib import Path

COMMON = '''
import os
import random
import time
import uuid
from datetime import date, datetime

UNTIL = [0.0]


def changed(what: str) -> bool:
    return os.environ.get("CHANGE") == what


def look_up(city: str) -> str:
    """Look a city up."""
    if time.time() > UNTIL[0]:
        return "there is no time left"
    city = "Rome" if changed("tool") else city
    return f"{city}: {uuid.uuid4()} on {date.today()}"


def prompt() -> str:
    return f"Be {'short' if changed('prompt') else 'kind'}. It is {datetime.now().astimezone():%A %d %B %Y %H:%M %Z}."


def task() -> str:
    plan = random.sample(["weather", "traffic", "news", "music"], 2)
    if changed("plan"):
        plan.reverse()
    if changed("draw"):
        random.random()
    deadline = time.time() + 0.02
    while time.time() < deadline:
        pass
    UNTIL[0] = time.time() + (0 if changed("deadline") else 3600)
    return f"{random.getrandbits(32)}: tell me about {random.choice(plan)}, then {' and '.join(plan)}."
'''

AGENTS = {
    "langgraph": """
from common import look_up, prompt, task
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition


def agent(url):
    tools = [tool(look_up)]
    model = ChatOpenAI(model="m", base_url=url, api_key="k").bind_tools(tools)

    def ask(state):
        return {"messages": [model.invoke([SystemMessage(prompt()), *state["messages"]])]}

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_node("tools", ToolNode(tools))
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", tools_condition, {"tools": "tools", END: END})
    graph.add_edge("tools", "ask")
    return graph.compile().invoke({"messages": [HumanMessage(task())]})["messages"][-1].content
""",
    "pydantic_ai": """
from common import look_up, prompt, task
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


def agent(url):
    model = OpenAIChatModel("m", provider=OpenAIProvider(base_url=url, api_key="k"))
    made = Agent(model, tools=[look_up])
    made.instructions(prompt)
    return made.run_sync(task()).output
""",
}

CHANGES = ("prompt", "plan", "draw", "tool", "deadline")

TEST = f"""
import os

import pytest
from agent import agent

@pytest.mark.parametrize("change", ("nothing", *{CHANGES}))
def test_day(sparrow, monkeypatch, change):
    if os.environ.get("CHANGED"):
        monkeypatch.setenv("CHANGE", change)
    assert agent(os.environ["WORLD"]) == "Have a nice day."
"""


@contextlib.contextmanager
def model():
    """Asks for two look-ups, then says good-bye."""

    def completions(call):
        messages = json.loads(call.body)["messages"]
        done = sum(message["role"] == "tool" for message in messages)
        message = {"role": "assistant", "content": "Have a nice day."}
        if done < 2:
            function = {"name": "look_up", "arguments": json.dumps({"city": ["Berlin", "Paris"][done]})}
            call_id = f"call_{secrets.token_hex(8)}"
            message = {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": call_id, "type": "function", "function": function}],
            }
        body = {
            "id": f"chatcmpl-{secrets.token_hex(8)}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": "m",
            "choices": [
                {"index": 0, "message": message, "finish_reason": "tool_calls" if done < 2 else "stop"}
            ],
            "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
        }
        call.answer(json.dumps(body).encode(), content_type="application/json")

    with loopback() as server:
        server.routes["/v1/chat/completions"] = completions
        yield server.url + "/v1"


@pytest.mark.parametrize("framework", AGENTS)
def test_green_on_any_day_and_red_when_changed(tmp_path: Path, framework: str) -> None:
    """Date, zone, ids and choices of the recording come back; each single change is a failure."""
    pytest.importorskip({"langgraph": "langgraph"}.get(framework, framework))
    for name, text in (("common", COMMON), ("agent", AGENTS[framework]), ("test_day", TEST)):
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    with model() as url:
        code, said = pytest_in(tmp_path, "--sparrow-record", WORLD=url)
        assert code == 0, said
    next_year = {"LD_PRELOAD": FAKETIME, "FAKETIME": "+1y"} if FAKETIME else {}
    # What the framework does at its first use in a process, it does in another test now: another one is first.
    order = [f"test_day.py::test_day[{change}]" for change in (*reversed(CHANGES), "nothing")]
    code, said = pytest_in(tmp_path, *order, WORLD=url, TZ="Asia/Tokyo", **next_year)
    assert code == 0, said
    assert f"sparrow: {len(CHANGES) + 1} replayed equal" in said
    code, said = pytest_in(tmp_path, WORLD=url, CHANGED="1", TZ="Asia/Tokyo")
    assert code == 1, said
    assert f"1 replayed equal, {len(CHANGES)} diverged" in said, said
