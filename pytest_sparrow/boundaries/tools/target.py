"""Finds the function whose calls are to cross, and leads calls through any reference to it to its wrapper.

The function may stand behind a dotted name, a method, or a callable object. Agents keep their functions in dicts,
closures and the tool objects of frameworks, made long before the test began. A wrapper beside the function catches no
call through these, and in a replay the real tool would run. So the function keeps its identity, signature and place,
and for a while its code hands every call to the wrapper; the wrapper calls a copy that has the real code.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import operator
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.patching import AttributePatch, CodePatch, copy_function
from pytest_sparrow.boundaries.tools.options import close_matches
from pytest_sparrow.boundaries.tools.steps import Steps
from pytest_sparrow.errors import UsageError
from pytest_sparrow.run.context import current_run, left_over

if TYPE_CHECKING:
    from collections.abc import Callable


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
    """The target of an object that the user gave as a tool; None where only calls of the wrapper itself can cross.

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


_PLACEHOLDER = "pytest-sparrow: the trampoline stands here"
_KEPT_FLAGS = inspect.CO_ITERABLE_COROUTINE

changing = threading.RLock()
"""Held from asking for a trampoline to putting a wrapper: two tests in one process may wrap the same function."""


def trampoline_of(function: FunctionType) -> Trampoline:
    """The trampoline of a function: the one in its code, or a new one."""
    return _trampoline_in(function) or Trampoline(function)


def real_of(function: FunctionType) -> FunctionType:
    """The function with its real code, also while its calls are led elsewhere."""
    trampoline = _trampoline_in(function)
    return function if trampoline is None else trampoline.real


def _trampoline_in(function: FunctionType) -> Trampoline | None:
    for constant in function.__code__.co_consts:
        if isinstance(constant, Trampoline) and constant.function is function:
            return constant
    return None


class Trampoline:
    """Hands the calls of one function to its wrappers.

    Args:
        function: a plain function that has no trampoline yet.

    Attributes:
        function: the function itself.
        real: another function with the real code, and all else the same.
    """

    steps = Steps

    def __init__(self, function: FunctionType) -> None:
        self.function = function
        self.real = copy_function(function)
        self._patches = ExitStack()
        self._wrappers: list[tuple[Any, Callable[..., Any]]] = []

    def wrapper(self, owner: Any = None) -> Callable[..., Any] | None:
        """The newest wrapper for the calls of an instance, or (None) of the function itself; None if there is none."""
        return next((wrapper for whose, wrapper in reversed(self._wrappers) if whose is owner), None)

    def put(self, wrapper: Callable[..., Any], owner: Any = None) -> Callable[[], None]:
        """Let a wrapper take the calls.

        Args:
            wrapper: takes the arguments; it must call `real`, never the function.
            owner: take only calls whose first argument is this instance, and leave it out; None: take all.

        Returns:
            A function that takes the wrapper away again.
        """
        entry = owner, wrapper
        with changing:
            if not self._wrappers:
                self._replace()
            self._wrappers.append(entry)

        def take_away() -> None:
            with changing:
                self._wrappers = [each for each in self._wrappers if each is not entry]
                if not self._wrappers:
                    self._patches.close()

        return take_away

    def now(self, args: tuple[Any, ...]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """What the function's code is to call, and with which arguments."""
        # Without a run (within a live tool, say) the shortest way: a tool that calls itself gets deep.
        if current_run(in_tools=True) is not None or left_over() is not None:
            for owner, wrapper in reversed(self._wrappers):
                if owner is None:
                    return wrapper, args
                if args and args[0] is owner:
                    return wrapper, args[1:]
        return self.real, args

    def _replace(self) -> None:
        with ExitStack() as stack:
            if "__signature__" not in vars(self.function):
                # The code takes any arguments, so that a call with wrong ones crosses, too.
                signature = inspect.signature(self.real, follow_wrapped=False)
                stack.enter_context(AttributePatch(self.function, "__signature__", signature))
            # Closing drops the patch: the code holds this object, and the garbage collector doesn't look into code.
            stack.enter_context(CodePatch(self.function, _handing_on(self.real.__code__, self)))
            self._patches = stack.pop_all()


def _handing_on(code: CodeType, trampoline: Trampoline) -> CodeType:
    """Code of the same kind, name and place as another, which hands each call on; it takes any arguments."""
    tree = ast.parse(_source(code))
    for node in ast.walk(tree):
        if isinstance(node, ast.expr | ast.stmt | ast.arg | ast.keyword | ast.excepthandler):
            # All of it in the line of the "def": so tracebacks, coverage and inspect.getsource find their way.
            node.lineno = node.end_lineno = code.co_firstlineno
            node.col_offset = node.end_col_offset = 0
    new = _only(_only(compile(tree, code.co_filename, "exec")))
    return new.replace(
        co_consts=tuple(trampoline if constant == _PLACEHOLDER else constant for constant in new.co_consts),
        co_name=code.co_name,
        co_qualname=code.co_qualname,
        co_flags=new.co_flags | code.co_flags & _KEPT_FLAGS,
    )


def _only(code: CodeType) -> CodeType:
    return next(constant for constant in code.co_consts if isinstance(constant, CodeType))


_PLAIN = "return {0}(*{0}_args, **{0}_kwargs)"
_COROUTINE = "return await {0}(*{0}_args, **{0}_kwargs)"
_GENERATOR = "return (yield from {0}(*{0}_args, **{0}_kwargs))"
# PEP 525 has no "yield from" for these.
_ASYNC_GENERATOR = """\
{0}_steps = {0}_at.steps({0}(*{0}_args, **{0}_kwargs))
        try:
            async for {0}_item in {0}_steps:
                try:
                    {0}_steps.sent((yield {0}_item))
                except BaseException as {0}_thrown:
                    {0}_steps.thrown({0}_thrown)
        finally:
            await {0}_steps.aclose()"""
_KINDS = {
    inspect.CO_COROUTINE: ("async ", _COROUTINE),
    inspect.CO_GENERATOR: ("", _GENERATOR),
    inspect.CO_ASYNC_GENERATOR: ("async ", _ASYNC_GENERATOR),
}


def _source(code: CodeType) -> str:
    """A function within one that has the free variables: a function's code must name as many as it has cells."""
    is_async, body = _KINDS.get(code.co_flags & functools.reduce(operator.or_, _KINDS), ("", _PLAIN))
    free = code.co_freevars
    own = "_sparrow"
    while any(name.startswith(own) for name in free):
        own += "_"
    return f"""\
def outer():
    {"".join(f"{name} = " for name in free)}None
    {is_async}def function(*{own}_args, **{own}_kwargs):
        __tracebackhide__ = True
        if 0: ({"".join(f"{name}, " for name in free)})
        {own}_at = {_PLACEHOLDER!r}
        {own}, {own}_args = {own}_at.now({own}_args)
        {body.format(own)}
"""
