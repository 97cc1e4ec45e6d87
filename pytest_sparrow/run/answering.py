"""Whether the agent's code runs here, or the world's: the code of a tool, a transport under a crossing."""

from __future__ import annotations

import contextlib
import contextvars
import functools
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sparrow.run.crossing import Crossing

P = ParamSpec("P")
R = TypeVar("R")

_answering: contextvars.ContextVar[bool | Crossing] = contextvars.ContextVar(
    "pytest_sparrow_answering", default=False
)


class answering:  # noqa: N801 - used like a function: ``with answering():``
    """The world is answering a crossing: calls that its code makes meanwhile belong to no run.

    A tool asks a server, or calls another tool, only while it runs live: a replay returns the tool's recorded answer
    and never sees these crossings, so a recording must not hold them either.

    Args:
        crossing: the call of the tool that runs, if it is one.
    """

    __slots__ = ("_crossing", "_token")

    def __init__(self, crossing: Crossing | None = None) -> None:
        self._crossing = crossing

    def __enter__(self) -> None:
        self._token = _answering.set(self._crossing or True)

    def __exit__(self, *_: object) -> None:
        try:
            _answering.reset(self._token)
        except ValueError:
            # A coroutine is closed in another context than it ran in; this context never was answering.
            _answering.set(False)


@contextlib.contextmanager
def calling_back() -> Iterator[None]:
    """The world, which is `answering`, calls the agent back: the agent's own code runs meanwhile, and crosses."""
    token = _answering.set(False)
    try:
        yield
    finally:
        _answering.reset(token)


def without_answering(context: contextvars.Context) -> contextvars.Context:
    """A copy of a context in which the agent's own code runs; see `calling_back`."""
    copy = context.copy()
    copy.run(_answering.set, False)  # noqa: FBT003 - a setter
    return copy


def is_answering() -> bool:
    """Whether the code that runs here is the world, which is `answering`."""
    return _answering.get() is not False


def is_in_world() -> bool:
    """Whether the world's code runs here: the code of a tool that a replay runs is not."""
    inside = _answering.get()
    return inside is True or not (inside is False or inside.runs_in_replay)


def running_tool() -> Crossing | None:
    """The call of the tool whose code runs here; None: no tool's, or the world's within a tool."""
    inside = _answering.get()
    return None if isinstance(inside, bool) else inside


def calls_itself(name: str) -> bool:
    """Whether a tool is called by its own code, at any depth: such calls are the tool's own affair."""
    tool = running_tool()
    return tool is not None and name in tool.names


def is_captured() -> bool:
    """Whether what the code here asks for belongs to a run, as far as it is a tool's code."""
    inside = _answering.get()
    return inside is False or (inside is not True and inside.captured)


def model_asked() -> None:
    """Note that the tool which runs here asks a model."""
    crossing = running_tool()
    if crossing is not None:
        crossing.asks_models = True


def as_here() -> answering | None:
    """What another task enters that goes on with work of a tool's code, where such code runs here; else None."""
    inside = _answering.get()
    return None if inside is False else answering(None if inside is True else inside)


def done_here(work: Callable[P, R]) -> Callable[P, R]:
    """The work as another thread must do it, where it is handed over here: the world's, and of the same tool."""
    crossing = _answering.get()

    @functools.wraps(work)
    def in_the_world(*args: P.args, **kwargs: P.kwargs) -> R:
        with answering(None if isinstance(crossing, bool) else crossing):
            return work(*args, **kwargs)

    return in_the_world
