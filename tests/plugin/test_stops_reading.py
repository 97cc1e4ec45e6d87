"""An agent that stops reading an answer earlier than it did is red; one that always stopped there stays green."""

from __future__ import annotations

import contextlib
import json

from inner_runs import pytest_in

from pytest_sparrow.testing.loopback import loopback

SAID = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": word}}]}
    for word in ("one ", "two ", "three")
]
EVENTS = b"".join(b"data: %s\n\n" % json.dumps(each).encode() for each in SAID) + b"data: [DONE]\n\n"

INNER = """
import asyncio
import contextlib
import os

import httpx2
import pytest

URL = os.environ["WORLD"] + "/v1/chat/completions"
STOP = int(os.environ.get("STOP", "0"))
QUESTION = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "count"}]}


def read(most):
    with httpx2.stream("POST", URL, json=QUESTION) as response:
        for number, line in enumerate(filter(None, response.iter_lines()), start=1):
            if line == "data: [DONE]" or number == most:
                break


def test_whole(sparrow):
    read(STOP)
    print("READ", repr(sparrow.text))


def test_whole_async(sparrow):
    async def main():
        async with httpx2.AsyncClient() as client, client.stream("POST", URL, json=QUESTION) as response:
            count = 0
            async for line in response.aiter_lines():
                count += bool(line)
                if line == "data: [DONE]" or count == STOP:
                    break

    asyncio.run(main())


def test_head_only(sparrow):
    with httpx2.stream("POST", URL, json=QUESTION) as response:
        if not STOP:
            response.read()


def test_always_stopped(sparrow):
    read(2)


def test_stopped_early_and_now_earlier(sparrow):
    read(2 - bool(STOP))


@pytest.mark.parametrize("library", ["httpx2", "urllib3"])
def test_pieces_of_a_text(sparrow, library):
    url, most = os.environ["WORLD"] + "/text", 2 - bool(STOP)
    if library == "httpx2":
        with httpx2.stream("GET", url) as response:
            pieces = response.iter_bytes()
            [next(pieces) for _ in range(most)]
    else:
        import urllib3

        response = urllib3.request("GET", url, preload_content=False)
        pieces = response.stream()
        [next(pieces) for _ in range(most)]
        response.close()


@pytest.mark.parametrize("library", ["httpx2", "urllib3"])
def test_a_file(sparrow, library):
    url = os.environ["WORLD"] + "/file"
    if library == "httpx2":
        with httpx2.stream("GET", url) as response:
            pieces = response.iter_bytes(1000)
            list(pieces) if not STOP else next(pieces)
    else:
        import urllib3

        response = urllib3.request("GET", url, preload_content=False)
        response.read(1000 if STOP else None)
        response.close()


def count(most):
    yield from range(most)


async def count_async(most):
    for number in range(most):
        yield number


def read_items(items, most):
    for number, _ in enumerate(items, start=1):
        if number == most:
            break


async def read_async_items(items, most):
    number = 0
    async for _ in items:
        number += 1
        if number == most:
            break


@pytest.mark.parametrize("closed", [True, False])
def test_tool(sparrow, closed):
    items = sparrow.tool(count)(3)
    read_items(items, STOP)
    if closed:
        items.close()


def test_call(sparrow):
    read_items(sparrow.call("count", count, 3), STOP)


def test_async_tool(sparrow):
    asyncio.run(read_async_items(sparrow.tool(count_async)(3), STOP))


def test_tool_read_to_the_last_item(sparrow):
    read_items(sparrow.tool(count)(3), 3)  # and not on to its end


def fail(most):
    yield from count(most)
    raise ValueError("late")


def total(most):
    yield from count(most)
    return most


@pytest.mark.parametrize("tool", [fail, total])
def test_before_what_follows_the_last_item(sparrow, tool):
    items = sparrow.tool(tool)(3)
    read_items(items, 3)
    if not STOP:
        with contextlib.suppress(ValueError, StopIteration):
            next(items)


def test_tool_stopped_early_and_now_earlier(sparrow):
    read_items(sparrow.tool(count)(3), 2 - bool(STOP))
"""


def _text(call):
    call.start(content_type="text/plain")
    with contextlib.suppress(OSError):  # the client is gone
        for word in (b"one", b"two", b"three"):
            call.chunk(word)
        call.end()


def test_stopping_earlier_is_red_and_the_events_hold_what_was_read(tmp_path):
    """Also where the network brought the whole stream at once, and for what a tool yields, then raises or returns."""
    (tmp_path / "test_inner.py").write_text(INNER)
    with loopback() as server:
        server.routes["/v1/chat/completions"] = lambda call: call.answer(
            EVENTS, content_type="text/event-stream"
        )
        server.routes["/text"] = _text
        server.routes["/file"] = lambda call: call.answer(bytes(40_000))
        code, output = pytest_in(tmp_path, "--sparrow-record", WORLD=server.url)
    assert (code, "17 recorded" in output) == (0, True), output
    code, output = pytest_in(tmp_path, "--sparrow-replay", WORLD=server.url)
    assert (code, "17 replayed equal" in output) == (0, True), output
    code, output = pytest_in(tmp_path, "--sparrow-replay", "-rA", WORLD=server.url, STOP="2")
    assert (code, "2 replayed equal, 15 diverged" in output) == (1, True), output
    assert "PASSED test_inner.py::test_always_stopped" in output
    assert "READ 'one two '" in output
