"""Wrapping one function as a tool."""

from __future__ import annotations

import functools
import inspect
import sys
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.tools.invocation import Invocation, WrappedFunction
from pytest_sparrow.boundaries.tools.options import Binding, check_ignore
from pytest_sparrow.boundaries.tools.wrappers import wrapper_of
from pytest_sparrow.errors import NotRecordable, UsageError
from pytest_sparrow.run.context import current_run
from pytest_sparrow.values.type_hints import innermost

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.boundaries.tools.options import ToolOptions

__all__ = ["name_of", "options_of", "say_again", "unwrapped", "wrap", "wrapped_by"]

_MARK = "__sparrow_tool__"


class _Tool:
    """What is behind one wrapper."""

    def __init__(
        self, fn: Callable[..., Any], options: ToolOptions, *, method: bool, real: Callable[..., Any]
    ) -> None:
        self.fn = fn
        self.real = real
        self.method = method
        self.wrapper: Callable[..., Any] | None = None
        self.say(options)

    def say(self, options: ToolOptions) -> None:
        """From now on these options count."""
        self.options = options
        self._binding = Binding(self.fn, options, method=self.method)
        self._target = WrappedFunction(
            self.fn,
            options.name,
            returns=options.returns,
            raises=options.raises,
            way_out=f"annotate the return type of {options.name}, or pass returns=… to sparrow.tool",
        )

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Invocation | None:
        """Begin a call's crossing; None where it belongs to no run."""
        run = current_run()
        if run is None:
            return None
        try:
            named = self._binding.json(args, kwargs)
        except NotRecordable as error:
            if not run.keeps:
                return None
            run.unrecordable(error)
            raise
        return Invocation(run, run.ask("tool", {"name": self.options.name, "args": named}), self._target)


def wrap(fn: Any, options: ToolOptions, *, method: bool | None = None, real: Any = None) -> Any:
    """A wrapper that crosses the boundary in an open run, and is transparent outside.

    It keeps signature, annotations, attributes, ``__wrapped__``, and what kind of function it is (coroutine
    function, generator, async generator). A wrapper is given back unchanged.

    Args:
        fn: a function, method, partial, callable object, or a classmethod or staticmethod of a class body.
        options: its name and the rest.
        method: whether the first parameter is the instance or class, and so no argument of the tool; None:
            found out from the function.
        real: what to run instead of ``fn``, where something stands in for that.

    Raises:
        UsageError: it cannot be called, is a class, or ``ignore`` names no parameter of it.
    """
    if isinstance(fn, staticmethod | classmethod):
        inner = wrap(fn.__func__, options, method=isinstance(fn, classmethod), real=real)
        return fn if inner is fn.__func__ else type(fn)(inner)
    if _behind(fn) is not None:
        return fn
    _check(fn, options)
    real = fn if real is None else real
    tool = _Tool(fn, options, method=_takes_self(fn) if method is None else method, real=real)
    wrapper = wrapper_of(real, tool.begin)
    functools.update_wrapper(wrapper, fn)
    if not hasattr(
        fn, "__name__"
    ):  # a partial, a callable object: its attributes are not those of a function
        wrapper.__name__ = wrapper.__qualname__ = options.name
        wrapper.__annotations__ = dict(getattr(innermost(fn), "__annotations__", {}))
    tool.wrapper = wrapper
    setattr(wrapper, _MARK, tool)
    return wrapper


def say_again(wrapper: Any, options: ToolOptions) -> Callable[[], None]:
    """Give a wrapper other options.

    Returns:
        gives it back those that it had, unless others were said meanwhile.
    """
    tool = _behind(wrapper)
    assert tool is not None
    before = tool.options
    check_ignore(tool.fn, options)
    tool.say(options)

    def take_back() -> None:
        if tool.options is options:
            tool.say(before)

    return take_back


def options_of(fn: Any) -> ToolOptions | None:
    """The options that a wrapper was made with; None for what is no wrapper."""
    tool = _behind(fn)
    return None if tool is None else tool.options


def unwrapped(fn: Any) -> Any:
    """What a wrapper runs; anything else as it is."""
    tool = _behind(fn)
    return fn if tool is None else tool.real


def wrapped_by(wrapper: Any) -> Any:
    """What was given to be wrapped, where something stands in for it; else None."""
    tool = _behind(wrapper)
    return None if tool is None or tool.real is tool.fn else tool.fn


def _behind(fn: Any) -> _Tool | None:
    if isinstance(fn, staticmethod | classmethod) or inspect.ismethod(fn):
        fn = fn.__func__
    tool = getattr(fn, _MARK, None)
    # functools.wraps copies our mark onto a decorator's function, which is not the wrapper.
    return tool if isinstance(tool, _Tool) and tool.wrapper is fn else None


def name_of(fn: Any) -> str:
    """The name a function is known by: its own, a partial's function's, or a callable object's type's."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    name = getattr(fn, "__name__", None)
    return name if isinstance(name, str) else type(fn).__name__


def _check(fn: Any, options: ToolOptions) -> None:
    if inspect.isclass(fn):
        raise UsageError(
            f"tool {options.name!r}: {fn.__qualname__} is a class; wrap the method that does the work, "
            f'as in sparrow.tool("{fn.__module__}.{fn.__qualname__}.run")'
        )
    if not callable(fn):
        raise UsageError(
            f"tool {options.name!r}: {fn!r} cannot be called; pass a function, a method or a dotted name"
        )
    if options.name == "<lambda>":
        raise UsageError('a lambda has no name: pass name="…", the one that the model knows')
    check_ignore(fn, options)


def _takes_self(fn: Any) -> bool:
    """Whether a function belongs to a class body, so that its first argument is no argument of the tool."""
    inner = innermost(fn)
    if not inspect.isfunction(fn) or not inspect.isfunction(inner):
        return False  # bound already
    outer, _, name = inner.__qualname__.rpartition(".")
    if not outer or outer.endswith("<locals>"):
        return False
    owner: Any = sys.modules.get(inner.__module__)
    for part in outer.split("."):
        owner = getattr(owner, "__dict__", {}).get(part)
    if isinstance(owner, type):
        return not isinstance(owner.__dict__.get(name), staticmethod)
    # The class is still being made, or local to a function: then the parameter's name must tell.
    first = next(iter(inspect.signature(fn).parameters), "")
    return first in ("self", "cls")
