"""Wraps one function as a tool: its calls cross the boundary, with their arguments under the parameters' names."""

from __future__ import annotations

import functools
import inspect
import sys
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.tools.described import Describing, held_by
from pytest_sparrow.boundaries.tools.function import WrappedFunction
from pytest_sparrow.boundaries.tools.invocation import begin
from pytest_sparrow.boundaries.tools.objects import functions_within, without_context
from pytest_sparrow.boundaries.tools.options import check_ignore
from pytest_sparrow.boundaries.tools.receiver import called_on, receiver_of, roots_of
from pytest_sparrow.boundaries.tools.wrappers import wrapper_of
from pytest_sparrow.errors import NotRecordable, UsageError
from pytest_sparrow.run.answering import calls_itself
from pytest_sparrow.run.context import current_run, left_over
from pytest_sparrow.run.users_code import is_users_class
from pytest_sparrow.text import cut
from pytest_sparrow.values.changes import is_changeable
from pytest_sparrow.values.restore import innermost
from pytest_sparrow.values.to_json import jsonable
from pytest_sparrow.values.types import types_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.boundaries.tools.invocation import Call
    from pytest_sparrow.boundaries.tools.options import ToolOptions
    from pytest_sparrow.exchange import Json

_MARK = "__sparrow_tool__"


class _Tool:
    """The function and the options behind one wrapper."""

    def __init__(
        self, fn: Callable[..., Any], options: ToolOptions, *, method: bool, real: Callable[..., Any]
    ) -> None:
        self.fn = fn
        self.real = real
        self.wrapper: Callable[..., Any] | None = None
        self._method = method
        self.set_options(options)

    def set_options(self, options: ToolOptions) -> None:
        """Let these options count from now on."""
        self.options = options
        self._arguments = _Arguments(self.fn, options, method=self._method)
        self._function = WrappedFunction(
            self.fn,
            options.name,
            returns=options.returns,
            raises=options.raises,
            way_out=f"annotate the return type of {options.name}, or pass returns=… to sparrow.tool",
            real=self.real,
        )

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        """Begin the crossing of a call; None where the call belongs to no run."""
        run = current_run(in_tools=True)
        if run is None or calls_itself(self.options.name):
            late = left_over()
            error = None if run is not None or late is None else late.asked_late(self.options.name)
            if error is not None:
                raise error
            return None

        def asked() -> dict[str, Json]:
            content: dict[str, Json] = {"name": self.options.name, **self._arguments.json(args, kwargs)}
            on = called_on(run, self.options.name, self._receiver(args), self.fn, ignore=self.options.ignore)
            return {**content, "on": on} if on else content

        def roots() -> dict[str, Any]:
            return {**roots_of(self._receiver(args)), **self._arguments.roots(args, kwargs)}

        return begin(run, "tool", asked, self._function, roots)

    def _receiver(self, args: tuple[Any, ...]) -> Any:
        return receiver_of(self.fn, args, method=self._method)


def wrap(fn: Any, options: ToolOptions, *, method: bool | None = None, real: Any = None) -> Any:
    """A wrapper that crosses the boundary in an open run, and is transparent outside.

    It keeps signature, annotations, attributes, ``__wrapped__``, and the kind of function (coroutine function,
    generator, async generator). A function that is a wrapper already is returned as it is.

    Args:
        fn: a function, method, partial, callable object, or a classmethod or staticmethod of a class body.
        options: the tool's name and the rest.
        method: whether the first parameter is the instance or class, and so no argument of the tool; None:
            found out from the function.
        real: what to run instead of ``fn``, where the code of ``fn`` is replaced.

    Raises:
        UsageError: ``fn`` cannot be called, is a class, or ``ignore`` names no parameter of it.
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


def change_options(wrapper: Any, options: ToolOptions) -> Callable[[], None]:
    """Give a wrapper other options.

    Returns:
        A function that gives the former options back, unless they were changed again meanwhile.

    Raises:
        UsageError: ``ignore`` names no parameter of the function.
    """
    tool = _behind(wrapper)
    assert tool is not None
    before = tool.options
    check_ignore(tool.fn, options)
    tool.set_options(options)

    def change_back() -> None:
        if tool.options is options:
            tool.set_options(before)

    return change_back


def options_of(fn: Any) -> ToolOptions | None:
    """The options of a wrapper; None for what is no wrapper."""
    tool = _behind(fn)
    return None if tool is None else tool.options


def unwrapped(fn: Any) -> Any:
    """What a wrapper runs; anything else as it is."""
    tool = _behind(fn)
    return fn if tool is None else tool.real


def wrapped_by(wrapper: Any) -> Any:
    """The function that was wrapped, where its code is replaced; else None."""
    tool = _behind(wrapper)
    return None if tool is None or tool.real is tool.fn else tool.fn


def _behind(fn: Any) -> _Tool | None:
    if isinstance(fn, staticmethod | classmethod) or inspect.ismethod(fn):
        fn = fn.__func__
    tool = getattr(fn, _MARK, None)
    # functools.wraps copies our mark onto a decorator's function, which is not the wrapper.
    return tool if isinstance(tool, _Tool) and tool.wrapper is fn else None


def name_of(fn: Any) -> str:
    """The name of a function: its own, a partial's function's, or a callable object's type's."""
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
        which = ", ".join(functions_within(fn)) or "a function, a method or a dotted name"
        raise UsageError(
            f"tool {options.name!r}: {cut(repr(fn), 60)} cannot be called\n"
            f"  No function is known inside a {type(fn).__module__}.{type(fn).__qualname__}.\n"
            f"  Pass the function that does the work: {which}."
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
    # The class is still being made, or local to a function: then only the parameter's name says so.
    first = next(iter(inspect.signature(fn).parameters), "")
    return first in ("self", "cls")


class _Arguments:
    """Writes the arguments of one tool's calls, under the names of the parameters that take them.

    Defaults are filled in, so that ``refund(1)`` and ``refund(1, reason=None)`` are the same call, and a
    changed default is seen. ``*args`` stand under their own name as an array; ``**kwargs`` each under its own
    name, as the model proposed them, or all under theirs where one has the name of a parameter. A call that
    doesn't fit the signature (the real function will raise TypeError), or whose function has none, is written
    as ``{"args": [...], name: value, …}``.

    Args:
        fn: the tool.
        options: name and parameters to leave out.
        method: whether the first parameter is the instance or class, which is no argument of the tool.
    """

    def __init__(self, fn: Callable[..., Any], options: ToolOptions, *, method: bool) -> None:
        self._options = options
        self._method = method
        self._parameters: list[inspect.Parameter] = []
        self._lasting: list[Any] = []
        self._walkers: dict[str, Describing] = {}
        try:
            self._signature: inspect.Signature | None = inspect.signature(fn)
        except (TypeError, ValueError):
            self._signature = None
        else:
            every = without_context(list(self._signature.parameters.values())[1 if method else 0 :])
            self._parameters = [parameter for parameter in every if parameter.name not in options.ignore]
            self._lasting = [each.default for each in every if is_changeable(each.default)]

    def json(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Json]:
        """``{"args", "types"?}``: the arguments as JSON, copied now, since the agent may change them later.

        Raises:
            NotRecordable: JSON cannot hold one; names the tool and the parameter.
        """
        given, defaults = self._named(args, kwargs)
        types: dict[str, str] = {}
        found = {name: self._value(name, value, types) for name, value in given.items()}
        for name, value in defaults.items():
            try:
                found[name] = jsonable(value, where=name)
            except NotRecordable:
                continue  # a sentinel, a description object: the function's own affair
            types.update(types_of(value, name))
        if defaults:
            order = [parameter.name for parameter in self._parameters if parameter.name in found]
            found = {name: found[name] for name in (*order, *found)}
        return {"args": found, "types": types} if types else {"args": found}

    def roots(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments that the call might change in place, by name; defaults too, which outlive a call."""
        if not any(map(is_changeable, (*args[1 if self._method else 0 :], *kwargs.values(), *self._lasting))):
            return {}
        given, defaults = self._named(args, kwargs)
        found = {**defaults, **given}
        bound = self._bound(args, kwargs) or {}
        for name in self._options.ignore:
            value = bound.get(name)
            if isinstance(value, dict | list | set) or is_users_class(type(value)):
                found[name] = value
        behind = {f"{name}.{each}": inner for name in found for each, inner in held_by(found[name]).items()}
        return {**found, **behind} if behind else found

    def _value(self, name: str, value: Any, types: dict[str, str]) -> Json:
        walker = self._walkers.get(name)
        if walker is None:
            where, hint = (
                f"{self._options.name}({name})",
                f"leave it out of what is recorded: sparrow.tool(…, ignore=({name!r},))",
            )
            walker = self._walkers[name] = Describing(self._options.name, where, hint)
        return walker.noted(value, name, types)

    def _named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The arguments given, and the defaults of the others, by name."""
        bound = self._bound(args, kwargs)
        if bound is None:
            return self._unbound(args, kwargs), {}
        given: dict[str, Any] = {}
        defaults: dict[str, Any] = {}
        for parameter in self._parameters:
            name = parameter.name
            if name in bound and parameter.kind is parameter.VAR_KEYWORD:
                given.update(self._extra(name, bound[name]))
            elif name in bound:
                given[name] = bound[name]
            elif parameter.default is not parameter.empty:
                defaults[name] = parameter.default
        return given, defaults

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
        """The values by parameter; None where they don't fit the signature, or there is none."""
        try:
            return None if self._signature is None else self._signature.bind(*args, **kwargs).arguments
        except TypeError:
            return None

    def _extra(self, own: str, extra: dict[str, Any]) -> dict[str, Any]:
        extra = {name: value for name, value in extra.items() if name not in self._options.ignore}
        taken = {parameter.name for parameter in self._parameters}
        return {own: extra} if taken & extra.keys() else extra

    def _unbound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        positional = list(args[1:] if self._method else args)
        named = {name: value for name, value in kwargs.items() if name not in self._options.ignore}
        if not positional:
            return named
        return {"args": positional, **({"kwargs": named} if "args" in named else named)}
