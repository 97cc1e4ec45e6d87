"""Workers that share a queue take from it as they did when recorded; a changed agent never waits for ever."""

from __future__ import annotations

import itertools
import queue
import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial
from multiprocessing.pool import ThreadPool
from queue import SimpleQueue

import pytest

from pytest_sparrow.exchange import Exchange
from pytest_sparrow.run import arrivals, taking
from run.making import replayed, replayed_in_task

ORDERS = [(1, 2, 0), (2, 0, 1)]
QUESTION = {"name": "x", "args": [], "kwargs": {}}


def golden(order, prefix):
    """Equal questions of three workers, which took in an order; each answer is the number of its worker."""
    return [
        Exchange(
            kind="call",
            asked=QUESTION,
            answered={"returned": number},
            lane=f"{prefix}{number + 1}",
            took=[0.001 * (1 + order.index(number))],
            began=0.1 + number / 100,
            ended=1 + number / 10,
        )
        for number in range(3)
    ]


ask = partial(replayed, asked=QUESTION)
ask_in_task = partial(replayed_in_task, asked=QUESTION)


def in_threads(work, count=3):
    """Do the same work in threads."""
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def from_queue(make, **how):
    """An agent whose workers take from a queue, until it is empty or tells them to stop."""

    def agent(run):
        items, got = make(), {}
        for item in range(3):
            items.put(item)

        def work():
            with_end = not how or "timeout" in how
            while (item := items.get(**how)) is not None:
                got[item] = ask(run)
                if with_end:
                    items.put(None)
                if not how:
                    return

        def until_empty():
            with suppress(queue.Empty):
                work()

        in_threads(until_empty)
        return got

    return agent


def nowait(make):
    """The same; the workers never wait."""

    def agent(run):
        items, got = make(), {}
        for item in range(3):
            items.put(item)

        def work():
            try:
                while True:
                    item = items.get_nowait()
                    got[item] = ask(run)
            except queue.Empty:
                pass

        in_threads(work)
        return got

    return agent


def pool(run):
    """An agent with a pool of `multiprocessing`, whose workers are threads."""
    with ThreadPool(3) as workers:
        return dict(enumerate(workers.map(lambda _: ask(run), range(3), chunksize=1)))


async def over_a_channel(run, send, receive, group):
    """Tasks of trio or anyio that take from a channel."""
    got = {}

    async def work():
        async for item in receive:
            got[item] = await ask_in_task(run)
            return

    async with send, receive, group as workers:
        for _ in range(3):
            workers.start_soon(work)
        for item in range(3):
            await send.send(item)
    return got


def trio_channel(run):
    """An agent with tasks of trio."""
    trio = pytest.importorskip("trio")

    async def main():
        return await over_a_channel(run, *trio.open_memory_channel(0), trio.open_nursery())

    return trio.run(main)


def anyio_stream(run):
    """An agent with tasks of anyio."""
    anyio = pytest.importorskip("anyio")

    async def main():
        return await over_a_channel(run, *anyio.create_memory_object_stream(3), anyio.create_task_group())

    return anyio.run(main)


@pytest.mark.parametrize(
    ("agent", "items"),
    [
        (nowait(queue.Queue), (0, 1, 2)),
        (nowait(queue.LifoQueue), (2, 1, 0)),
        (nowait(queue.PriorityQueue), (0, 1, 2)),
        (nowait(lambda: SimpleQueue()), (0, 1, 2)),
        (from_queue(queue.Queue), (0, 1, 2)),
        (from_queue(lambda: queue.SimpleQueue()), (0, 1, 2)),
        (from_queue(queue.Queue, timeout=0.01), (0, 1, 2)),
    ],
    ids=["Queue", "LifoQueue", "PriorityQueue", "SimpleQueue", "get", "SimpleQueue.get", "time-out"],
)
@pytest.mark.parametrize("order", ORDERS)
def test_threads_take_in_the_recorded_order(open_run, agent, items, order):
    """So equal questions get the answers of their items, whichever thread was first."""
    got = agent(open_run(golden=golden(order, "work-")))
    assert [got[item] for item in items] == list(order)


@pytest.mark.parametrize("order", ORDERS)
def test_workers_of_a_pool_too(open_run, order):
    """Which are threads of its own, not the agent's."""
    got = pool(open_run(golden=golden(order, "work-")))
    assert [got[item] for item in range(3)] == list(order)


@pytest.mark.parametrize(("agent", "prefix"), [(trio_channel, "task-1.1."), (anyio_stream, "task-1.")])
@pytest.mark.parametrize("order", ORDERS)
def test_tasks_too(open_run, agent, prefix, order):
    """Of trio and anyio."""
    got = agent(open_run(golden=golden(order, prefix)))
    assert [got[item] for item in range(3)] == list(order)


def test_what_a_worker_took_last_nobody_noted(open_run):
    """It found nothing more, or a sign to stop: the others have taken what they took before."""
    first, second, _ = golden((0, 1, 2), "work-")
    run = open_run(golden=[replace(first, ended=0.105), replace(second, took=[0.2], began=0.3)])
    items, took, first_has_its_answer = queue.Queue(), [], threading.Event()
    for item in range(2):
        items.put(item)

    def work():
        if threading.current_thread().name == "late":
            first_has_its_answer.wait(5)
        with suppress(queue.Empty):
            while True:
                took.append((threading.current_thread().name, items.get_nowait()))
                ask(run)
                first_has_its_answer.set()

    threads = [threading.Thread(target=work, name=name) for name in ("soon", "late")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert took == [("soon", 0), ("late", 1)]


@pytest.mark.parametrize("name", ["Queue", "SimpleQueue"])
@pytest.mark.parametrize("holds", [lambda items: not items.empty(), lambda items: items.qsize()])
def test_who_looks_whether_there_is_something_looks_in_turn(open_run, name, holds):
    """Else a worker would see what another one takes, and wait for ever for more."""
    first, second, _ = golden((0, 1, 2), "work-")
    run = open_run(golden=[replace(first, ended=0.105), replace(second, took=[0.2], began=0.3)])
    items, in_vain, first_has_its_answer = getattr(queue, name)(), [], threading.Event()
    for item in range(2):
        items.put(item)

    def work():
        if threading.current_thread().name == "late":
            first_has_its_answer.wait(5)
        try:
            while holds(items):
                items.get(timeout=0.5)
                ask(run)
                first_has_its_answer.set()
        except queue.Empty:
            in_vain.append(threading.current_thread().name)

    threads = [threading.Thread(target=work, name=name) for name in ("soon", "late")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert in_vain == []


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_workers_go_on(open_run, monkeypatch, count):
    """Whoever is missing is waited for once."""
    monkeypatch.setattr(arrivals, "_SLACK", 0.05)
    run, items, got = open_run(golden=golden((2, 1, 0), "work-")), queue.Queue(), []
    for item in range(3):
        items.put(item)

    def work():
        with suppress(queue.Empty):
            while True:
                items.get_nowait()
                got.append(ask(run))

    in_threads(work, count)
    assert sorted(got) == [0, 1, 2]


def test_a_recording_notes_what_was_taken(open_run):
    """By the strand's next call; of a run of one strand nothing is worth a note."""
    run = open_run(gathers=True)
    items, numbers = queue.Queue(), itertools.count()

    def call():
        items.get()
        run.ask("call", QUESTION).settle({"returned": next(numbers)})

    for _ in range(4):
        items.put(0)
    call()
    in_threads(call)
    took = [exchange.took for exchange, _ in run.gathered]
    assert took[0] == []
    assert all(len(moments) == 1 for moments in took[1:])
    assert sorted(took[1:]) == took[1:]


@pytest.mark.parametrize("same", [True, False])
def test_threads_of_a_recording_go_on_one_after_the_other(open_run, monkeypatch, same):
    """What they take next (of a list, say) nobody sees. Threads that ask otherwise need not wait."""
    monkeypatch.setattr(taking, "MOVING_ON", 30.0)
    run, order = open_run(gathers=True), []
    first_has_its_answer, second_gets_its_own = threading.Event(), threading.Event()
    second_took = threading.Event()

    def asked(path):
        request = {"method": "GET", "url": f"http://localhost/{path}", "headers": {}}
        return run.ask("http", request)

    def first():
        crossing = asked("a")
        crossing.settle({"status": 200, "headers": {}})
        first_has_its_answer.set()
        (second_gets_its_own if same else second_took).wait(5)
        order.append("first")
        asked("b")

    def second():
        crossing = asked("a" if same else "c")
        first_has_its_answer.wait(5)
        second_gets_its_own.set()
        crossing.settle({"status": 200, "headers": {}})
        order.append("second")
        second_took.set()

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order == (["first", "second"] if same else ["second", "first"])
