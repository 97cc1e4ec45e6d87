"""An agent whose tools are an MCP server's, over streamable HTTP: the real client, a real server on loopback."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from inner_runs import pytest_in

from pytest_sparrow.store import load_transcript
from pytest_sparrow.testing.loopback import loopback

SERVER = '''
import sys

import anyio
from mcp.server.mcpserver import MCPServer

server = MCPServer("shop")


@server.tool()
def refund(amount: float, order: str = "1234") -> dict:
    """Refund an order."""
    return {"refunded": amount, "order": order}


@server.tool()
def broken() -> str:
    """Never works."""
    raise ValueError("out of order")


@server.tool()
async def slow(tenths: int) -> int:
    """Answers in a while."""
    await anyio.sleep(tenths / 10)
    return tenths


server.run(transport="streamable-http", port=int(sys.argv[1]))
'''

AGENT = '''
import asyncio
import json
import os

import httpx
import pytest
from mcp.client import Client

MORE = float(os.environ.get("MORE", 0))


async def act(client, call):
    """Clients put the server's name before a tool's; the server doesn't know it."""
    name = call["function"]["name"].removeprefix("shop_")
    arguments = json.loads(call["function"]["arguments"])
    if "amount" in arguments:
        arguments["amount"] += MORE
    result = await client.call_tool(name, arguments)
    return {"role": "tool", "tool_call_id": call["id"], "content": result.content[0].text}


async def agent():
    messages = [{"role": "user", "content": "Refund orders 1, 2 and 3"}]
    async with httpx.AsyncClient(base_url=os.environ["MODEL"]) as model, Client(os.environ["SHOP"]) as client:
        while True:
            answer = await model.post("/chat", json={"model": "m", "messages": messages})
            message = answer.json()["choices"][0]["message"]
            messages.append(message)
            if not message.get("tool_calls"):
                return message["content"]
            calls = message["tool_calls"]
            if os.environ.get("REVERSED"):
                calls = calls[::-1]
            results = await asyncio.gather(*(act(client, call) for call in calls))
            messages.extend(sorted(results, key=lambda result: result["tool_call_id"]))


def test_agent(sparrow):
    assert asyncio.run(agent()) == "Done."


async def side_by_side():
    async with Client(os.environ["SHOP"]) as client:
        return await asyncio.gather(*(client.call_tool("slow", {"tenths": tenths}) for tenths in (0, 2, 4)))


def test_side_by_side(sparrow):
    """The client looks up what the server offers when a first result comes, once for each call that is done by then."""
    results = asyncio.run(side_by_side())
    assert [result.content[0].text for result in results] == ["0", "2", "4"]


async def alone(mode):
    async with Client(os.environ["SHOP"], mode=mode) as client:
        worked = await client.call_tool("refund", {"amount": 39.99 + MORE})
        failed = await client.call_tool("broken", {})
    return worked, failed


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_alone(sparrow, mode):
    worked, failed = asyncio.run(alone(mode))
    assert json.loads(worked.content[0].text)["refunded"] == 39.99 + MORE
    assert failed.is_error
'''


def _model(call):
    messages = json.loads(call.body)["messages"]
    message = {"role": "assistant", "content": "Done."}
    if messages[-1]["role"] == "user":
        calls = [
            {
                "id": f"call_{number}",
                "type": "function",
                "function": {
                    "name": "shop_refund",
                    "arguments": json.dumps({"amount": 9.5, "order": str(number)}),
                },
            }
            for number in (1, 2, 3)
        ]
        message = {"role": "assistant", "content": None, "tool_calls": calls}
    call.answer(json.dumps({"choices": [{"message": message}]}).encode(), content_type="application/json")


@contextlib.contextmanager
def _shop(folder):
    """The server in a process of its own, answering; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "shop.py").write_text(SERVER)
    server = subprocess.Popen(
        [sys.executable, str(folder / "shop.py"), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}/mcp"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(url, timeout=1)
            except urllib.error.HTTPError:
                break  # it answers, if only that it wants something else
            except OSError:
                time.sleep(0.05)
        yield url
    finally:
        server.kill()
        server.wait()


OFF = {"MODEL": "http://127.0.0.1:9", "SHOP": "http://127.0.0.1:9/mcp"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Recorded; both servers are gone afterwards."""
    folder = tmp_path_factory.mktemp("mcp")
    (folder / "test_it.py").write_text(AGENT)
    with _shop(folder) as shop, loopback(chat=_model) as model:
        code, output = pytest_in(folder, "--sparrow-record", MODEL=model.url, SHOP=shop)
    assert code == 0, output
    assert "not wrapped" not in output
    return folder


def test_calls_of_a_servers_tools_are_the_models_calls(project):
    """Each proposal is started by its request and answered by its result, once, under either name."""
    events = load_transcript(project / "__sparrow__" / "test_it" / "test_agent").events
    calls = [(event.type, event.id) for event in events if hasattr(event, "id")]
    for number in ("call_1", "call_2", "call_3"):
        assert [kind for kind, each in calls if each == number] == [
            "ToolUseProposed",
            "ToolUseStarted",
            "ToolOutput",
        ]
    outputs = {event.id: event.blocks for event in events if event.type == "ToolOutput"}
    assert outputs["call_2"] == [{"Json": {"refunded": 9.5, "order": "2"}}]
    assert {event.lane for event in events if event.type == "ToolUseStarted" and event.lane} <= {
        event.lane for event in events if event.type == "ToolUseProposed" and event.lane
    }


def test_calls_without_a_proposal_are_recorded_too(project):
    """A client that is used by plain code: its calls, and that one of them failed; with a session, too."""
    for golden in (project / "__sparrow__" / "test_it").glob("test_alone*"):
        _check_alone(load_transcript(golden).events)


def _check_alone(events):
    assert [event.name for event in events if event.type == "ToolUseStarted"] == ["refund", "broken"]
    assert [event.is_error for event in events if event.type == "ToolOutput"] == [False, True]


def test_it_replays_with_the_servers_off_whatever_the_order_of_sending(project):
    """Unchanged: green; and calls sent in another order have other ids of their messages, and get their own answers."""
    code, output = pytest_in(project, "--sparrow-replay", **OFF)
    assert code == 0, output
    assert "4 replayed equal" in output
    code, output = pytest_in(project, "--sparrow-replay", "-k", "agent", REVERSED="1", **OFF)
    assert code == 0, output


def test_a_changed_argument_is_red(project):
    """$9.50 became $109.50: path, both values, and the MCP call by name."""
    code, output = pytest_in(project, "--sparrow-replay", MORE="100", **OFF)
    assert code == 1
    assert "3 failed" in output
    assert "ToolUseStarted[refund].args['amount']" in output
    assert "109.5" in output
