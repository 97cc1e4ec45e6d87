"""What waits for a coroutine with a time-out is one strand with it, in every version of Python."""

import asyncio
import subprocess
import sys
import textwrap
from asyncio import wait_for

import pytest
from run.making import run_of

from pytest_sparrow.boundaries.world import strands
from pytest_sparrow.providers.registry import Wire
from pytest_sparrow.run.context import close_window, open_window

LONG = 60


@pytest.fixture
def run():
    """An open run."""
    run = run_of(wire=Wire(()))
    token = open_window(run)
    strands.PATCHES.install()
    yield run
    strands.PATCHES.uninstall()
    close_window(run, token)


@pytest.fixture
def lane(run):
    """Gives the lane that a crossing made there belongs to."""

    async def cross():
        crossing = run.ask("call", {"name": "x", "args": [], "kwargs": {}})
        crossing.settle({"returned": None})
        return crossing.lane.label

    return cross


def test_a_call_with_a_time_out_is_in_its_callers_lane(lane):
    """Whether the caller has made a crossing before or not, and however deep."""

    async def first():
        return await wait_for(lane(), LONG), await lane()

    async def then():
        return (
            await lane(),
            await wait_for(wait_for(lane(), LONG), LONG),
            await asyncio.wait_for(lane(), None),
        )

    async def main():
        return await asyncio.gather(first(), then())

    first_lanes, then_lanes = asyncio.run(main())
    assert [len(set(first_lanes)), len(set(then_lanes))] == [1, 1]
    assert first_lanes[0] != then_lanes[0]


def test_what_runs_side_by_side_behind_it_does_not_share_the_lane(lane):
    """Tasks that the awaited coroutine makes are strands of their own; so is one that was there already."""

    async def several():
        return await asyncio.gather(lane(), lane())

    async def main():
        there = asyncio.create_task(lane())
        return [await lane(), *await wait_for(several(), LONG), await wait_for(there, LONG)]

    assert len(set(asyncio.run(main()))) == 4


def test_it_is_wait_for_in_all_else(run):
    """Results, errors, time-outs and cancelling, before the first step too, without a warning of a coroutine unused."""

    async def value():
        return 5

    async def fails():
        raise KeyError("x")

    async def stopped(log):
        try:
            await asyncio.sleep(LONG)
        finally:
            log.append("stopped")

    async def main():
        log = []
        assert await wait_for(value(), LONG) == 5
        with pytest.raises(KeyError):
            await wait_for(fails(), LONG)
        with pytest.raises(asyncio.TimeoutError):
            await wait_for(stopped(log), 0.001)
        with pytest.raises(asyncio.TimeoutError):
            await wait_for(stopped([]), 0)
        waits = asyncio.create_task(wait_for(stopped(log), LONG))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        return log

    assert asyncio.run(main()) == ["stopped", "stopped"]


def test_outside_a_run_it_is_the_very_same():
    """The code is put back by the last uninstall; one window may lie in another."""
    code = asyncio.wait_for.__code__
    strands.PATCHES.install()
    strands.PATCHES.install()
    strands.PATCHES.uninstall()
    assert (asyncio.wait_for.__code__ is code) is (sys.version_info >= (3, 12))
    strands.PATCHES.uninstall()
    assert asyncio.wait_for.__code__ is code


def test_asyncio_is_not_loaded_for_it():
    """The module asyncio is patched when somebody loads it, and put back."""
    program = """
        import sys
        from pytest_sparrow.boundaries.world import strands

        finders = list(sys.meta_path)
        strands.PATCHES.install()
        assert "asyncio" not in sys.modules
        import asyncio
        assert (asyncio.wait_for.__code__ is strands._wait_for.__code__) is (sys.version_info < (3, 12))
        strands.PATCHES.uninstall()
        assert asyncio.wait_for.__code__ is not strands._wait_for.__code__
        assert sys.meta_path == finders
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)
