"""A function's code replaced for a time, so that a call through any reference to it goes to its wrapper.

Agents keep their functions in dicts, closures and the tool objects of frameworks, made long before the test began. A
wrapper beside the function reaches none of these, and in a replay the real tool would run. So the function keeps its
identity, signature and place, and its code hands every call to the wrapper; the wrapper calls a copy that has the
real code.
"""

from __future__ import annotations

import ast
import functools
import inspect
import keyword
import operator
import threading
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["StandIn", "changing", "stand_in_for"]

_ENTRANCE = "pytest-sparrow: the entrance stands here"
_KEPT_FLAGS = inspect.CO_ITERABLE_COROUTINE

changing = threading.RLock()
"""Held from asking for a stand-in to putting a wrapper: two tests in one process may wrap the same function."""


def stand_in_for(function: FunctionType) -> StandIn | None:
    """What stands in for a function, now or from its first wrapper on; None where its code can't be replaced."""
    for constant in function.__code__.co_consts:
        if isinstance(constant, StandIn) and constant.function is function:
            return constant
    names = function.__code__.co_varnames + function.__code__.co_freevars
    # Generated code may have names that Python's grammar doesn't know.
    fit = all(name.isidentifier() and not keyword.iskeyword(name) for name in names)
    return StandIn(function) if fit else None


class StandIn:
    """The stand-in of one function.

    Args:
        function: a plain function, on which nothing stands in yet.

    Attributes:
        function: the function itself.
        real: another function with the real code, and all else the same.
    """

    def __init__(self, function: FunctionType) -> None:
        self.function = function
        self.real = _copy(function)
        self._code: CodeType | None = None
        self._wrappers: list[tuple[Any, Callable[..., Any]]] = []

    def wrapper(self, owner: Any = None) -> Callable[..., Any] | None:
        """The newest wrapper that takes the calls of an instance, or (None) of the function itself."""
        return next((wrapper for whose, wrapper in reversed(self._wrappers) if whose is owner), None)

    def put(self, wrapper: Callable[..., Any], owner: Any = None) -> Callable[[], None]:
        """Let a wrapper take the calls.

        Args:
            wrapper: takes the arguments; it must call `real`, never the function.
            owner: take only calls whose first argument is this instance, and leave it out; None: take all.

        Returns:
            takes the wrapper away again.
        """
        entry = owner, wrapper
        with changing:
            self._wrappers.append(entry)
            if self._code is None:
                self.function.__code__ = self._code = _handing_on(self.real.__code__, self)

        def take_away() -> None:
            with changing:
                self._wrappers = [each for each in self._wrappers if each is not entry]
                if self._wrappers:
                    return
                # Code that someone else has put there meanwhile is left alone.
                if self.function.__code__ is self._code:
                    self.function.__code__ = self.real.__code__
                self._code = None  # it holds this object, and the collector doesn't look into code

        return take_away

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """What the stand-in's code does."""
        __tracebackhide__ = True
        for owner, wrapper in reversed(self._wrappers):
            if owner is None:
                return wrapper(*args, **kwargs)
            if args and args[0] is owner:
                return wrapper(*args[1:], **kwargs)
        return self.real(*args, **kwargs)


def _copy(function: FunctionType) -> FunctionType:
    copy = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    functools.update_wrapper(copy, function)
    del vars(copy)["__wrapped__"]
    vars(copy).update(vars(function))  # a decorator's own __wrapped__ among them
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _handing_on(code: CodeType, entrance: StandIn) -> CodeType:
    """Code with the parameters, the kind, the name and the place of another, that hands each call to ``entrance``."""
    tree = ast.parse(_source(code))
    for node in ast.walk(tree):
        if isinstance(node, ast.expr | ast.stmt | ast.arg | ast.keyword | ast.excepthandler):
            # All of it in the line of the "def": so tracebacks, coverage and inspect.getsource find their way.
            node.lineno = node.end_lineno = code.co_firstlineno
            node.col_offset = node.end_col_offset = 0
    new = _only(_only(compile(tree, code.co_filename, "exec")))
    return new.replace(
        co_consts=tuple(entrance if constant == _ENTRANCE else constant for constant in new.co_consts),
        co_name=code.co_name,
        co_qualname=code.co_qualname,
        co_flags=new.co_flags | code.co_flags & _KEPT_FLAGS,
    )


def _only(code: CodeType) -> CodeType:
    return next(constant for constant in code.co_consts if isinstance(constant, CodeType))


_PLAIN = "return _sparrow({given})"
_COROUTINE = "return await _sparrow({given})"
_GENERATOR = "return (yield from _sparrow({given}))"
# PEP 525 has no "yield from" for these: what is sent or thrown in is passed on by hand.
_ASYNC_GENERATOR = """\
_sparrow_stream = _sparrow({given})
        _sparrow_step, _sparrow_value = _sparrow_stream.asend, None
        try:
            while True:
                try:
                    _sparrow_item = await _sparrow_step(_sparrow_value)
                except StopAsyncIteration:
                    return
                try:
                    _sparrow_step, _sparrow_value = _sparrow_stream.asend, (yield _sparrow_item)
                except GeneratorExit:
                    raise
                except BaseException as _sparrow_thrown:
                    _sparrow_step, _sparrow_value = _sparrow_stream.athrow, _sparrow_thrown
        finally:
            await _sparrow_stream.aclose()"""
_KINDS = {
    inspect.CO_COROUTINE: ("async ", _COROUTINE),
    inspect.CO_GENERATOR: ("", _GENERATOR),
    inspect.CO_ASYNC_GENERATOR: ("async ", _ASYNC_GENERATOR),
}


def _source(code: CodeType) -> str:
    """A function within one that has the free variables: a function's code must name as many as it has cells."""
    is_async, body = _KINDS.get(code.co_flags & functools.reduce(operator.or_, _KINDS), ("", _PLAIN))
    free = code.co_freevars
    return f"""\
def outer():
    {"".join(f"{name} = " for name in free)}None
    {is_async}def function({", ".join(_parameters(code))}):
        __tracebackhide__ = True
        if 0: ({"".join(f"{name}, " for name in free)})
        _sparrow = {_ENTRANCE!r}
        {body.format(given=", ".join(_given(code)))}
"""


def _parameters(code: CodeType) -> Iterator[str]:
    positional, only, star, stars = _split(code)
    for number, name in enumerate(positional):
        yield name
        if number == code.co_posonlyargcount - 1:
            yield "/"
    yield from ([f"*{star}"] if star else ["*"] if only else [])
    yield from only
    yield from [f"**{stars}"] if stars else []


def _given(code: CodeType) -> Iterator[str]:
    positional, only, star, stars = _split(code)
    yield from positional
    yield from [f"*{star}"] if star else []
    yield from (f"{name}={name}" for name in only)
    yield from [f"**{stars}"] if stars else []


def _split(code: CodeType) -> tuple[tuple[str, ...], tuple[str, ...], str, str]:
    """The names of positional and of keyword-only parameters, of ``*args`` and of ``**kwargs`` ("" for none)."""
    names = code.co_varnames
    end = code.co_argcount + code.co_kwonlyargcount
    has_star, has_stars = code.co_flags & inspect.CO_VARARGS, code.co_flags & inspect.CO_VARKEYWORDS
    star = names[end] if has_star else ""
    stars = names[end + bool(has_star)] if has_stars else ""
    return names[: code.co_argcount], names[code.co_argcount : end], star, stars
