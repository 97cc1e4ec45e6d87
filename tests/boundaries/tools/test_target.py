"""A wrapped tool's calls cross through any reference to it, and its own body is put back."""

import asyncio
import contextlib
import functools
import inspect
import threading

import pytest

from boundaries.tools.fake_run import opened
from pytest_sparrow.boundaries.tools import Tools
from pytest_sparrow.errors import UsageError


@pytest.fixture
def tools():
    with contextlib.closing(Tools()) as tools:
        yield tools


@pytest.fixture
def ran():
    """What the bodies of the tools did."""
    return []


def replayed(fn, *args, **kwargs):
    """What a call gives once it has been recorded, and what bodies it ran by then."""
    with opened() as recorded:
        fn(*args, **kwargs)
    with opened(recorded) as run:
        given = fn(*args, **kwargs)
    return given, [(kept.asked["name"], kept.asked["args"]) for kept in run.kept]


def test_copies_of_a_function_are_replayed(tools, ran):
    """A dict, a closure, a partial, a default, a decorator of the agent's: all made before the tool was wrapped."""

    def refund(order: int) -> str:
        ran.append(order)
        return f"done {order}"

    table = {"refund": refund}
    partial = functools.partial(refund, 1)

    @functools.wraps(refund)
    def logged(*args, **kwargs):
        return refund(*args, **kwargs)

    def in_default(tool=refund):
        return tool(1)

    tools.tool(refund)
    for call in (lambda: table["refund"](1), partial, lambda: logged(1), in_default):
        ran.clear()
        assert replayed(call) == ("done 1", [("refund", {"order": 1})])
        assert ran == [1]  # when it was recorded


def test_every_kind_of_parameter_arrives(tools, ran):
    """Positional-only, keyword-only, starred, defaults, names that the trampoline might use itself."""

    def tool(enter, value=2, /, item=3, *args, stream, step=5, **thrown):
        ran.append((enter, value, item, args, stream, step, thrown))

    tools.tool(tool)
    with opened() as run:
        tool(1, stream=4)
        tool(1, 2, 3, 7, 8, stream=4, more=9)
        with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'stream'"):
            tool(1)
    assert ran == [(1, 2, 3, (), 4, 5, {}), (1, 2, 3, (7, 8), 4, 5, {"more": 9})]
    assert [kept.asked["args"] for kept in run.kept] == [
        {"enter": 1, "value": 2, "item": 3, "stream": 4, "step": 5},
        {"enter": 1, "value": 2, "item": 3, "args": [7, 8], "stream": 4, "step": 5, "more": 9},
        {"args": [1]},
    ]


async def _coroutine(x: int) -> int:
    return x + 1


def _generator(x: int):
    got = []
    for number in range(x):
        try:
            got.append((yield number))
        except ValueError:
            got.append("thrown")
    return got


async def _async_generator(x: int):
    said = None
    for number in range(x):
        try:
            said = yield [number, said]
        except ValueError:
            said = "thrown"


@pytest.mark.parametrize("fn", [_coroutine, _generator, _async_generator])
def test_a_function_looks_as_ever(tools, fn):
    """What frameworks ask of a function while it is wrapped: its kind, signature, source, names, defaults."""

    def looks():
        return (
            inspect.iscoroutinefunction(fn),
            inspect.isgeneratorfunction(fn),
            inspect.isasyncgenfunction(fn),
            str(inspect.signature(fn)),
            inspect.getsource(fn),
            fn.__code__.co_filename,
            fn.__code__.co_qualname,
        )

    before, code = looks(), fn.__code__
    tools.tool(fn)
    assert fn.__code__ is not code
    assert looks() == before
    tools.close()
    assert fn.__code__ is code


def test_generators_and_coroutines_are_driven_as_ever(tools):
    """What is sent and thrown in arrives; what is returned comes back."""
    for fn in (_coroutine, _generator, _async_generator):
        tools.tool(fn)

    def drive():
        stream = _generator(3)
        items = [next(stream), stream.send("a"), stream.throw(ValueError)]
        with pytest.raises(StopIteration) as end:
            stream.send("c")
        return items, end.value.value

    async def drive_async():
        stream = _async_generator(3)
        items = [await anext(stream), await stream.asend("a"), await stream.athrow(ValueError)]
        return items, [item async for item in stream], await _coroutine(1)

    with opened() as run:
        assert drive() == ([0, 1, 2], ["a", "thrown", "c"])
        assert asyncio.run(drive_async()) == ([[0, None], [1, "a"], [2, "thrown"]], [], 2)
    assert [kept.asked["name"] for kept in run.kept] == ["_generator", "_async_generator", "_coroutine"]


class Shop:
    def __init__(self, name: str) -> None:
        self.name = name

    def refund(self, order: int) -> str:
        return f"{self.name} {order}"

    def __call__(self, order: int) -> str:
        return f"called {self.name} {order}"

    @classmethod
    def close(cls, order: int) -> str:
        return f"{cls.__name__} {order}"


class Branch(Shop):
    def refund(self, order: int) -> str:
        return f"branch of {super().refund(order)}"


def test_a_method_of_one_instance(tools):
    """The instance that was named crosses, by whatever reference; another instance runs as ever."""
    one, other = Shop("one"), Shop("other")
    kept = one.refund
    tools.tool(one.refund)
    for call in (kept, one.refund, functools.partial(Shop.refund, one)):
        assert replayed(call, 1) == ("one 1", [("refund", {"order": 1})])
    assert replayed(other.refund, 1) == ("other 1", [])


def test_two_instances_are_two_tools(tools):
    """Each of two instances' methods is a tool of its own name."""
    one, other = Shop("one"), Shop("other")
    tools.tool(one.refund, name="first")
    tools.tool(other.refund, name="second")
    assert replayed(one.refund, 1) == ("one 1", [("first", {"order": 1})])
    assert replayed(other.refund, 1) == ("other 1", [("second", {"order": 1})])


def test_a_callable_object(tools):
    """An object with a __call__ crosses when it is called, whoever holds it; others of its class run as ever."""
    one, other = Shop("one"), Shop("other")
    tools.tool(one, name="shop")
    assert replayed(one, 1) == ("called one 1", [("shop", {"order": 1})])
    assert replayed(other, 1) == ("called other 1", [])


def test_a_method_of_a_class_and_its_super(tools):
    """A closure over a class (super()) works while it is wrapped; a classmethod keeps the class that it is asked by."""
    tools.tool(Branch.refund)
    tools.tool(Shop.close)
    assert replayed(Branch("x").refund, 1) == ("branch of x 1", [("refund", {"order": 1})])
    assert replayed(Branch.close, 1) == ("Branch 1", [("close", {"order": 1})])


def test_a_recursive_tool_is_one_call(tools):
    """What a live tool does is no part of the run, a call of itself included."""

    def count(n: int) -> int:
        return 0 if n == 0 else 1 + count(n - 1)

    tools.tool(count)
    assert replayed(count, 3) == (3, [("count", {"n": 3})])


def test_one_function_under_two_keys(tools):
    """Each key of a mapping is a tool of its own."""

    def refund(order: int) -> int:
        return order

    table = tools.tools({"refund": refund, "refund_twice": refund})
    assert replayed(table["refund"], 1) == (1, [("refund", {"order": 1})])
    assert replayed(table["refund_twice"], 1) == (1, [("refund_twice", {"order": 1})])


def test_one_function_under_two_names(tools):
    """Each name that is given is a tool of its own; one that had its usual name is renamed."""

    def answer(order: int) -> int:
        return order

    wrapped = {name: tools.tool(answer, name=name) for name in ("lookup", "policy", "refund")}
    assert tools.names == ("lookup", "policy", "refund")
    for name, wrapper in wrapped.items():
        assert replayed(wrapper, 1) == (1, [(name, {"order": 1})])

    def other(order: int) -> int:
        return order

    assert tools.tool(other) is tools.tool(other, name="renamed")
    assert tools.names == ("lookup", "policy", "refund", "renamed")


def test_code_that_others_put_there_is_left_alone(tools):
    """Whoever gives the function other code while it is wrapped keeps it."""

    def refund(order: int) -> int:
        return order

    def other(order: int) -> int:
        return -order

    tools.tool(refund)
    refund.__code__ = other.__code__
    tools.close()
    assert refund(1) == -1


def test_the_last_to_leave_puts_the_code_back():
    """Two runs side by side that wrap one function for different instances: the code is theirs until both are over."""
    code = Shop.refund.__code__
    first, second = Tools(), Tools()
    one, other = Shop("one"), Shop("other")
    first.tool(one.refund)
    second.tool(other.refund)
    first.close()
    assert replayed(other.refund, 1) == ("other 1", [("refund", {"order": 1})])
    assert replayed(one.refund, 1) == ("one 1", [])
    second.close()
    assert Shop.refund.__code__ is code


def test_many_threads_wrap_and_unwrap():
    """Wrapping from many threads at once loses no code."""

    def refund(order: int) -> int:
        return order

    code, barrier = refund.__code__, threading.Barrier(8)

    def work():
        barrier.wait()
        for _ in range(50):
            with contextlib.closing(Tools()) as tools:
                tools.tool(refund)
                assert refund(1) == 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refund.__code__ is code


def test_code_that_pytest_has_rewritten(tools):
    """An assert in a tool gives its code names that no source could spell: it is reached all the same."""

    def checked(order: int) -> int:
        assert order, "no order"
        return order

    assert any(not name.isidentifier() for name in checked.__code__.co_varnames)
    tools.tool(checked)
    assert replayed(checked, 1) == (1, [("checked", {"order": 1})])


def test_a_call_with_wrong_arguments_crosses(tools):
    """A model that makes an argument up: the error that the real function raises is what the call gave."""

    def refund(order: int) -> int:
        return order

    tools.tool(refund)
    with opened() as run, pytest.raises(TypeError, match="unexpected keyword argument 'amount'"):
        refund(order=1, amount=2)
    assert run.only.asked["args"] == {"order": 1, "amount": 2}
    assert run.only.answered["raised"]["type"] == "TypeError"


class Decorated:
    """What a class decorator makes of a function: it shows the function's face, and takes anything."""

    def __init__(self, fn) -> None:
        self.fn = fn
        functools.update_wrapper(self, fn)

    def __call__(self, *args, **kwargs):
        return self.fn(*args, **kwargs)


class Caller:
    @staticmethod
    def __call__(x: int) -> int:
        return x + 1


def test_a_callable_object_keeps_its_face(tools):
    """Arguments and answers go by the signature that the object shows; a static __call__ gets no instance."""

    @Decorated
    def refund(order: int) -> tuple[int, int]:
        return order, order

    caller = Caller()
    tools.tool(refund)
    wrapper = tools.tool(caller, name="caller")
    assert replayed(refund, 1) == ((1, 1), [("refund", {"order": 1})])
    assert replayed(wrapper, 1)[0] == 2


def test_a_proxy_is_no_function(tools):
    """For a decorator of wrapt the wrapper runs the whole proxy, not the function that the proxy claims to be."""
    wrapt = pytest.importorskip("wrapt")

    @wrapt.decorator
    def audited(wrapped, instance, args, kwargs):
        return f"audited {wrapped(*args, **kwargs)}"

    @audited
    def refund(order: int) -> str:
        return f"refunded {order}"

    wrapper = tools.tool(refund)
    assert replayed(wrapper, 1) == ("audited refunded 1", [("refund", {"order": 1})])


def test_names_that_the_trampoline_uses_itself(tools):
    """A closure over a name of the trampoline's own, and a parameter of that name."""
    _sparrow = _sparrow_args = 5

    def tool(_sparrow_kwargs: int, enter: int = 2) -> int:
        return _sparrow + _sparrow_args + _sparrow_kwargs + enter

    tools.tool(tool)
    assert replayed(tool, 1) == (13, [("tool", {"_sparrow_kwargs": 1, "enter": 2})])


def test_deep_recursion(tools):
    """A tool that calls itself gets as deep as it would with a wrapper in its global's place."""

    def walk(n: int) -> int:
        return 0 if n == 0 else 1 + walk(n - 1)

    tools.tool(walk)
    assert replayed(walk, 400)[0] == 400


def test_a_wrapper_kept_from_an_earlier_run(tools):
    """Given to a later run, it takes that run's calls by every reference, too."""

    def refund(order: int) -> int:
        return order

    with contextlib.closing(Tools()) as earlier:
        kept = earlier.tool(refund)
    assert replayed(refund, 1) == (1, [])
    tools.tool(kept)
    assert replayed(refund, 1) == (1, [("refund", {"order": 1})])


def test_a_run_within_a_run_takes_nothing_with_it(tools):
    """A tool wrapped first in an inner run, then in the outer one, is the outer one's when the inner is over."""

    def refund(order: int) -> int:
        return order

    with contextlib.closing(Tools()) as inner:
        inner.tool(refund)
        tools.tool(refund)
    assert replayed(refund, 1) == (1, [("refund", {"order": 1})])


def test_what_is_refused_changes_nothing(tools):
    """Options that are wrong, or a name that is taken: the tool stays wrapped as it was."""

    def refund(order: int) -> int:
        return order

    def lookup(order: int) -> int:
        return order

    tools.tool(refund)
    tools.tool(lookup)
    for wrong in ({"ignore": "ordre"}, {"name": "lookup"}):
        with pytest.raises(UsageError):
            tools.tool(refund, **wrong)
        assert tools.wrapped("refund")
        assert replayed(refund, 1) == (1, [("refund", {"order": 1})])
