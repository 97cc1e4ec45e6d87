"""What a tool reaches outside of its arguments: changes there are made again, and what it closes over is compared."""

import json

import pytest
from inner_runs import answering

from plugin.failures import reported
from pytest_sparrow.cli import main

STATE = """
    DB: dict = {}
    LIMITS = {"eur": 5}
"""

TESTS = """
    import asyncio
    import dataclasses
    import os
    import threading

    import httpx
    import pytest
    import state

    WORLD, CHANGED = os.environ["WORLD"], os.environ.get("CHANGED") == "1"
    COUNT, HISTORY = 0, []

    @pytest.fixture(autouse=True)
    def _empty():
        global COUNT
        COUNT = 0
        HISTORY.clear()
        state.DB.clear()

    def pick(golden, new):
        return new if CHANGED else golden

    def ask(prompt):
        httpx.post(WORLD + "/some", json={"prompt": str(prompt)})

    def test_globals(sparrow):
        @sparrow.tool
        def refund(order: str):
            global COUNT
            COUNT += 1
            HISTORY.append(order)
            state.DB[order] = {"n": COUNT}
        refund("a")
        refund("b")
        ask([COUNT, HISTORY, state.DB, pick(1, 2)])

    def test_closures(sparrow):
        n, seen = 0, {}
        @sparrow.tool
        async def look(order: str) -> int:
            nonlocal n
            await asyncio.sleep(0)
            n += 1
            seen[order] = n
            return n
        asyncio.run(look("a"))
        ask([n, seen, pick(1, 2)])

    def test_side_by_side(sparrow):
        done = []
        @sparrow.tool
        async def look(order: str) -> None:
            await asyncio.sleep(0.01 * int(order))
            done.append(order)
        async def agent():
            async def one(order):
                await look(order)
                done.append("after " + order)
            await asyncio.gather(one("2"), one("1"))
        asyncio.run(agent())
        ask([done, pick(1, 2)])

    def test_polled(sparrow):
        status, seen = {"is": "idle"}, []
        @sparrow.tool
        async def work() -> None:
            status["is"] = "working"
            await asyncio.sleep(0.01)
            status["is"] = "done"
        async def agent():
            task = asyncio.create_task(work())
            await asyncio.sleep(0)
            seen.append(status["is"])
            await task
        asyncio.run(agent())
        ask([seen, status, pick(1, 2)])

    def test_filled_by_both(sparrow):
        log = []
        @sparrow.tool
        async def look() -> None:
            await asyncio.sleep(0.01)
            log.append("tool")
        async def mine():
            for number in range(3):
                await asyncio.sleep(0)
                log.append(number)
        async def agent():
            await asyncio.gather(look(), mine())
        asyncio.run(agent())
        ask([sorted(map(str, log)), pick(1, 2)])

    def test_own_strands(sparrow):
        log = []
        @sparrow.tool
        async def look(order: str) -> None:
            await asyncio.to_thread(log.append, order)
            async def part(number):
                await asyncio.sleep(0.001 * number)
                log.append(number)
            await asyncio.gather(part(2), part(1))
        asyncio.run(look("a"))
        ask([log, pick(1, 2)])

    def test_threads(sparrow):
        total, lock = 0, threading.Lock()
        @sparrow.tool
        def add(number: int) -> None:
            nonlocal total
            with lock:
                total += number
        threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        ask([total, pick(1, 2)])

    @dataclasses.dataclass
    class Account:
        owner: str

    def make(sparrow, account, tenant="acme"):
        def fetch(number):
            return f"{account.owner} {number}"
        def balance(number: int) -> str:
            return fetch(number) + tenant
        return sparrow.tool(balance)

    def test_account(sparrow):
        ask(make(sparrow, Account(pick("ada", "bob")))(1))

    def test_tenant(sparrow):
        ask(make(sparrow, Account("ada"), pick("acme", "initech"))(1))
"""


@pytest.fixture
def recorded(inner):
    """Each test, recorded; the server is gone."""
    inner.write("state.py", STATE)
    return inner.recorded(TESTS, answering("some"))


def test_an_unchanged_agent_finds_what_its_tools_changed(recorded):
    """Globals, another module's, closures; sync, async, side by side, threads: green, whatever else is passed over."""
    result = recorded.replay()
    result.assert_outcomes(passed=9)
    result.stdout.no_fnmatch_line("*not compared*")


def test_a_changed_agent_is_red(recorded):
    """The prompt, and the account or the text that a tool closes over."""
    recorded.env(CHANGED="1")
    result = recorded.replay()
    result.assert_outcomes(failed=9)
    said = reported(result)
    assert "on['nonlocal']['fetch.account']['owner']" in said["test_account"]
    assert "on['nonlocal']['tenant']" in said["test_tenant"]


def test_an_older_golden_compares_what_it_says(recorded, monkeypatch):
    """One that does not say what a tool closes over is green for another account."""
    for path in recorded.path.glob("__sparrow__/test_it/test_[at][ce]*/e*.jsonl"):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for line in lines:
            line.get("asked", line).pop("on", None)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    monkeypatch.chdir(recorded.path)
    assert main(["check", "--fix-meta"]) == 0
    recorded.env(CHANGED="1")
    recorded.replay("-k", "account or tenant").assert_outcomes(passed=2)
