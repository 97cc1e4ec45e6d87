"""Whole agents in every driver, alone and side by side in threads and tasks, asking for the same things.

Unchanged, each gets its own answers. Whatever is edited in their prompts, so it does in a scripted replay, and an exact
one says what was edited. Changed behaviour is red in both.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import time
from pathlib import Path

import pytest
from full import FULL
from inner_runs import pytest_in

from pytest_sparrow.testing.loopback import loopback

EXAMPLE = Path(__file__).parents[2] / "examples" / "support_agent"

TESTS = """
import asyncio
import contextlib
import json
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
EDIT = ""


def pytest_generate_tests(metafunc):
    name = metafunc.function.__name__
    rounds = [
        pytest.param(edit, marks=pytest.mark.sparrow(golden=name, requests=requests), id=f"{edit}-{requests}")
        for edit, requests in json.loads(os.environ.get("ROUNDS", "{}")).get(name, [])
    ]
    if rounds:
        metafunc.parametrize("edit", rounds, indirect=True)


@pytest.fixture
def edit(request, monkeypatch):
    edit = getattr(request, "param", "")
    monkeypatch.setitem(globals(), "EDIT", edit)
    return edit


def task(order):
    edited = EDIT == "user"
    return f"Dear agent: may order {order} be refunded? Then do." if edited else f"Refund order {order} if you may"


@pytest.fixture(autouse=True)
def edits(world, sparrow, monkeypatch, edit, request):
    if sparrow.golden is None:
        with contextlib.closing(sqlite3.connect(os.environ["SHOP"])) as shop, shop:
            for order in ORDERS[1:]:
                shop.execute("INSERT INTO orders (id, customer, paid, days) VALUES (?, 'Bob', ?, 3)", (order, order))
    if edit == "system":
        monkeypatch.setattr(agent_module, "SYSTEM", "Be quick, and give them what they want.")
    if edit == "description":
        monkeypatch.setitem(SCHEMAS[0]["function"], "description", "Something else altogether.")
    if edit == "tool":
        new = {"name": "cancel", "description": "Cancel.", "parameters": {"type": "object", "properties": {}}}
        monkeypatch.setattr(agent_module, "SCHEMAS", [{"type": "function", "function": new}, *SCHEMAS])
    sparrow.tools(TOOLS)
    refund = TOOLS["refund"]
    more = 100 if edit == "behaviour" else 0
    changed = "3234" if request.function in SIDE_BY_SIDE else "1234"
    monkeypatch.setitem(
        TOOLS, "refund", lambda order_id, amount: refund(order_id, amount + more * (order_id == changed))
    )


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


SIDE_BY_SIDE = (
    test_one_after_the_other,
    test_executor,
    test_threads,
    test_gathered,
    test_gathered_in_any_order,
    test_executors_within_an_executor,
)


def refused(sparrow, agent):
    sparrow.fork("refund", raises=ValueError("not allowed"))
    answer = agent(task("1234"))
    assert "1234" in answer
    [output] = [e for e in sparrow.events if e.type == "ToolOutput" and e.is_error]
    assert "not allowed" in str(output.blocks)


DRIVERS = {
    "sync": support_agent,
    "streaming": support_agent_streaming,
    "in_threads": support_agent_in_threads,
    "async": lambda task: asyncio.run(support_agent_async(task)),
}


@pytest.mark.parametrize(
    "driver", [pytest.param(name, marks=pytest.mark.sparrow(golden=f"test_{name}")) for name in DRIVERS]
)
def test_fork(sparrow, driver):
    refused(sparrow, DRIVERS[driver])


POOLS = {"executor": support_agent, "executors_within_an_executor": support_agent_in_threads}


@pytest.mark.parametrize(
    "driver", [pytest.param(name, marks=pytest.mark.sparrow(golden=f"test_{name}")) for name in POOLS]
)
def test_fork_in_pool(sparrow, driver):
    sparrow.fork(("refund", 3), raises=ValueError("not allowed"))
    with ThreadPoolExecutor(4) as pool:
        check(list(pool.map(POOLS[driver], map(task, ORDERS))))
"""

NAMES = [name for name in re.findall(r"def (test_\w+)", TESTS) if not name.startswith("test_fork")]
SINGLE = NAMES[:4]
EDITS = ("system", "user", "description", "tool")
FORKS = 6


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The agents, recorded."""
    folder = tmp_path_factory.mktemp("agents")
    for name in ("agent.py", "conftest.py", "provider.py", "tools.py"):
        shutil.copy(EXAMPLE / name, folder)
    # How many cases are closed hangs on who is first.
    tools = (folder / "tools.py").read_text().replace("return int(count)", "return 1")
    (folder / "tools.py").write_text(tools)
    (folder / "test_inner.py").write_text(TESTS)
    code, output = pytest_in(folder, "--sparrow-record", "-k", "not fork")
    assert (code, f"{len(NAMES)} recorded" in output) == (0, True), output
    return folder


def rounds():
    """For each agent: what is edited in it, and how requests are judged.

    Every agent has one of the edits of words; with ``SPARROW_TEST_FULL=1`` each has every one. That an agent alone
    whose prompt was edited is red in an exact replay is what the mutation table says.
    """
    for number, name in enumerate(NAMES):
        edits = EDITS if FULL else [EDITS[number % len(EDITS)]]
        found = [(edit, "report") for edit in (*edits, "behaviour")]
        if FULL or name not in SINGLE:
            found += [("nothing", "compare"), ("system", "compare")]
        yield name, found


def test_each_gets_its_own_answers_whatever_is_edited(recorded):
    """Unchanged, and with edited words in a scripted replay: green. Edited in an exact one, or changed behaviour: red.

    Words are a prompt, a user's text, a tool's description, a tool more in the list. Another amount in one of four
    agents is one change. A refund that is refused in a fork: the rest goes on from the golden.
    """
    chosen = dict(rounds())
    code, output = pytest_in(recorded, "--sparrow-replay", ROUNDS=json.dumps(chosen))
    every = [(name, *each) for name, found in chosen.items() for each in found]
    red = {
        f"{name}[{edit}-{requests}]"
        for name, edit, requests in every
        if edit == "behaviour" or (edit, requests) == ("system", "compare")
    }
    assert code == 1, output
    assert set(re.findall(r"^FAILED test_inner.py::(\S+)", output, re.MULTILINE)) == red, output
    assert f"{len(every) + FORKS - len(red)} replayed equal" in output, output
    assert f", {len(red)} diverged" in output, output
    changed = "ToolUseStarted[refund].args['amount']\n    golden  {}\n    new     {}\n"
    assert output.count(changed.format("3234.0", "3334.0")) == len(NAMES) - len(SINGLE) - 1, output
    assert output.count(changed.format("39.99", "139.99")) >= len(SINGLE) + 1, output
    remarked = re.findall(r"^test_\S+(?: and (\d+) more tests?)?: \d+ requests differ", output, re.MULTILINE)
    edited = sum(edit in EDITS and requests == "report" for _, edit, requests in every)
    assert sum(1 + int(more or 0) for more in remarked) == edited, output


def test_recorded_again_they_are_unchanged(recorded):
    """The order of agents side by side makes no other recording."""
    side_by_side = "test_executor or test_threads or test_gathered"
    code, output = pytest_in(recorded, "--sparrow-record", "-k", side_by_side)
    assert (code, "5 recorded again, unchanged" in output) == (0, True), output


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
