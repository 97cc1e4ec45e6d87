"""Which lane a strand is in."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_sparrow.boundaries.world import strands
from pytest_sparrow.providers.registry import Wire
from pytest_sparrow.run.context import close_window, current_run, open_window
from run.making import run_of


@pytest.fixture
def run():
    """An open run, with threads handing it on."""
    run = run_of(wire=Wire(()))
    token = open_window(run)
    strands.PATCHES.install()
    run.body_begins()
    yield run
    strands.PATCHES.uninstall()
    close_window(run, token)


def lane():
    """The lane that a crossing made here belongs to, or None outside the run."""
    run = current_run()
    if run is None:
        return None
    crossing = run.ask("call", {"name": "x", "args": [], "kwargs": {}})
    crossing.settle({"returned": None})
    return crossing.lane.label


def in_thread(work):
    """Run work in a thread of its own, and give its result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


def test_the_strand_of_the_fixture_is_the_main_lane(run):
    """A synchronous test runs where the fixture opened the run."""
    assert lane() == ""


def test_a_thread_has_a_lane_numbered_by_its_start(run):
    """Whichever thread crosses first: the numbers are given when they are handed over."""
    started = [threading.Event() for _ in range(2)]
    found = {}

    def work(number):
        started[number].wait(5)
        found[number] = lane()

    both = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in both:
        thread.start()
    started[1].set()
    both[1].join()
    started[0].set()
    both[0].join()
    assert found == {0: "work-1", 1: "work-2"}


def test_each_piece_of_an_executors_work_has_a_lane(run):
    """Which of its threads takes it doesn't matter; what it hands on itself stems from it."""

    def work(_):
        return lane(), in_thread(lane), lane()

    with ThreadPoolExecutor(1) as pool:
        found = list(pool.map(work, range(2)))
    assert found == [("work-1", "work-1.1", "work-1"), ("work-2", "work-2.1", "work-2")]


def test_tasks_have_lanes_numbered_by_their_making(run):
    """Each gathered task is a strand; awaiting doesn't make another."""

    async def work():
        before = lane()
        await asyncio.sleep(0)
        assert lane() == before
        return before

    async def main():
        return lane(), await asyncio.gather(work(), work())

    assert asyncio.run(main()) == ("task-1", ["task-1.1", "task-1.2"])


def test_to_thread_stems_from_its_task(run):
    """Asyncio's executors hand the run on as any other."""

    async def main():
        return lane(), await asyncio.to_thread(lane)

    task, thread = asyncio.run(main())
    assert task == "task-1"
    assert thread == "task-1.1"


def test_a_thread_that_was_there_before_is_known_by_name_only(run):
    """Such a thread carries no context: the comparison knows that the order in its lane means nothing."""
    found = []
    go, done = threading.Event(), threading.Event()

    def work():
        go.wait(5)
        found.append(lane())
        done.set()

    strands.PATCHES.uninstall()
    thread = threading.Thread(target=work)
    thread.start()
    strands.PATCHES.install()
    go.set()
    assert done.wait(5)
    thread.join()
    assert found == ["thread-1"]


def test_a_copied_context_in_another_thread_is_a_lane_of_its_own(run):
    """What a framework does by itself is understood as well."""
    context = contextvars.copy_context()
    strands.PATCHES.uninstall()
    try:
        assert in_thread(lambda: context.run(lane)) == "work-1"
    finally:
        strands.PATCHES.install()


def test_outside_the_window_threads_are_left_alone():
    """With nothing installed the originals are the very ones."""
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit
    strands.PATCHES.install()
    assert threading.Thread.start is not start
    assert in_thread(lane) is None
    strands.PATCHES.uninstall()
    assert (threading.Thread.start, ThreadPoolExecutor.submit) == (start, submit)


def test_what_fixtures_hand_out_shifts_no_number(run):
    """A server that is started only while recording must not make other lanes of the test's own work."""
    other = run_of("b", wire=Wire(()))
    token = open_window(other)
    try:
        assert in_thread(lane) == "setup-1"
        other.body_begins()
        assert [in_thread(lane), in_thread(lane)] == ["work-1", "work-2"]
    finally:
        close_window(other, token)


@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_a_library_that_another_thread_is_loading_is_no_strand(run, monkeypatch, library):
    """A module that is only half there has no current task yet: the thread that asks is the strand."""
    monkeypatch.setitem(sys.modules, library, types.ModuleType(library))
    run.ask("call", {"name": "a", "args": [], "kwargs": {}})
    assert run.begin_lane(None).label == "work-1"
