"""What a tool is given as (a function, a method, a callable object) → the function whose calls are to cross."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.tools.standin import stand_in_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.boundaries.tools.standin import StandIn

__all__ = ["Reach", "reach_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
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


def reach_of(fn: Any) -> Reach | None:
    """How the calls of what was given as a tool are reached; None where only a wrapper's own calls are.

    That is so for a partial, a function in C, a cached function: whoever has such an object itself calls it directly.
    """
    # Not isinstance: a proxy (wrapt's decorators) says it is a function, and does more than the one behind it.
    if type(fn) is FunctionType:
        stand_in = stand_in_for(fn)
        return Reach(stand_in=stand_in, fn=fn, real=stand_in.real)
    owner, function = _parts(fn)
    if type(function) is not FunctionType:
        return None
    stand_in = stand_in_for(function)
    if isinstance(fn, staticmethod | classmethod):
        return Reach(stand_in=stand_in, fn=fn, real=stand_in.real)
    if isinstance(owner, type):
        # Its subclasses call it as well.
        return Reach(stand_in=stand_in, fn=function, real=stand_in.real, bound_to=owner)
    return Reach(stand_in=stand_in, fn=fn, real=MethodType(stand_in.real, owner), owner=owner)


def _parts(fn: Any) -> tuple[Any, Any]:
    """The instance or class, and the function."""
    if type(fn) is MethodType:
        return fn.__self__, fn.__func__
    if isinstance(fn, staticmethod | classmethod):
        return None, fn.__func__
    if inspect.isclass(fn) or inspect.isroutine(fn):
        return None, None
    return fn, inspect.getattr_static(type(fn), "__call__", None)
