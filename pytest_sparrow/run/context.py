"""Finds the run that the calling strand belongs to.

The run is found by context first, then it is the only open run there is.
"""

from __future__ import annotations

import contextvars
import functools
import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from pytest_sparrow.errors import UsageError
from pytest_sparrow.run.answering import done_here, is_answering, is_captured, is_in_world, running_tool
from pytest_sparrow.run.lanes import current_strand
from pytest_sparrow.run.users_code import is_users

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from pytest_sparrow.run.crossing import OpenRun

P = ParamSpec("P")
R = TypeVar("R")

# A process-wide registry is unavoidable: a thread without context can be known only by what is open in its
# process. It holds runs between open_window and close_window only.
_open: dict[int, OpenRun] = {}
_lock = threading.Lock()
_current: contextvars.ContextVar[OpenRun | None] = contextvars.ContextVar("pytest_sparrow_run", default=None)


serving_port: contextvars.ContextVar[int | None] = contextvars.ContextVar(
    "pytest_sparrow_serving", default=None
)
"""The port of this process that the strand here serves, set where a connection is taken; None: it serves none."""

_finalizes: contextvars.ContextVar[bool] = contextvars.ContextVar("pytest_sparrow_finalizes", default=False)

# The thread in which the garbage collector runs. Not a context variable: before Python 3.12 the collector may run while
# C code changes a variable of the same context, which must not change meanwhile.
_collector: int | None = None

_collected: contextvars.ContextVar[bool] = contextvars.ContextVar("pytest_sparrow_collected", default=False)
"""Whether the strand here was started by what the garbage collector ended."""


def _note_collection(phase: str, _: dict[str, int]) -> None:
    global _collector  # noqa: PLW0603 - the collector is the process's
    _collector = threading.get_ident() if phase == "start" else None


def started_by_collector(work: Callable[P, R]) -> Callable[P, R]:
    """Work that code of the garbage collector hands to another strand: it belongs to no run either."""
    context = contextvars.copy_context()
    context.run(_collected.set, True)  # noqa: FBT003 - a setter
    return functools.partial(context.run, work)


def open_window(run: OpenRun) -> contextvars.Token[OpenRun | None]:
    """Open a run for this context, and for threads without one while it is the only run."""
    with _lock:
        if not _open:
            gc.callbacks.append(_note_collection)
        _open[id(run)] = run
    return _current.set(run)


def close_window(run: OpenRun, token: contextvars.Token[OpenRun | None]) -> None:
    """Close a run; calls that come later belong to no run."""
    with _lock:
        if _open.pop(id(run), None) is not None and not _open:
            gc.callbacks.remove(_note_collection)
    try:
        _current.reset(token)
    except ValueError:
        # Opened in another context (an async fixture): that context's value is checked against _open.
        _current.set(None)


_threads: weakref.WeakKeyDictionary[threading.Thread, OpenRun] = weakref.WeakKeyDictionary()
"""The run in which each thread was started."""


def note_thread(thread: threading.Thread) -> None:
    """Remember in which run a thread is started."""
    run = _current.get()
    if run is not None:
        _threads[thread] = run


pool_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
"""Threads of pools: any run may use them."""


def has_threads(run: OpenRun) -> bool:
    """Whether a thread that was started in a run still lives."""
    return bool(_threads) and any(
        owner is run and thread.is_alive() for thread, owner in list(_threads.items())
    )


def carried(work: Callable[P, R], queue: object = None) -> tuple[Callable[P, R], Callable[[], None] | None]:
    """The work as another thread must do it: for the run in which it is handed over, in a lane of its own.

    Neither threads nor executors hand on the context; without this, only their arguments would distinguish a pool's
    calls. Outside every window the result is the work itself.

    Args:
        work: the work.
        queue: what does its pieces of work one after the other, in the order in which it gets them; None: nothing does.

    Returns:
        The work, and what to call when the result of the work is there for others; None outside every run.
    """
    _note_own_strand()
    if not is_captured():
        return done_here(work), None
    if is_answering():
        work = done_here(work)
    if is_collecting():
        return started_by_collector(work), None
    run = _current.get()
    if run is None:
        return work, None
    if id(run) not in _open:
        return _left_over(work, run), None
    lane = run.begin_lane(task=None)
    assert lane is not None

    @functools.wraps(work)
    def in_run(*args: P.args, **kwargs: P.kwargs) -> R:
        token = _current.set(run)
        try:
            with run.within(lane, queue):
                return work(*args, **kwargs)
        finally:
            _current.reset(token)

    return in_run, functools.partial(run.lane_ended, lane)


def works_for(frame: FrameType) -> OpenRun | None:
    """The run whose `carried` work a frame begins; None: it begins none."""
    if frame.f_code.co_name == "in_run" and frame.f_globals is globals():
        run: OpenRun = frame.f_locals["run"]
        return run
    return None


def _note_own_strand() -> None:
    """Note that a tool makes a strand of its own, if a tool's code runs here."""
    tool = running_tool()
    if tool is not None:
        tool.makes_strands = True


def task_made(task: object, context: contextvars.Context | None) -> None:
    """Give a task, which was made here and now, its lane; outside every run, or `answering`, nothing happens.

    Args:
        task: the task.
        context: the context of the task alone; None: other tasks may share it, or it is not known.
    """
    _note_own_strand()
    run = _carried_run()
    if run is None or is_collecting():
        return
    lane = run.begin_lane(task=task)
    if lane is not None and context is not None:
        context.run(run.enter_lane, lane, task)


def taking_run(taking: FrameType | None) -> OpenRun | None:
    """The run in whose recorded order a strand takes something from a queue; None: it takes that whenever it can.

    Only the user's own code takes in order, and workers of a pool: what a library takes may come from its connections,
    which a replay has not.

    Args:
        taking: the frame that takes.
    """
    run = _carried_run()
    if run is None:
        return None
    while taking is not None and taking.f_code.co_name in ("get_nowait", "__anext__"):
        taking = taking.f_back
    if taking is None or not (is_users(taking) or taking.f_globals.get("__name__") == "multiprocessing.pool"):
        return None
    return run


def _carried_run() -> OpenRun | None:
    """The open run to which what the strand here does belongs by its context."""
    run = _current.get()
    return run if run is not None and id(run) in _open and is_captured() else None


def _left_over(work: Callable[P, R], run: OpenRun) -> Callable[P, R]:
    """The work of a strand whose run is over: what the work asks for belongs to that run, too."""

    @functools.wraps(work)
    def after_run(*args: P.args, **kwargs: P.kwargs) -> R:
        token = _current.set(run)
        try:
            return work(*args, **kwargs)
        finally:
            _current.reset(token)

    return after_run


def finalizing(work: Callable[P, R]) -> Callable[P, R]:
    """The callback of a finalizer that is made here: what it asks for belongs to this run, whenever and where it runs.

    Outside every run, and `answering`, the result is the callback itself.
    """
    run = _current.get()
    if is_answering() or run is None:
        return work
    in_its_run = _left_over(work, run)

    @functools.wraps(work)
    def finalize(*args: P.args, **kwargs: P.kwargs) -> R:
        token = _finalizes.set(True)
        try:
            return in_its_run(*args, **kwargs)
        finally:
            _finalizes.reset(token)

    return finalize


def finalize_for(run: OpenRun) -> Callable[[], None]:
    """What this strand does from here on is a finalizer's of a run, until the result is called."""
    tokens = _current.set(run), _finalizes.set(True)

    def end() -> None:
        _current.reset(tokens[0])
        _finalizes.reset(tokens[1])

    return end


def borrowed_lane() -> Callable[[], None] | None:
    """A function that puts the strand that calls it into this strand's lane; None outside every run, or `answering`."""
    run = _carried_run()
    return None if run is None else run.borrowed_lane()


def open_runs() -> list[OpenRun]:
    """The runs open now, oldest first."""
    with _lock:
        return list(_open.values())


def current_run(*, in_tools: bool = False) -> OpenRun | None:
    """The run that a crossing made here belongs to, or None: outside every window, `answering`, or `left_over`.

    None also where a server stands in for the world: it asks on its own behalf. The code of a tool that a replay runs
    belongs to the run.

    Args:
        in_tools: whether that of a tool which is recorded does so, too; see `Crossing.within`.

    Raises:
        UsageError: this thread carries no context and more than one run is open.
    """
    if is_in_world() and not (in_tools and is_captured()):
        return None
    port, run = serving_port.get(), _run_here()
    if port is None or run is None or not run.own_servers.stand_in(port):
        return run
    # A server that only reads the clock, or writes to its own socket, asks nobody.
    if in_tools and run.own_servers.speaks_as_model(port):
        run.not_compared("server", f"127.0.0.1:{port}", "")
    return None


def _run_here() -> OpenRun | None:
    if is_collecting():
        return None
    run = _current.get()
    if run is not None and id(run) in _open:
        return run
    if not _open or left_over() is not None:
        return None
    runs = open_runs()
    if len(runs) == 1:
        return runs[0]
    if not runs:
        return None
    names = " and ".join(repr(run.run_id) for run in runs)
    raise UsageError(
        f"a call from a thread without context, while the runs {names} are open: which one makes it is not known\n"
        "  Start the thread with a copy of the context: contextvars.copy_context().run(target), "
        "or asyncio.to_thread(...)."
    )


def carries(run: OpenRun) -> bool:
    """Whether the calling strand has a run by its context, not for being the only open one."""
    return _current.get() is run


def left_over() -> OpenRun | None:
    """The run of an earlier test that the calling strand belongs to, where that test is over; else None.

    A thread or a task belongs for good to the test in whose run it was started. A further run of a test that is not
    over leaves its strands to the test. What serves a port serves whoever asks.

    What the garbage collector ends (`__del__`, a generator) belongs to nobody, since the collector runs whenever Python
    needs memory; the run that is open here reports it.
    """
    if is_collecting():
        return _current.get() or next(iter(open_runs()), None)
    run = None if serving_port.get() is not None else _current.get()
    while run is not None and id(run) not in _open:
        if run.parent is None:
            return None if _runs_tests() else run
        run = run.parent
    return None


def _runs_tests() -> bool:
    """Whether the task here is the one in which anyio runs all tests of a scope, whichever test it was made in."""
    strand = current_strand()
    coroutine = getattr(strand, "get_coro", lambda: None)() or getattr(strand, "coro", None)
    return "_run_tests_and_fixtures" in getattr(coroutine, "__qualname__", "")


COLLECTOR = "garbage collector"


def is_collecting() -> bool:
    """Whether the garbage collector runs the code here: a `__del__`, the end of a generator."""
    return _collector == threading.get_ident() or _collected.get()


def runs_a_task() -> bool:
    """Whether a task runs here, not a thread alone."""
    return not isinstance(current_strand(), threading.Thread)


def strand_name() -> str:
    """The name of the calling strand: ``task 'Task-5'``, ``thread 'Thread-3 (later)'``, ``finalizer`` or COLLECTOR."""
    if _finalizes.get():
        return "finalizer"
    if is_collecting():
        return COLLECTOR
    strand: Any = current_strand()
    if isinstance(strand, threading.Thread):
        return f"thread {strand.name!r}"
    name = strand.get_name() if hasattr(strand, "get_name") else getattr(strand, "name", "")
    return f"task {name!r}"
