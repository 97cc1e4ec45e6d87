"""Finds the function to wrap: from a dotted name, a method, or a callable object.

A tool given by its dotted name: ``myagent.tools.refund`` or ``myagent.tools.Client.refund``.

What a tool is given as (a function, a method, a callable object) → the function whose calls are to cross.
"""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.tools.options import close_matches
from pytest_sparrow.boundaries.tools.trampoline import stand_in_for
from pytest_sparrow.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.boundaries.tools.trampoline import StandIn

__all__ = ["Attribute", "CallTarget", "find", "target_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """Where a dotted name leads.

    Attributes:
        owner: the module, class or instance that holds it.
        name: its name there.
        found: what is there, as it stands: a classmethod object rather than a bound method.
    """

    owner: Any
    name: str
    found: Any


def find(dotted: str) -> Attribute:
    """Follow a dotted name, importing the modules on the way: it comes from the user's own settings.

    Raises:
        UsageError: it leads nowhere; names the part that failed and what is there instead.
    """
    parts = dotted.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise UsageError(f'{dotted!r} is no dotted name of a tool, like "myagent.tools.refund"')
    owner, used = _import_longest(dotted, parts)
    for position in range(used, len(parts) - 1):
        owner = _attribute(owner, parts, position, dotted)
    name = parts[-1]
    _attribute(owner, parts, len(parts) - 1, dotted)
    return Attribute(owner=owner, name=name, found=_as_it_stands(owner, name))


def _import_longest(dotted: str, parts: list[str]) -> tuple[Any, int]:
    """The module that the longest prefix names, and how many parts that took. The last part is the tool."""
    module: Any = None
    for used in range(1, len(parts)):
        name = ".".join(parts[:used])
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise UsageError(f"{dotted!r}: importing {name} failed: {error}") from error
            if module is None:
                raise UsageError(f"{dotted!r}: there is no module {name!r}") from None
            return module, used - 1
        except Exception as error:
            raise UsageError(
                f"{dotted!r}: importing {name} failed: {type(error).__name__}: {error}"
            ) from error
    return module, len(parts) - 1


def _attribute(owner: Any, parts: list[str], position: int, dotted: str) -> Any:
    try:
        return getattr(owner, parts[position])
    except AttributeError:
        so_far, part = ".".join(parts[:position]), parts[position]
        raise UsageError(f"{dotted!r}: {so_far} has no {part!r}{close_matches(part, dir(owner))}") from None


def _as_it_stands(owner: Any, name: str) -> Any:
    if not isinstance(owner, type):
        return getattr(owner, name)
    return inspect.getattr_static(owner, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTarget:
    """How the calls of one tool are reached, through whatever reference they are made.

    Attributes:
        stand_in: of the plain function behind it.
        fn: what to wrap: it has the name, the signature and the rest.
        real: what the wrapper runs.
        owner: the instance whose calls alone are meant; None: all calls are.
        bound_to: the class through which a classmethod was given.
    """

    stand_in: StandIn
    fn: Any
    real: Any
    owner: Any = None
    bound_to: type | None = None

    @property
    def method(self) -> bool | None:
        """Whether the first parameter is no argument of the tool, where that is known."""
        return True if self.bound_to is not None else None

    @property
    def wrapper(self) -> Any:
        """The wrapper that takes the calls now, as this tool was given; None where there is none."""
        wrapper = self.stand_in.wrapper(self.owner)
        if wrapper is not None:
            return self.as_given(wrapper)
        of_all = None if self.owner is None else self.stand_in.wrapper()
        return None if of_all is None else MethodType(of_all, self.owner)

    def as_given(self, wrapper: Any) -> Any:
        """A wrapper, bound to the class through which the tool was given."""
        if self.bound_to is not None:
            return MethodType(wrapper, self.bound_to)
        if isinstance(self.fn, staticmethod | classmethod) and isinstance(wrapper, FunctionType):
            return type(self.fn)(wrapper)
        return wrapper

    def put(self, wrapper: Any) -> Callable[[], None]:
        """Let a wrapper (the plain function of it) take the calls; returns what takes it away again."""
        return self.stand_in.put(wrapper, self.owner)


def target_of(fn: Any) -> CallTarget | None:
    """How the calls of what was given as a tool are reached; None where only a wrapper's own calls are.

    That is so for a partial, a function in C, a cached function: whoever has such an object itself calls it directly.
    """
    # Not isinstance: a proxy (wrapt's decorators) says it is a function, and does more than the one behind it.
    if type(fn) is FunctionType:
        stand_in = stand_in_for(fn)
        return CallTarget(stand_in=stand_in, fn=fn, real=stand_in.real)
    owner, function = _parts(fn)
    if type(function) is not FunctionType:
        return None
    stand_in = stand_in_for(function)
    if isinstance(fn, staticmethod | classmethod):
        return CallTarget(stand_in=stand_in, fn=fn, real=stand_in.real)
    if isinstance(owner, type):
        # Its subclasses call it as well.
        return CallTarget(stand_in=stand_in, fn=function, real=stand_in.real, bound_to=owner)
    return CallTarget(stand_in=stand_in, fn=fn, real=MethodType(stand_in.real, owner), owner=owner)


def _parts(fn: Any) -> tuple[Any, Any]:
    """The instance or class, and the function."""
    if type(fn) is MethodType:
        return fn.__self__, fn.__func__
    if isinstance(fn, staticmethod | classmethod):
        return None, fn.__func__
    if inspect.isclass(fn) or inspect.isroutine(fn):
        return None, None
    return fn, inspect.getattr_static(type(fn), "__call__", None)
