"""An agent on aiohttp, in real pytest runs: recorded, replayed with the server off, red where it asks otherwise."""

from __future__ import annotations

import contextlib
import json
import threading

import pytest

from pytest_sparrow.testing.loopback import loopback

AGENT = """
    import asyncio
    import json
    import os

    import aiohttp

    URL = os.environ["WORLD"]
    PROMPT = os.environ.get("PROMPT", "be kind")

    def add(a: int, b: int) -> int:
        if os.environ.get("SHUT"):
            raise RuntimeError("the tool ran")
        return a + b

    async def chat(session, messages):
        body = {"model": "m", "messages": messages}
        async with session.post(URL + "/chat", json=body, raise_for_status=True) as response:
            return (await response.json())["choices"][0]["message"]

    async def agent(session, task):
        messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": task}]
        while True:
            message = await chat(session, messages)
            messages.append(message)
            if not message.get("tool_calls"):
                return message["content"]
            for call in message["tool_calls"]:
                result = add(**json.loads(call["function"]["arguments"]))
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": str(result)})
"""

TESTS = """
    import asyncio

    import aiohttp
    import agent
    import pytest

    @pytest.fixture(autouse=True)
    def tools(sparrow):
        sparrow.tool("agent.add")

    def run(ask, **options):
        async def main():
            async with aiohttp.ClientSession(**options) as session:
                return await ask(session)
        return asyncio.run(main())

    def test_agent(sparrow):
        assert run(lambda session: agent.agent(session, "add one and two")) == "It is 3."
        assert sparrow.tool_calls == [("add", {"a": 1, "b": 2})]

    def test_side_by_side(sparrow):
        async def ask(session):
            return await asyncio.gather(*(agent.agent(session, f"add, {n}") for n in range(8)))
        assert run(ask) == ["It is 3."] * 8

    def test_leaves_a_stream(sparrow):
        async def ask(session):
            async with session.get(agent.URL + "/stream") as response:
                async for line in response.content:
                    return line
        assert run(ask) == b"data: one\\n"

    def test_turns_away_before_an_answer(sparrow):
        async def ask(session):
            with pytest.raises(asyncio.TimeoutError):
                async with asyncio.timeout(0.1):
                    await session.get(agent.URL + "/never")
            return "gone"
        assert run(ask) == "gone"

    def test_turns_away_by_a_total_timeout(sparrow):
        async def ask(session):
            with pytest.raises(asyncio.TimeoutError):
                await session.get(agent.URL + "/never")
            return "gone"
        assert run(ask, timeout=aiohttp.ClientTimeout(total=0.1)) == "gone"

    def test_a_server_that_dies(sparrow):
        async def ask(session):
            with pytest.raises(aiohttp.ClientConnectionError) as caught:
                await session.post(agent.URL + "/dies", json={})
            return type(caught.value)
        assert run(ask) in (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)
"""


def _chat(call):
    messages = json.loads(call.body)["messages"]
    if messages[-1]["role"] == "tool":
        message = {"role": "assistant", "content": f"It is {messages[-1]['content']}."}
    else:
        function = {"name": "add", "arguments": '{"a": 1, "b": 2}'}
        made = {
            "id": f"call_{len(call.handler.server.loopback.calls)}",
            "type": "function",
            "function": function,
        }
        message = {"role": "assistant", "content": None, "tool_calls": [made]}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    call.answer(json.dumps(body).encode(), content_type="application/json")


@contextlib.contextmanager
def _world(inner):
    """The server that the agent asks, and the folder with the agent."""
    ended = threading.Event()

    def stream(call):
        call.start(content_type="text/event-stream")
        call.chunk(b"data: one\n\n")
        ended.wait(20)

    inner.write("agent.py", AGENT)
    inner.write("test_it.py", TESTS)
    routes = {
        "chat": _chat,
        "stream": stream,
        "never": lambda _: ended.wait(20),
        "dies": lambda call: call.die(),
    }
    with loopback(**routes) as server:
        inner.env(WORLD=server.url)
        yield
        ended.set()


@pytest.fixture
def recorded(inner):
    """Recorded, and the server is off."""

    def record():
        with _world(inner):
            inner.record().assert_outcomes(passed=6)

    inner.once(record)
    return inner


def test_an_agent_on_aiohttp_is_replayed_with_the_server_off(recorded):
    """Tool loops, gathered agents, a stream left early, timeouts and a dropped connection: all green, no warning."""
    recorded.replay().assert_outcomes(passed=6)


def test_its_recording_holds_the_whole_loop(recorded):
    """Requests, answers and the tool's call are in the golden, the left stream as far as it was read."""
    golden = recorded.golden("test_it/test_agent")
    events = [json.loads(line)["type"] for line in (golden / "events.jsonl").read_text("utf-8").splitlines()]
    assert [kind for kind in events if kind.startswith("Tool")] == [
        "ToolUseProposed",
        "ToolUseStarted",
        "ToolOutput",
    ]
    left = recorded.golden("test_it/test_leaves_a_stream") / "exchanges.jsonl"
    (exchange,) = [json.loads(line) for line in left.read_text("utf-8").splitlines()]
    assert exchange["answered"]["body"] == {"sse": ["data: one"]}


def test_a_changed_prompt_is_red(recorded):
    """A request that says something else fails the test, and names the words."""
    recorded.env(PROMPT="be brief")
    result = recorded.replay("-k", "test_agent")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*where*agent.py*", "*golden*be kind*", "*new*be brief*"])


def test_a_worker_replays_it(recorded):
    """Under xdist it is green, too."""
    recorded.replay("-p", "xdist", "-n", "1").assert_outcomes(passed=6)
