"""Keeps threads and tasks in their run and their lane, while a run is open.

Each task gets its lane when it is made, and so does work that is handed to another thread: neither
`threading.Thread.start` nor `ThreadPoolExecutor.submit` (which asyncio's executors use) hands on the context.

The task that ``asyncio.wait_for`` makes before Python 3.12 borrows the lane of its caller, in whose own task it awaits
from 3.12 on. Otherwise each request behind it would be a strand of its own, though the caller does nothing but wait:
agents side by side differed in words only, and one after the other had no order. (``asyncio.timeout`` makes
no task, and neither do anyio's scopes.)

A strand that serves a connection of a server in this process knows the server's port (`run.own_servers` says what for).
"""

from __future__ import annotations

import atexit
import contextvars
import functools
import random
import sys
import types
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.patching import AttributePatch, CodePatch, Patches, copy_function, namespace
from pytest_sparrow.errors import ReplayStopped
from pytest_sparrow.run.context import (
    borrowed_lane,
    carried,
    finalize_for,
    finalizing,
    is_collecting,
    note_thread,
    pool_threads,
    serving_port,
    started_by_collector,
    taking_run,
    task_made,
)
from pytest_sparrow.run.own_servers import port_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from pytest_sparrow.boundaries.patching import Patch, PatchesFor
    from pytest_sparrow.run.crossing import OpenRun


def _threads(module: Any) -> list[Patch]:
    return [AttributePatch(module.Thread, "start", _started(module.Thread.start))]


def _started(start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    @functools.wraps(start)
    def hand_on_and_start(thread: threading.Thread) -> None:
        # A pool's own threads belong to nobody, and would only use up numbers of lanes: each piece of work brings its
        # lane with it, or a copy of its context.
        if _serves_a_pool(thread):
            pool_threads.add(thread)
        else:
            note_thread(thread)
            thread.run = _until_its_end(*carried(thread.run))  # type: ignore[method-assign]
        start(thread)

    return hand_on_and_start


def _until_its_end(work: Callable[[], None], ended: Callable[[], None] | None) -> Callable[[], None]:
    if ended is None:
        return work

    def until_its_end() -> None:
        try:
            work()
        except ReplayStopped:
            pass  # the run knows the misses; a traceback of the thread would tell no more
        finally:
            ended()

    return until_its_end


def _finalizers(module: Any) -> list[Patch]:
    """For `weakref.finalize`: the garbage collector runs its callback in whichever test happens to need memory."""
    make = module.finalize.__init__

    @functools.wraps(make)
    def make_in_run(finalizer: Any, of: Any, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
        make(finalizer, of, finalizing(work), *args, **kwargs)

    return [AttributePatch(module.finalize, "__init__", make_in_run)]


class _Exits:
    """Whose the functions are that Python calls at its end (`atexit`).

    `atexit` says only how many there are, and calls the youngest first. So wherever a run begins or ends, a function of
    ours is put between the older ones and the younger ones: once it is called, the older ones follow. A name of
    `atexit.register` that was imported before needs no patch so.
    """

    def __init__(self) -> None:
        self._known = 0
        self._owner: OpenRun | None = None
        self._left: list[Callable[[], None]] = []

    def belong_to(self, owner: OpenRun | None) -> OpenRun | None:
        """What is registered from here on belongs to a run; gives to whom it belonged before."""
        if atexit._ncallbacks() != self._known:  # noqa: SLF001 - nothing public says it
            atexit.register(self._older_ones, self._owner)
            self._known = atexit._ncallbacks()  # noqa: SLF001
        before, self._owner = self._owner, owner
        return before

    def _older_ones(self, owner: OpenRun | None) -> None:
        while self._left:
            self._left.pop()()
        if owner is not None:
            from pytest_sparrow.boundaries import http

            http.install()
            self._left += [http.uninstall, finalize_for(owner)]


exits = _Exits()


_POOLS = ("anyio._backends._asyncio", "trio._core._thread_cache")  # private names


def _serves_a_pool(thread: threading.Thread) -> bool:
    target = getattr(thread, "_target", None)
    worker = getattr(sys.modules.get("concurrent.futures.thread"), "_worker", None)  # a private name
    return (
        (worker is not None and target is worker)
        or type(thread).__module__ in _POOLS
        or type(getattr(target, "__self__", None)).__module__ in _POOLS
    )


def _pools(module: Any) -> list[Patch]:
    pool = module.ThreadPoolExecutor
    return [AttributePatch(pool, "submit", _submitted(pool.submit))]


def _submitted(submit: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    @functools.wraps(submit)
    def hand_on_and_submit(pool: Any, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        # A pool of one worker, whose private name we ask, does one piece after the other.
        work, ended = carried(work, pool if getattr(pool, "_max_workers", 0) == 1 else None)
        future = submit(pool, work, *args, **kwargs)
        if ended is not None:
            future.add_done_callback(lambda _: ended())
        return future

    return hand_on_and_submit


_WAIT_FOR_MAKES_A_TASK = sys.version_info < (3, 12)

# Process-wide, because the function is; set when its code is replaced.
_real_wait_for: Any = None


def _loops(module: Any) -> list[Patch]:
    """For a module with an event loop of asyncio, and for uvloop's."""
    loop = getattr(module, "BaseEventLoop", None) or getattr(module, "Loop", None)
    if loop is None:
        return []
    patches: list[Patch] = [AttributePatch(loop, "create_task", _making(loop.create_task))]
    ends = getattr(loop, "_asyncgen_finalizer_hook", None)  # a private name
    return (
        patches
        if ends is None
        else [*patches, AttributePatch(loop, "_asyncgen_finalizer_hook", _ending(ends))]
    )


def _ending(ends: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """For async generators that the garbage collector ends, in a task that the loop makes later."""

    @functools.wraps(ends)
    def end_generator(loop: Any, generator: Any) -> None:
        (started_by_collector(ends) if is_collecting() else ends)(loop, generator)

    return end_generator


def _making(create_task: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(create_task)
    def make_and_number(loop: Any, coro: Any, **kwargs: Any) -> Any:
        own = None
        # A task factory need not know contexts.
        if kwargs.get("context") is None and loop.get_task_factory() is None:
            own = kwargs["context"] = contextvars.copy_context()
        if kwargs.get("context") is not None and (port := _connection_taken(loop)) is not None:
            kwargs["context"].run(serving_port.set, port)
        task = create_task(loop, coro, **kwargs)
        if not isinstance(coro, _InBorrowedLane):
            task_made(task, own)
        return task

    return make_and_number


_TAKING = ("connection_made", "data_received", "buffer_updated")


def _connection_taken(loop: Any) -> int | None:
    """The port of this process on which the connection came that the loop makes a task for right now, or None.

    Servers make their tasks in methods of asyncio's protocols, which the loop calls outside every task.
    """
    if not loop.is_running() or sys.modules["asyncio"].current_task(loop) is not None:
        return None
    frame: types.FrameType | None = sys._getframe(2)  # noqa: SLF001 - what inspect.stack() uses
    while frame is not None and frame.f_code.co_name not in _TAKING:
        frame = frame.f_back
    if frame is None:
        return None
    known = frame.f_locals
    return port_of(known.get("transport") or getattr(known.get("self"), "transport", None))


def _queues(module: Any) -> list[Patch]:
    """For threads. A queue in C has no method that could be replaced, so another class stands for it."""
    name, simple = _SIMPLE, module.SimpleQueue
    in_order = _in_order(simple)
    return [
        AttributePatch(module.Queue, "get", _taking(module.Queue.get)),
        AttributePatch(module.Queue, "empty", _taking(module.Queue.empty, looks=True)),
        AttributePatch(module.Queue, "qsize", _taking(module.Queue.qsize, looks=True)),
        *(
            AttributePatch(user, name, in_order)
            for user in list(sys.modules.values())
            if (namespace(user) or {}).get(name) is simple and user.__name__ != "_queue"
        ),
    ]


_SIMPLE = "SimpleQueue"


@functools.cache
def _in_order(simple: Any) -> Any:
    if isinstance(vars(simple).get("get_nowait"), functools.partialmethod):
        return simple  # a module is collected, whose imports get this class
    get = _taking(simple.get)
    methods = {
        "get": get,
        "get_nowait": functools.partialmethod(get, block=False),
        "empty": _taking(simple.empty, looks=True),
        "qsize": _taking(simple.qsize, looks=True),
        "__module__": "queue",
    }
    return type(_SIMPLE, (simple,), methods)


def queues_for_imports() -> AbstractContextManager[object]:
    """Give modules that are imported meanwhile the class that a run needs: they may keep it, or a queue, anywhere."""
    import queue

    return AttributePatch(queue, _SIMPLE, _in_order(queue.SimpleQueue))


def _taking(get: Callable[..., Any], *, looks: bool = False) -> Callable[..., Any]:
    """A method that takes from a queue, or looks whether there is something to take, when it is its strand's turn."""

    @functools.wraps(get)
    def get_in_turn(*args: Any, **kwargs: Any) -> Any:
        run = taking_run(sys._getframe(1))  # noqa: SLF001 - what inspect.stack() uses
        turn = None if run is None else run.taking.turn()
        if turn is None:
            return get(*args, **kwargs)
        due, taken = turn
        if due is not None:  # in no time of the agent's: a time-out begins after it
            due.hold()
        found = get(*args, **kwargs)
        if not looks:
            taken()
        return found

    return get_in_turn


def _awaiting(get: Callable[..., Any]) -> Callable[..., Any]:
    async def get_when_due(due: Any, taken: Callable[[], None], *args: Any, **kwargs: Any) -> Any:
        if due is not None:
            await due.wait()
        found = await get(*args, **kwargs)
        taken()
        return found

    @functools.wraps(get)
    def get_in_turn(*args: Any, **kwargs: Any) -> Any:
        run = taking_run(sys._getframe(1))  # noqa: SLF001 - see above
        turn = None if run is None else run.taking.turn()
        return get(*args, **kwargs) if turn is None else get_when_due(*turn, *args, **kwargs)

    return get_in_turn


def _channels(name: str) -> PatchesFor:
    """For tasks: a class with a method ``receive``. `asyncio.Queue` needs nothing: what is there it gives at once."""

    def patches(module: Any) -> list[Patch]:
        channel = getattr(module, name, None)
        receive = getattr(channel, "receive", None)
        return [] if receive is None else [AttributePatch(channel, "receive", _awaiting(receive))]

    return patches


def _servers(module: Any) -> list[Patch]:
    """For `socketserver`, on which http.server, wsgiref and werkzeug build."""
    finish_request = module.BaseServer.finish_request

    @functools.wraps(finish_request)
    def serve(server: Any, *args: Any) -> None:
        address = server.server_address
        token = serving_port.set(address[1] if isinstance(address, tuple) else None)
        try:
            finish_request(server, *args)
        finally:
            serving_port.reset(token)

    return [AttributePatch(module.BaseServer, "finish_request", serve)]


def _nurseries(module: Any) -> list[Patch]:
    runner = getattr(module, "Runner", None)
    spawn = getattr(runner, "spawn_impl", None)  # a private name, as the module's
    order = getattr(module, "_r", None)
    patches: list[Patch] = [] if spawn is None else [AttributePatch(runner, "spawn_impl", _spawning(spawn))]
    return patches if order is None else [*patches, AttributePatch(module, "_r", _InOrder())]


class _InOrder(random.Random):
    """Trio turns the order round in which tasks go on, by chance: the one that came first goes first."""

    def random(self) -> float:
        return 1.0

    def shuffle(self, x: Any) -> None:
        pass


def _spawning(spawn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(spawn)
    def spawn_and_number(*args: Any, **kwargs: Any) -> Any:
        task = spawn(*args, **kwargs)
        task_made(task, task.context if kwargs.get("context") is None else None)
        return task

    return spawn_and_number


def _waits(module: types.ModuleType) -> list[Patch]:
    """Other code for `asyncio.wait_for`: so ``from asyncio import wait_for`` is covered."""
    global _real_wait_for  # noqa: PLW0603 - see above
    function = getattr(module, "wait_for", None)
    if not _WAIT_FOR_MAKES_A_TASK or not isinstance(function, types.FunctionType) or function.__closure__:
        return []
    code = function.__code__
    if code.co_varnames[: code.co_argcount] != ("fut", "timeout"):
        return []  # not the function that we know
    _real_wait_for = copy_function(function)
    return [CodePatch(function, _wait_for.__code__)]


# What runs in the place of the function's code. It runs with the globals of asyncio.tasks, so it imports.
async def _wait_for(fut, timeout):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    from pytest_sparrow.boundaries.world.strands import waiting

    return await waiting(fut, timeout)


def waiting(awaited: Any, timeout: float | None) -> Any:
    """What `asyncio.wait_for` of the same arguments gives, but for the lane. Called in the task that waits."""
    # A task or a future that is there already is a strand of its own.
    borrow = borrowed_lane() if isinstance(awaited, Coroutine) else None
    return _real_wait_for(awaited if borrow is None else _InBorrowedLane(awaited, borrow), timeout)


class _InBorrowedLane(Coroutine[Any, Any, Any]):
    """A coroutine that acts in the lane of the strand that waits for it.

    No coroutine around it: one that is cancelled before it starts would never start the one within, which Python warns
    about. What anyio and debuggers ask a coroutine for is the inner one's.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], borrow: Callable[[], None]) -> None:
        self._coroutine = coroutine
        self._borrow: Callable[[], None] | None = borrow

    def send(self, value: Any, /) -> Any:
        borrow, self._borrow = self._borrow, None
        if borrow is not None:
            borrow()
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Any:
        return self._coroutine.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)


PATCHES = Patches(
    {
        "threading": _threads,
        "weakref": _finalizers,
        "concurrent.futures.thread": _pools,
        "asyncio.base_events": _loops,
        "uvloop": _loops,
        "trio._core._run": _nurseries,
        "asyncio.tasks": _waits,
        "socketserver": _servers,
        "queue": _queues,
        "anyio.streams.memory": _channels("MemoryObjectReceiveStream"),
        "trio._channel": _channels("MemoryReceiveChannel"),
    }
)
"""Installed while a run is open."""
