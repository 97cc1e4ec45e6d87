"""Tools that are generators: replayed as generators, item by item."""

import asyncio
import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Generator, Iterator
from decimal import Decimal

import pytest

from boundaries.tools.fake_run import Witness, opened
from pytest_sparrow.boundaries.tools import ToolOptions, wrap
from pytest_sparrow.errors import NotRecordable, ReplayDivergence


def tool(fn, **options):
    return wrap(fn, ToolOptions(name=fn.__name__, **options))


def make(log):
    """The same tool four ways: generator, async generator, and each hidden behind a plain function."""

    def prices(limit: int) -> Iterator[Decimal]:
        for number in range(limit):
            log.append(number)
            yield Decimal(number)

    async def prices_async(limit: int) -> AsyncIterator[Decimal]:
        for number in range(limit):
            log.append(number)
            await asyncio.sleep(0)
            yield Decimal(number)

    def hidden(limit: int) -> Iterator[Decimal]:
        return prices(limit)

    def hidden_async(limit: int) -> AsyncIterator[Decimal]:
        return prices_async(limit)

    return [tool(fn) for fn in (prices, prices_async, hidden, hidden_async)]


def read(stream, most=None):
    """Up to ``most`` items, then close."""
    if hasattr(stream, "__anext__"):
        return asyncio.run(_read(stream, most))
    items = []
    if most != 0:
        for item in stream:
            items.append(item)
            if len(items) == most:
                break
    stream.close()
    return items


async def _read(stream, most):
    items = []
    if most != 0:
        async for item in stream:
            items.append(item)
            if len(items) == most:
                break
    await stream.aclose()
    return items


@pytest.mark.parametrize("which", range(4))
def test_items_are_recorded_then_replayed(which):
    """Every item comes back with its type, from a generator of the same kind; the body never runs again."""
    log = Witness()
    wrapped = make(log)[which]
    with opened() as recorded:
        live = read(wrapped(3))
    assert recorded.only.answered["yielded"] == ["0", "1", "2"]
    assert recorded.only.complete
    log.taken()
    with opened(recorded) as run:
        stream = wrapped(3)
        assert inspect.isasyncgen(stream) if which % 2 else inspect.isgenerator(stream)
        assert repr(read(stream)) == repr(live)
    assert log.taken() == []
    assert run.only.complete


@pytest.mark.parametrize("which", range(4))
def test_a_half_read_generator_settles_at_close(which):
    """What was read is recorded, marked incomplete; a replay gives as much, and refuses more."""
    log = Witness()
    wrapped = make(log)[which]
    with opened() as recorded:
        assert read(wrapped(5), most=2) == [0, 1]
    assert log.taken() == [0, 1]
    assert recorded.only.answered["yielded"] == ["0", "1"]
    assert recorded.only.answered["broken_off"] is True
    assert not recorded.only.complete
    with opened(recorded) as run:
        assert read(wrapped(5), most=2) == [0, 1]
    assert not run.only.complete
    assert run.refused == []
    with opened(recorded) as run, pytest.raises(ReplayDivergence, match="beyond the 2 items"):
        read(wrapped(5), most=3)
    assert len(run.refused) == 1


@pytest.mark.parametrize("which", range(4))
def test_less_read_than_recorded_is_seen(which):
    """A replay whose agent stops reading earlier settles as incomplete."""
    wrapped = make(Witness())[which]
    with opened() as recorded:
        read(wrapped(5))
    with opened(recorded) as run:
        read(wrapped(5), most=2)
    assert run.only.settled
    assert not run.only.complete


@pytest.mark.parametrize("which", range(2))
def test_a_generator_left_open_can_be_flushed(which):
    """The run's end settles, through ``flush``, a generator that nobody closed, with what has come so far."""
    wrapped = make(Witness())[which]

    async def first(stream):
        return await anext(stream)

    with opened() as recorded:
        stream = wrapped(3)
        loop = asyncio.new_event_loop()
        try:
            assert (loop.run_until_complete(first(stream)) if which else next(stream)) == 0
            recorded.crossings[0].flush()
            assert recorded.only.answered == {"yielded": ["0"], "broken_off": True}
            if which:
                loop.run_until_complete(stream.aclose())
            else:
                stream.close()
        finally:
            loop.close()
    assert recorded.only.answered == {"yielded": ["0"], "broken_off": True}


def test_items_are_kept_as_they_were_when_given():
    """The agent may change an item that it got: the recorded one stays as it was."""

    @tool
    def rows():
        yield {"hits": [1]}
        yield {"hits": [2]}

    with opened() as recorded:
        for row in rows():
            row["hits"].clear()
    assert recorded.only.answered["yielded"] == [{"hits": [1]}, {"hits": [2]}]
    with opened(recorded):
        for row in rows():
            row["hits"].clear()
    assert recorded.only.answered["yielded"] == [{"hits": [1]}, {"hits": [2]}]


def test_send_throw_and_return_pass_through():
    """A live generator gets what is sent and thrown in, and its return value comes out, in a replay too."""
    log = Witness()

    @tool
    def talk() -> Generator[int, str, Decimal]:
        try:
            log.append((yield 1))
        except KeyError:
            log.append("thrown")
        log.append((yield 2))
        return Decimal("1.0")

    def agent(*, throw):
        stream = talk()
        assert next(stream) == 1
        assert (stream.throw(KeyError("x")) if throw else stream.send("a")) == 2
        with pytest.raises(StopIteration) as end:
            stream.send("b")
        return repr(end.value.value)

    for throw in (False, True):
        log.taken()
        with opened() as recorded:
            assert agent(throw=throw) == "Decimal('1.0')"
        assert log.taken() == ["thrown" if throw else "a", "b"]
        with opened(recorded) as run:
            assert agent(throw=throw) == "Decimal('1.0')"
        assert log.taken() == []
        assert run.only.complete


def test_async_send_and_throw_pass_through():
    """The same for an async generator: it gets what is sent and thrown in."""
    log = Witness()

    @tool
    async def talk():
        try:
            log.append((yield 1))
        except KeyError:
            log.append("thrown")
        yield 2

    async def agent(step):
        stream = talk()
        assert await anext(stream) == 1
        assert await step(stream) == 2
        assert [item async for item in stream] == []

    with opened() as recorded:
        asyncio.run(agent(lambda stream: stream.asend("a")))
        asyncio.run(agent(lambda stream: stream.athrow(KeyError("x"))))
    assert log.taken() == ["a", "thrown"]
    thrown = {"type": "KeyError", "module": "builtins", "message": "'x'", "args": ["x"]}
    assert [kept.answered for kept in recorded.kept] == [
        {"yielded": [1, 2], "sent": {"0": "a"}},
        {"yielded": [1, 2], "thrown": {"0": thrown}},
    ]


def test_something_else_that_is_sent_into_a_generator_is_refused():
    """What the generator would yield for it is not known; a golden that does not say what was sent takes anything."""

    @tool
    def talk():
        yield (yield "go on")

    @tool
    async def talk_async():
        yield (yield "go on")

    def ask(value):
        stream = talk()
        return next(stream), stream.send(value)

    async def ask_async(value):
        stream = talk_async()
        return await anext(stream), await stream.asend(value)

    for agent in (ask, lambda value: asyncio.run(ask_async(value))):
        with opened() as recorded:
            assert agent({"n": 5}) == ("go on", {"n": 5})
        with opened(recorded):
            assert agent({"n": 5}) == ("go on", {"n": 5})
        with opened(recorded), pytest.raises(ReplayDivergence, match=r"sends.*6.*sent.*5"):
            agent({"n": 6})
        with opened(recorded), pytest.raises(ReplayDivergence):
            agent(object())
        recorded.only.answered["sent"] = {"0": {"n": 5, "key": "<secret:key:1>"}}
        with opened(recorded):
            agent({"n": 5, "key": "of this machine"})
        with opened(recorded), pytest.raises(ReplayDivergence):
            agent({"n": 6, "key": "of this machine"})
        del recorded.only.answered["sent"]
        with opened(recorded):
            assert agent({"n": 6}) == ("go on", {"n": 5})


class Stop(Exception):
    def __init__(self, code: int) -> None:
        super().__init__("stop")
        self.code = code


def _lenient(log):
    for number in range(3):
        try:
            yield number
        except Stop as stop:
            log.append(stop.code)


def _strict(log):
    try:
        yield 0
    finally:
        log.append("closed")


def _last(log):
    try:
        yield 0
    except Stop as stop:
        log.append(stop.code)


def _other(log):
    try:
        yield 0
    except Stop as stop:
        log.append(stop.code)
        raise KeyError("other") from stop


def _async_of(fn, log):
    """An async generator that does what a generator does."""

    async def generator():
        items = fn(log)
        step = items.__next__
        while True:
            try:
                item = step()
            except StopIteration:
                return
            try:
                yield item
                step = items.__next__
            except GeneratorExit:
                items.close()
                raise
            except BaseException as error:
                step = functools.partial(items.throw, error)

    return tool(generator)


def _tool_of(fn, how, log):
    def generator():
        yield from fn(log)

    def hidden():
        return generator()

    return _async_of(fn, log) if how == "async" else tool(hidden if how == "hidden" else generator)


def _throws(fn, how, thrown, log):
    """Reads an item, throws (or, for None, reads on), and reads on; gives what came of it."""
    stream = _tool_of(fn, how, log)()
    with asyncio.Runner() as runner:

        def step(method, *args):
            try:
                method = getattr(stream, f"a{method}" if how == "async" else method)
                return runner.run(_awaiting(method(*args))) if how == "async" else method(*args)
            except (StopIteration, StopAsyncIteration):
                return "end"
            except Exception as error:
                return "the same" if error is thrown else repr(error)

        one = ("send", None)
        found = [step(*one), step("throw", thrown) if thrown else step(*one), step(*one)]
        step("close")
    return found


async def _awaiting(awaitable):
    return await awaitable


@pytest.mark.parametrize("fn", [_lenient, _strict, _last, _other])
@pytest.mark.parametrize("how", ["sync", "async", "hidden"])
def test_what_an_agent_throws_into_a_generator_is_replayed(fn, how):
    """The generator goes on, ends or raises as recorded; another error, none for one, and one for none are refused."""
    agent, log = functools.partial(_throws, fn, how), Witness()
    with opened() as recorded:
        live = agent(Stop(1), log)
    assert log.taken(), live
    with opened(recorded) as run:
        assert agent(Stop(1), log) == live
    assert (log.taken(), run.refused) == ([], [])
    for other in (Stop(2), KeyError("x"), None):
        with opened(recorded) as run:
            agent(other, log)
        assert len(run.refused) == 1, (other, run.refused)
    if how == "sync":
        with opened(recorded) as run:
            stream = _tool_of(fn, how, log)()
            next(stream)
            stream.close()
        assert run.crossings[0].read_whole  # and not complete: the agent has stopped reading
    with opened() as recorded:
        agent(None, log)
    with opened(recorded) as run:
        agent(Stop(1), log)
    assert len(run.refused) == 1


def test_a_generator_that_manages_a_context_meets_the_error_of_its_block():
    """A manager asks whether what comes out is the very error that it threw in; a cancelled block is no throw."""

    @contextlib.contextmanager
    @tool
    def session():
        yield "open"

    @tool
    async def session_async():
        yield "open"

    def agent():
        error = Stop(1)
        with pytest.raises(Stop) as caught, session():
            raise error
        assert caught.value is error

    async def block():
        async with contextlib.asynccontextmanager(session_async)():
            await asyncio.sleep(60)

    async def cancelled():
        task = asyncio.create_task(block())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    for drive in (agent, lambda: asyncio.run(cancelled())):
        with opened() as recorded:
            drive()
        with opened(recorded) as run:
            drive()
        assert run.refused == []
        assert run.only.complete is recorded.only.complete


@pytest.mark.parametrize("after", [0, 2])
def test_an_error_after_some_items_comes_after_them(after):
    """What was yielded before an exception is given before it, in a replay too."""
    ran = Witness()

    @tool
    def rows():
        ran.append(1)
        yield from range(after)
        raise ValueError("torn")

    def agent():
        one_by_one = []
        with pytest.raises(ValueError, match="torn"):
            one_by_one.extend(_noting(rows(), one_by_one))
        return one_by_one

    with opened() as recorded:
        assert agent() == list(range(after))
    assert recorded.kept[0].complete
    with opened(recorded):
        assert agent() == list(range(after))
    assert len(ran.taken()) == 1


def _noting(stream, seen):
    for item in stream:
        seen.append(item)
    return []


def test_an_item_that_json_cannot_hold_closes_the_generator():
    """The error names the item, the real generator is closed, and no answer is kept."""
    closed = []

    @tool
    def rows():
        try:
            yield {"n": 1}
            yield {"n": len}
        finally:
            closed.append(True)

    with opened() as recorded, pytest.raises(NotRecordable) as caught:
        list(rows())
    assert caught.value.path == "rows() yields …['n']"
    assert closed == [True]
    assert recorded.only.settled
    assert recorded.only.answered is None


def test_a_tool_that_changed_its_kind_is_a_divergence():
    """A golden of a plain function answers no generator, nor the other way round: record again."""

    def rows():
        return [1]

    with opened() as recorded:
        tool(rows)()

    def rows():
        yield 1

    with opened(recorded), pytest.raises(ReplayDivergence, match="is a generator now"):
        next(tool(rows)())

    with opened() as recorded:
        list(tool(rows)())

    async def rows():
        return [1]

    with opened(recorded), pytest.raises(ReplayDivergence, match="recorded as a generator"):
        asyncio.run(tool(rows)())


def test_a_live_async_generator_is_closed_with_its_wrapper():
    """Breaking off an async generator runs the tool's own clean-up at once, not when it is collected."""
    closed = []

    @tool
    async def rows():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async def agent():
        stream = rows()
        await anext(stream)
        await stream.aclose()
        return list(closed)

    with opened():
        assert asyncio.run(agent()) == [True]
