"""What JSON does not show of a call: the types of its arguments, and on whom the tool is called."""

import array
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import io
import operator
import os
import pathlib
import re
import tempfile
import threading
import time
import types
import uuid
import zoneinfo
from collections import OrderedDict, defaultdict, deque
from typing import NamedTuple

import httpx2
import pytest
from pydantic import BaseModel, Field, PrivateAttr, SecretStr

from boundaries.tools.fake_run import opened
from pytest_sparrow.boundaries.tools import ToolOptions, Tools, wrap
from pytest_sparrow.boundaries.tools.receiver import Receiver, given_with, receiver_json
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


TURN = dt.datetime.fromisoformat("2026-10-25T02:30")
"""Comes twice where summer time ends."""

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
    (TURN, TURN.replace(fold=1)),
    (dt.time(2, 30), dt.time(2, 30, fold=1)),
    ({dt.time(2, 30): 1}, {dt.time(2, 30, fold=1): 1}),
    (dt.time(2, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")), dt.time(2)),
    (dt.timedelta(200_000), dt.timedelta(200_000, microseconds=1)),
    (memoryview(b"abcd"), memoryview(b"abcd").cast("I")),
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
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    values = [
        *(
            dt.datetime(2026, 1, 1, tzinfo=zone)
            for zone in (utc, dt.UTC, None, dt.timezone(dt.timedelta(hours=2)))
        ),
        *(re.compile("a"), deque(), defaultdict(None), dt.timedelta(1, 1, 1), memoryview(b"a")),
    ]
    usual = ["datetime"] * 4 + ["Pattern", "deque", "defaultdict", "timedelta", "memoryview"]
    assert [types_of(value)[""] for value in values] == usual
    second = dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=berlin)
    assert types_of(second) == {
        "": "datetime of Europe/Berlin"
    }  # its offset shows which of the two hours it is


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


class Session(Account):
    def __init__(self, owner):
        super().__init__(owner)
        self.begun = dt.datetime.now(dt.UTC).isoformat()
        self.stamp = time.time_ns() // 1_000_000
        self.ident = threading.get_ident()


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
    assert _on(Session("ada").withdraw, 1) == {**ada, "class": "Session"}
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
    assert receiver_json(Opaque()) == Receiver({"class": "Opaque"}, identified=False)
    assert receiver_json(object()) == Receiver({"class": "object"})
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


class Tariff(BaseModel):
    name: str = "day"
    region: str = Field("eu", exclude=True)
    key: SecretStr = SecretStr("s")
    _tenant: str = PrivateAttr("acme")
    _limits: dict = PrivateAttr(default_factory=dict)
    _token: str = PrivateAttr("")

    def __init__(self, *, tenant="acme", token="", **fields):
        super().__init__(**fields)
        self._tenant, self._token = tenant, token


@dataclasses.dataclass
class Till:
    name: str
    region: str = dataclasses.field(default="eu", compare=False, repr=False)
    limits: dict = dataclasses.field(default_factory=dict, compare=False)
    client: object = dataclasses.field(default_factory=object, compare=False)

    def pay(self, amount):
        return amount

    @functools.cached_property
    def seen(self):
        return 1


def _asked(*args, on=None):
    run_of = on or (lambda *given: None)
    tool = wrap(run_of, ToolOptions(name="pay"))
    with opened() as run:
        tool(*args)
    return run.kept[0].asked, {what for _, _, what in run.uncompared}


def test_what_a_dump_hides_counts_or_is_named():
    """Private attributes, excluded fields, attributes beside fields; a secret and what is no plain value is named."""
    usual, named = _asked(Tariff())
    assert usual["types"] == {"given": "tuple", "given[0]": "Tariff", "given[0]['key']": "SecretStr"}
    assert named == {"a SecretStr", "Tariff._limits"}
    other, named = _asked([Tariff(tenant="beta", region="us", token="t0k3n-of-mine")])
    notes = {place: note for place, note in other["types"].items() if place.startswith("given[0][0].")}
    assert notes == {"given[0][0]._tenant": '"beta"', "given[0][0].region": '"us"'}
    assert "Tariff._token" in named
    assert "t0k3n" not in repr(other)
    till = Till("a")
    plain, _ = _asked(till)
    till.seen  # noqa: B018 - kept by a cached property
    assert _asked(till)[0] == plain
    till.extra = 5
    assert _asked(till)[0]["types"]["given[0].extra"] == "5"


def test_what_an_object_is_not_compared_by_counts_or_is_named():
    """Fields with compare=False, private attributes; data that is no plain value is named, a client is not."""
    asked, named = _asked(1, on=Till("a", region="us", limits={"most": 5}).pay)
    assert asked["on"] == {"class": "Till", "name": "a", "region": "us"}
    assert named == {"Till.limits"}


class Refused(Exception):
    def __init__(self, order):
        super().__init__("refused")
        self.order = order


class Word(str):
    def __new__(cls, text, language):
        word = str.__new__(cls, text)
        word.language = language
        return word


class Rows(list):
    def __init__(self, rows, language):
        super().__init__(rows)
        self.language = language


def _by_price(row):
    return row["price"]


def _pieces():
    yield 1


def _above(limit):
    def accept(row):
        return row > limit

    return accept


def _described():
    """Arguments without a form in JSON, each beside one that differs."""
    read = io.BytesIO(b"abc")
    read.read(1)
    return {
        "function": (_by_price, len),
        "closure": (_above(5), _above(6)),
        "lambda": (lambda row: row > 5, lambda row: row > 6),
        "default": (lambda row, most=5: most, lambda row, most=6: most),
        "partial": (functools.partial(_by_price, 1), functools.partial(_by_price, 2)),
        "method": (Account("ada").withdraw, Account("bob").withdraw),
        "bound": ([1].append, [2].append),
        "bytes": (io.BytesIO(b"abc"), io.BytesIO(b"abd")),
        "read": (io.BytesIO(b"abc"), read),
        "text": (io.StringIO("a"), io.StringIO("b")),
        "large": (io.BytesIO(bytes(70_000)), io.BytesIO(bytes(70_001))),
        "class": (Debit, Credit),
        "module": (io, os),
        "error": (ValueError("a"), ValueError("b")),
        "file of an error": (OSError(2, "no", "a"), OSError(2, "no", "b")),
        "attribute of an error": (Refused(5), Refused(6)),
        "attribute of a text": (Word("a", "en"), Word("a", "de")),
        "attribute of items": ([Rows([1], "en")], [Rows([1], "de")]),
        "nan": (float("nan"), float("inf")),
        "object": (Account("ada"), Account("bob")),
        "key": (operator.itemgetter(0), operator.itemgetter(1)),
        "slice": (slice(0, 5), slice(0, 6)),
        "zone": (dt.timezone(dt.timedelta(hours=1)), dt.timezone(dt.timedelta(hours=2))),
        "named zone": (zoneinfo.ZoneInfo("Europe/Berlin"), zoneinfo.ZoneInfo("Europe/Paris")),
        "generic": (list[int], list[str]),
        "url": (httpx2.URL("http://h/a"), httpx2.URL("http://h/b")),
        "namespace": (types.SimpleNamespace(a=1), types.SimpleNamespace(a=2)),
        "descriptor": (str.upper, str.lower),
        "array": (array.array("i", [1]), array.array("i", [2])),
    }


@pytest.mark.parametrize("kind", list(_described()))
def test_an_argument_without_a_form_in_json_is_known_by_what_it_is(kind):
    """Alike when it is made again, and another where the tool sees another; nothing is refused."""
    one, other = _described()[kind]
    again = _described()[kind][0]
    first, named = _asked(one)
    assert first == _asked(again)[0]
    assert first != _asked(other)[0]
    assert first == _asked(one)[0]
    assert not named


def test_a_file_counts_by_what_is_left_to_read(tmp_path):
    """Not by its name, which is new for a temporary file; reading for the golden leaves it where it was."""
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\n")
    with path.open() as file, tempfile.NamedTemporaryFile() as other, path.open("a") as end:
        assert file.readline() == "one\n"
        assert _asked(file)[0]["args"]["given"] == [{"content": "two\n", "mode": "r"}]
        assert file.readline() == "two\n"
        other.write(b"x")
        other.seek(0)
        assert _asked(other)[0]["args"]["given"] == [{"content": {"base64": "eA=="}, "mode": "rb+"}]
        assert _asked(end) == (
            {
                "name": "pay",
                "args": {"given": [{"file": "TextIOWrapper", "mode": "a"}]},
                "types": {"given": "tuple", "given[0]": "TextIOWrapper"},
            },
            {"what a file holds"},
        )


def test_what_is_not_compared_of_an_argument_is_named():
    """What a generator yields, which client it is; the generator is not read."""
    pieces = _pieces()
    asked, named = _asked(pieces, {"client": threading.Lock(), "who": Opaque()})
    assert asked["args"]["given"][0] == {"iterator": "_pieces"}
    assert named == {
        "what the iterator _pieces gives (a replay does not read it)",
        "which lock it is",
        "which Opaque it is",
    }
    assert list(pieces) == [1]


def test_a_table_is_an_argument():
    """Of pandas, by its cells, dtypes and axes."""
    pandas = pytest.importorskip("pandas")
    one, other = pandas.DataFrame({"a": [1, 2]}), pandas.DataFrame({"a": [1, 3]})
    assert _asked(one) == _asked(one.copy())
    assert _asked(one)[0] != _asked(other)[0]
    assert _asked(one)[0] != _asked(one.set_index("a"))[0]
    assert not _asked(one["a"])[1]


def test_what_a_framework_gives_counts_but_for_moments_and_secrets():
    """Numbers and lists were put there for the tools; the time at which a context was made is new in every run."""
    deps = {
        "limit": 2.5,
        "cart": ["tea"],
        "begun": time.time(),
        "at": dt.datetime.now(dt.UTC),
        "api_key": "k-1",
    }
    with opened() as run:
        assert given_with(run, "pay", {"deps": deps}) == {"with": {"deps": {"limit": 2.5, "cart": ["tea"]}}}


def test_what_a_closure_holds_beside_plain_values_is_named_when_recorded():
    """And by no replay: most closures hold a client or a store."""
    store = Opaque()

    def pay(amount):
        return amount if store else 0

    with opened() as recorded:
        wrap(pay, ToolOptions(name="pay"))(1)
    assert recorded.uncompared == [("closure", "pay", "which Opaque it is")]
    with opened(recorded) as run:
        wrap(pay, ToolOptions(name="pay"))(1)
    assert run.uncompared == []
