"""Agents that turn away from an answer: a timeout of their own, a race that is decided, a stream that is left."""

from __future__ import annotations

import pytest
from inner_runs import pytest_in

INNER = """
import asyncio
import json
import os
import threading

import httpx2
import pytest
from pytest_sparrow.testing.loopback import loopback
from openai import AsyncOpenAI, OpenAI

FURTHER = "FURTHER" in os.environ
CHUNK = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def event(word):
    choice = {"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}
    return b"data: %s\\n\\n" % json.dumps({**CHUNK, "choices": [choice]}).encode()


@pytest.fixture
def url(sparrow):
    if sparrow.golden is not None:
        yield "http://127.0.0.1:9"
        return
    ended = threading.Event()
    tries = []

    def never(call):
        ended.wait()

    def second(call):
        tries.append(call)
        if len(tries) == 1:
            ended.wait()
        call.answer(b'"at last"', content_type="application/json")

    def stream(call):
        call.start(content_type="text/event-stream")
        for word in ("one ", "two ", "three "):
            call.chunk(event(word))
        ended.wait()

    routes = {"never": never, "second": second, "fast": lambda call: call.answer(b"fast")}
    with loopback(**routes) as server:
        server.routes["/v1/chat/completions"] = stream
        yield server.url
        ended.set()


def test_a_timeout_then_a_second_try(sparrow, url):
    async def agent():
        async with httpx2.AsyncClient(timeout=60) as client:
            for _ in range(2):
                try:
                    return (await asyncio.wait_for(client.get(f"{url}/second"), 0.3)).json()
                except asyncio.TimeoutError:
                    pass

    assert asyncio.run(agent()) == "at last"


def test_a_race(sparrow, url):
    async def agent():
        async with httpx2.AsyncClient(timeout=60) as client:
            tasks = [asyncio.create_task(client.get(f"{url}/{name}")) for name in ("never", "fast")]
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
            return [task.result().text for task in done]

    assert asyncio.run(agent()) == ["fast"]


def test_a_timeout_within_a_stream(sparrow, url):
    words = []

    async def read():
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="x") as client:
            messages = [{"role": "user", "content": "count"}]
            async for chunk in await client.chat.completions.create(model="m", messages=messages, stream=True):
                words.append(chunk.choices[0].delta.content)

    async def agent():
        await asyncio.wait_for(read(), 0.5)

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(agent())
    assert words == ["one ", "two ", "three "]


def test_a_stream_that_is_left(sparrow, url):
    words = []
    with OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
        messages = [{"role": "user", "content": "count"}]
        for chunk in client.chat.completions.create(model="m", messages=messages, stream=True):
            words.append(chunk.choices[0].delta.content)
            if len(words) == 3 and not FURTHER:
                break


def test_tools_that_take_too_long(sparrow):
    async def search(query: str) -> str:
        await asyncio.sleep(60)

    async def pages(query: str):
        yield "one"
        await asyncio.sleep(60)

    search, pages = sparrow.tool(search), sparrow.tool(pages)
    read = []

    async def read_pages():
        async for page in pages("x"):
            read.append(page)

    async def agent():
        for work in (search("x"), read_pages()):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(work, 0.1)

    asyncio.run(agent())
    assert read == ["one"]
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The agents, recorded."""
    folder = tmp_path_factory.mktemp("turning")
    (folder / "test_inner.py").write_text(INNER)
    code, output = pytest_in(folder, "--sparrow-record")
    assert (code, "5 recorded" in output) == (0, True), output
    return folder


def test_they_turn_away_again(recorded):
    """An answer that the agent never had is not there in a replay either: no error that it never saw."""
    code, output = pytest_in(recorded, "--sparrow-replay")
    assert (code, "5 replayed equal" in output) == (0, True), output


def test_one_that_now_reads_on_is_reported(recorded):
    """What it would have read was never recorded: a shorter answer must not pass for the whole."""
    code, output = pytest_in(recorded, "--sparrow-replay", "-k", "that_is_left", FURTHER="1")
    assert code == 1, output
    assert "the agent wants more of the answer than the recorded run waited for" in output
