"""Finds the run that is open here: by context first, then the only open run there is."""

from __future__ import annotations

import contextvars
import functools
import threading
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from pytest_sparrow.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.run.crossing import OpenRun

__all__ = [
    "answering",
    "borrowed_lane",
    "carried",
    "close_window",
    "current_run",
    "is_answering",
    "open_runs",
    "open_window",
]


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


def carried(work: Callable[P, R]) -> Callable[P, R]:
    """The work as another thread must do it: for the run in which it is handed over, in a lane of its own.

    Neither threads nor executors hand on the context; without this, only their arguments would tell a pool's calls
    apart. Outside every window the result is the work itself.
    """
    if _answering.get():
        return _done_answering(work)
    run = _current.get()
    if run is None or id(run) not in _open:
        return work
    lane = run.fork()

    @functools.wraps(work)
    def in_run(*args: P.args, **kwargs: P.kwargs) -> R:
        token = _current.set(run)
        try:
            with run.within(lane):
                return work(*args, **kwargs)
        finally:
            _current.reset(token)

    return in_run


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
    """The run that a crossing made here belongs to, or None: outside every window, or `answering`.

    Raises:
        UsageError: this thread carries no context and more than one run is open.
    """
    if _answering.get():
        return None
    run = _current.get()
    if run is not None and id(run) in _open:
        return run
    if not _open:
        return None
    runs = open_runs()
    if len(runs) == 1:
        return runs[0]
    if not runs:
        return None
    names = " and ".join(repr(run.run_id) for run in runs)
    raise UsageError(
        f"a call from a thread without context, while the runs {names} are open: whose is it?\n"
        "  Start the thread with a copy of the context: contextvars.copy_context().run(target), "
        "or asyncio.to_thread(...)."
    )
