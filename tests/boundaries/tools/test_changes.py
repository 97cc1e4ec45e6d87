"""What a call changes in place in what it is given, and in its own object: recorded, and made again in a replay."""

import asyncio
import collections
import dataclasses
import datetime as dt
import functools
import io
import queue
import threading
from decimal import Decimal

import pytest
from pydantic import BaseModel, PrivateAttr

from boundaries.tools.fake_run import opened
from pytest_sparrow.boundaries.tools import ToolOptions, wrap
from pytest_sparrow.boundaries.tools.wrappers import call
from pytest_sparrow.events.jsontext import decode, encode
from pytest_sparrow.findings import Finding, Kind
from pytest_sparrow.report.words import title
from pytest_sparrow.values import changes
from pytest_sparrow.values.changes import TooManyValues, Watched
from pytest_sparrow.values.equality import difference
from pytest_sparrow.values.restore import DoesNotFit


class Cart:
    total = 0

    def __init__(self):
        self.items = []
        self.at = dt.date(2020, 1, 1)

    def add(self, sku):
        self.items.append(sku)
        return self

    @classmethod
    def count(cls):
        cls.total += 1
        return cls.total

    def __call__(self, sku):
        self.last = sku


@dataclasses.dataclass
class State:
    step: int = 1
    rows: list = dataclasses.field(default_factory=list)


class Model(BaseModel):
    a: int = 1
    b: dict = {}
    _seen: list = PrivateAttr(default_factory=list)


class Slotted:
    __slots__ = ("q", "r")

    def __init__(self):
        self.q = [1]


def _open(kind):
    return kind in (Cart, State, Model, Slotted)


def _names(x):
    x["b"] = Decimal(1)
    x["log"].append((1,))
    del x["a"]
    x["t"] = [1, 2]
    x[3] = {4}


def _types_only(x):
    x.update(when=dt.date(2020, 1, 1), one=1.0, true=1)
    x["pair"][1].append(3)


def _object(x):
    x.add(State(2, [1]))
    x.at = dt.date(2021, 1, 1)
    x.new = {"x": 1}


def _model(x):
    x.a, x.b["k"] = 5, 1
    x._seen.append(2)


def _slots(x):
    x.q.append(2)
    x.r = 5


def _items(x):
    del x[0]
    x[0].append(9)
    x[1] = 7
    x[2].append(8)


CHANGES = [
    (lambda: {"a": 1, "log": ["x"], "t": (1, 2)}, _names),
    (lambda: {"when": "2020-01-01", "one": 1, "true": True, "pair": (1, [2])}, _types_only),
    (lambda: [1, 2, 3, 4], list.reverse),
    (lambda: [0, [3], 4, [5]], _items),
    (lambda: [{"r": "u"}], lambda x: (x[0].update(r="v"), x.insert(0, 1))),
    (lambda: [1, 2], list.clear),
    (lambda: collections.deque([1, 2], maxlen=3), lambda x: x.extend((3, 4))),
    (lambda: {1, 2}, lambda x: x.add((1, 2))),
    (lambda: bytearray(b"x"), lambda x: x.extend(b"y")),
    (lambda: {"a": 1, "b": 2}, lambda x: x.update(a=x.pop("a"))),
    (lambda: collections.OrderedDict(a=1, b=2), lambda x: x.move_to_end("a")),
    (lambda: collections.defaultdict(list), lambda x: x["k"].append(1)),
    (lambda: {1: "x", (1, 2): [5]}, lambda x: (x.update({1: "y", 2: "z"}), x[1, 2].append(6))),
    (Cart, _object),
    (State, lambda x: (setattr(x, "step", 1.0), x.rows.append(1))),
    (Model, _model),
    (Slotted, _slots),
]


@pytest.mark.parametrize(("make", "change"), CHANGES, ids=range(len(CHANGES)))
def test_a_change_is_made_again(make, change):
    """In the very objects that the caller holds, with types and order; a second look finds nothing more."""
    live, again = make(), make()
    watched = Watched({"x": live}, _open)
    watched.begin()
    change(live)
    found = decode(encode(watched.changes()))
    assert not watched.left_out
    Watched({"x": again}, _open).apply(found)
    parts = [watched._parts(each) or each for each in (live, again)]
    assert difference(*parts) is None
    watched.begin()
    assert watched.changes() == {}


def test_what_is_not_changed_costs_no_word():
    """Equal values, clients, lazy attributes of an object; two ways to one list; a limit of size."""
    shared, cart = [1], Cart()
    watched = Watched({"x": {"a": shared}, "y": shared, "self": cart, "text": "t"}, _open)
    watched.begin()
    cart.client = threading.Lock()
    assert watched.changes() == {}
    assert watched.left_out == []
    shared.append(2)
    assert list(watched.changes()) == ["x"]
    watched.roots["x"]["bad"] = len
    watched.begin()
    watched.roots["x"]["bad"] = max
    assert (watched.changes(), watched.left_out) == ({}, ["x['bad']"])
    with pytest.raises(TooManyValues):
        Watched({"x": [0] * (changes._MOST + 1)}, _open).begin()


@pytest.mark.parametrize(
    "change",
    [
        {"x": {"within": {"__class__": {"set": {"total": 9}}}}},
        {"x": {"within": {"add": {"within": {"__globals__": {"set": {"evil": 1}}}}}}},
        {"x": {"within": {"items": {"start": 1, "stop": 2, "of": 5, "items": [1]}}}},
        {"x": {"within": {"gone": {"set": {"a": 1}}}}},
        {"x": {"within": {"items": {"to": 1}}}},
        {"x": {"within": {"items": {"set": {"a": 1}}}}},
        {"y": {"set": {}}},
        {"x": 5},
        [],
    ],
)
def test_a_hostile_or_damaged_change_reaches_nothing_else(change):
    """Only what is looked at while recording can be changed; the fault is one error."""
    with pytest.raises(DoesNotFit):
        Watched({"x": Cart()}, _open).apply(change)
    assert Cart.total == 0
    assert "evil" not in globals()


def _tool(fn, **said):
    return wrap(fn, ToolOptions(name="t", **said))


def _enrich(state, log=None):
    state["customer"] = "Ada"
    if log is not None:
        log.append("enriched")
    return state


def _fails(messages):
    messages.append("tried")
    raise LookupError("no")


async def _enrich_later(state):
    state.rows.append(1)
    return state.rows


def _steps(state):
    for n in range(3):
        state["n"] = n
        yield state
    state["done"] = True


async def _steps_later(state):
    for n in range(2):
        state["n"] = n
        yield n


def _agent(run):
    """Every kind of function; gives what the caller's objects hold, and which of them came back."""
    state, log, messages, mine, cart, bound = {}, [], ["hi"], State(), Cart(), {}
    seen = [_tool(_enrich)(state, log=log) is state]
    with pytest.raises(LookupError):
        _tool(_fails)(messages)
    seen.append(asyncio.run(_tool(_enrich_later)(mine)) is mine.rows)
    seen += [(item is state, item["n"]) for item in _tool(_steps)(state)]

    async def read():
        return [(n, state["n"]) async for n in _tool(_steps_later)(state)]

    seen += asyncio.run(read())
    seen.append(_tool(cart.add)("a") is cart)
    _tool(cart)("b")
    seen.append(_tool(Cart.count)())
    _tool(functools.partial(_enrich, bound))()
    call(run, "enrich", _enrich, {}, log)
    seen.append(call(run, "add", cart.add, "c") is cart)
    _tool(_enrich, ignore=("log",))({}, log=log)
    return seen, state, log, messages, mine, vars(cart), Cart.total, bound


def test_every_kind_of_call_changes_what_it_is_given(monkeypatch):
    """Functions, coroutine functions, generators, methods, callable objects, partials, errors; `sparrow.call`."""
    monkeypatch.setattr(Cart, "total", 0)
    with opened() as recorded:
        live = _agent(recorded)
    monkeypatch.setattr(Cart, "total", 0)
    with opened(recorded) as run:
        again = _agent(run)
    assert difference(live, again) is None
    assert again[0][:3] == [True, True, (True, 0)]
    assert len(again[2]) == 3
    assert {what for _, _, what in run.uncompared} == {"Cart.items"}
    answers = [kept.answered for kept in recorded.kept]
    assert answers[0]["changed"] == {
        "state": {"set": {"customer": "Ada"}},
        "log": {"start": 0, "stop": 0, "of": 0, "items": ["enriched"]},
    }
    assert (answers[0]["same_as"], answers[2]["same_as"]) == (["state"], ["state", "rows"])


def test_calls_side_by_side_say_each_change_once():
    """Two calls that share a list, and an agent that fills it, too: each says what it changed itself, where it did."""

    def agent(pause):
        log = []

        async def note(log, who):
            for _ in range(2):
                await asyncio.sleep(pause)
                log.append(who)

        async def both():
            tool = _tool(note, ignore=("log",))
            await asyncio.gather(tool(log, "a"), tool(log, "b"))

        asyncio.run(both())
        return log

    with opened() as recorded:
        live = agent(0)
    assert live == ["a", "b", "a", "b"]
    assert not recorded.uncompared
    with opened(recorded):
        assert sorted(agent(0)) == sorted(live)

    async def early(log, who):
        log.append(who)
        await asyncio.sleep(0)
        log.append(f"{who} again")

    async def overlapping():
        log = []

        async def mine():
            log.append("mine")
            await asyncio.sleep(0)
            log.append("mine again")

        tool = _tool(early, ignore=("log",))
        await asyncio.gather(tool(log, "a"), mine(), tool(log, "b"))
        return log

    with opened() as recorded:
        live = asyncio.run(overlapping())
    assert [kept.answered["changed_first"]["log"]["items"] for kept in recorded.kept] == [["a"], ["b"]]
    assert [kept.answered["changed"]["log"]["items"] for kept in recorded.kept] == [["a again"], ["b again"]]
    with opened(recorded):
        assert sorted(asyncio.run(overlapping())) == sorted(live)


@pytest.mark.parametrize("kind", [queue.Queue, queue.PriorityQueue, asyncio.Queue])
def test_what_is_put_into_a_queue_is_named(kind):
    """It is not put there again: who else puts and takes meanwhile is not known afterwards."""
    jobs = kind()

    def put(job):
        jobs.put_nowait(job)

    with opened() as recorded:
        _tool(put)(1)
        _tool(len)([1])
    assert recorded.uncompared == [("changed", "t", "jobs")]
    with opened(recorded):
        _tool(put)(1)
    assert jobs.qsize() == 1


def test_what_cannot_be_changed_again_is_named():
    """A value without a form, while recording; an object that is another one, in a replay."""

    def keep(state, ctx):
        state["fn"] = len
        ctx["log"].append(1)

    with opened() as recorded:
        _tool(keep, ignore=("ctx",))({}, {"log": []})
    assert recorded.uncompared == [("changed", "t", "state['fn']")]
    with opened(recorded) as run:
        _tool(keep, ignore=("ctx",))({}, {})
    ((case, name, what),) = run.uncompared
    assert (case, name) == ("unchanged", "t")
    assert "'log'" in what
    for case in ("changed", "unchanged", "large", "vast"):
        finding = Finding(kind=Kind.NOT_COMPARED, case=case, detail={"name": "t", "what": "x"})
        assert title(finding).startswith("t ")


def _write(buffer):
    buffer.write("x" if isinstance(buffer, io.StringIO) else b"x")


def _read(buffer):
    return len(buffer.read(1))


def _close(buffer):
    buffer.close()


def test_a_buffer_is_filled_read_and_closed_as_it_was():
    """What a tool writes into a buffer, how far it reads one, and that it closes it."""

    def agent():
        buffers = [io.BytesIO(b"ab"), io.StringIO("ab"), io.BytesIO(b"ab"), io.StringIO()]
        _tool(_write)(buffers[0])
        _tool(_write)(buffers[1])
        _tool(_read)(buffers[2])
        _tool(_close)(buffers[3])
        return [None if each.closed else (each.tell(), each.getvalue()) for each in buffers]

    with opened() as recorded:
        live = agent()
    with opened(recorded):
        assert agent() == live
    assert live == [(1, b"xb"), (1, "xb"), (1, b"ab"), None]


def _tell(callback):
    for number in range(3):
        callback(number)


def test_what_a_tool_changes_by_calling_a_function_is_changed_again():
    """A method of a list or of an object, a function that closes over a dict, a partial: the tool does not run."""

    def agent():
        seen, total, cart = [], {"sum": 0}, Cart()

        def add(number):
            total["sum"] += number

        for callback in (seen.append, add, functools.partial(add), cart.add):
            _tool(_tell)(callback)
        return seen, total, vars(cart)

    with opened() as recorded:
        live = agent()
    with opened(recorded):
        assert agent() == live
    assert live[:2] == ([0, 1, 2], {"sum": 6})
