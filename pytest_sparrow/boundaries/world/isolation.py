"""Random generators of the process, and an isolated random state for what the world draws.

The generators that a whole process shares: Python's own, and numpy's where it is loaded.

What the world draws while it answers doesn't count: a replay never runs it.

A live tool that draws from the shared generators would else shift what the agent draws after it, in the recording
only. So the world has a state of its own, and the two are swapped wherever its code begins and ends.
"""

from __future__ import annotations

import functools
import random
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

__all__ = [
    "IsolatedState",
    "State",
    "isolated",
    "numpy_random",
    "seed_numpy",
    "seed_python",
    "stepped",
    "use_isolated_state",
]


def numpy_random() -> Any:
    """The random module of numpy, or None where numpy is not loaded (yet)."""
    module = sys.modules.get("numpy.random")
    return module if hasattr(module, "get_state") else None


class State:
    """The state of the shared generators at the moment it is made."""

    __slots__ = ("_numpy", "_python")

    def __init__(self) -> None:
        self._python = random.getstate()
        numpy = numpy_random()
        self._numpy = None if numpy is None else numpy.get_state(legacy=False)

    def restore(self) -> None:
        """Put it back. numpy's stays as it is where numpy was not loaded then."""
        random.setstate(self._python)
        numpy = numpy_random()
        if numpy is not None and self._numpy is not None:
            numpy.set_state(self._numpy)


def seed_python(seed: int | None) -> None:
    """Seed Python's; None: from the system."""
    random.seed(seed)


def seed_numpy(seed: int | None) -> None:
    """Seed numpy's with as much of the seed as it takes, where numpy is loaded; None: from the system."""
    numpy = numpy_random()
    if numpy is not None:
        numpy.seed(None if seed is None else seed % 2**32)


class IsolatedState:
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
                seed_python(None)
                seed_numpy(None)
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
_used: IsolatedState | None = None


def use_isolated_state(one: IsolatedState | None) -> None:
    """Swap with this one from now on; None: don't."""
    global _used  # noqa: PLW0603 - see above
    _used = one


class isolated:  # noqa: N801 - used like a function: ``with isolated():``
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
                with isolated():
                    given = resume()
            except StopIteration as end:
                return end.value
            try:
                sent = yield given
            except GeneratorExit:
                with isolated():
                    steps.close()
                raise
            except BaseException as error:  # noqa: BLE001 - it goes on to the awaited code
                resume = functools.partial(steps.throw, error)
            else:
                resume = (
                    functools.partial(next, steps) if sent is None else functools.partial(steps.send, sent)
                )
