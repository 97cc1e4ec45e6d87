"""What a wrapped tool records, and what it gives in a replay."""

import asyncio
import functools
import inspect
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from boundaries.tools.fake_run import opened
from pytest_sparrow.boundaries.tools import ToolOptions, wrap
from pytest_sparrow.errors import NotRecordable, ReplayDivergence
from pytest_sparrow.run.context import current_run


class World:
    """Notices a tool whose body runs in a replay."""

    __sparrow_key__ = "world"

    def __init__(self):
        self.gone = False

    def touch(self):
        assert not self.gone, "a tool's body ran in a replay"


@pytest.fixture
def world():
    return World()


def tool(fn, **options):
    return wrap(fn, ToolOptions(name=options.pop("name", getattr(fn, "__name__", "tool")), **options))


def replay(world, recorded):
    world.gone = True
    return opened(recorded)


def test_a_function_is_recorded_then_replayed(world):
    """A replay gives what the function returned, of the same type, and never runs it."""

    @tool
    def price(order: int) -> Decimal:
        world.touch()
        return Decimal("39.90")

    with opened() as recorded:
        live = price(1)
    on = {"nonlocal": {"world": {"class": "World", "key": "world"}}}
    assert recorded.only.asked == {"name": "price", "args": {"order": 1}, "on": on}
    assert recorded.only.answered == {"returned": "39.90"}
    with replay(world, recorded) as run:
        replayed = price(order=1)
    assert repr(replayed) == repr(live) == "Decimal('39.90')"
    assert run.only.settled
    assert run.only.complete


def test_a_coroutine_function_is_recorded_then_replayed(world):
    """Async tools cross the same boundary, one crossing for each awaited call."""

    @tool
    async def price(order: int) -> tuple[int, str]:
        world.touch()
        await asyncio.sleep(0)
        return order, "EUR"

    async def agent():
        return await asyncio.gather(*(price(number) for number in range(500)))

    with opened() as recorded:
        live = asyncio.run(agent())
    with replay(world, recorded):
        assert asyncio.run(agent()) == live == [(number, "EUR") for number in range(500)]


def test_threads_get_their_own_answers(world):
    """64 threads without context, 50 calls each: every one gets the answer to its own question."""

    @tool
    def double(number: int) -> int:
        return 2 * number

    def agent():
        with ThreadPoolExecutor(64) as pool:
            return list(pool.map(double, range(3200)))

    with opened() as recorded:
        live = agent()
    with opened(recorded):
        assert agent() == live == [2 * number for number in range(3200)]


def test_outside_a_run_a_wrapper_is_transparent():
    """No open run: the function itself runs, whatever JSON can hold."""
    stream = tool(lambda: iter([object()]), name="stream")
    assert len(list(stream())) == 1
    assert asyncio.run(tool(_gives_object)()).__class__ is object
    assert list(tool(_counts)(2)) == [0, 1]


async def _gives_object():
    return object()


def _counts(limit):
    yield from range(limit)


def test_the_agent_may_change_what_it_passed_and_got(world):
    """Arguments are kept as they were at the call, answers as they were when given; in a replay too."""

    @tool
    def search(query: dict) -> dict:
        world.touch()
        query["seen"] = True
        return {"hits": [1]}

    def agent():
        query = {"q": "x"}
        found = search(query)
        query["later"] = found["hits"].pop()
        return search({"q": "x"})

    with opened() as recorded:
        assert agent() == {"hits": [1]}
    assert [kept.asked["args"] for kept in recorded.kept] == [{"query": {"q": "x"}}] * 2
    with replay(world, recorded):
        assert agent() == {"hits": [1]}
    assert [kept.answered["returned"] for kept in recorded.kept] == [{"hits": [1]}] * 2


def test_a_miss_reaches_the_agent(world):
    """A call that the golden doesn't hold raises ReplayDivergence and doesn't run."""

    @tool
    def refund(amount: float) -> None:
        world.touch()

    with opened() as recorded:
        refund(39.99)
    with replay(world, recorded), pytest.raises(ReplayDivergence):
        refund(139.99)


def test_what_a_live_tool_does_is_no_crossing(world):
    """A tool that calls another tool is one crossing: in a replay the inner call never happens."""

    @tool
    def inner() -> int:
        world.touch()
        return 1

    @tool
    def outer() -> int:
        assert current_run() is None
        return inner() + 1

    @tool
    async def outer_async() -> int:
        await asyncio.sleep(0)
        return inner() + 1

    @tool
    def outer_stream():
        yield inner()
        yield inner()

    def agent():
        seen = []
        for item in outer_stream():
            seen.append((item, current_run() is not None))
        return outer(), asyncio.run(outer_async()), seen

    with opened() as recorded:
        live = agent()
    assert sorted(kept.asked["name"] for kept in recorded.kept) == ["outer", "outer_async", "outer_stream"]
    with replay(world, recorded):
        assert agent() == live == (2, 2, [(1, True), (1, True)])


def test_a_hidden_coroutine_is_awaited_in_replay_too(world):
    """A plain function that gives an awaitable (a decorated async tool) gives one in a replay."""

    async def price(order: int) -> Decimal:
        world.touch()
        return Decimal(order)

    @functools.wraps(price)
    def logged(*args, **kwargs):
        return price(*args, **kwargs)

    wrapped = tool(logged)

    async def agent():
        return await wrapped(3)

    with opened() as recorded:
        live = asyncio.run(agent())
    assert recorded.only.answered == {"returned": "3", "awaited": True}
    with replay(world, recorded):
        assert asyncio.run(agent()) == live == Decimal(3)


def test_a_cancelled_call_has_no_answer():
    """A cancellation is no answer of the tool: the crossing ends without one, the agent is cancelled."""

    @tool
    async def slow():
        await asyncio.sleep(3600)

    async def agent():
        task = asyncio.create_task(slow())
        await asyncio.sleep(0)
        task.cancel()
        await task

    with opened() as recorded, pytest.raises(asyncio.CancelledError):
        asyncio.run(agent())
    assert recorded.only.settled
    assert recorded.only.answered is None
    assert not recorded.only.complete


def test_an_interrupt_is_no_answer():
    """Ctrl-C goes through, and is never recorded as what the tool said."""

    @tool
    def interrupted():
        raise KeyboardInterrupt

    with opened() as recorded, pytest.raises(KeyboardInterrupt):
        interrupted()
    assert recorded.only.answered is None
    assert not recorded.only.complete


def test_an_answer_that_json_cannot_hold_is_refused_by_name():
    """Recording fails where a replay would give something else, naming value, type and the way out."""

    @tool
    def refund():
        return {"price": Decimal(1), "when": len}

    with opened() as recorded, pytest.raises(NotRecordable) as caught:
        refund()
    assert str(caught.value) == (
        "refund() -> …['when']: the builtin_function_or_method <built-in function len> has no form in JSON\n"
        "  annotate the return type of refund, or pass returns=… to sparrow.tool"
    )
    assert recorded.unheld == [caught.value]
    assert recorded.only.answered is None


def test_an_answer_that_is_used_up_by_reading_is_refused(tmp_path):
    """An iterator, a file or a context manager is no answer, and the error says what to return instead."""
    path = tmp_path / "file.txt"
    path.write_text("x", encoding="utf-8")
    with path.open() as file:
        for answer, word in (
            (iter([1]), "generator function"),
            (file, "its content"),
            (opened(), "context manager"),
        ):
            with opened(), pytest.raises(NotRecordable, match=word):
                tool(lambda answer=answer: answer, name="odd", ignore=("answer",))()


def test_an_argument_that_json_cannot_hold_is_refused_by_name():
    """The error names tool and parameter, and how to leave the parameter out; the tool doesn't run."""

    @tool
    def refund(customer, amount):
        raise AssertionError

    with opened() as recorded, pytest.raises(NotRecordable) as caught:
        refund("\ud800", 1)
    assert caught.value.path == "refund(customer)"
    assert "ignore=('customer',)" in caught.value.hint
    assert recorded.unheld == [caught.value]
    assert recorded.kept == []


def test_returns_says_what_the_annotation_does_not(world):
    """``returns=`` restores the answer of a tool without a return annotation."""

    def price(order):
        world.touch()
        return {"amount": Decimal("1.50")}

    priced = tool(price, returns=dict[str, Decimal])
    with opened() as recorded:
        live = priced(1)
    with replay(world, recorded):
        assert repr(priced(1)) == repr(live)


def test_an_answer_that_no_longer_fits_its_type_is_a_divergence(world):
    """Where the annotation changed since, the replay says so instead of returning something else."""

    def price(order) -> Decimal:
        world.touch()
        return Decimal(1)

    with opened() as recorded:
        tool(price)(1)
    with (
        replay(world, recorded) as run,
        pytest.raises(ReplayDivergence, match="does not fit its type any more"),
    ):
        tool(price, returns=dict[str, Decimal])(1)
    assert len(run.refused) == 1


def test_none_is_none_whatever_the_annotation_says(world):
    """A function that says it returns a Decimal, and returns None, gives None in a replay."""

    @tool
    def price(order) -> Decimal:
        world.touch()
        return None

    with opened() as recorded:
        price(1)
    with replay(world, recorded):
        assert price(1) is None


def test_signatures_survive():
    """Name, doc, signature, annotations, attributes and kind are the function's own."""

    async def price(order: int, *, currency: "str" = "EUR") -> Decimal:
        """The price."""

    price.tags = ["money"]
    wrapped = tool(price)
    assert inspect.signature(wrapped) == inspect.signature(price)
    assert wrapped.__annotations__ == price.__annotations__
    assert wrapped.__wrapped__ is price
    assert (wrapped.__name__, wrapped.__doc__, wrapped.tags) == ("price", "The price.", ["money"])
    assert inspect.iscoroutinefunction(wrapped)
    assert not inspect.iscoroutinefunction(tool(_counts))
    assert inspect.isgeneratorfunction(tool(_counts))


def test_wrapping_twice_changes_nothing():
    """A wrapper is given back as it is; a decorator around one is another function."""
    wrapped = tool(_counts)
    assert tool(wrapped) is wrapped

    @functools.wraps(wrapped)
    def outer(*args):
        return wrapped(*args)

    assert tool(outer) is not outer


def test_methods_partials_and_callables(world):
    """The instance is no argument; partials and callable objects are written as they are called."""

    class Client:
        def __init__(self, name):
            self.name = name

        @tool
        def refund(self, amount: float) -> str:
            world.touch()
            return f"{self.name} {amount}"

        @tool
        @classmethod
        def make(cls, name: str) -> str:
            world.touch()
            return cls.__name__ + name

        @tool
        @staticmethod
        def add(a: int, b: int) -> int:
            world.touch()
            return a + b

        async def __call__(self, text: str) -> str:
            world.touch()
            return self.name + text

    bound = tool(Client("bound").refund.__wrapped__.__get__(Client("bound")), name="bound")
    partial = tool(functools.partial(Client.add.__wrapped__, b=2), name="partial")
    called = tool(Client("called"), name="called")
    assert inspect.iscoroutinefunction(called)

    def agent():
        client = Client("c")
        given = [client.refund(1.5), Client.make("x"), client.make("x"), Client.add(1, 2), client.add(1, b=2)]
        return [*given, bound(2), partial(5), asyncio.run(called("!"))]

    with opened() as recorded:
        live = agent()
    assert [kept.asked["args"] for kept in recorded.kept] == [
        {"amount": 1.5},
        {"name": "x"},
        {"name": "x"},
        {"a": 1, "b": 2},
        {"a": 1, "b": 2},
        {"amount": 2},
        {"a": 5, "b": 2},
        {"text": "!"},
    ]
    with replay(world, recorded):
        assert agent() == live


def test_a_builtin_without_signature_is_written_by_position():
    """Where Python knows no parameter names, positions stand under ``args``."""
    wrapped = tool(max)
    with opened() as recorded:
        assert wrapped(1, 3, 2) == 3
    assert recorded.only.asked == {"name": "max", "args": {"args": [1, 3, 2]}}
