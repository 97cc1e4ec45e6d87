"""Makes wrappers of four kinds (function, coroutine function, generator and async generator function).

``sparrow.call`` wraps a function for one call.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.tools.described import Describing
from pytest_sparrow.boundaries.tools.function import WrappedFunction
from pytest_sparrow.boundaries.tools.invocation import begin as begin_call
from pytest_sparrow.boundaries.tools.receiver import receiver_of, roots_of
from pytest_sparrow.boundaries.tools.replayed import ReplayedCall
from pytest_sparrow.boundaries.tools.steps import Steps
from pytest_sparrow.boundaries.world import isolated, stepped
from pytest_sparrow.errors import UsageError
from pytest_sparrow.run.answering import is_answering

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from pytest_sparrow.boundaries.tools.invocation import Call
    from pytest_sparrow.boundaries.tools.live import LiveCall
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.crossing import OpenRun

    Begin = Callable[[tuple[Any, ...], dict[str, Any]], Call | None]


def wrapper_of(fn: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    """A function of the same kind as ``fn`` that crosses the boundary when it is called.

    Args:
        fn: a function, method, partial or callable object.
        begin: begins a crossing with the arguments; gives None where the call belongs to no run.
    """
    if _is(inspect.iscoroutinefunction, fn):
        return _coroutine_function(fn, begin)
    if _is(inspect.isasyncgenfunction, fn):
        return _async_generator_function(fn, begin)
    if _is(inspect.isgeneratorfunction, fn):
        return _generator_function(fn, begin)
    return _function(fn, begin)


def _is(test: Callable[[Any], bool], fn: Any) -> bool:
    return test(fn) or (not inspect.isroutine(fn) and test(type(fn).__call__))


def _function(fn: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        call = begin(args, kwargs)
        if call is None:
            return fn(*args, **kwargs)
        if isinstance(call, ReplayedCall):
            if call.checked:
                return _checked(_function(fn, _live_of(call)), call, args, kwargs)
            return _replayed(call)
        with call, isolated():
            given = fn(*args, **kwargs)
        return _live(given, call)

    return function


def _coroutine_function(fn: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    async def coroutine_function(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        call = begin(args, kwargs)
        if call is None:
            return await fn(*args, **kwargs)
        if isinstance(call, ReplayedCall):
            if call.checked:
                return await _checked_later(_coroutine_function(fn, _live_of(call))(*args, **kwargs), call)
            await call.cancelled_again()
            await call.arrives()
            return call.answer()
        return await _awaited(fn(*args, **kwargs), call)

    return coroutine_function


def _generator_function(fn: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    def generator_function(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        __tracebackhide__ = True
        call = begin(args, kwargs)
        if call is None:
            return (yield from fn(*args, **kwargs))
        if isinstance(call, ReplayedCall):
            if call.checked:
                _drained(_generator_function(fn, _live_of(call))(*args, **kwargs), call)
            return (yield from call.items())
        with call:
            stream = fn(*args, **kwargs)
        return (yield from _tee(stream, call))

    return generator_function


def _async_generator_function(fn: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    async def async_generator_function(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        __tracebackhide__ = True
        call = begin(args, kwargs)
        replayed = call if isinstance(call, ReplayedCall) else None
        if replayed is not None and replayed.checked:
            await _drained_async(_async_generator_function(fn, _live_of(replayed))(*args, **kwargs), replayed)
        live = None if isinstance(call, ReplayedCall) else call
        with contextlib.nullcontext() if live is None else live:
            stream = fn(*args, **kwargs) if replayed is None else _replayed_async(replayed)
        steps = Steps(stream, live)
        try:
            async for item in steps:
                try:
                    steps.sent((yield item))
                except BaseException as thrown:  # noqa: BLE001 - it goes on to the function's own generator
                    steps.thrown(thrown)
        finally:
            await steps.aclose()

    return async_generator_function


# What a plain function may return besides a value: decorators often hide a coroutine or generator function.


def _live(given: Any, call: LiveCall) -> Any:
    if inspect.isawaitable(given):
        call.is_awaited()
        return _awaited(given, call)
    if inspect.isgenerator(given):
        call.began_stream()
        return _tee(given, call)
    if inspect.isasyncgen(given):
        call.is_awaited()
        call.began_stream()
        return _async_generator_function(lambda: given, lambda *_: call)()
    call.returned(given)
    return given


def _replayed(call: ReplayedCall) -> Any:
    awaited = call.half.get("awaited", False)
    if "yielded" in call.half:
        return _replayed_async(call) if awaited else call.items()
    if awaited:
        return _replayed_later(call)
    call.hold()
    return call.answer()


# A checked call: the function runs, and what it returns or raises is recorded; then the agent gets the recorded answer.


def _live_of(call: ReplayedCall) -> Begin:
    return lambda *_: call.live()


def _checked(
    live: Callable[..., Any], call: ReplayedCall, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    given: Any = None
    with contextlib.suppress(Exception):
        given = live(*args, **kwargs)
    if inspect.isawaitable(given):
        return _checked_later(given, call)
    if inspect.isgenerator(given):
        _drained(given, call)
    if inspect.isasyncgen(given):
        return _checked_items(given, call)
    return _replayed(call)


async def _checked_later(given: Awaitable[Any], call: ReplayedCall) -> Any:
    with contextlib.suppress(Exception):
        await given
    return call.answer()


async def _checked_items(stream: AsyncGenerator[Any, Any], call: ReplayedCall) -> AsyncGenerator[Any, Any]:
    await _drained_async(stream, call)
    async for item in _replayed_async(call):
        yield item


def _drained(stream: Generator[Any, Any, Any], call: ReplayedCall) -> None:
    with contextlib.closing(stream), contextlib.suppress(Exception):
        for _ in itertools.islice(stream, call.most_items):
            pass


async def _drained_async(stream: AsyncGenerator[Any, Any], call: ReplayedCall) -> None:
    async with contextlib.aclosing(stream):
        with contextlib.suppress(Exception):
            for _ in range(call.most_items):
                await anext(stream)


async def _replayed_later(call: ReplayedCall) -> Any:
    await call.arrives()
    return call.answer()


async def _awaited(given: Awaitable[Any], call: LiveCall) -> Any:
    with call:
        value = await stepped(given, call.steps())
    call.returned(value)
    return value


async def _replayed_async(call: ReplayedCall) -> AsyncGenerator[Any, Any]:
    steps = Steps(call.items())
    left = call.pieces
    try:
        if not left:
            await call.cancelled_again()
        for item in steps:
            try:
                steps.sent((yield item))
            except BaseException as thrown:  # noqa: BLE001 - as above
                steps.thrown(thrown)
            left -= 1
            if not left:
                await call.cancelled_again()
                await call.arrives()
    finally:
        steps.close()


def _tee(stream: Generator[Any, Any, Any], call: LiveCall) -> Generator[Any, Any, Any]:
    steps = Steps(stream, call)
    try:
        for item in steps:
            try:
                steps.sent((yield item))
            except BaseException as thrown:  # noqa: BLE001 - as above
                steps.thrown(thrown)
    finally:
        steps.close()
    return steps.returned


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

    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        if is_answering():
            return None
        return begin_call(
            run, "call", lambda: _asked(name, args, kwargs), function, lambda: _roots(fn, args, kwargs)
        )

    return wrapper_of(fn, begin)(*args, **kwargs)


_HINT = "pass what JSON can hold, and bind the rest beforehand: functools.partial(fn, client)"


def _roots(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    on = roots_of(receiver_of(fn, args, method=False))
    return {**on, **{f"[{index}]": arg for index, arg in enumerate(args)}, **kwargs}


def _asked(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Json]:
    types: dict[str, str] = {}

    def written(value: Any, place: str, shown: str) -> Json:
        return Describing(name, f"{name}({shown})", _HINT).noted(value, place, types)

    asked: dict[str, Json] = {
        "name": name,
        "args": [written(arg, f"[{index}]", f"args[{index}]") for index, arg in enumerate(args)],
        "kwargs": {key: written(value, key, key) for key, value in kwargs.items()},
    }
    return {**asked, "types": types} if types else asked
