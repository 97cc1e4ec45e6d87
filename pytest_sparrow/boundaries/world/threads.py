"""Work that is handed to other threads keeps its run and gets a lane of its own, while a run is open."""

from __future__ import annotations

import concurrent.futures.thread
import functools
import threading
from typing import TYPE_CHECKING, Any

from pytest_sparrow.run.context import carried

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

__all__ = ["install", "uninstall"]

# Process-wide, because what is patched is: counted under the lock, and None when nothing is installed.
_lock = threading.Lock()
_installed = 0
_originals: tuple[Any, Any] | None = None


def install() -> None:
    """Let `threading.Thread.start` and `ThreadPoolExecutor.submit` hand on the run; asyncio's executors use the latter.

    Counted: each call needs an `uninstall`.
    """
    global _installed, _originals  # noqa: PLW0603 - see above
    with _lock:
        _installed += 1
        if _installed == 1:
            start, submit = threading.Thread.start, concurrent.futures.ThreadPoolExecutor.submit
            _originals = start, submit
            threading.Thread.start = _started(start)  # type: ignore[assignment, method-assign]
            concurrent.futures.ThreadPoolExecutor.submit = _submitted(submit)  # type: ignore[method-assign]


def uninstall() -> None:
    """Undo one `install`; the last one puts the originals back."""
    global _installed, _originals  # noqa: PLW0603 - see above
    with _lock:
        if _installed == 0:
            return
        _installed -= 1
        if _installed == 0 and _originals is not None:
            start, submit = _originals
            threading.Thread.start = start  # type: ignore[method-assign]
            concurrent.futures.ThreadPoolExecutor.submit = submit  # type: ignore[method-assign]
            _originals = None


def _started(start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    @functools.wraps(start)
    def hand_on_and_start(thread: threading.Thread) -> None:
        # A pool's own threads belong to nobody: each piece of work brings its lane with it.
        if getattr(thread, "_target", None) is not _POOL_WORKER:
            thread.run = carried(thread.run)  # type: ignore[method-assign]
        start(thread)

    return hand_on_and_start


def _submitted(submit: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    @functools.wraps(submit)
    def hand_on_and_submit(pool: Any, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return submit(pool, carried(work), *args, **kwargs)

    return hand_on_and_submit


# Private; without it a pool's threads would only use up numbers of lanes.
_POOL_WORKER = getattr(concurrent.futures.thread, "_worker", None)
