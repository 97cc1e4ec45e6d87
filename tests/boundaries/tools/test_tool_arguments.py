"""How a call's arguments are written down."""

import dataclasses
import datetime as dt
import enum
import functools
import re
import uuid
from collections import OrderedDict, deque
from decimal import Decimal
from pathlib import PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, SecretStr

from boundaries.tools.fake_run import opened
from pytest_sparrow.boundaries.tools import ToolOptions, wrap
from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events.jsontext import decode, encode
from pytest_sparrow.values.to_json import jsonable


class Colour(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


@dataclasses.dataclass
class Address:
    street: str
    tags: frozenset[str] = frozenset()


class Customer(BaseModel):
    name: str
    address: Address
    token: SecretStr = SecretStr("s3cret")


class Point(NamedTuple):
    x: int
    y: int


def asked(fn, *args, ignore=(), **kwargs):
    with opened() as run:
        wrap(fn, ToolOptions(name="tool", ignore=ignore))(*args, **kwargs)
    return run.only.asked["args"]


def refund(order, amount=10, *lines, reason=None, **more):
    return None


def test_spelling_does_not_matter():
    """Positional, by keyword and left to the default are one and the same call."""
    expected = {"order": 1, "amount": 10, "reason": None}
    assert asked(refund, 1) == asked(refund, order=1) == asked(refund, 1, 10, reason=None) == expected
    assert list(asked(refund, reason=None, order=1)) == ["order", "amount", "reason"]


def test_star_arguments():
    """``*args`` stand under their name; ``**kwargs`` under each one's own, or together where names clash."""
    assert asked(refund, 1, 2, 3, 4)["lines"] == [3, 4]
    assert asked(refund, 1, colour="red")["colour"] == "red"

    def odd(order, /, **more):
        return None

    assert asked(odd, 1, order=2) == {"order": 1, "more": {"order": 2}}


def test_ignored_parameters_are_left_out():
    """``ignore=`` leaves a parameter out however it is passed, and out of ``**kwargs`` too."""
    assert asked(refund, 1, object(), ignore=("amount",)) == {"order": 1, "reason": None}
    assert "ctx" not in asked(refund, 1, ctx=object(), ignore=("ctx",))


def test_a_default_without_a_form_in_json_is_left_out():
    """A sentinel as default is the function's own affair; passed by the agent it is known by its class."""
    unset = object()

    def search(q, limit=unset):
        return None

    assert asked(search, "x") == {"q": "x"}
    assert asked(search, "x", unset) == {"q": "x", "limit": {"class": "object"}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Colour.RED, "red"),
        (Number.ONE, 1),
        (True, True),
        ((1, [2]), [1, [2]]),
        ({"b", "a"}, ["a", "b"]),
        (b"\xff", {"base64": "/w=="}),
        (Decimal("1.50"), "1.50"),
        (dt.date(2026, 11, 1), "2026-11-01"),
        (dt.timedelta(minutes=1), 60.0),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (PurePosixPath("a/b"), "a/b"),
        (PureWindowsPath("a\\b"), "a/b"),
        (re.compile("x+"), "x+"),
        (Address("Main", frozenset({"z", "y"})), {"street": "Main", "tags": ["y", "z"]}),
        (Point(1, 2), {"x": 1, "y": 2}),
        (OrderedDict(a=1), {"a": 1}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        ({1: "a", Colour.RED: "b", dt.date(2026, 1, 2): "c"}, {"1": "a", "red": "b", "2026-01-02": "c"}),
        (deque([1]), [1]),
        (range(3), [0, 1, 2]),
        ({"a": 1}.keys(), ["a"]),
        ({"a": 1}.values(), [1]),
        (AnyUrl("https://x.example/"), "https://x.example/"),
        (
            Customer(name="A", address=Address("Main")),
            {"name": "A", "address": {"street": "Main", "tags": []}, "token": "**********"},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_type_has_one_form(value, expected):
    """The form depends on the value's own type alone, and is JSON."""
    found = jsonable(value, where="x")
    assert found == expected
    assert decode(encode(found)) == found


def _circular():
    found = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    ("value", "path", "word"),
    [
        (object(), "x", "object"),
        ({"a": [1, print]}, "x['a'][1]", "builtin_function_or_method"),
        (Address(street=object()), "x['street']", "object"),
        ([float("nan")], "x[0]", "nan"),
        ({"k": float("inf")}, "x['k']", "inf"),
        ("a\ud800", "x", "surrogate"),
        ({"a\ud800": 1}, "x", "surrogate"),
        ({1: "a", "1": "b"}, "x", "two keys"),
        ({(1, 2): "a"}, "x", "tuple"),
        (iter([1]), "x", "list_iterator"),
        (int, "x", "type"),
        (OSError("x"), "x", "OSError"),
    ],
)
def test_what_json_cannot_hold_is_refused_by_path(value, path, word):
    """The error names the place and the type."""
    with pytest.raises(NotRecordable) as caught:
        jsonable(value, where="x")
    assert caught.value.path == path
    assert word in caught.value.reason


def test_a_circular_argument_is_refused():
    """A structure that holds itself ends in an error, not in a crash."""
    with pytest.raises(NotRecordable, match="refers back to itself"):
        jsonable(_circular(), where="x")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(_json)
def test_json_is_written_as_it_is(value):
    """A value of JSON types only is written as itself, as a copy."""
    found = jsonable(value, where="x")
    assert found == value
    assert repr(found) == repr(value)
    if value and isinstance(value, list | dict):
        assert found is not value


def test_what_a_partial_holds_by_position_is_no_argument():
    """``partial(refund, client)`` hides its client; what it holds by keyword is a default."""

    class Client:
        def refund(self, order, amount, reason):
            return None

    assert asked(functools.partial(Client.refund, object(), 1, reason="x"), amount=2) == {
        "amount": 2,
        "reason": "x",
    }
