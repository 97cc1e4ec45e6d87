"""What a tool reaches outside of itself: changes there are made again, and what it closes over is compared."""

import asyncio
import contextlib
import contextvars
import dataclasses
import functools
import itertools
import threading
from collections import UserDict
from types import SimpleNamespace

import pytest

from boundaries.tools import desk
from boundaries.tools.fake_run import opened
from pytest_sparrow.boundaries.tools import ToolOptions, wrap
from pytest_sparrow.boundaries.tools.outside import closure_of, variables_of
from pytest_sparrow.boundaries.tools.wrappers import call
from pytest_sparrow.errors import ReplayDivergence, UsageError
from pytest_sparrow.values import changes

COUNT = 0
ROWS: dict = {}
LOG: list = []
SPACE = SimpleNamespace(n=0)
CARRIED = UserDict()
LAST = None
VAST: dict = {}
LIMIT = 5
LOCK = threading.Lock()
WHO = contextvars.ContextVar("who")


class Store:
    count = 0
    kept: dict = {}  # noqa: RUF012 - changed by tools

    def __init__(self):
        self.rows = []

    def add(self, row):
        global LAST
        LAST = row
        type(self).count += 1
        self.kept[row] = len(self.rows)
        self.rows.append(row)


class Special(Store):
    pass


STORE = Special()


def _helper(row):
    LOG.append(row)


def _one(row: str) -> int:
    """By its own code, a helper, an object's method, another module."""
    global COUNT
    COUNT += 1
    with LOCK:
        ROWS.setdefault(row, []).append(LIMIT)
    _helper(row)
    STORE.add(row)
    SPACE.n += 1
    CARRIED[row] = COUNT
    desk.OPEN.append(row)
    return COUNT


async def _later(row: str) -> int:
    await asyncio.sleep(0)
    return _one(row)


def _items(row: str):
    for number in range(2):
        _helper((row, number))
        yield number


def _world():
    """What the tools have changed, and puts it back."""
    global COUNT, LAST
    held = [LOG, STORE.rows, desk.OPEN, ROWS, Store.kept, CARRIED]
    seen = [COUNT, LAST, Store.count, Special.count, SPACE.n, *map(repr, held)]
    COUNT, LAST, Store.count, SPACE.n = 0, None, 0, 0
    if "count" in vars(Special):
        del Special.count
    for each in held:
        each.clear()
    return seen


def _tool(fn, **said):
    return wrap(fn, ToolOptions(name="t", **said))


def _globals_changed(run):
    answers = [_tool(_one)("a"), _tool(functools.partial(_one, "b"))(), asyncio.run(_tool(_later)("c"))]
    answers += [(each, len(LOG)) for each in _tool(_items)("d")]
    return [answers, call(run, "one", _one, "e"), *_world()]


def _made(total, seen, *, step=1):
    def add(number: int) -> int:
        nonlocal total
        total += step
        seen.append(number)
        note()
        return total

    calls = 0

    def note():
        nonlocal calls
        calls += 1

    return add, lambda: (total, calls)


def _closures_changed(run):
    seen = []
    (first, of_first), (second, of_second) = _made(0, seen), _made(10, seen)
    one, other = _tool(first), _tool(second)
    answers = [one(1), other(2), one(3), call(run, "second", second, 4)]
    return [answers, seen, of_first(), of_second()]


def _bound_late(_run):
    state, latest = {}, None
    if state:
        late = None  # so far it holds nothing

    def note(row: str) -> None:
        nonlocal latest, late
        latest = {"row": row}
        late = [row]
        del state["gone"]

    state["gone"] = 1
    _tool(note)("x")
    return [state, latest, late]


def _method_changes_a_global(_run):
    store = Store()
    _tool(store.add)("r")
    _tool(Store.add)(store, "s")
    return [store.rows, *_world()]


def _kept(row, seen=[]):  # noqa: B006 - on purpose
    seen.append(row)
    _kept.calls = getattr(_kept, "calls", 0) + 1


def _of_other_kinds(_run):
    """A helper's default and attribute, a context variable, a counter, an event."""
    numbers, over = itertools.count(1), threading.Event()

    def note(row: str) -> int:
        _kept(row)
        WHO.set(row)
        over.set()
        return next(numbers)

    WHO.set("nobody")
    answers = [_tool(note)(row) for row in "ab"]
    seen = [list(_kept.__defaults__[0]), _kept.calls, WHO.get(), next(numbers), over.is_set()]
    _kept.__defaults__[0].clear()
    del _kept.calls
    return [answers, seen]


def _within_another(_run):
    """What a tool changes that another tool calls is said with that one's, and once."""
    log = []
    inner = wrap(log.append, ToolOptions(name="inner"))

    def outer(row: str) -> None:
        log.append("outer")
        inner(row)
        log.append("end")

    _tool(outer)("a")
    inner("b")
    return log


AGENTS = [
    _globals_changed,
    _closures_changed,
    _bound_late,
    _method_changes_a_global,
    _of_other_kinds,
    _within_another,
]


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.__name__)
def test_what_a_tool_changes_outside_is_changed_again(agent):
    """Globals of its module and of others, attributes of classes, closures; bound anew, filled, emptied; by helpers."""
    with opened() as recorded:
        live = agent(recorded)
    assert {case for case, _, _ in recorded.uncompared} <= {"receiver"}
    with opened(recorded) as run:
        again = agent(run)
    assert again == live
    assert run.refused == []


def test_variables_are_named_as_the_code_names_them():
    """Of the tool's own module and closure plainly, of others with the module or function; nothing but data."""
    assert list(variables_of(_one)["nonlocal"].found) == [
        "COUNT",
        "ROWS",
        "STORE",
        "SPACE",
        "CARRIED",
        "desk.OPEN",
        "LOG",
        "Special",
        "Store",
        "LAST",
    ]
    add, _ = _made(0, [])
    assert list(variables_of(add)["nonlocal"].found) == ["seen", "total", "note.calls"]
    assert closure_of(add) == {"seen": [], "step": 1}
    assert variables_of(len) == variables_of(json_of) == {}


def json_of(value):
    return {"json": str(value), "limit": LIMIT, "lock": LOCK}


def test_the_function_itself_is_found_behind_its_trampoline_and_decorators():
    """A wrapped tool that another tool calls, a cached helper, a decorator's own count."""

    def counted(fn):
        calls = 0

        @functools.wraps(fn)
        def count(*args):
            nonlocal calls
            calls += 1
            return fn(*args)

        return count, lambda: calls

    def agent():
        @functools.cache
        def cached(number):
            LOG.append(number)

        fn, calls = counted(lambda number: cached(number))
        _tool(fn)(1)
        return [calls(), *_world()]

    with opened() as recorded:
        live = agent()
    with opened(recorded):
        assert agent() == live
    assert live[0] == 1


def test_a_global_that_is_given_back_is_that_object_if_it_holds_the_same():
    """The agent changes the very object in a replay, too; where it holds something else, the agent gets the answer."""

    def get() -> dict:
        return ROWS

    def agent():
        found = _tool(get)()
        found["more"] = 1
        return dict(found), _world()

    with opened() as recorded:
        live = agent()
    assert recorded.only.answered["same_as"] == ["nonlocal", "ROWS"]
    with opened(recorded):
        assert agent() == live
    ROWS["other"] = 1
    with opened(recorded):
        assert agent() == ({"more": 1}, [0, None, 0, 0, 0, "[]", "[]", "[]", "{'other': 1}", "{}", "{}"])


def test_a_vast_variable_is_passed_over_and_named(monkeypatch):
    """The others are watched all the same; a large buffer, too, is not copied."""
    monkeypatch.setitem(VAST, "rows", [[0] for _ in range(changes.MOST_OUTSIDE)])
    blob = bytearray(changes.MOST_OUTSIDE * 1_000 + 1_000)

    def note(row: str) -> None:
        VAST[row] = 1
        blob[0] = 1
        LOG.append(row)

    with opened() as recorded:
        _tool(note)("a")
    assert recorded.only.answered["changed"] == {
        "nonlocal": {"within": {"LOG": {"start": 0, "stop": 0, "of": 0, "items": ["a"]}}}
    }
    assert recorded.uncompared == [("vast", "t", "blob"), ("vast", "t", "VAST")]
    _world()


def test_a_golden_reaches_no_other_variable():
    """What the code only reads stays, whatever a golden says; a variable that is gone stops no other change."""
    with opened() as recorded:
        _tool(_one)("a")
    _world()
    answered = recorded.only.answered
    answered["changed"]["nonlocal"]["set"] |= {"ROWS": 9, "LIMIT": 9, "LOCK": 1, "print": 1}
    answered["changed"]["nonlocal"]["within"] = {
        "gone": {"set": {"a": 1}},
        **answered["changed"]["nonlocal"]["within"],
    }
    with opened(recorded) as run:
        _tool(_one)("a")
    assert (LIMIT, type(LOCK), type(ROWS)) == (5, type(threading.Lock()), dict)
    assert run.uncompared[0][0] == "unchanged"
    assert _world()[2:6] == [0, 1, 1, "['a']"]


@dataclasses.dataclass
class Account:
    owner: str
    rows: list = dataclasses.field(default_factory=list, compare=False)


class Keyed:
    __sparrow_key__ = "keyed"


def _tools_of(account, tenant, api_key="k"):
    def fetch(number: int) -> int:
        return number + len(account.owner)

    def refund(number: int) -> int:
        return fetch(number) + len(tenant) + len(api_key)

    return _tool(refund)


def test_what_a_tool_closes_over_is_part_of_the_call():
    """Plain values and the user's objects by their keys, through helpers; no secret."""
    with opened() as recorded:
        _tools_of(Account("ada"), "acme")(1)
    assert recorded.only.asked["on"] == {
        "nonlocal": {"tenant": "acme", "fetch.account": {"class": "Account", "owner": "ada"}}
    }
    with opened(recorded):
        _tools_of(Account("ada"), "acme", api_key="other")(1)
    for other in ((Account("bob"), "acme"), (Account("ada"), "initech"), (Keyed(), "acme")):
        with opened(recorded), pytest.raises(ReplayDivergence):
            _tools_of(*other)(1)


def test_tuples_and_classes_count_and_tables_are_named():
    """A dict that no tool of the run changes is named when recorded; one that a tool changes, or of functions, not."""

    def make(roles, kind):
        prices, seen, handlers = {"a": 1}, ["x"], {"len": len}

        def ask(number: int) -> str:
            seen.append(number)
            return f"{roles}{kind}{prices}{handlers}"

        return _tool(ask)

    with opened() as recorded:
        make(("user", 1), Account)(1)
    assert recorded.only.asked["on"] == {"nonlocal": {"roles": ["user", 1], "kind": {"class": "Account"}}}
    assert recorded.uncompared == [("table", "t", "prices")]
    for other in ((("admin", 1), Account), (("user", 1), Keyed)):
        with opened(recorded), pytest.raises(ReplayDivergence):
            make(*other)(1)


def test_what_a_cancelled_call_changed_is_named():
    """It has no answer that could hold the change."""
    seen, total = [], 0

    async def slow(number: int) -> None:
        nonlocal total
        total += number
        seen.append(number)
        await asyncio.sleep(9)

    async def agent():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_tool(slow)(1), 0.01)

    with opened() as run:
        asyncio.run(agent())
    assert run.uncompared == [("cancelled", "t", "total, seen")]


def test_a_variable_that_is_closed_over_may_be_ignored():
    """By its name; "self" leaves out all; a name that is none of the tool's is refused."""

    def make(tenant, **said):
        def ask(number: int) -> str:
            return tenant

        return _tool(ask, **said)

    for ignore in (("tenant",), ("self",)):
        with opened() as recorded:
            make("a", ignore=ignore)(1)
        assert "on" not in recorded.only.asked
    with pytest.raises(UsageError, match="names no parameter"):
        make("a", ignore=("tennant",))
