"""The same agent on LangGraph and on pydantic-ai: recorded once, green on any day, red where it is changed.

And tools that a framework took when the agent was imported: `sparrow.tool(fn)` reaches them, too.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import re
import secrets
import time
from pathlib import Path

import pytest
from full import FULL
from inner_runs import pytest_in
from plugin.anyday import FAKETIME

from pytest_sparrow.testing.loopback import loopback

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

TOOLS = '''
import os


def find(city: str) -> str:
    """Look a city up."""
    with open(os.environ["RAN"], "a") as log:
        log.write(city + "\\n")
    return f"{city} is fine"
'''

AGENTS = {
    "langgraph": """
import os
from common import look_up, prompt, task
from tools import find
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition


def made(tools, instructions):
    model = ChatOpenAI(model="m", base_url=os.environ["WORLD"], api_key="k").bind_tools(tools)

    def ask(state):
        return {"messages": [model.invoke([*instructions(), *state["messages"]])]}

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_node("tools", ToolNode(tools))
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", tools_condition, {"tools": "tools", END: END})
    graph.add_edge("tools", "ask")
    return graph.compile()


def agent():
    graph = made([tool(look_up)], lambda: [SystemMessage(prompt())])
    return graph.invoke({"messages": [HumanMessage(task())]})["messages"][-1].content


MADE_AT_IMPORT = made([tool(find)], list)


def finder(task):
    return MADE_AT_IMPORT.invoke({"messages": [("user", task)]})["messages"][-1].content
""",
    "pydantic_ai": """
import os
from common import look_up, prompt, task
from tools import find
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


def made(tool):
    return Agent(
        OpenAIChatModel("m", provider=OpenAIProvider(base_url=os.environ["WORLD"], api_key="k")), tools=[tool]
    )


def agent():
    agent = made(look_up)
    agent.instructions(prompt)
    return agent.run_sync(task()).output


MADE_AT_IMPORT = made(find)


def finder(task):
    return MADE_AT_IMPORT.run_sync(task).output
""",
}

CHANGES = ("prompt", "plan", "draw", "tool", "deadline")

TEST = f"""
import pytest
import tools
from agent_NAME import agent, finder

# The tools of `agent` run.
pytestmark = pytest.mark.sparrow(frameworks="off")

def test_day(sparrow):
    assert agent() == "Have a nice day."

@pytest.mark.sparrow(golden="test_day")
@pytest.mark.parametrize("change", ("nothing", *{CHANGES}))
def test_changed(sparrow, monkeypatch, change):
    monkeypatch.setenv("CHANGE", change)
    assert agent() == "Have a nice day."

def test_finder(sparrow):
    sparrow.tool(tools.find, risk="ReadOnly")
    assert finder("Berlin and Paris?") == "Have a nice day."
    assert sparrow.tool_calls == [("find", {{"city": "Berlin"}}), ("find", {{"city": "Paris"}})]
"""


@contextlib.contextmanager
def model():
    """Asks for two look-ups, then says good-bye."""

    def completions(call):
        asked = json.loads(call.body)
        messages, name = asked["messages"], asked["tools"][0]["function"]["name"]
        done = sum(message["role"] == "tool" for message in messages)
        message = {"role": "assistant", "content": "Have a nice day."}
        if done < 2:
            function = {"name": name, "arguments": json.dumps({"city": ["Berlin", "Paris"][done]})}
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


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The agents on all frameworks that are installed, recorded; their folder, and the environment of their runs."""
    frameworks = [name for name in AGENTS if importlib.util.find_spec(name)]
    if not frameworks:
        pytest.skip("no framework is installed")
    folder = tmp_path_factory.mktemp("frameworks")
    texts = {"common": COMMON, "tools": TOOLS}
    for name in frameworks:
        texts |= {f"agent_{name}": AGENTS[name], f"test_{name}": TEST.replace("NAME", name)}
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    ran = folder / "ran.txt"
    with model() as url:
        environ = {"WORLD": url, "RAN": str(ran)}
        code, said = pytest_in(folder, "--sparrow-record", "-k", "day or finder", **environ)
    assert (code, ran.read_text()) == (0, "Berlin\nParis\n" * len(frameworks)), said
    ran.unlink()
    return folder, environ, frameworks


def test_green_on_any_day(recorded):
    """Date, zone, ids and choices of the recording come back; with ``SPARROW_TEST_FULL=1`` the clock is a year on, too.

    A tool object that was made at import is replayed: its function does not run, and no remark says that it went past.
    """
    folder, environ, frameworks = recorded
    # A zone in which it is another day all but one minute of the day.
    another_day = {"TZ": "FAR-23:59"}
    if FULL and FAKETIME:
        another_day |= {"LD_PRELOAD": FAKETIME, "FAKETIME": "+1y"}
    # What a framework does at its first use in a process, it does in another test now: another one is first.
    order = [f"test_{name}.py::test_{test}" for name in frameworks for test in ("finder", "day")]
    code, said = pytest_in(folder, *order, **environ, **another_day)
    assert code == 0, said
    assert f"sparrow: {len(order)} replayed equal" in said
    assert not Path(environ["RAN"]).exists()
    assert not re.search(r"\bfind\b.*(not wrapped|without its wrapper)", said), said


def test_red_when_changed(recorded):
    """Each single change is a failure."""
    folder, environ, frameworks = recorded
    code, said = pytest_in(folder, "-k", "changed", TZ="FAR-23:59", **environ)
    assert code == 1, said
    red = {f"test_{name}.py::test_changed[{change}]" for name in frameworks for change in CHANGES}
    assert set(re.findall(r"^FAILED (\S+)", said, re.MULTILINE)) == red, said
    assert f"{len(frameworks)} replayed equal, {len(red)} diverged" in said, said
