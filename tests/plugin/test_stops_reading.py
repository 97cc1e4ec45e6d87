"""An agent that stops reading an answer which it had read to its end is red; one that always stopped stays green."""

from __future__ import annotations

from inner_runs import pytest_in

INNER = """
import asyncio
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

STOP = int(os.environ.get("STOP", "0"))
WORDS = ("one ", "two ", "three")
SAID = [{"choices": [{"index": 0, "delta": {"role": "assistant", "content": word}}]} for word in WORDS]
EVENTS = b"".join(b"data: " + json.dumps(each).encode() + b"\\n\\n" for each in SAID) + b"data: [DONE]\\n\\n"
QUESTION = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "count"}]}


class Model(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(EVENTS)  # at once: what the client reads of it is the client's doing

    def log_message(self, *args):
        pass


@pytest.fixture
def url(sparrow):
    if sparrow.golden is not None:
        yield "http://127.0.0.1:9/v1/chat/completions"
        return
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1/chat/completions"
    server.shutdown()
    server.server_close()


def read(url, most):
    with httpx2.stream("POST", url, json=QUESTION) as response:
        for number, line in enumerate(filter(None, response.iter_lines()), start=1):
            if line == "data: [DONE]" or number == most:
                break


def test_whole(url, sparrow):
    read(url, STOP)
    print("READ", repr(sparrow.text))


def test_whole_async(url):
    async def main():
        async with httpx2.AsyncClient() as client, client.stream("POST", url, json=QUESTION) as response:
            count = 0
            async for line in response.aiter_lines():
                count += bool(line)
                if line == "data: [DONE]" or count == STOP:
                    break

    asyncio.run(main())


def test_head_only(url):
    with httpx2.stream("POST", url, json=QUESTION) as response:
        if not STOP:
            response.read()


def test_always_stopped(url):
    read(url, 2)


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


def test_tool_always_stopped(sparrow):
    read_items(sparrow.tool(count)(3), 3 - bool(STOP))
"""


def test_stopping_earlier_is_red_and_the_events_hold_what_was_read(tmp_path):
    """Also where the network brought the whole stream at once, and for what a tool yields."""
    (tmp_path / "test_inner.py").write_text(INNER)
    code, output = pytest_in(tmp_path, "--sparrow-record")
    assert (code, "10 recorded" in output) == (0, True), output
    code, output = pytest_in(tmp_path, "--sparrow-replay")
    assert (code, "10 replayed equal" in output) == (0, True), output
    code, output = pytest_in(tmp_path, "--sparrow-replay", "-rA", STOP="2")
    assert (code, "3 replayed equal, 7 diverged" in output) == (1, True), output
    assert "PASSED test_inner.py::test_always_stopped" in output
    assert "READ 'one two '" in output
