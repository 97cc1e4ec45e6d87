"""What a test leaves running belongs to that test for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edges.world import serving
from inner_runs import pytest_in

if TYPE_CHECKING:
    from pathlib import Path

INNER = """
import asyncio
import atexit
import gc
import os
import threading
import weakref

import httpx2

gc.disable()  # it runs when this file says so
atexit._clear()

from atexit import register  # noqa: E402 - bound before every run

URL = os.environ["URL"]
GO = threading.Event()
DONE = threading.Event()
LOOP = asyncio.new_event_loop()


def notify(who: str) -> str:
    with open("effects.txt", "a") as file:
        file.write(f"notified {who}\\n")
    return "sent"


def ask(what):
    return httpx2.post(f"{URL}/{what}", json={}).status_code


def test_leaves_a_thread(sparrow):
    tool = sparrow.tool(notify)

    def later():
        GO.wait(20)
        more = threading.Thread(target=ask, args=("later",))
        for step in (lambda: tool("ada"), lambda: ask("late"), more.start, more.join):
            try:
                step()
            except Exception:
                pass
        DONE.set()

    ask("first")
    threading.Thread(target=later).start()


def test_leaves_a_task(sparrow):
    async def later():
        await asyncio.sleep(0.01)
        async with httpx2.AsyncClient() as client:
            await client.post(f"{URL}/task", json={})

    async def main():
        test_leaves_a_task.task = asyncio.create_task(later())

    LOOP.run_until_complete(main())
    ask("second")


class Session:
    pass


def test_leaves_a_finalizer(sparrow):
    session, done = Session(), Session()
    weakref.finalize(done, ask, "own")
    del done
    weakref.finalize(session, ask, "closed")
    assert register(ask, "exit") is ask
    atexit.register(notify, "nobody")
    atexit.unregister(notify)
    test_leaves_a_finalizer.session = session


class Unclosed:
    def __init__(self):
        self.cycle = self

    def __del__(self):
        ask("unclosed")
        notify("eve")


def unread():
    mine = yield
    try:
        yield mine
    finally:
        ask("unread")


async def unread_async():
    cycle = [unread_async.all[-1]]
    cycle.append(cycle)
    try:
        yield
    finally:
        async with httpx2.AsyncClient() as client:
            await client.post(f"{URL}/aunread", json={})


def test_leaves_garbage(sparrow):
    sparrow.tool(notify)
    ask("garbage")
    Unclosed()
    generator = unread()
    next(generator)
    generator.send(generator)

    async def main():
        unread_async.all = [None]
        unread_async.all[0] = generator = unread_async()
        await anext(generator)
        unread_async.all = None

    LOOP.run_until_complete(main())
    own = Unclosed()
    own.cycle = None
    del own  # at once: this is the test's own


def test_is_innocent(sparrow):
    ask("third")
    sparrow.tool(notify)
    gc.collect()
    LOOP.run_until_complete(asyncio.sleep(0.01))
    del test_leaves_a_finalizer.session
    GO.set()
    assert DONE.wait(20)
    LOOP.run_until_complete(asyncio.wait([test_leaves_a_task.task]))
    ask("fourth")


def test_a_session_that_works_for_all(sparrow):
    ask("fifth")
    atexit._run_exitfuncs()  # what Python does at its end
"""


def test_what_a_test_leaves_running_is_in_no_other_tests_run(tmp_path: Path) -> None:
    """Threads, tasks, finalizers, what is called at exit: not recorded, refused in a replay, named by their test."""
    (tmp_path / "test_inner.py").write_text(INNER)
    with serving() as url:
        code, output = pytest_in(tmp_path, "--sparrow-record", URL=url)
    assert (code, "6 recorded" in output) == (0, True), output
    goldens = tmp_path / "__sparrow__/test_inner"
    golden = "".join(
        (goldens / name / "exchanges.jsonl").read_text()
        for name in ("test_is_innocent", "test_a_session_that_works_for_all")
    )
    assert [
        word
        for word in ("late", "later", "task", "notify", "closed", "unclosed", "unread", "aunread", "exit")
        if f'/{word}"' in golden or f'"{word}"' in golden
    ] == []
    assert (tmp_path / "effects.txt").read_text() == "notified eve\nnotified eve\nnotified ada\n"
    assert "test_leaves_a_thread: POST" in output, output
    (tmp_path / "effects.txt").unlink()
    code, output = pytest_in(tmp_path, "--sparrow-replay", URL="http://127.0.0.1:9")
    assert (code, "6 replayed equal" in output) == (0, True), output
    assert not (tmp_path / "effects.txt").exists()
    for what in ("notify", "POST http://127.0.0.1:9/late", "POST http://127.0.0.1:9/later"):
        assert f"test_inner.py::test_leaves_a_thread: {what}: asked for by a thread" in output, output
    assert "test_leaves_a_task: POST http://127.0.0.1:9/task: asked for by a task 'Task-" in output, output
    assert "_finalizer: POST http://127.0.0.1:9/exit: asked for by a finalizer that" in output, output
    assert "_finalizer: POST http://127.0.0.1:9/closed: asked for by a finalizer that" in output, output
    assert output.count("that this test had left running: refused") == 6
    for what in ("notify", "POST http://127.0.0.1:9/unclosed", "…/unread", "…/aunread"):
        what = what.replace("…", "POST http://127.0.0.1:9")
        said = f"test_is_innocent: {what}: asked for while Python's garbage collector ended what nobody had closed"
        assert f"{said}: refused" in output, output
