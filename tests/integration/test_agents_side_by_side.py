"""Whole agents side by side, in threads and tasks, that ask for the same things: none gets another's answer."""

from __future__ import annotations

import itertools
import shutil
import time
from pathlib import Path

import pytest
from boundaries.http.loopback import loopback
from full import FULL
from inner_runs import pytest_in

EXAMPLE = Path(__file__).parents[2] / "examples" / "support_agent"

TESTS = """
import asyncio
import contextlib
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from agent import support_agent, support_agent_async, support_agent_in_threads, support_agent_streaming
from tools import TOOLS

ORDERS = ("1234", "2234", "3234", "4234")
MORE = float(os.environ.get("MORE", "0"))


@pytest.fixture(autouse=True)
def orders(world, sparrow):
    if sparrow.golden is None:
        with contextlib.closing(sqlite3.connect(os.environ["SHOP"])) as shop, shop:
            for order in ORDERS[1:]:
                shop.execute("INSERT INTO orders (id, customer, paid, days) VALUES (?, 'Bob', ?, 3)", (order, order))


@pytest.fixture(autouse=True)
def tools(sparrow, orders):
    sparrow.tools(TOOLS)
    refund = TOOLS["refund"]
    TOOLS["refund"] = lambda order_id, amount: refund(order_id, amount + MORE * (order_id == "3234"))
    yield
    TOOLS["refund"] = refund


def task(order):
    return f"Refund order {order} if you may"


def check(answers):
    assert all(order in answer for order, answer in zip(ORDERS, answers, strict=True)), answers


def test_executor(sparrow):
    with ThreadPoolExecutor(4) as pool:
        check(list(pool.map(support_agent, map(task, ORDERS))))


def test_threads(sparrow):
    answers = {}

    def run(order):
        answers[order] = support_agent_streaming(task(order))

    threads = [threading.Thread(target=run, args=(order,)) for order in ORDERS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check([answers[order] for order in ORDERS])


def test_gathered(sparrow):
    async def main():
        return await asyncio.gather(*(support_agent_async(task(order)) for order in ORDERS))

    check(asyncio.run(main()))


def test_executors_within_an_executor(sparrow):
    with ThreadPoolExecutor(4) as pool:
        check(list(pool.map(support_agent_in_threads, map(task, ORDERS))))
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The agents, recorded."""
    folder = tmp_path_factory.mktemp("side_by_side")
    for name in ("agent.py", "conftest.py", "provider.py", "tools.py"):
        shutil.copy(EXAMPLE / name, folder)
    # How many cases are closed hangs on who is first.
    tools = (folder / "tools.py").read_text().replace("return int(count)", "return 1")
    (folder / "tools.py").write_text(tools)
    (folder / "test_inner.py").write_text(TESTS)
    code, output = pytest_in(folder, "--sparrow-record")
    assert (code, "4 recorded" in output) == (0, True), output
    return folder


def test_unchanged_they_stay_green(recorded):
    """Whatever the order in which threads and tasks come to run."""
    for _ in range(4 if FULL else 1):
        code, output = pytest_in(recorded, "--sparrow-replay")
        assert (code, "4 replayed equal" in output) == (0, True), output


def test_recorded_again_they_are_unchanged(recorded):
    """The order of agents side by side makes no other recording."""
    code, output = pytest_in(recorded, "--sparrow-record")
    assert (code, "4 recorded again, unchanged" in output) == (0, True), output


def test_one_of_them_changed_is_one_change(recorded):
    """A refund of another amount in one of four agents is reported as that, in every test."""
    code, output = pytest_in(recorded, "--sparrow-replay", MORE="100")
    assert code == 1, output
    reported = "ToolUseStarted[refund].args['amount']\n    golden  3234.0\n    new     3334.0"
    assert output.count(reported) == 4, output


WITH_TIME_OUTS = """
import asyncio
import os

import httpx2

URL = os.environ["URL"]
SWAP = os.environ.get("SWAP")


async def agent(client, sparrow):
    numbers = [(await asyncio.wait_for(client.post(URL, json={}), 30)).text for _ in range(2)]
    async def note(what):
        sparrow.call(what, str, " ".join(numbers))
    for what in ("second", "first") if SWAP else ("first", "second"):
        await asyncio.wait_for(note(what), 30)


def test_it(sparrow):
    async def main():
        async with httpx2.AsyncClient() as client:
            await asyncio.gather(*(agent(client, sparrow) for _ in range(4)))
    asyncio.run(main())
"""


def numbered(call, numbers):
    """Who asked first is answered last, so that the second questions come in the other order."""
    number = next(numbers)
    time.sleep(0.05 * (4 - number) if number < 4 else 0)
    call.answer(str(number).encode())


def test_the_same_agents_with_time_outs_are_distinguished(tmp_path):
    """No word distinguishes them, and each gets its own second answer; two effects of one strand have an order."""
    (tmp_path / "test_inner.py").write_text(WITH_TIME_OUTS)
    numbers = itertools.count()
    with loopback(desk=lambda call: numbered(call, numbers)) as server:
        url = f"{server.url}/desk"
        code, output = pytest_in(tmp_path, "--sparrow-record", URL=url)
    assert code == 0, output
    for _ in range(2 if FULL else 1):
        code, output = pytest_in(tmp_path, "--sparrow-replay", URL=url)
        assert (code, "1 replayed equal" in output) == (0, True), output
    code, output = pytest_in(tmp_path, "--sparrow-replay", URL=url, SWAP="1")
    assert code == 1, output
    assert "recorded the other way round" in output
