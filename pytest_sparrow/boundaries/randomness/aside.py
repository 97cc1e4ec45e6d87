"""What the world draws while it answers doesn't count: a replay never runs it.

A live tool that draws from the shared generators would else shift what the agent draws after it, in the recording
only. So the world has a state of its own, and the two are swapped wherever its code begins and ends.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.randomness import generators
from pytest_sparrow.boundaries.randomness.generators import State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

__all__ = ["Aside", "aside", "stepped", "use_aside"]


class Aside:
    """Swaps the agent's state for the world's, and back; nested, and from several threads, once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._agent: State | None = None
        self._world: State | None = None

    def enter(self) -> None:
        """The world's code begins."""
        with self._lock:
            self._depth += 1
            if self._depth > 1:
                return
            self._agent = State()
            if self._world is None:
                generators.seed_python(None)
                generators.seed_numpy(None)
            else:
                self._world.restore()

    def leave(self) -> None:
        """The world's code ends."""
        with self._lock:
            self._depth -= 1
            if self._depth == 0 and self._agent is not None:
                self._world = State()
                self._agent.restore()
                self._agent = None


# Process-wide, because the generators are; None while no seeded test runs.
_used: Aside | None = None


def use_aside(one: Aside | None) -> None:
    """Swap with this one from now on; None: don't."""
    global _used  # noqa: PLW0603 - see above
    _used = one


class aside:  # noqa: N801 - used like a function: ``with aside():``
    """The world's code runs here, without a pause in between (for coroutines see `stepped`)."""

    __slots__ = ("_aside",)

    def __enter__(self) -> None:
        self._aside = _used
        if self._aside is not None:
            self._aside.enter()

    def __exit__(self, *_: object) -> None:
        if self._aside is not None:
            self._aside.leave()


async def stepped(awaitable: Awaitable[Any]) -> Any:
    """Await the world's code; the agent's tasks that run while it waits draw from the agent's state."""
    if _used is None or not hasattr(awaitable, "__await__"):
        return await awaitable
    return await _Stepped(awaitable)


class _Stepped:
    __slots__ = ("_awaitable",)

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self._awaitable = awaitable

    def __await__(self) -> Generator[Any, Any, Any]:
        # What "yield from" does (PEP 380), with every step aside.
        steps: Any = self._awaitable.__await__()
        resume: Callable[[], Any] = functools.partial(next, steps)
        while True:
            try:
                with aside():
                    given = resume()
            except StopIteration as end:
                return end.value
            try:
                sent = yield given
            except GeneratorExit:
                with aside():
                    steps.close()
                raise
            except BaseException as error:  # noqa: BLE001 - it goes on to the awaited code
                resume = functools.partial(steps.throw, error)
            else:
                resume = (
                    functools.partial(next, steps) if sent is None else functools.partial(steps.send, sent)
                )
