"""Clients of `mcp_servers` and `mcp_bare`: over stdio, and in memory by either of the SDK's ways."""

import asyncio
import os
import sys
import urllib.request
from pathlib import Path

import pytest
from mcp import ClientSession, StdioServerParameters, stdio_client, types
from mcp.client import Client
from mcp_servers import shop

MORE = float(os.environ.get("MORE", 0))


async def sure(context, params):
    if "MODEL" in os.environ:  # what a callback of the client asks is the agent's
        await asyncio.to_thread(lambda: urllib.request.urlopen(os.environ["MODEL"]).read())
    return types.ElicitResult(action="accept", content={"sure": "UNSURE" not in os.environ})


def server(*args, **more):
    return StdioServerParameters(command=sys.executable, args=[*args], env={"RAN": os.environ["RAN"]}, **more)


async def all_of_it(client, asks):
    steps, order = [], []

    async def on(*step):
        steps.append(step)

    async def slow(tenths):
        order.append((await client.call_tool("slow", {"tenths": tenths})).content[0].text)

    assert len((await client.list_tools()).tools) == 5
    got = await client.call_tool("refund", {"amount": 39.5 + MORE})
    assert "39.5" in got.content[0].text
    assert (await client.call_tool("broken", {})).is_error
    await client.call_tool("steps", {}, progress_callback=on)
    assert steps == [(1, 2, "half")]
    await asyncio.gather(slow(2.0), slow(1.0), slow(0.0))
    with Path(os.environ["ORDER"]).open("a") as file:
        file.write(f"{order}\n")
    assert (await client.read_resource("file://notes")).contents[0].text == "my notes"
    assert (await client.get_prompt("greet", {"name": "Ann"})).messages[0].content.text == "Hello Ann"
    if asks:
        assert "sure" in (await client.call_tool("ask", {})).content[0].text


async def over_stdio(heard):
    async def hear(message):
        heard.append(type(message).__name__)

    async with (
        stdio_client(server("mcp_servers.py", *os.environ.get("ARGS", "").split())) as (read, write),
        ClientSession(read, write, elicitation_callback=sure, message_handler=hear) as client,
    ):
        await client.initialize()
        await all_of_it(client, asks=True)
        with pytest.raises(Exception, match="timed out"):
            await client.call_tool("slow", {"tenths": 300}, read_timeout_seconds=0.2)


def test_stdio(sparrow):
    heard = []
    asyncio.run(over_stdio(heard))
    assert heard == ["ProgressNotification", "ToolListChangedNotification"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_memory(sparrow, mode):
    async def go():
        async with Client(shop(), mode=mode, elicitation_callback=sure) as client:
            await all_of_it(client, asks=mode == "legacy")

    asyncio.run(go())


async def with_the_bare_one():
    heard = asyncio.Event()

    async def hear(params):
        heard.set()

    async with (
        stdio_client(server("mcp_bare.py")) as (read, write),
        ClientSession(read, write, logging_callback=hear) as client,
    ):
        await client.initialize()
        await client.send_ping()
        await heard.wait()
        with pytest.raises(Exception, match=r"[Cc]losed"):
            await client.call_tool("any", {})


def test_a_server_that_speaks_unasked_and_dies(sparrow):
    asyncio.run(with_the_bare_one())


def test_a_server_that_is_not_there(sparrow):
    async def go():
        with pytest.raises(FileNotFoundError, match="no-such-program"):
            async with stdio_client(StdioServerParameters(command="no-such-program")):
                pass

    asyncio.run(go())
