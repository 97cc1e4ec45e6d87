"""``sparrow.call`` records a function's answer, and replays the answer without a call."""

import asyncio
import functools
from collections.abc import Iterator
from decimal import Decimal

import pytest

from boundaries.tools.fake_run import Witness, opened
from pytest_sparrow.boundaries.tools import ToolOptions, wrap
from pytest_sparrow.boundaries.tools.wrappers import call
from pytest_sparrow.errors import NotRecordable, ReplayDivergence, UsageError


def test_a_function_is_called_once():
    """Recorded under its name with positions and keywords; replayed with the same type, without running again."""
    ran = []

    def rate(base: str, /, name: str, run: int = 1) -> Decimal:
        ran.append(base)
        return Decimal("1.08")

    def agent(run):
        return call(run, "rate", rate, "EUR", name="USD", run=2)

    with opened() as recorded:
        live = agent(recorded)
    assert recorded.only.kind == "call"
    assert recorded.only.asked == {"name": "rate", "args": ["EUR"], "kwargs": {"name": "USD", "run": 2}}
    with opened(recorded) as run:
        assert repr(agent(run)) == repr(live)
    assert ran == ["EUR"]


def test_an_async_function_gives_a_coroutine():
    """An async function's call is awaited like the function itself, and a generator's is iterated."""
    ran = Witness()

    async def rate(base: str) -> Decimal:
        ran.append(base)
        return Decimal("1.08")

    def rates(base: str) -> Iterator[Decimal]:
        ran.append(base)
        yield Decimal(1)

    async def agent(run):
        both = await asyncio.gather(call(run, "rate", rate, "EUR"), call(run, "rate", rate, "USD"))
        return [*both, *call(run, "rates", rates, "CHF")]

    with opened() as recorded:
        live = asyncio.run(agent(recorded))
    assert ran.taken() == ["EUR", "USD", "CHF"]
    with opened(recorded) as run:
        assert repr(asyncio.run(agent(run))) == repr(live)
    assert ran.taken() == []


def test_a_miss_and_an_error_reach_the_agent():
    """What the golden doesn't hold raises ReplayDivergence; what was raised is raised again."""

    def fails(x):
        raise KeyError(x)

    with opened() as recorded, pytest.raises(KeyError, match="a"):
        call(recorded, "fails", fails, "a")
    with opened(recorded) as run:
        with pytest.raises(ReplayDivergence):
            call(run, "fails", fails, "b")
        with pytest.raises(KeyError, match="a"):
            call(run, "fails", None or fails, "a")


def test_what_json_cannot_hold_is_refused_by_name():
    """An argument or result that JSON cannot hold names the call and the place, and is noted by the run."""
    with opened() as run:
        with pytest.raises(NotRecordable) as caught:
            call(run, "geo", len, "\ud800")
        assert caught.value.path == "geo(args[0])"
        with pytest.raises(NotRecordable) as caught:
            call(run, "geo", dict, where="\ud800")
        assert caught.value.path == "geo(where)"
        with pytest.raises(NotRecordable) as caught:
            call(run, "geo", object)
        assert caught.value.path == "geo() -> …"
        assert len(run.unheld) == 3
        assert call(run, "bound", functools.partial(_locate, object()), "Berlin") == "Berlin"


def _locate(client, place):
    return place


def test_within_a_live_tool_a_call_is_the_tools_own():
    """A tool that uses sparrow.call is one crossing."""

    def inner():
        return 1

    def outer():
        return call(run, "inner", inner) + 1

    with opened() as run:
        assert wrap(outer, ToolOptions(name="outer"))() == 2
    assert [kept.asked["name"] for kept in run.kept] == ["outer"]


def test_a_missing_name_is_a_usage_error():
    """``sparrow.call(fn, …)`` without a name, or with nothing to call, says what was meant."""
    with opened() as run:
        with pytest.raises(UsageError, match="needs a name first"):
            call(run, len, "x")
        with pytest.raises(UsageError, match="cannot be called"):
            call(run, "geo", "Berlin")
