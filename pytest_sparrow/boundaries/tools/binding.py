"""The arguments of a call, under the names of the parameters that take them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.tools.jsonable import Walker
from pytest_sparrow.errors import NotRecordable

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.boundaries.tools.options import ToolOptions
    from pytest_sparrow.exchange import Json

__all__ = ["Binding"]


class Binding:
    """How one tool's calls are written down.

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
        self._walkers: dict[str, Walker] = {}
        try:
            self._signature: inspect.Signature | None = inspect.signature(fn)
        except (TypeError, ValueError):
            self._signature = None
        else:
            every = list(self._signature.parameters.values())[1 if method else 0 :]
            self._parameters = [parameter for parameter in every if parameter.name not in options.ignore]

    def json(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Json]:
        """The arguments as JSON, a copy of what they are now: the agent may change them later.

        Raises:
            NotRecordable: JSON cannot hold one; names the tool and the parameter.
        """
        given, defaults = self._named(args, kwargs)
        found = {name: self._value(name, value) for name, value in given.items()}
        for name, value in defaults.items():
            try:
                found[name] = self._value(name, value)
            except NotRecordable:
                continue  # a sentinel, a description object: the function's own affair
        if defaults:
            order = [parameter.name for parameter in self._parameters if parameter.name in found]
            found = {name: found[name] for name in (*order, *found)}
        return found

    def _value(self, name: str, value: Any) -> Json:
        walker = self._walkers.get(name)
        if walker is None:
            where, hint = (
                f"{self._options.name}({name})",
                f"leave it out of what is recorded: sparrow.tool(…, ignore=({name!r},))",
            )
            walker = self._walkers[name] = Walker(where, hint, convert=True)
        return walker.walk(value)

    def _named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The arguments given, and the defaults of the others, by name."""
        try:
            bound = None if self._signature is None else self._signature.bind(*args, **kwargs).arguments
        except TypeError:
            bound = None
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
