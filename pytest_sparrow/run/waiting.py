"""Ends a replay that waits for ever: a strand that a miss ended brings nothing any more.

The agent's threads wait in code of Python's own (`Queue.get`, `Event.wait`, `Future.result`), which no patch ends. So
once a strand was refused something, and nothing crosses for some seconds, `ReplayStopped` is raised in the thread
of the test's body and in those that were started in its run, and what these wait for is let go.
"""

from __future__ import annotations

import _thread
import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any

from pytest_sparrow import real_time
from pytest_sparrow.errors import ReplayStopped
from pytest_sparrow.run.context import works_for
from pytest_sparrow.run.users_code import package_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from types import FrameType

    from pytest_sparrow.run.crossing import Crossing
    from pytest_sparrow.run.run import Run

SILENCE = 3.0
"""Seconds after which nobody brings what is waited for."""

_BETWEEN_LOOKS = 0.05

_DEBUGGERS = frozenset({"bdb", "cmd", "code", "IPython", "_pydevd_bundle", "debugpy"})


class EndlessWaits:
    """Watches the body of one replayed test from the first refusal on; before it, nothing happens.

    Args:
        run: the replay.
        under_way: the run's open crossings, as they are at any time.
    """

    def __init__(self, run: Run, under_way: Collection[Crossing]) -> None:
        self._run = run
        self._under_way = under_way
        self._body: int | None = None
        self._watched = False
        self._lock = _thread.allocate_lock()

    def body_begins(self) -> None:
        """The thread here runs the test's own code from here on."""
        self._body = threading.get_ident()

    def body_ends(self) -> None:
        """It does so no longer: nobody is stopped any more."""
        with self._lock:
            self._body = None

    def refused(self, what: str) -> None:
        """A strand was refused something, which may have ended it.

        Args:
            what: what was refused, in one line.
        """
        if self._body is not None and not self._watched:
            self._watched = True
            _thread.start_new_thread(self._watch, (what,))  # a thread of `threading` would get a lane

    def _watch(self, what: str) -> None:
        def stop(error: ReplayStopped) -> None:
            ReplayStopped.__init__(error, f"{what}: and then nothing more")

        # Python makes the exception in the thread itself, of a class.
        stopped = type(ReplayStopped.__name__, (ReplayStopped,), {"__init__": stop})
        pause = _thread.allocate_lock()
        pause.acquire()
        seen, since = None, real_time.monotonic()
        while self._body is not None:
            pause.acquire(timeout=_BETWEEN_LOOKS)  # a test may have replaced `time.sleep`
            now = self._progress()
            if now is None or now != seen:
                seen, since = now, real_time.monotonic()
            elif real_time.monotonic() - since > SILENCE:
                with self._lock:
                    self._stop_all(stopped)
                since = real_time.monotonic()
        self._watched = False

    def _progress(self) -> object | None:
        """A value that changes with what the run does; None while the world works for it."""
        run, under_way = self._run, list(self._under_way)
        if any(crossing.replayed is None for crossing in under_way):
            return None
        return run.crossings, len(under_way), len(run.violations.findings), run.taking.taken

    def _stop_all(self, error: type[ReplayStopped]) -> None:
        frames = sys._current_frames()  # noqa: SLF001 - threading has no name for it
        stacks = {ident: list(_stack(frame)) for ident, frame in frames.items()}
        # A pool's own thread is known by the work that it does.
        ours = {
            ident: stack
            for ident, stack in stacks.items()
            if ident == self._body or any(works_for(frame) is self._run for frame in stack)
        }
        if any(package_name(frame) in _DEBUGGERS for stack in ours.values() for frame in stack):
            return
        for ident in ours:
            _raise_in(ident, error)
        for stack in ours.values():
            _let_go(stack)


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _raise_in(ident: int, error: type[BaseException]) -> None:
    """Raise an exception in a thread as soon as it runs Python code."""
    with contextlib.suppress(ImportError, AttributeError):  # not in every Python
        import ctypes

        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(error))


def _let_go(stack: list[FrameType]) -> None:
    """End the wait in which a thread stands, as if what it waits for had come; the exception is raised then."""
    if stack[0].f_code is threading.Condition.wait.__code__:  # also that of events, queues and futures
        with contextlib.suppress(KeyError, RuntimeError):  # it does not wait yet, or no longer
            stack[0].f_locals["waiter"].release()
        return
    for frame in stack:
        known: dict[str, Any] = frame.f_locals
        if frame.f_code.co_name == "get_in_turn" and hasattr(known["args"][0], "put"):  # a queue in C
            known["args"][0].put(None)
            return
        if frame.f_code.co_name == "run_forever":  # asyncio
            known["self"].call_soon_threadsafe(int)
            return
