"""Finds the function whose calls are to cross: behind a dotted name, a method, or a callable object."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.tools.options import close_matches
from pytest_sparrow.boundaries.tools.trampoline import trampoline_of
from pytest_sparrow.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.boundaries.tools.trampoline import Trampoline

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
    """Follow a dotted name like ``myagent.tools.refund`` or ``myagent.tools.Client.refund``.

    The modules on the way are imported: the name comes from the user's own settings.

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
    """The function behind one tool, and which of its calls are meant.

    Attributes:
        trampoline: the trampoline of the plain function.
        fn: what to wrap: the object with the tool's name, signature and the rest.
        real: what the wrapper runs.
        owner: the instance whose calls alone are meant; None: all calls are.
        bound_to: the class through which a classmethod was given.
    """

    trampoline: Trampoline
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
        """The wrapper that takes the calls now, in the form in which this tool was given; None where there is none."""
        wrapper = self.trampoline.wrapper(self.owner)
        if wrapper is not None:
            return self.as_given(wrapper)
        of_all = None if self.owner is None else self.trampoline.wrapper()
        return None if of_all is None else MethodType(of_all, self.owner)

    def as_given(self, wrapper: Any) -> Any:
        """A wrapper in the form in which the tool was given: bound to a class, or as a static or class method."""
        if self.bound_to is not None:
            return MethodType(wrapper, self.bound_to)
        if isinstance(self.fn, staticmethod | classmethod) and isinstance(wrapper, FunctionType):
            return type(self.fn)(wrapper)
        return wrapper

    def put(self, wrapper: Any) -> Callable[[], None]:
        """Let a wrapper (a plain function) take the calls; returns a function that takes the wrapper away again."""
        return self.trampoline.put(wrapper, self.owner)


def target_of(fn: Any) -> CallTarget | None:
    """The target of what was given as a tool; None where only calls of the wrapper itself can cross.

    That is so for a partial, a function in C, a cached function: whoever has such an object itself calls it directly.
    """
    # Not isinstance: a proxy (wrapt's decorators) says it is a function, and does more than the one behind it.
    if type(fn) is FunctionType:
        trampoline = trampoline_of(fn)
        return CallTarget(trampoline=trampoline, fn=fn, real=trampoline.real)
    owner, function = _parts(fn)
    if type(function) is not FunctionType:
        return None
    trampoline = trampoline_of(function)
    if isinstance(fn, staticmethod | classmethod):
        return CallTarget(trampoline=trampoline, fn=fn, real=trampoline.real)
    if isinstance(owner, type):
        # Its subclasses call it as well.
        return CallTarget(trampoline=trampoline, fn=function, real=trampoline.real, bound_to=owner)
    return CallTarget(trampoline=trampoline, fn=fn, real=MethodType(trampoline.real, owner), owner=owner)


def _parts(fn: Any) -> tuple[Any, Any]:
    """The instance or class that a callable is bound to, and its function; None for what is not there."""
    if type(fn) is MethodType:
        return fn.__self__, fn.__func__
    if isinstance(fn, staticmethod | classmethod):
        return None, fn.__func__
    if inspect.isclass(fn) or inspect.isroutine(fn):
        return None, None
    return fn, inspect.getattr_static(type(fn), "__call__", None)
