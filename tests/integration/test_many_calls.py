"""Many calls at once: in threads, in an executor, gathered. Every one gets its own answer, recorded and replayed."""

from __future__ import annotations

import re
import shutil

import pytest
from full import FULL
from inner_runs import pytest_in

INNER = """
import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

LIVE = "LIVE" in os.environ
CALLS = 50
TASKS = 500


def double(thread: int, call: int) -> int:
    assert LIVE, "a wrapped tool ran in replay"
    return thread * 1000 + call * 2


async def slow(task: int) -> dict[str, int]:
    assert LIVE, "a wrapped tool ran in replay"
    await asyncio.sleep(0.001 * (task % 7))
    return {"task": task}


def test_threads(sparrow):
    tool = sparrow.tool(double)
    wrong, together = [], threading.Barrier(64)

    def work(thread):
        together.wait()
        wrong.extend(call for call in range(CALLS) if tool(thread, call) != thread * 1000 + call * 2)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(sparrow.tool_calls) == 64 * CALLS


def test_executor(sparrow):
    tool = sparrow.tool(double)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: tool(n % 7, n), range(TASKS)))
    assert answers == [n % 7 * 1000 + n * 2 for n in range(TASKS)]


def test_gathered(sparrow):
    tool = sparrow.tool(slow)

    async def agent(number):
        return [await tool(number), await tool(number + 10_000)]

    async def main():
        return await asyncio.gather(*map(agent, range(TASKS)))

    assert asyncio.run(main()) == [[{"task": n}, {"task": n + 10_000}] for n in range(TASKS)]


def test_the_same_question_again_and_again(sparrow):
    tool = sparrow.tool(slow)

    async def main():
        return await asyncio.gather(*(tool(1) for _ in range(TASKS)))

    assert asyncio.run(main()) == [{"task": 1}] * TASKS
"""

if not FULL:
    INNER = INNER.replace("CALLS = 50", "CALLS = 6").replace("TASKS = 500", "TASKS = 80")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The tests, recorded."""
    folder = tmp_path_factory.mktemp("recorded") / "inner"
    folder.mkdir()
    (folder / "test_inner.py").write_text(INNER)
    code, output = pytest_in(folder, "--sparrow-record", LIVE="1")
    assert (code, "4 recorded" in output) == (0, True), output
    return folder


def test_every_call_gets_its_own_answer(recorded):
    """Dozens of threads with some calls each, an executor, gathered tasks: recorded once, green ever after."""
    for _ in range(3 if FULL else 1):
        code, output = pytest_in(recorded, "--sparrow-replay")
        assert (code, "4 replayed equal" in output) == (0, True), output


def test_one_call_of_hundreds_that_changed_is_reported(recorded, tmp_path):
    """Among hundreds of calls in 64 threads a single other argument is one change, not hundreds."""
    folder = shutil.copytree(recorded, tmp_path / "inner")
    changed = INNER.replace(
        "tool(thread, call) !=", "tool(thread, call + 9000 * ((thread, call) == (40, 3))) !="
    )
    (folder / "test_inner.py").write_text(changed)
    code, output = pytest_in(folder, "--sparrow-replay", "-k", "threads")
    assert code == 1, output
    missed = re.findall(r"double\((.*?)\): the golden holds no answer to this", output)
    assert {*missed} == {"thread=40, call=9003"}, output
