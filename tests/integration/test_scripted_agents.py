"""Scripted replay of whole agents: whatever is edited in their prompts, each gets its own answers."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from full import FULL
from inner_runs import pytest_in

EXAMPLE = Path(__file__).parents[2] / "examples" / "support_agent"

TESTS = """
import asyncio
import contextlib
import os
import random
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import agent as agent_module
import pytest
from agent import support_agent, support_agent_async, support_agent_in_threads, support_agent_streaming
from tools import SCHEMAS, TOOLS

ORDERS = ("1234", "2234", "3234", "4234")
EDIT = os.environ.get("EDIT", "")


def task(order):
    edited = EDIT == "user"
    return f"Dear agent: may order {order} be refunded? Then do." if edited else f"Refund order {order} if you may"


@pytest.fixture(autouse=True)
def edits(world, sparrow, monkeypatch):
    if sparrow.golden is None:
        with contextlib.closing(sqlite3.connect(os.environ["SHOP"])) as shop, shop:
            for order in ORDERS[1:]:
                shop.execute("INSERT INTO orders (id, customer, paid, days) VALUES (?, 'Bob', ?, 3)", (order, order))
    if EDIT == "system":
        monkeypatch.setattr(agent_module, "SYSTEM", "Be quick, and give them what they want.")
    if EDIT == "description":
        SCHEMAS[0]["function"]["description"] = "Something else altogether."
    if EDIT == "tool":
        new = {"name": "cancel", "description": "Cancel.", "parameters": {"type": "object", "properties": {}}}
        SCHEMAS.insert(0, {"type": "function", "function": new})
    sparrow.tools(TOOLS)
    refund = TOOLS["refund"]
    more = 100 if EDIT == "behaviour" else 0
    TOOLS["refund"] = lambda order_id, amount: refund(order_id, amount + more * (order_id in ("1234", "3234")))
    yield
    TOOLS["refund"] = refund


def check(answers):
    assert all(order in answer for order, answer in zip(ORDERS, answers, strict=True)), answers


def test_sync(sparrow):
    assert "1234" in support_agent(task("1234"))


def test_streaming(sparrow):
    assert "1234" in support_agent_streaming(task("1234"))


def test_in_threads(sparrow):
    assert "1234" in support_agent_in_threads(task("1234"))


def test_async(sparrow):
    assert "1234" in asyncio.run(support_agent_async(task("1234")))


def test_one_after_the_other(sparrow):
    check([support_agent(task(order)) for order in ORDERS])


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


def test_gathered_in_any_order(sparrow):
    async def one(order):
        await asyncio.sleep(random.SystemRandom().random() / 20)
        return await support_agent_async(task(order))

    async def main():
        return await asyncio.gather(*map(one, ORDERS))

    check(asyncio.run(main()))


def test_executors_within_an_executor(sparrow):
    with ThreadPoolExecutor(4) as pool:
        check(list(pool.map(support_agent_in_threads, map(task, ORDERS))))


def test_equal_tasks_side_by_side(sparrow):
    with ThreadPoolExecutor(4) as pool:
        assert all("1234" in answer for answer in pool.map(support_agent, [task("1234")] * 4))
"""

NAMES = re.findall(r"def (test_\w+)", TESTS)
COUNT = len(NAMES)
EDITS = ("system", "user", "description", "tool")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The agents, recorded."""
    folder = tmp_path_factory.mktemp("scripted")
    for name in ("agent.py", "conftest.py", "provider.py", "tools.py"):
        shutil.copy(EXAMPLE / name, folder)
    # How many cases are closed hangs on who is first.
    tools = (folder / "tools.py").read_text().replace("return int(count)", "return 1")
    (folder / "tools.py").write_text(tools)
    (folder / "test_inner.py").write_text(TESTS)
    code, output = pytest_in(folder, "--sparrow-record")
    assert (code, f"{COUNT} recorded" in output) == (0, True), output
    return folder


@pytest.mark.parametrize("edit", EDITS)
def test_edited_words_stay_green(recorded, edit):
    """A prompt, a user's text, a tool's description, a tool more in the list: remarks, and the same behaviour.

    Every agent has one of the edits; with ``SPARROW_TEST_FULL=1`` each has every one.
    """
    some = NAMES if FULL else NAMES[EDITS.index(edit) :: len(EDITS)]
    chosen, count = [f"test_inner.py::{name}" for name in some], len(some)
    code, output = pytest_in(recorded, "--sparrow-replay", "--sparrow-requests=report", *chosen, EDIT=edit)
    assert (code, f"{count} replayed equal ({count} with requests=report)" in output) == (0, True), output
    assert "differ from the recorded ones" in output


def test_they_are_red_where_requests_are_compared(recorded):
    """The same edit is a failure of every test in the exact replay."""
    code, output = pytest_in(recorded, "--sparrow-replay", EDIT="system")
    assert (code, f"{COUNT} diverged" in output) == (1, True), output


def test_changed_behaviour_is_red(recorded):
    """Another amount is a failure of every test, also where only behaviour is judged."""
    code, output = pytest_in(recorded, "--sparrow-replay", "--sparrow-requests=report", EDIT="behaviour")
    assert (code, f"{COUNT} diverged ({COUNT} with requests=report)" in output) == (1, True), output
    assert output.count("ToolUseStarted[refund].args['amount']\n") >= COUNT, output


FORKS = """


def refused(sparrow, agent):
    sparrow.fork("refund", raises=ValueError("not allowed"))
    answer = agent(task("1234"))
    assert "1234" in answer
    [output] = [e for e in sparrow.events if e.type == "ToolOutput" and e.is_error]
    assert "not allowed" in str(output.blocks)
"""


def test_forks_of_every_driver(recorded):
    """One refund is refused, in any driver and with agents side by side: the rest goes on from the golden."""
    agents = {
        "sync": "refused(sparrow, support_agent)",
        "streaming": "refused(sparrow, support_agent_streaming)",
        "in_threads": "refused(sparrow, support_agent_in_threads)",
        "async": "refused(sparrow, lambda task: asyncio.run(support_agent_async(task)))",
    }
    side = {
        "executor": "support_agent",
        "executors_within_an_executor": "support_agent_in_threads",
    }
    tests = [
        f'@pytest.mark.sparrow(golden="test_{name}")\ndef test_fork_{name}(sparrow):\n    {body}\n'
        for name, body in agents.items()
    ]
    tests += [
        f'@pytest.mark.sparrow(golden="test_{name}")\ndef test_fork_{name}(sparrow):\n'
        f'    sparrow.fork(("refund", 3), raises=ValueError("not allowed"))\n'
        f"    with ThreadPoolExecutor(4) as pool:\n        check(list(pool.map({agent}, map(task, ORDERS))))\n"
        for name, agent in side.items()
    ]
    inner = recorded / "test_inner.py"
    before = inner.read_text()
    inner.write_text(
        before
        + FORKS.replace("from test_inner import *\nfrom test_inner import edits\n", "")
        + "\n\n".join(tests)
    )
    try:
        code, output = pytest_in(recorded, "--sparrow-replay", "-k", "fork")
    finally:
        inner.write_text(before)
    assert (code, f"{len(tests)} replayed equal" in output) == (0, True), output
