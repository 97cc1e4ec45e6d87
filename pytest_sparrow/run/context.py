"""Finds the run and the lane that the calling strand belongs to, and whose code is calling.

The run is found by context first, then it is the only open run there is.

Lanes are the sequential strands of a run. A task, a thread and work for another thread (an executor's) get their lane
when they are made (`boundaries.world.strands`): who crosses first is chance, who was made first is not. A context that
was copied into another thread in any other way begins a lane with its first crossing. A thread that carries no context
at all (it was there before, and takes work from a queue of its own) gets a ``thread-…`` lane. Which of these threads
takes which call is chance: the order between calls in such lanes means nothing, and the comparison knows the lanes by
that name.
"""

from __future__ import annotations

import contextvars
import functools
import itertools
import os
import sys
import sysconfig
import threading
import weakref
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from pytest_sparrow.errors import UsageError
from pytest_sparrow.events import Event, UnknownEvent
from pytest_sparrow.exchange import LOOSE_LANES, SETUP_LANES, TASK_LANES, WORK_LANES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from pytest_sparrow.run.crossing import OpenRun

P = ParamSpec("P")
R = TypeVar("R")

# A process-wide registry is unavoidable: a thread without context can be known only by what is open in its
# process. It holds runs between open_window and close_window only.
_open: dict[int, OpenRun] = {}
_lock = threading.Lock()
_current: contextvars.ContextVar[OpenRun | None] = contextvars.ContextVar("pytest_sparrow_run", default=None)
_answering: contextvars.ContextVar[bool] = contextvars.ContextVar("pytest_sparrow_answering", default=False)


class answering:  # noqa: N801 - used like a function: ``with answering():``
    """The world is answering a crossing: calls that its code makes meanwhile belong to no run.

    A tool asks a server, or calls another tool, only while it runs live: a replay returns the tool's recorded answer
    and never sees these crossings, so a recording must not hold them either.
    """

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = _answering.set(True)

    def __exit__(self, *_: object) -> None:
        try:
            _answering.reset(self._token)
        except ValueError:
            # A coroutine is closed in another context than it ran in; this context never was answering.
            _answering.set(False)


def is_answering() -> bool:
    """Whether the code that runs here is the world, which is `answering`."""
    return _answering.get()


def open_window(run: OpenRun) -> contextvars.Token[OpenRun | None]:
    """Open a run for this context, and for threads without one while it is the only run."""
    with _lock:
        _open[id(run)] = run
    return _current.set(run)


def close_window(run: OpenRun, token: contextvars.Token[OpenRun | None]) -> None:
    """Close a run; calls that come later belong to no run."""
    with _lock:
        _open.pop(id(run), None)
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


def has_threads(run: OpenRun) -> bool:
    """Whether a thread that was started in a run still lives."""
    return any(owner is run and thread.is_alive() for thread, owner in list(_threads.items()))


def carried(work: Callable[P, R]) -> tuple[Callable[P, R], Callable[[], None] | None]:
    """The work as another thread must do it: for the run in which it is handed over, in a lane of its own.

    Neither threads nor executors hand on the context; without this, only their arguments would distinguish a pool's
    calls. Outside every window the result is the work itself.

    Returns:
        The work, and what to call when the result of the work is there for others; None outside every run.
    """
    if _answering.get():
        return _done_answering(work), None
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
            with run.within(lane):
                return work(*args, **kwargs)
        finally:
            _current.reset(token)

    return in_run, functools.partial(run.lane_ended, lane)


def task_made(task: object, context: contextvars.Context | None) -> None:
    """Give a task, which was made here and now, its lane; outside every run, or `answering`, nothing happens.

    Args:
        task: the task.
        context: the context of the task alone; None: other tasks may share it, or it is not known.
    """
    run = _current.get()
    if _answering.get() or run is None or id(run) not in _open:
        return
    lane = run.begin_lane(task=task)
    if lane is not None and context is not None:
        context.run(run.enter_lane, lane, task)


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


def borrowed_lane() -> Callable[[], None] | None:
    """A function that puts the strand that calls it into this strand's lane; None outside every run, or `answering`."""
    run = _current.get()
    if _answering.get() or run is None or id(run) not in _open:
        return None
    return run.borrowed_lane()


def _done_answering(work: Callable[P, R]) -> Callable[P, R]:
    @functools.wraps(work)
    def in_the_world(*args: P.args, **kwargs: P.kwargs) -> R:
        with answering():
            return work(*args, **kwargs)

    return in_the_world


def open_runs() -> list[OpenRun]:
    """The runs open now, oldest first."""
    with _lock:
        return list(_open.values())


def current_run() -> OpenRun | None:
    """The run that a crossing made here belongs to, or None: outside every window, `answering`, or `left_over`.

    Raises:
        UsageError: this thread carries no context and more than one run is open.
    """
    if _answering.get():
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


def left_over() -> OpenRun | None:
    """The run of an earlier test that the calling strand belongs to, where that test is over; else None.

    A thread or a task belongs for good to the test in whose run it was started. A further run of a test that is not
    over leaves its strands to the test.
    """
    run = _current.get()
    while run is not None and id(run) not in _open:
        if run.parent is None:
            return None if _runs_tests() else run
        run = run.parent
    return None


def _runs_tests() -> bool:
    """Whether the task here is the one in which anyio runs all tests of a scope, whichever test it was made in."""
    coroutine = getattr(_strand(), "get_coro", lambda: None)() or getattr(_strand(), "coro", None)
    return "_run_tests_and_fixtures" in getattr(coroutine, "__qualname__", "")


MAIN = ""
"""The label of the main lane; it is left out on disk."""


@dataclass(slots=True, eq=False)
class Lane:
    """A strand of the run.

    Attributes:
        label: the lane's name on disk.
        parent: the lane that it began in, or None.
        model: the model that the lane asked last, "" before the first.
        open: the lane's crossings that are not settled yet.
        children: how many lanes have begun in this one.
        tasks: of these, how many tasks the main lane has made.
        began: when the lane was made, in seconds of the run, behind the same of the lanes that it stems from.
        in_use: whether the lane has made a crossing.
        latest: in a replay, the highest number of a recorded exchange that this lane has asked for, or that a lane
            which began in it has had; -1 for none.
        before: the highest number that came before this lane was made, for certain; see `matching.order`.
    """

    label: str
    parent: Lane | None = None
    model: str = ""
    open: list[Any] = field(default_factory=list)
    children: int = 0
    tasks: int = 0
    began: tuple[float, ...] = ()
    in_use: bool = False
    latest: int = -1
    before: int = -1

    def line(self) -> Iterator[Lane]:
        """This lane, its parent, and so on up."""
        lane: Lane | None = self
        while lane is not None:
            yield lane
            lane = lane.parent


@dataclass(frozen=True, slots=True)
class _Here:
    lanes: Lanes
    lane: Lane
    owner: weakref.ref[Any]


_here: contextvars.ContextVar[_Here | None] = contextvars.ContextVar("pytest_sparrow_lane", default=None)


def in_lane(event: Event, label: str) -> Event:
    """The event with the lane in which it happened; the main lane is left out."""
    if not label or isinstance(event, UnknownEvent):
        return event
    return event.model_copy(update={"lane": label})


class Lanes:
    """The lanes of one run. The main one belongs to the context that made this object. The run's lock guards them.

    Args:
        now: the moment, in seconds of the run, never twice the same.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._thread_numbers = itertools.count(1)
        self.main = Lane(MAIN)
        self._work, self._tasks = SETUP_LANES, ""
        # Tasks, and threads while they do work that was handed to them. Not the context: a library may run the work
        # in a copy of the context that it was handed over in.
        self._of_strand: weakref.WeakKeyDictionary[Any, Lane] = weakref.WeakKeyDictionary()
        _here.set(_Here(self, self.main, weakref.ref(_strand())))

    def here(self) -> Lane:
        """The lane of the calling strand, which crosses now; made where the strand has none yet."""
        strand = _strand()
        lane = self._known(strand)
        if lane is None:
            origin = self._origin()
            lane = Lane(f"{LOOSE_LANES}{next(self._thread_numbers)}") if origin is None else self._new(origin)
            _here.set(_Here(self, lane, weakref.ref(strand)))
        if not lane.in_use:
            lane.in_use = True
            lane.model = next((each.model for each in lane.line() if each.model), "")
        return lane

    def begin(self, task: Any) -> Lane | None:
        """A lane for a strand that the calling one makes: a task, or (None) work for another thread.

        None where the task has a lane already, since it started at once, or where the calling strand has none.
        """
        if task is None:
            return self._new(self.here())
        origin = self._known(_strand()) or self._origin()
        if origin is None or task in self._of_strand:
            return None
        lane = self._of_strand[task] = self._new(origin, is_task=True)
        return lane

    def _known(self, strand: Any) -> Lane | None:
        known = _here.get()
        if known is not None and known.lanes is self and known.owner() is strand:
            return known.lane
        return self._of_strand.get(strand)

    def _origin(self) -> Lane | None:
        """The lane of the strand whose context was copied to here."""
        known = _here.get()
        return known.lane if known is not None and known.lanes is self else None

    def _new(self, parent: Lane, *, is_task: bool = False) -> Lane:
        if parent is self.main and is_task and self._tasks:
            parent.tasks += 1
            label = f"{self._tasks}{parent.tasks}"
        else:
            parent.children += 1
            label = f"{parent.label}.{parent.children}" if parent.label else f"{self._work}{parent.children}"
        before = max(parent.before, parent.latest)
        return Lane(label, parent, began=(*parent.began, self._now()), before=before)

    def body_begins(self) -> None:
        """The test's own code begins: number the main lane's work from here.

        Work that fixtures handed out (a server, only while recording) has names of its own, and shifts no number.
        """
        self._work, self._tasks = WORK_LANES, TASK_LANES
        self.main.children = 0

    def enter(self, lane: Lane, strand: object = None) -> None:
        """Put a strand into a lane, in the context of the caller; None: the calling strand."""
        _here.set(_Here(self, lane, weakref.ref(strand or _strand())))

    @contextmanager
    def within(self, lane: Lane) -> Iterator[None]:
        """In the thread that takes the work: crossings belong to this lane."""
        thread = threading.current_thread()
        token = _here.set(_Here(self, lane, weakref.ref(thread)))
        before = self._of_strand.get(thread)
        self._of_strand[thread] = lane
        try:
            yield
        finally:
            _here.reset(token)
            if before is None:
                del self._of_strand[thread]
            else:
                self._of_strand[thread] = before


def _strand() -> object:
    """The task that runs here, else the thread. Imports neither asyncio nor trio: tasks need one of them loaded."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            task = asyncio.current_task()
        except (RuntimeError, AttributeError):  # no loop here, or another thread is just loading the library
            task = None
        if task is not None:
            return task
    trio = sys.modules.get("trio")
    if trio is not None:
        try:
            return trio.lowlevel.current_task()
        except (RuntimeError, AttributeError):
            pass
    return threading.current_thread()


def strand_name() -> str:
    """The name of the calling strand: ``task 'Task-5'`` or ``thread 'Thread-3 (later)'``."""
    strand: Any = _strand()
    if isinstance(strand, threading.Thread):
        return f"thread {strand.name!r}"
    name = strand.get_name() if hasattr(strand, "get_name") else getattr(strand, "name", "")
    return f"task {name!r}"


_OWN = str(Path(__file__).parents[1]) + os.sep
_INSTALLED = tuple(
    {sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


def is_installed(file: object) -> bool:
    """Whether a file belongs to the standard library or to an installed package."""
    return isinstance(file, str) and file.startswith(_INSTALLED)


def package_name(frame: FrameType) -> str:
    """The name of the top-level package whose code runs in a frame."""
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def is_users(frame: FrameType) -> bool:
    """Whether the user's own code runs in a frame: code in a file that is neither this package's nor installed."""
    file = frame.f_code.co_filename
    return not (file.startswith(("<", _OWN)) or is_installed(file))


def caller() -> str:
    """The innermost line of the user's own code from here, like ``agent.py:56``; "" if there is none.

    Code that hides itself from tracebacks does not count: a tool's trampoline bears the name of the tool's own file.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - what inspect.stack() uses, reading no files
    while frame is not None:
        if "__tracebackhide__" not in frame.f_code.co_varnames and is_users(frame):
            return f"{_relative(frame.f_code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _relative(file: str) -> str:
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return file
