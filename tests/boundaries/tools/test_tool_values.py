"""What a tool returned, through JSON and back."""

import dataclasses
import datetime as dt
import enum
import os
import subprocess
import sys
import uuid
import zoneinfo
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, TypedDict

import pytest
import typing_extensions
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, Field, PrivateAttr

from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events.jsontext import decode, encode
from pytest_sparrow.values.equality import difference
from pytest_sparrow.values.restore import ABSENT, DoesNotFit, from_json, is_plain, return_annotation, to_json


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2


class Odd(enum.Enum):
    PAIR = (1, 2)


class Number(enum.IntEnum):
    ONE = 1


class Pair(NamedTuple):
    left: int
    right: tuple[str, ...] = ()


@dataclasses.dataclass
class Money:
    amount: Decimal
    due: dt.date | None = None


@dataclasses.dataclass
class Weight:
    kilos: float


class Row(TypedDict):
    name: str
    size: typing_extensions.NotRequired[float]


class Tree(TypedDict):
    below: list["Tree"]


class DatedRow(typing_extensions.TypedDict):
    when: dt.date


class Customer(BaseModel):
    name: str
    tags: frozenset[str] = frozenset()
    money: list[Money] = Field(default_factory=list)
    alias_name: str = Field(default="", alias="aliasName")


class Base(BaseModel):
    x: int


class Derived(Base):
    y: int


class Private(BaseModel):
    x: int
    _seen: int = PrivateAttr(default=0)


class Hidden(BaseModel):
    x: int = Field(default=0, exclude=True)


class Text(str):
    __slots__ = ()


class Slotless:
    pass


OrderId = NewType("OrderId", int)
_AWARE = dt.datetime(2026, 11, 1, 12, 30, 1, 5, tzinfo=dt.UTC)


def round_trip(value, annotation=ABSENT):
    """As a golden takes it: JSON, text, JSON, value."""
    return from_json(decode(encode(to_json(value, annotation))), annotation)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (None, ABSENT),
        ({"a": [1, 2.5, True, None, "x"]}, ABSENT),
        (40, float),  # stays 40, and so does the text that the agent makes of it
        ({"price": 40}, dict[str, float]),
        ({"name": "x", "size": 1}, Row),
        ([1], Sequence[int]),
        ([1], Iterable[int]),
        ({"a": 1}, Mapping[str, int]),
        (5, OrderId),
        (5, Annotated[int, Field(gt=10)]),
        ("on", Literal["on", "off"]),
        (None, Money),
        (Money(Decimal("1.50"), dt.date(2026, 1, 2)), Money),
        ([Money(Decimal(1))], list[Money]),
        (Money(Decimal(1)), Money | None),
        ((1, "a"), tuple[int, str]),
        ((1, 2), tuple),
        ({"b", "a"}, set[str]),
        ({1: "x"}, dict[int, str]),
        (b"\xff\x00", bytes),
        ([b"\xff"], list[bytes]),
        (Colour.RED, Colour),
        (Number.ONE, Number),
        (Pair(1, ("a",)), Pair),
        ({"when": dt.date(2026, 1, 2)}, DatedRow),
        (Customer(name="A", tags={"x", "y"}, money=[Money(Decimal("0.10"))], aliasName="z"), Customer),
        (_AWARE, dt.datetime),
        (_AWARE.astimezone(dt.timezone(dt.timedelta(hours=2))), dt.datetime),
        (_AWARE.replace(tzinfo=None), dt.datetime),
        (dt.timedelta(days=99999, microseconds=1), dt.timedelta),
        (uuid.UUID(int=7), uuid.UUID),
        (Path("a/b"), Path),
        (deque([1, 2]), deque[int]),
        (Derived(x=1, y=2), Base | Derived),
        (1, int | str),
        ("1", int | str),
        (Decimal("1.0"), Decimal | int),
        (-0.0, ABSENT),
        (AnyUrl("https://x.example/a"), AnyUrl),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_comes_back_as_it_was(value, annotation):
    """Same type, same contents, same text, all the way down."""
    found = round_trip(value, annotation)
    assert difference(value, found) is None
    assert str(found) == str(value) or isinstance(value, set | Customer)
    assert found == value


@pytest.mark.parametrize(
    ("value", "annotation", "path"),
    [
        ((1, 2), ABSENT, ""),
        ({"when": _AWARE}, ABSENT, "['when']"),
        ([1, {"x": {1}}], Any, "[1]['x']"),
        ({"x": Money(Decimal(1))}, dict, "['x']"),
        (float("nan"), float, ""),
        ([float("inf")], list[float], "[0]"),
        (Number.ONE, int, ""),
        (Text("x"), str, ""),
        (OrderedDict(a=1), dict, ""),
        (defaultdict(int, a=1), ABSENT, ""),
        ({1: "x"}, ABSENT, ""),
        (Decimal(1), float, ""),
        (Weight(1), Weight, "['kilos']"),
        (Derived(x=1, y=2), Base, ""),
        ("2026-01-02", dt.date, ""),
        ({"x": 1}, Base, ""),
        (object(), ABSENT, ""),
        (Odd.PAIR, Odd, ""),
        (Slotless(), Slotless, ""),
        (Hidden(x=2), Hidden, "['x']"),
        (dt.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")), dt.datetime, ""),
        ([1, 2], tuple[int, ...], ""),
        ({"a\ud800": 1}, ABSENT, ""),
        ((1, dt.date(2026, 1, 2)), tuple, "[1]"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_would_change_is_refused(value, annotation, path):
    """Where the way back gives another type or value, recording says so and where."""
    with pytest.raises(NotRecordable) as caught:
        to_json(value, annotation, where="f() -> …", hint="the way out")
    assert caught.value.path == "f() -> …" + path
    assert caught.value.hint == "the way out"


def test_a_private_attribute_that_would_be_lost_is_refused():
    """A model is more than its fields: private state that isn't the default cannot come back."""
    value = Private(x=1)
    assert round_trip(value, Private) == value
    value._seen = 3
    with pytest.raises(NotRecordable, match="_seen"):
        to_json(value, Private)


def test_the_error_of_a_lying_annotation_names_both():
    """A dict where a model was promised: the error shows the value and the type."""
    with pytest.raises(NotRecordable, match=r"\{'x': 1\}.*Base"):
        to_json({"x": 1}, Base)


def test_json_of_another_type_does_not_fit():
    """A golden whose answer the annotation no longer takes is reported with its place."""
    with pytest.raises(DoesNotFit, match=r"\['amount'\]"):
        from_json({"due": None}, Money)


def test_a_set_is_written_in_one_order():
    """As a value and as an argument: Python's order of a set is another in each process."""
    code = (
        "from pytest_sparrow.values.restore import to_json\n"
        "from pytest_sparrow.values.to_json import jsonable\n"
        "print(to_json({'b', 'a', 'd', 'c', 'e'}, set[str]))\n"
        "print(jsonable({'s': {'b', 'a', 'd', 'c', (1, 'x'), 7}}, where=''))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    (output,) = outputs
    assert output.startswith("['a', 'b', 'c', 'd', 'e']\n{'s': ")


def test_differences_that_python_calls_equal():
    """Equality of values is finer than ``==``."""
    for old, new in [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        (Decimal("1.0"), Decimal("1.00")),
        ({1}, {True}),
        ([Number.ONE], [1]),
        (defaultdict(int), defaultdict(list)),
        (deque([1], maxlen=3), deque([1])),
        (_AWARE.replace(fold=1), _AWARE),
    ]:
        assert old == new
        assert difference(old, new) is not None
        assert difference(old, old) is None


def test_annotations_are_resolved_where_the_function_stands():
    """Text annotations see the function's globals and closure; one that leads nowhere counts as absent."""

    class Local:
        pass

    def known() -> "list[Money]": ...

    def local() -> "Local":
        return Local()

    def unknown(x: "AlsoNowhere") -> "Nowhere": ...  # noqa: F821

    def half(x: "Nowhere") -> Money: ...  # noqa: F821

    assert return_annotation(known) == list[Money]
    assert return_annotation(local) is Local
    assert return_annotation(unknown) is ABSENT
    assert return_annotation(half) is Money
    assert return_annotation(max) is ABSENT


def test_what_counts_as_plain():
    """Types that JSON gives back as they are need no restoring; all others do."""
    for annotation in (
        str,
        None,
        Any,
        ABSENT,
        dict,
        list[dict[str, Any]],
        int | None,
        Row,
        Tree,
        OrderId,
    ):
        assert is_plain(annotation)
    for annotation in (
        tuple,
        set[str],
        dict[int, str],
        dict[str, Decimal],
        Money,
        DatedRow,
        Literal[Number.ONE],
        bytes,
    ):
        assert not is_plain(annotation)


_leaves = [
    (int, st.integers()),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (bool, st.booleans()),
    (str, st.text()),
    (bytes, st.binary(max_size=8)),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False, places=3)),
    (dt.date, st.dates()),
    (dt.datetime, st.datetimes(timezones=st.sampled_from([None, dt.UTC])).map(lambda at: at.replace(fold=0))),
    (dt.timedelta, st.timedeltas()),
    (uuid.UUID, st.uuids()),
    (Colour, st.sampled_from(Colour)),
    (Number, st.sampled_from(Number)),
    (
        Money,
        st.builds(
            Money, st.decimals(allow_nan=False, allow_infinity=False, places=2), st.none() | st.dates()
        ),
    ),
    (Pair, st.builds(Pair, st.integers(), st.lists(st.text(), max_size=2).map(tuple))),
    (Weight, st.builds(Weight, st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 3))),
    (Base, st.builds(Base, x=st.integers()) | st.builds(Derived, x=st.integers(), y=st.integers())),
]


@st.composite
def annotated(draw, depth=2):
    """A type, and a value of it (or nearly)."""
    if depth == 0:
        annotation, values = draw(st.sampled_from(_leaves))
        return annotation, draw(values)
    kind = draw(st.sampled_from(["leaf", "list", "tuple", "dict", "set", "optional", "union", "any"]))
    annotation, value = draw(annotated(depth=depth - 1))
    other, _ = draw(annotated(depth=0))
    match kind:
        case "list":
            return list[annotation], [value, value]
        case "tuple":
            return tuple[annotation, ...], (value,)
        case "dict":
            return dict[str, annotation], {draw(st.text()): value}
        case "set":
            leaf, values = draw(st.sampled_from(_leaves[:11]))
            return frozenset[leaf], draw(st.frozensets(values, max_size=3))
        case "optional":
            return annotation | None, draw(st.sampled_from([value, None]))
        case "union":
            return annotation | other, value
        case "any":
            return Any, value
    return annotation, value


@given(annotated())
def test_any_value_comes_back_or_is_refused(pair):
    """No value comes back as something else: either it is the same, or recording refuses it."""
    annotation, value = pair
    try:
        json = to_json(value, annotation)
    except NotRecordable:
        return
    found = from_json(decode(encode(json)), annotation)
    assert type(found) is type(value)
    assert found == value
    assert difference(value, found) is None


@given(st.sampled_from(_leaves[:14]).flatmap(lambda leaf: st.tuples(st.just(leaf[0]), leaf[1])))
def test_a_value_of_its_own_type_is_never_refused(pair):
    """The types that people annotate with most come back, whatever the value."""
    annotation, value = pair
    assert difference(value, round_trip(value, annotation)) is None
