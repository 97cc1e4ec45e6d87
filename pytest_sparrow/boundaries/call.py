"""Implements ``sparrow.call``: records the answer of any function, and replays the answer without a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.tools.invocation import Invocation, WrappedFunction
from pytest_sparrow.boundaries.tools.wrappers import wrapper_of
from pytest_sparrow.errors import UsageError
from pytest_sparrow.run.context import is_answering
from pytest_sparrow.values.to_json import jsonable

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.crossing import OpenRun

__all__ = ["call"]


def call(run: OpenRun, name: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a function and record its answer, or replay the recorded answer.

    The answer is restored through the function's return annotation, as a tool's answer is.

    Args:
        run: the open run.
        name: the call's name in the golden.
        fn: the function; a coroutine function gives a coroutine, a generator function a generator.
        args: the function's positional arguments; recorded in order.
        kwargs: the function's keyword arguments; recorded.

    Raises:
        ReplayDivergence: the golden holds no answer to this call.
        NotRecordable: JSON cannot hold an argument or the result.
        UsageError: ``fn`` cannot be called, or ``name`` is empty or not a text.
    """
    if callable(name) or not name:
        raise UsageError(f'sparrow.call needs a name first, not {name!r}: sparrow.call("geo", locate, …)')
    if not callable(fn):
        raise UsageError(f"sparrow.call({name!r}, …): {fn!r} cannot be called")
    way_out = f"annotate the return type of the function called as {name!r}"
    function = WrappedFunction(fn, name, way_out=way_out)

    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Invocation | None:
        if is_answering():
            return None
        return Invocation.begin(run, "call", lambda: _asked(name, args, kwargs), function)

    return wrapper_of(fn, begin)(*args, **kwargs)


_HINT = "pass what JSON can hold, and bind the rest beforehand: functools.partial(fn, client)"


def _asked(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Json]:
    return {
        "name": name,
        "args": [jsonable(arg, where=f"{name}(args[{index}])", hint=_HINT) for index, arg in enumerate(args)],
        "kwargs": {key: jsonable(value, where=f"{name}({key})", hint=_HINT) for key, value in kwargs.items()},
    }
