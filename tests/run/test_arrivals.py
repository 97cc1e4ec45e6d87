"""The recorded order of arrival is replayed, in threads and tasks; a changed agent never waits for ever."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, as_completed, wait
from dataclasses import replace

import pytest

from pytest_sparrow.exchange import Exchange
from pytest_sparrow.run import arrivals
from run.making import replayed, replayed_in_task

ORDERS = list(itertools.permutations(range(3)))


def asked(number):
    """What is asked."""
    return {"name": str(number), "args": [], "kwargs": {}}


def golden(order, prefix="task-1."):
    """Three calls side by side, whose answers came in an order."""
    return [
        Exchange(
            kind="call",
            asked=asked(number),
            answered={"returned": number},
            lane=f"{prefix}{number + 1}",
            began=number / 100,
            ended=1 + order.index(number) / 10,
        )
        for number in range(3)
    ]


@pytest.fixture
def replay(open_run):
    """Opens a run that replays these exchanges."""
    return lambda exchanges: open_run(golden=exchanges)


def ask(run, number):
    """Ask in a thread."""
    return replayed(run, asked(number))


async def ask_in_task(run, number):
    """Ask in a task."""
    return await replayed_in_task(run, asked(number))


@pytest.mark.parametrize("order", ORDERS)
def test_tasks_get_their_answers_in_the_recorded_order(replay, order):
    """Whoever takes them as they come takes them as recorded."""
    run, got = replay(golden(order)), []

    async def one(number):
        got.append(await ask_in_task(run, number))

    async def main():
        await asyncio.gather(*map(one, range(3)))

    asyncio.run(main())
    assert got == list(order)


@pytest.mark.parametrize("order", ORDERS)
def test_threads_too(replay, order):
    """Futures are done in the recorded order."""
    run, got = replay(golden(order, "work-")), []
    with ThreadPoolExecutor(3) as pool:
        for number in range(3):
            pool.submit(ask, run, number).add_done_callback(lambda done: got.append(done.result()))
    assert got == list(order)


def test_a_main_thread_that_is_busy_gets_to_its_wait(replay, monkeypatch):
    """`as_completed` gives in the order of a set what is done before it is called.

    Without the bound of the wait, which a loaded machine may pass; a thread that is not served looks like one that
    waits, so there are five tries.
    """
    monkeypatch.setattr(arrivals, "MOVING_ON", 30.0)

    def arrived(order):
        run = replay(golden(order, "work-"))
        with ThreadPoolExecutor(3) as pool:
            futures = [pool.submit(ask, run, number) for number in range(3)]
            sum(range(1_000_000))
            return tuple(future.result() for future in as_completed(futures))

    for order in ORDERS:
        assert any(arrived(order) == order for _ in range(5))


def test_a_wait_for_the_first_finds_one_at_a_time(replay):
    """A worker that goes on with the next item at once lets the main thread see its answer before another's is there.

    Answers that arrived at once may be found together, as they may have been.
    """
    ended = [1.0, 1.1, 1.2, 1.3, 1.4, 1.4001]
    exchanges = [
        replace(each, asked=asked(number), lane=f"work-{number + 1}", began=began, ended=ended[number])
        for number, (each, began) in enumerate(
            zip(golden((0, 1, 2)) * 2, [0.0, 0.01, 0.02, 1.001, 1.101, 1.201], strict=True)
        )
    ]

    def found():
        run = replay([replace(each, answered={"returned": n}) for n, each in enumerate(exchanges)])
        with ThreadPoolExecutor(3) as pool:
            waiting, batches = {pool.submit(ask, run, number) for number in range(6)}, []
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                batches.append(sorted(future.result() for future in done))
        return batches[:4], sorted(itertools.chain(*batches[4:]))

    # A thread that is not served looks like one that waits.
    assert any(found() == ([[0], [1], [2], [3]], [4, 5]) for _ in range(5))


@pytest.mark.parametrize("order", ORDERS[::2])
def test_tasks_of_trio_too(replay, order):
    """Although trio begins tasks in any order."""
    trio = pytest.importorskip("trio")
    run, got = replay(golden(order)), []

    async def one(number):
        got.append(await ask_in_task(run, number))

    async def main():
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(one, number)

    trio.run(main)
    assert got == list(order)


def test_what_is_polled_is_not_there_before_its_time(replay):
    """A call that the agent makes while it waits for another comes first, as recorded."""
    exchanges = golden((1, 2, 0))
    exchanges[2] = replace(exchanges[2], began=1.05)
    run, seen = replay(exchanges), []

    async def main():
        slow = asyncio.create_task(ask_in_task(run, 0))
        for number in (1, 2):
            await asyncio.create_task(ask_in_task(run, number))
            seen.append(slow.done())
        await slow

    asyncio.run(main())
    assert seen == [False, False]


@pytest.fixture
def soon(monkeypatch):
    """Steps are given up sooner than an agent that is only slow could bear."""
    monkeypatch.setattr(arrivals, "_SLACK", 0.05)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("number", [0, 1])
def test_an_agent_that_asks_less_goes_on(replay, number):
    """Nothing more comes: the answer is given after a while."""
    run = replay(golden((2, 1, 0)))
    assert asyncio.run(ask_in_task(run, number)) == number


@pytest.mark.usefixtures("soon")
def test_an_agent_that_awaits_one_after_the_other_goes_on(replay):
    """In another order than the answers came in; nobody waits twice for the same."""
    run = replay(golden((2, 1, 0), "work-"))
    start = time.monotonic()
    for number in range(3):
        thread = threading.Thread(target=ask, args=(run, number))
        thread.start()
        thread.join()
    assert run.answers.replayer.served == 3
    assert time.monotonic() - start < 30  # a bound, not a measure


def sequential(first, second):
    """Two calls, of which the second was asked for, and its lane made, after the first had its answer."""
    lanes = {"": [], "task-1": [0.1], "task-1.1": [0.1, 0.2], "task-1.2": [0.1, 2]}
    lanes |= {"work-1": [0.1 if first == "work-1" else 2], "work-2": [2]}
    return [
        Exchange(
            kind="call",
            asked=asked(number),
            answered={"returned": number},
            lane=lane,
            lane_began=lanes[lane],
            began=1 + 2 * number,
            ended=2 * number + 1.5,
        )
        for number, lane in enumerate((first, second))
    ]


def waits(run, number):
    """Ask, and have the answer; whether it had to wait."""
    crossing = run.ask("call", asked(number))
    crossing.settle(crossing.replayed)
    return crossing.arrival is not None


def in_thread(run, number):
    """Ask in a thread, and wait for it."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(waits, run, number).result()


def in_threads_of_a_task(run, *numbers):
    """Ask in threads that a task makes, one after the other."""

    async def main():
        return [await asyncio.to_thread(waits, run, number) for number in numbers]

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("lanes", "agent"),
    [
        (("work-1", "work-2"), lambda run: [in_thread(run, 1), in_thread(run, 0)]),
        (("work-1", ""), lambda run: [waits(run, 1), in_thread(run, 0)]),
        (("", "work-1"), lambda run: [in_thread(run, 1), waits(run, 0)]),
        (("task-1.1", "task-1.2"), lambda run: in_threads_of_a_task(run, 1, 0)),
        (("task-1.1", ""), lambda run: [waits(run, 1), *in_threads_of_a_task(run, 0)]),
    ],
    ids=["threads", "a thread, its maker", "a strand, its thread", "threads of a task", "a task, its maker"],
)
def test_an_agent_that_changed_a_sequence_does_not_wait(replay, lanes, agent):
    """What came before is late already, and the strand that must go on for it is the one that asks."""
    assert agent(replay(sequential(*lanes))) == [False, False]


@pytest.mark.parametrize("lanes", [("work-1", "work-2"), ("work-1", "")])
def test_a_strand_that_is_there_is_waited_for(replay, lanes):
    """By chance it had its answer before the other strand was made, or asked: so it has again."""
    run, both = replay(sequential(*lanes)), threading.Barrier(2)

    def later():
        both.wait()
        return waits(run, 0)

    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(later)
        assert pool.submit(waits, run, 1).result() if lanes[1] else waits(run, 1)
        both.wait()
        assert not slow.result()


def test_a_cancelled_wait_leaves_the_others_alone(replay):
    """Whoever waited for its answer does so no longer."""
    run, got = replay(golden((2, 0, 1))), []

    async def one(number):
        crossing = run.ask("call", asked(number))
        try:
            if crossing.arrival is not None:
                await crossing.arrival.wait()
        except asyncio.CancelledError:
            crossing.settle(None, complete=False)
            raise
        crossing.settle(crossing.replayed)
        got.append(number)

    async def main():
        first, second = (asyncio.create_task(one(number)) for number in (0, 1))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, asyncio.create_task(one(2)), second, return_exceptions=True)

    asyncio.run(main())
    assert got == [2, 1]


@pytest.mark.usefixtures("soon")
def test_a_call_in_a_thread_that_runs_tasks_does_not_wait(replay):
    """The tasks could do nothing meanwhile."""
    run = replay(golden((1, 2, 0)))

    async def main():
        return ask(run, 0), await ask_in_task(run, 1)

    start = time.monotonic()
    assert asyncio.run(main()) == (0, 1)
    assert time.monotonic() - start < 30
