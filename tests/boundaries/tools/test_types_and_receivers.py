"""What JSON does not show of a call: the types of its arguments, and on whom the tool is called."""

import dataclasses
import datetime as dt
import decimal
import enum
import functools
import os
import pathlib
import re
import uuid
import zoneinfo
from collections import OrderedDict, defaultdict, deque
from typing import NamedTuple

import pytest
from pydantic import BaseModel

from boundaries.tools.fake_run import opened
from pytest_sparrow.boundaries.tools import ToolOptions, Tools, wrap
from pytest_sparrow.boundaries.tools.receiver import receiver_json
from pytest_sparrow.comparing import Rules, comparable_by, compare, tool_changes
from pytest_sparrow.comparing.result import render
from pytest_sparrow.events import ToolUseStarted
from pytest_sparrow.values.to_json import jsonable
from pytest_sparrow.values.types import types_of


@dataclasses.dataclass
class Debit:
    amount: int


@dataclasses.dataclass
class Credit:
    amount: int


class Side(enum.Enum):
    BUY = 1


class Order(BaseModel):
    price: decimal.Decimal = decimal.Decimal("1.0")


class Point(NamedTuple):
    x: int
    y: int


ONE_JSON = [
    (Debit(5), Credit(5)),
    (Debit(5), {"amount": 5}),
    (Order(), {"price": "1.0"}),
    (Point(1, 2), {"x": 1, "y": 2}),
    (OrderedDict(a=1), {"a": 1}),
    (Side.BUY, 1),
    ((1, 2), [1, 2]),
    ({1, 2}, [1, 2]),
    ({1, 2}, frozenset({1, 2})),
    (b"a", {"base64": "YQ=="}),
    (b"a", bytearray(b"a")),
    (decimal.Decimal("1.0"), "1.0"),
    (dt.date(2020, 1, 1), "2020-01-01"),
    (dt.timedelta(seconds=2), 2.0),
    (pathlib.PurePosixPath("a"), "a"),
    (uuid.UUID(int=5), str(uuid.UUID(int=5))),
    ({1: 2}, {"1": 2}),
    ({True: 1}, {"True": 1}),
    (1.0, 1),
    (-0.0, 0.0),
    ([1.0, 2.5], [1, 2.5]),
    ([{"when": (1,)}, {"when": (2,)}], [{"when": [1]}, {"when": [2]}]),
    ({"deep": [1, {"x": {3}}]}, {"deep": [1, {"x": [3]}]}),
    (
        dt.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
        dt.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Paris")),
    ),
    (re.compile("a"), re.compile("a", re.IGNORECASE)),
    (deque([1], maxlen=2), deque([1], maxlen=3)),
    (deque([1]), deque([1], maxlen=3)),
    (defaultdict(int), defaultdict(list)),
    (pathlib.PureWindowsPath("a"), pathlib.PurePosixPath("a")),
    (pathlib.PureWindowsPath("a"), pathlib.Path("a")) if os.name != "nt" else (1.0, 1),
]


@pytest.mark.parametrize(("one", "other"), ONE_JSON, ids=range(len(ONE_JSON)))
def test_values_of_one_json_have_other_types(one, other):
    """The JSON is the same (as JSON counts), so the note must differ."""
    ours, theirs = jsonable(one, where="x"), jsonable(other, where="x")
    assert ours == theirs
    assert types_of(one, "x") != types_of(other, "x")


def test_what_json_shows_has_no_note():
    """Texts, whole numbers, fractions, true, null, and lists and objects of them."""
    plain = {"a": [1, "x", None, True, 2.5, {"b": [0.5, 1.5]}], "c": {}}
    assert types_of(plain, "x") == {}


def test_arrays_of_other_dtypes_are_two():
    """Of numpy, where all items are alike in JSON."""
    numpy = pytest.importorskip("numpy")
    one, other = (numpy.array([1, 2], dtype=dtype) for dtype in ("int8", "int64"))
    assert types_of(one, "x") != types_of(other, "x")
    assert types_of(numpy.float64(1.5), "x") == {"x": "float64"}


def test_what_is_usual_is_no_detail():
    """A zone that is UTC by any name, a pattern without flags."""
    utc = zoneinfo.ZoneInfo("UTC")
    values = [dt.datetime(2026, 1, 1, tzinfo=utc), re.compile("a"), deque(), defaultdict(None)]
    assert [types_of(value)[""] for value in values] == ["datetime", "Pattern", "deque", "defaultdict"]


def test_many_items_of_one_type_are_one_note():
    """A table of a thousand prices takes one note, whole prices among them."""
    rows = [{"price": float(n) / 2, "when": dt.date(2020, 1, 1)} for n in range(1_000)]
    assert types_of(rows, "rows") == {"rows[…]['price']": "float", "rows[…]['when']": "date"}
    assert types_of([*rows, 1], "rows")["rows[0]['when']"] == "date"
    assert len(types_of([(n, n) if n % 2 else {n} for n in range(5_000)], "x")) == 1_000


class Account:
    def __init__(self, owner, base_url="http://127.0.0.1:4711/v1"):
        self.owner = owner
        self.base_url = base_url
        self.opened = dt.datetime.now(dt.UTC)
        self.port = 4711
        self._client = object()

    def withdraw(self, amount):
        return amount

    @classmethod
    def transfer(cls, amount):
        return amount


class Savings(Account):
    pass


class Caller:
    __slots__ = ("o",)

    def __init__(self, o):
        self.o = o

    def __call__(self, amount):
        return amount


class Keyed:
    def __init__(self, name):
        self._name = [name]

    def __sparrow_key__(self):
        return self._name

    def pay(self, amount):
        return amount


class Opaque:
    def __init__(self):
        self._client = object()

    def pay(self, amount):
        return amount


class Model(BaseModel):
    owner: str = "ada"

    def pay(self, amount):
        return amount


def _on(fn, *args, **said):
    tool = wrap(fn, ToolOptions(name="pay", **said))
    with opened() as run:
        tool(*args)
    return run.kept[0].asked.get("on")


def test_a_tool_says_on_whom_it_is_called():
    """By fields and plain attributes, without what is new in every run; a class by its name; nothing for a function."""
    ada = {"class": "Account", "owner": "ada", "base_url": "http://127.0.0.1/v1"}
    assert _on(Account.withdraw, Account("ada"), 1) == ada
    assert _on(Account("ada").withdraw, 1) == ada
    assert _on(Savings.transfer, 1) == {"class": "Savings"}
    assert _on(Caller("ada"), 1) == {"class": "Caller", "o": "ada"}
    assert _on(Keyed("ada").pay, 1) == {"class": "Keyed", "key": ["ada"]}
    assert _on(Model().pay, 1) == {"class": "Model", "owner": "ada"}
    assert _on(functools.partial(Account("ada").withdraw), 1) == {"bound": [ada]}
    assert _on(functools.partial(lambda who, amount: amount, Debit(5)), 1) == {
        "bound": [{"class": "Debit", "amount": 5}]
    }
    assert _on(lambda amount: amount, 1) is None
    assert _on(Account("ada").withdraw, 1, ignore=("self",)) is None


def test_the_class_of_a_classmethod_in_a_dotted_name_counts():
    """The class through which it is called, not the one that defines it."""
    tools = Tools()
    tools.tool(f"{__name__}.Account.transfer")
    with opened() as run:
        Savings.transfer(1)
        Account.transfer(1)
    tools.close()
    assert [kept.asked["on"]["class"] for kept in run.kept] == ["Savings", "Account"]


def test_an_object_without_plain_attributes_is_named():
    """Which one it is can't be compared; an object without any attribute is known by its class."""
    assert receiver_json(Opaque()) == ({"class": "Opaque"}, False)
    assert receiver_json(object()) == ({"class": "object"}, True)
    with opened() as run:
        tool = wrap(Opaque().pay, ToolOptions(name="pay"))
        tool(1)
        tool(2)
    assert run.uncompared == [("receiver", "pay", "Opaque")] * 2


def _called(args, **said):
    return [ToolUseStarted(run="r", id="c", name="pay", args=args, **said)]


def test_types_receivers_and_orders_are_compared():
    """With a path; by goldens that know them, by rules that count them, and at level trajectory."""
    with_type, without = _called({"x": 1}, types={"x": "float"}), _called({"x": 1})
    (change,) = compare(with_type, without).changes
    assert render(change.steps).startswith("ToolUseStarted[pay].types")
    assert not compare(with_type, without, Rules(level="trajectory"))
    assert compare(with_type, without, typed=False)
    assert compare(with_type, without, Rules(ignore_numeric_type_changes=True))
    assert compare(with_type, without, Rules(exclude_paths=("ToolUseStarted[pay].args['x']",)))
    assert not compare(_called({}, on={"owner": "a"}), _called({}, on={"owner": "b"}))
    one, other = _called({"x": {"a": 1, "b": 2}}), _called({"x": {"b": 2, "a": 1}})
    assert not compare(one, other)
    assert compare(one, other, typed=False)
    assert compare(_called({"a": 1, "b": 2}), _called({"b": 2, "a": 1}))


def test_what_is_asked_counts_in_choosing_as_in_comparing():
    """Older goldens know no types; an ignored argument's type does not count."""
    asked = {"name": "pay", "args": {"x": 1, "y": 2}, "types": {"x": "float"}, "on": {"owner": "a"}}
    assert comparable_by(Rules()) is None
    assert comparable_by(Rules(), typed=False)(asked) == {"name": "pay", "args": {"x": 1, "y": 2}}
    ignored = comparable_by(Rules(exclude_paths=("ToolUseStarted[pay].args['x']",)))(asked)
    assert ignored == {"name": "pay", "args": {"y": 2}, "on": {"owner": "a"}}
    call = {"name": "pay", "args": [1], "kwargs": {}, "types": {"[0]": "float"}}
    assert comparable_by(Rules(significant_digits=2))(call) == call
    assert comparable_by(Rules(), typed=False)(call) == {"name": "pay", "args": [1], "kwargs": {}}
    (change,) = tool_changes(
        {"name": "pay", "args": {"x": 1}}, {"name": "pay", "args": {"x": 1}, "types": {"x": "f"}}
    )
    assert render(change.steps).startswith("ToolUse*[pay].types")
