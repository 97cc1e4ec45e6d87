"""A changed agent that tries again for ever ends red after a few misses, with the first miss as the cause."""

from __future__ import annotations

from inner_runs import pytest_in

INNER = """
import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
import tenacity

CHANGED = int(os.environ.get("CHANGED", "0"))
REACHED = []


def act(number: int) -> int:
    return number


@pytest.fixture
def tool(sparrow):
    return sparrow.tool(act)


def test_tool(tool):
    while True:
        try:
            tool(CHANGED)
            break
        except Exception:
            time.sleep(0.01)


def test_counted(tool):
    for number in range(10**6):
        try:
            tool(CHANGED * (number + 1))
            break
        except Exception:
            pass


def test_task(tool):
    async def loop():
        while True:
            try:
                tool(CHANGED)
                break
            except Exception:
                await asyncio.sleep(0.01)

    async def main():
        await asyncio.gather(loop(), asyncio.sleep(0))

    asyncio.run(main())


def test_thread(tool):
    thread = threading.Thread(target=test_tool, args=(tool,))
    thread.start()
    thread.join()


def test_pool(tool):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(test_tool, tool).result()


def test_tenacity(tool):
    tenacity.retry(wait=tenacity.wait_fixed(0.01))(tool)(CHANGED)


def test_http(sparrow):
    class Shop(httpx2.MockTransport):
        pass

    @tenacity.retry(wait=tenacity.wait_fixed(0.01))
    def get():
        with httpx2.Client(transport=Shop(lambda request: httpx2.Response(200))) as client:
            client.get(f"http://shop.example/{CHANGED}").raise_for_status()

    get()
"""
"""Each loops until the call succeeds, in another way."""


def test_whoever_tries_again_for_ever_is_stopped(tmp_path):
    """In the body, a task, a thread or a pool; by its own loop or a library's; with equal or numbered calls."""
    (tmp_path / "test_inner.py").write_text(INNER)
    options = ("-o", "sparrow_in_process=true")
    code, output = pytest_in(tmp_path, "--sparrow-record", *options)
    assert (code, "7 recorded" in output) == (0, True), output
    code, output = pytest_in(tmp_path, "--sparrow-replay", *options)
    assert (code, "7 replayed equal" in output) == (0, True), output
    code, output = pytest_in(tmp_path, "--sparrow-replay", *options, CHANGED="1")
    assert (code, "7 diverged" in output) == (1, True), output
    assert output.count("act(number=1): the golden holds no answer to this") >= 6, output
    assert "GET shop.example/1" in output
    assert "ReplayStopped" not in output
