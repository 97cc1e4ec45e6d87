"""``asyncio.wait_for`` lends its caller's lane to the task that it makes, before Python 3.12.

From 3.12 on it awaits in the caller's own task. Before, each request behind it would be a strand of its own, though the
caller does nothing but wait: agents side by side could be told apart by words only, and one after the other had no
order. (``asyncio.timeout`` makes no task, and neither do anyio's scopes.)
"""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.patching import AfterLoading
from pytest_sparrow.run.context import borrowed_lane

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["install", "uninstall", "waiting"]

_MAKES_A_TASK = sys.version_info < (3, 12)
_HOME = "asyncio.tasks"

# Process-wide, because the function is: counted under the lock, and None when nothing is installed.
_lock = threading.RLock()
_installed = 0
_patched: tuple[types.FunctionType, types.CodeType] | None = None
_original: Any = None


def install() -> None:
    """Let `asyncio.wait_for` lend lanes, now or once asyncio is loaded. Counted: each call needs an `uninstall`."""
    global _installed  # noqa: PLW0603 - see above
    with _lock:
        _installed += 1
        if _installed > 1 or not _MAKES_A_TASK:
            return
        module = sys.modules.get(_HOME)
        if module is None:
            sys.meta_path.insert(0, _FINDER)
        else:
            _patch(module)


def uninstall() -> None:
    """Undo one `install`; the last one puts the function's own code back."""
    global _installed, _patched  # noqa: PLW0603 - see above
    with _lock:
        _installed -= 1
        if _installed:
            return
        if _FINDER in sys.meta_path:
            sys.meta_path.remove(_FINDER)
        if _patched is not None:
            function, code = _patched
            function.__code__ = code
            _patched = None


def _patch(module: types.ModuleType) -> None:
    """Give the function other code; it keeps its identity, so that ``from asyncio import wait_for`` is covered."""
    global _patched, _original  # noqa: PLW0603 - see above
    with _lock:
        function = getattr(module, "wait_for", None)
        if not _installed or not isinstance(function, types.FunctionType) or function.__closure__:
            return
        code = function.__code__
        if code.co_varnames[: code.co_argcount] != ("fut", "timeout"):
            return  # not the one we know
        _patched = function, code
        _original = types.FunctionType(code, function.__globals__, function.__name__, function.__defaults__)
        function.__code__ = _wait_for.__code__


_FINDER = AfterLoading((_HOME,), _patch)


# What runs in the place of the function's code. It runs with the globals of asyncio.tasks, so it imports.
async def _wait_for(fut, timeout):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    from pytest_sparrow.boundaries.world.tasks import waiting

    return await waiting(fut, timeout)


def waiting(awaited: Any, timeout: float | None) -> Any:
    """What `asyncio.wait_for` of the same arguments gives, but for the lane. Called in the task that waits."""
    # A task or a future that is there already is a strand of its own.
    take_lane = borrowed_lane() if isinstance(awaited, Coroutine) else None
    return _original(awaited if take_lane is None else _BorrowedLane(awaited, take_lane), timeout)


class _BorrowedLane(Coroutine[Any, Any, Any]):
    """A coroutine that acts in the lane of the strand that waits for it.

    No coroutine around it: one that is cancelled before it starts would never start the one within, which Python warns
    about. What anyio and debuggers ask a coroutine for is the inner one's.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], take_lane: Callable[[], None]) -> None:
        self._coroutine = coroutine
        self._take_lane: Callable[[], None] | None = take_lane

    def send(self, value: Any, /) -> Any:
        take_lane, self._take_lane = self._take_lane, None
        if take_lane is not None:
            take_lane()
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Any:
        return self._coroutine.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)
