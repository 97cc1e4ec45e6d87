"""Values whose types no annotation says: written with a note of each type, and restored."""

import asyncio
import dataclasses
import datetime as dt
import enum
import importlib
import os
import subprocess
import sys
import types
import uuid
import zoneinfo
from collections import Counter, OrderedDict, UserDict, UserList, UserString, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import dateutil.tz
import httpx2
import pytest
from pydantic import BaseModel, Field, PrivateAttr

from boundaries.tools.fake_run import opened
from pytest_sparrow.boundaries.tools import ToolOptions, wrap
from pytest_sparrow.errors import NotRecordable, ReplayDivergence
from pytest_sparrow.events.jsontext import decode, encode
from pytest_sparrow.values.equality import difference
from pytest_sparrow.values.noted import noted, restored
from pytest_sparrow.values.restore import DoesNotFit


class Colour(enum.Enum):
    RED = 1
    MIXED = (1, 2)


@dataclasses.dataclass(frozen=True)
class Money:
    amount: Decimal
    when: object = None


class Order(BaseModel):
    price: Decimal
    rows: list = []


class Point(NamedTuple):
    x: int
    y: object


class Cached:
    def __init__(self):
        self.x = 1


class Perm(enum.Flag):
    READ = 1
    WRITE = 2


class Checked(enum.Flag):
    READ = 1
    WRITE = 2

    @classmethod
    def _missing_(cls, value):
        return super()._missing_(value)


class Table(UserDict):
    """A class that stems from a UserDict."""


T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    items: list[T]


class Hidden(BaseModel):
    shown: int
    kept: int = Field(exclude=True)
    _seen: tuple = PrivateAttr((1,))


@dataclasses.dataclass
class Loaded:
    x: int

    def __post_init__(self):
        self.cache = {}


def _deep(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


class Place(Point):
    """A class that stems from a named tuple."""


_BY_KEY = defaultdict(list)
_BY_KEY["a"].append((1,))

VALUES = [
    float("nan"),
    {"mean": float("nan"), "max": float("inf"), "least": -0.0},
    ["a.txt", os.fsdecode(b'caf\xe9\n".txt')],
    (1, "a"),
    [(1, 2), (3, 4)],
    {1: "a", "x": 2, None: 3, 2.5: 4, dt.date(2026, 7, 1): 5},
    b"\x89PNG",
    bytearray(b"x"),
    {"a", 1},
    frozenset({(1, 2)}),
    Money(Decimal("39.990"), dt.datetime(2026, 7, 1, tzinfo=dt.UTC)),
    [Money(Decimal(n)) for n in range(3)],
    Path("/srv/x"),
    Colour.RED,
    [Colour.MIXED],
    uuid.UUID(int=5),
    Order(price="1.50", rows=[(1,)]),
    Point(1, {2}),
    _BY_KEY,
    Counter("aab"),
    deque([1, (2,)]),
    OrderedDict(b=1, a=2),
    {"x['y']": {"[0]": (1,)}},
    dt.timedelta(seconds=1.5),
    dt.time(1, 2),
    dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
    dt.datetime(2026, 10, 25, 2, 30, tzinfo=dateutil.tz.tzutc()),  # boto3's
    dt.datetime(2026, 7, 1, 2, 30, tzinfo=dateutil.tz.tzlocal()),
    _deep(150),
    [1.0, 2, True, None],
    httpx2.Response(200, headers=[("a", "1"), ("a", "2")], content=b"\xff"),
    httpx2.Response(200, json={"a": 1}, request=httpx2.Request("GET", "http://shop.test/?a=1")),
    Place(1, 2),
    types.SimpleNamespace(a=(1,), b=types.SimpleNamespace()),
    [complex(1, -0.0), range(1, 9, 3)],
    subprocess.CompletedProcess(["ls", "-l"], 1, stdout=b"\xff", stderr=None),
    UserDict(a=(1,)),
    UserList([(1,)]),
    Table(a=UserString("x")),
    [Page[int](items=[1]), Page[Money](items=[Money(Decimal(1))])],
    [Perm.READ | Perm.WRITE, Perm(0)],
    Hidden(shown=1, kept=2),
]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_value_comes_back_as_it_was(value):
    """In type and content, all the way down, from what a file holds."""
    written, notes = (decode(encode(part)) for part in noted(value, where="x"))
    assert difference(value, restored(written, notes)) is None


def test_the_name_of_a_fixed_zone_comes_back():
    """``datetime.now().astimezone()`` names its zone, and ``%Z`` shows the name."""
    when = dt.datetime(2026, 7, 1, tzinfo=dt.timezone(dt.timedelta(hours=2), "CEST"))
    assert repr(restored(*noted(when, where="x"))) == repr(when)
    assert noted(dt.datetime(2026, 7, 1, tzinfo=dt.UTC), where="x")[1] == {"": "datetime"}


def test_what_json_shows_has_no_note():
    """Plain values are written as ever, and what many items have alike is noted once."""
    assert noted({"a": [1, "x", 2.0, None, {}]}, where="x")[1] == {}
    assert noted([{"when": dt.date(2026, 1, n)} for n in range(1, 9)], where="x")[1] == {
        "[…]['when']": "date"
    }


def _named() -> UserDict:
    table = UserDict(a=1)
    table.name = "x"
    return table


@pytest.mark.parametrize(
    "value",
    [
        *(Cached(), [len], Loaded(1), deque([1], maxlen=2), {(1, 2): 3}, _named()),
        Page[list[int]](items=[]),
        Checked.READ | Checked.WRITE,
    ],
    ids=range(8),
)
def test_what_would_not_come_back_is_refused_by_name(value):
    """Plain objects, functions, what a data class holds beside its fields, keys that are no leaves."""
    with pytest.raises(NotRecordable, match="x"):
        noted(value, where="x")


@pytest.mark.parametrize(
    ("json", "notes"),
    [
        (1, {"": "nowhere:Missing"}),
        ({"args": "true"}, {"": "subprocess:Popen"}),
        ("x", {"": "os:system"}),
        (["a"], {"[0]": "Decimal"}),
        ({"a": 1}, {".keys()": "int, str"}),
        (1, {"[": "int"}),
        (1, {"": 5}),
        (1, []),
    ],
)
def test_a_hostile_or_damaged_note_makes_nothing(json, notes):
    """No class is made that is no data class, nothing is imported, and the fault is one error."""
    loaded = set(sys.modules)
    with pytest.raises(DoesNotFit):
        restored(json, notes)
    assert "nowhere" not in sys.modules
    assert set(sys.modules) - loaded <= {"_strptime"}


def test_a_tool_gives_what_it_gave():
    """Returned, yielded and raised, without annotations; noted beside the answer, and a lost class is named."""

    class NoMoneyError(Exception):
        def __init__(self, left):
            super().__init__(f"{left} left")
            self.left = left

    def pay(amount):
        if amount == 3:
            raise NoMoneyError(Decimal("1.5"))
        return (amount, Money(Decimal(amount)))

    def rows(upto):
        for n in range(upto):
            yield (n, dt.date(2026, 1, 1))
        return {upto}

    def agent(pay, rows):
        found = [pay(1)]
        with pytest.raises(NoMoneyError) as caught:
            pay(3)
        found += [caught.value.args, caught.value.left]
        stream = rows(2)
        found += [next(stream), next(stream)]
        with pytest.raises(StopIteration) as end:
            next(stream)
        return [*found, end.value.value]

    def tools():
        options = {"raises": (NoMoneyError,)}
        return wrap(pay, ToolOptions(name="pay", **options)), wrap(rows, ToolOptions(name="rows"))

    with opened() as recorded:
        live = agent(*tools())
    notes = [kept.answered.get("types") for kept in recorded.kept]
    assert notes[0] == {"returned": {"": "tuple", "[1]": f"{__name__}:Money", "[1]['amount']": "Decimal"}}
    assert notes[2] == {
        "yielded": {"[…]": "tuple", "[…][1]": "date"},
        "returned": {"": "set"},
    }
    with opened(recorded):
        assert difference(live, agent(*tools())) is None
    recorded.kept[0].answered["types"]["returned"]["[1]"] = f"{__name__}:Gone"
    with opened(recorded) as run:
        with pytest.raises(ReplayDivergence):
            tools()[0](1)
        assert "holds no class Gone" in run.refused[0]


_LAZY = {
    "lazy_shop/__init__.py": (
        "import importlib\ndef __getattr__(name):\n    if name.startswith('_'):\n        raise AttributeError(name)\n"
        "    return vars(importlib.import_module('lazy_shop.messages'))[name]\n"
    ),
    "lazy_shop/messages.py": (
        "import dataclasses\n@dataclasses.dataclass\nclass Message:\n    text: str\n"
        "class Refused(Exception):\n    def __init__(self, code):\n        super().__init__(code)\n"
        "        self.code = code\n"
    ),
    "lazy_desk.py": (
        "import functools, importlib\n"
        "def _message(text):\n    from lazy_shop import Message\n    return Message(text)\n"
        "def in_a_helper(text):\n    return _message(text)\n"
        "def in_body(text):\n    import lazy_shop.messages as shop\n    return [shop.Message(text)]\n"
        "def into(rows):\n    from lazy_shop.messages import Message\n    rows.append(Message('x'))\n"
        "def items(text):\n    from lazy_shop.messages import Message\n    yield Message(text)\n"
        "async def later(text):\n    from lazy_shop.messages import Message\n    return Message(text)\n"
        "def fails(text):\n    from lazy_shop import Refused\n    raise Refused(text)\n"
        "class Client:\n    def ask(self, text):\n        return self._ask(text)\n"
        "    def _ask(self, text):\n        from lazy_shop import Message\n        return Message(text)\n"
        "def by_name(text):\n    return importlib.import_module('lazy_shop.messages').Message(text)\n"
    ),
}


def _forget() -> None:
    for name in [name for name in sys.modules if name.startswith("lazy_")]:
        del sys.modules[name]


def test_a_class_that_a_tool_imports_in_its_body_is_imported_in_a_replay(tmp_path, monkeypatch):
    """By the user's import statements, never by a name that only the golden holds."""
    for name, text in _LAZY.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)

    def into(tool):
        rows = []
        tool(rows)
        return rows

    def caught(tool):
        try:
            tool("x")
        except Exception as error:
            return type(error), error.code

    agents = {
        "in_a_helper": lambda tool: tool("x"),
        "in_body": lambda tool: tool("x"),
        "into": into,
        "items": lambda tool: list(tool("x")),
        "later": lambda tool: asyncio.run(tool("x")),
        "fails": caught,
        "Client.ask": lambda tool: tool("x"),
    }
    for name, agent in agents.items():
        results = []
        golden = None
        for _ in range(2):
            _forget()
            desk = importlib.import_module("lazy_desk")
            fn = desk.Client().ask if name == "Client.ask" else vars(desk)[name]
            with opened(golden) as golden:
                results.append(repr(agent(wrap(fn, ToolOptions(name="ask")))))
        assert results[0] == results[1], name
    _forget()
    desk = importlib.import_module("lazy_desk")
    with opened() as recorded, pytest.raises(NotRecordable, match=r"import lazy_shop\.messages at the top"):
        wrap(desk.by_name, ToolOptions(name="ask"))("x")
    with opened() as recorded:
        wrap(desk.by_name, ToolOptions(name="ask"))("x")
    _forget()
    with opened(recorded), pytest.raises(ReplayDivergence, match=r"lazy_shop\.messages is not imported here"):
        wrap(importlib.import_module("lazy_desk").by_name, ToolOptions(name="ask"))("x")
    assert "lazy_shop" not in sys.modules
    _forget()


def test_arrays_scalars_and_tables_come_back():
    """Of numpy and pandas, with their dtypes; what a table's index says too much is refused."""
    numpy = pytest.importorskip("numpy")
    values = [numpy.float64("nan"), {"n": numpy.int64(3), "x": numpy.float32(0.5)}, numpy.bool_(True)]
    values += [numpy.datetime64("2026-01-01"), [numpy.timedelta64(5, "s")], numpy.datetime64("NaT", "D")]
    values += [numpy.array(["2026-01-01", "NaT"], dtype="datetime64[D]")]
    values += [numpy.array([[1.0, 2.0], [3.0, float("nan")]]), numpy.array([1, 2], dtype="int8")]
    for value in values:
        test_a_value_comes_back_as_it_was(value)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": [0.5, float("nan")], "c": ["x", None]})
    frame["d"] = pandas.to_datetime(["2026-01-01", None])
    for value in (frame, frame.set_index("c"), frame["a"], frame[frame.a > 1]):
        try:
            test_a_value_comes_back_as_it_was(value)
        except NotRecordable:
            assert value.index.name is not None
    assert noted(frame, where="x")[1] == {"": "pandas:DataFrame"}


@pytest.mark.parametrize("text", ["1e99999999", "1e-99999999", "1/3/5", "0.5", "1/0", ""])
def test_a_fraction_is_no_bomb(text: str) -> None:
    """A golden's text of a few bytes, whose digits fill the memory, is none that a recording wrote."""
    with pytest.raises(DoesNotFit):
        restored(text, {"": "Fraction"})
    assert restored("-7/3", {"": "Fraction"}) == Fraction(-7, 3)
