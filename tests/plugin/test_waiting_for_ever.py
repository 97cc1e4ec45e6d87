"""A changed agent that waits for what a missed call was to bring ends red, whatever it waits in."""

from __future__ import annotations

import pytest
from inner_runs import pytest_in

QUICKLY = """
from pytest_sparrow.run import waiting

waiting.SILENCE = 0.3
"""

INNER = """
import asyncio
import contextlib
import os
import queue
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

ASKED = int(os.environ.get("ASKED", "8"))


def act(number: int) -> int:
    return number


@pytest.fixture
def tool(sparrow):
    return sparrow.tool(act)


def started(work, *args, daemon=True):
    thread = threading.Thread(target=work, args=args, daemon=daemon)
    thread.start()
    return thread


def work(tool, items, results):
    while (item := items.get()) is not None:
        results.put(tool(item))
        items.task_done()


def filled():
    items = queue.Queue()
    for number in range(ASKED):
        items.put(number)
    return items


@pytest.mark.parametrize("kind", ["Queue", "SimpleQueue"])
@pytest.mark.parametrize("daemon", [True, False])
def test_main_collects(tool, kind, daemon):
    items, results = filled(), getattr(queue, kind)()
    worker = started(work, tool, items, results, daemon=daemon)
    for _ in range(ASKED):
        results.get()
    items.put(None)
    worker.join()


def test_queue_join(tool):
    items = filled()
    started(work, tool, items, queue.Queue())
    items.join()


@pytest.mark.parametrize("kind", ["Queue", "SimpleQueue"])
def test_thread_join(tool, kind):
    items, results = filled(), getattr(queue, kind)()
    started(work, tool, items, results)
    collector = started(lambda: [results.get() for _ in range(ASKED)], daemon=False)
    collector.join()


def test_event(tool):
    done = threading.Event()

    def all_of_them():
        for number in range(ASKED):
            tool(number)
        done.set()

    started(all_of_them)
    done.wait()


def test_future(tool):
    found = Future()
    started(lambda: found.set_result([tool(number) for number in range(ASKED)]))
    found.result()


def test_pool(tool):
    items, results = filled(), queue.Queue()
    started(work, tool, items, results)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: [results.get() for _ in range(ASKED)]).result()


def test_poll(tool):
    items, results = filled(), queue.Queue()
    started(work, tool, items, results)
    found = []
    while len(found) < ASKED:
        with contextlib.suppress(queue.Empty):
            found.append(results.get(timeout=0.01))


def test_loop(tool):
    async def main():
        items, results = asyncio.Queue(), asyncio.Queue()

        async def work():
            while True:
                await results.put(tool(await items.get()))

        task = asyncio.create_task(work())
        for number in range(ASKED):
            await items.put(number)
        for _ in range(ASKED):
            await results.get()
        task.cancel()

    asyncio.run(main())
"""
"""Each asks more than was recorded, and waits for the answers in another way."""


@pytest.mark.timeout(120)
def test_whoever_waits_for_a_missed_answer_is_stopped(tmp_path):
    """In the body, a thread, a pool or a loop; for a queue, a thread, an event, a future; also where a worker waits."""
    (tmp_path / "test_inner.py").write_text(INNER)
    (tmp_path / "conftest.py").write_text(QUICKLY)
    code, output = pytest_in(tmp_path, "--sparrow-record")
    assert (code, "12 recorded" in output) == (0, True), output
    code, output = pytest_in(tmp_path, "--sparrow-replay")
    assert (code, "12 replayed equal" in output) == (0, True), output
    code, output = pytest_in(tmp_path, "--sparrow-replay", ASKED="10")
    assert (code, "12 diverged" in output) == (1, True), output
    assert output.count("the golden holds no answer to this") >= 12, output
    assert "ReplayStopped" not in output
