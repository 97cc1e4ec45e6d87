"""A tool object that a framework calls by itself, with the function inside led across the boundary."""

from __future__ import annotations

import copy
import functools
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.frameworks.adapter import Across, ToolSeen


def with_crossing(tool: Any, name: str, across: Across, seen: Callable[[dict[str, Any]], ToolSeen]) -> Any:
    """A copy of a tool whose function crosses: another thread may call the tool itself.

    Args:
        tool: a framework's tool.
        name: the attribute that holds the function; a method, too.
        across: leads a call across.
        seen: reads a call from the function's arguments, by their names.
    """
    copied = copy.copy(tool)
    vars(copied)[name] = crossing(getattr(tool, name), across, seen)
    return copied


def calling(
    function: str,
    seen: Callable[[Any, str, dict[str, Any], dict[str, Any]], ToolSeen],
    after: Callable[[Any, Any], None] | None = None,
) -> Callable[[Callable[..., Any], Across], Callable[..., Any]]:
    """The ``replace`` of a seam that is a tool's method which calls a function of the tool.

    Args:
        function: the attribute that holds the function.
        seen: reads a call from the tool, ``function``, the keywords of the method, and the arguments of the function.
        after: called at the end with the tool, and with its copy that was called in its place.
    """

    def replace(original: Callable[..., Any], across: Across) -> Callable[..., Any]:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            tool = with_crossing(self, function, across, functools.partial(seen, self, function, kwargs))
            try:
                return original(tool, *args, **kwargs)
            finally:
                if after is not None:
                    after(self, tool)

        return call

    return replace


def crossing(
    real: Callable[..., Any], across: Across, seen: Callable[[dict[str, Any]], ToolSeen]
) -> Callable[..., Any]:
    """A function that crosses in place of ``real``, of its kind and with its signature."""

    @functools.wraps(real)
    def cross(*args: Any, **kwargs: Any) -> Any:
        return across(seen(_named(real, args, kwargs)), functools.partial(real, *args, **kwargs))

    if inspect.iscoroutinefunction(real):

        @functools.wraps(real)
        async def cross_later(*args: Any, **kwargs: Any) -> Any:
            return await cross(*args, **kwargs)

        return cross_later
    if inspect.isasyncgenfunction(real):

        @functools.wraps(real)
        async def cross_by_items(*args: Any, **kwargs: Any) -> Any:
            async for item in cross(*args, **kwargs):
                yield item

        return cross_by_items
    return cross


def _named(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by the names of the parameters; those of ``**`` stand among them."""
    if not args:
        return kwargs
    try:
        bound = inspect.signature(fn).bind_partial(*args)
    except (TypeError, ValueError):
        return {**{str(number): value for number, value in enumerate(args)}, **kwargs}
    return {**bound.arguments, **kwargs}
