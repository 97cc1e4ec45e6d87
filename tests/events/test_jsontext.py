"""Lossless JSON: what goes out comes back, what could not is refused with its path."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
from collections import OrderedDict
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.strategies import json_values, nested
from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events import jsontext
from pytest_sparrow.events.jsontext import BrokenJson, canonical, decode, digest, encode, equal, pretty


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.StrEnum):
    RED = "red"


class Size(enum.IntEnum):
    BIG = 3


CIRCLE: list = []
CIRCLE.extend([CIRCLE, CIRCLE, CIRCLE])

REFUSED = [
    ((1, 2), "$"),
    (Point(1, 2), "$"),
    ({"when": [1, 2, {3}]}, "$['when'][2]"),
    ({"a": {1: "x"}}, "$['a']"),
    ({"a": {True: "x"}}, "$['a']"),
    ([float("nan")], "$[0]"),
    ([0.0, float("-inf")], "$[1]"),
    ({"a": "\ud800"}, "$['a']"),
    ({"\udfff": 1}, "$"),
    ([b"x"], "$[0]"),
    ([dt.date(2026, 1, 1)], "$[0]"),
    ([decimal.Decimal("1.5")], "$[0]"),
    ([object()], "$[0]"),
    ([10**5000], "$[0]"),
    ({"a": CIRCLE}, "$['a'][0]"),
    ((value for value in [1]), "$"),
]


@pytest.mark.parametrize(("value", "path"), REFUSED, ids=[str(number) for number in range(len(REFUSED))])
def test_what_would_come_back_as_something_else_is_refused_with_its_path(value, path):
    """A value that JSON can't hold faithfully is refused, never converted, and the path names it."""
    with pytest.raises(NotRecordable) as caught:
        encode(value)
    assert caught.value.path == path


def test_the_path_starts_where_the_caller_says():
    """``where`` is what the path in an error starts with."""
    with pytest.raises(NotRecordable, match=r"^refund\(amount\)\['when'\]\[0\]: "):
        encode({"when": [()]}, where="refund(amount)")


def test_a_generator_is_refused_before_anything_is_taken_from_it():
    """Refusing a value must not use it up."""
    values = iter([1, 2])
    with pytest.raises(NotRecordable):
        encode({"a": values})
    assert next(values) == 1


def test_depth_is_limited_at_100_for_writing_and_at_128_for_reading():
    """100 levels can be written, 128 can be read, one more is refused either way."""
    assert decode(encode(nested(100))) == nested(100)
    with pytest.raises(NotRecordable, match="deeper than 100"):
        encode(nested(101))
    assert decode("[" * 128 + "]" * 128)
    with pytest.raises(BrokenJson, match="deeper than 128"):
        decode("[" * 129 + "]" * 129)
    with pytest.raises(BrokenJson, match="deeper than 128"):
        decode("[" * 100_000)


def test_an_empty_container_counts_as_a_level():
    """The 101st level is refused even where it holds nothing."""
    value: list = []
    for _ in range(99):
        value = [value]
    assert decode(encode(value)) == value
    with pytest.raises(NotRecordable):
        encode([value])


def test_subclasses_are_written_as_what_they_are_equal_to():
    """A StrEnum, an IntEnum, an OrderedDict come back equal, so they may be written."""
    value = OrderedDict(a=Colour.RED, b=[Size.BIG, True])
    assert encode(value) == b'{"a":"red","b":[3,true]}'
    assert decode(encode(value)) == value


def test_one_object_in_two_places_is_no_circle():
    """An object in two places is fine; only a circle is refused."""
    shared = {"x": [1]}
    assert encode([shared, shared]) == b'[{"x":[1]},{"x":[1]}]'


@given(json_values)
def test_what_is_written_reads_back_equal_in_value_and_order(value):
    """decode(encode(x)) is x, with the types of numbers, the order of keys and every character."""
    data = encode(value)
    back = decode(data)
    assert equal(back, value)
    assert json.dumps(back) == json.dumps(value)
    assert b"\n" not in data
    assert equal(decode(pretty(value)), value)


@given(json_values)
def test_the_fast_and_the_careful_reader_agree(value):
    """Which reader takes a text is a matter of speed only."""
    data = encode(value)
    assert json.dumps(jsontext._decode_carefully(data)) == json.dumps(decode(data))


BROKEN = [
    ("NaN", "no JSON number"),
    ("[Infinity]", "no JSON number"),
    ('{"a":-Infinity}', "no JSON number"),
    ("1e400", "too big"),
    ('[{"a":1,"b":2,"a":1}]', "'a' stands twice"),
    ('[ {"a b": 1, "a b": 1} ]', "'a b' stands twice"),
    ("[ 1, 1e400 ]", "too big"),
    ("[ " * 129 + "] " * 129, "deeper than 128"),
    ('"\\ud800"', "lone surrogate"),
    ('"\ud800"', "UTF-8"),
    ("\ufeff1", "byte order mark"),
    (b"\xef\xbb\xbf1", "byte order mark"),
    (b'"\xff"', "0xff is not UTF-8"),
    (b'"\xed\xa0\x80"', "UTF-8"),
    ('"\t"', "control character"),
    ("[1,!]", "column 4"),
    ("1 2", "column 3"),
    ("", "column 1"),
    ("{'a':1}", "column 2"),
    ("1" * 5000, "4300 digits"),
]


@pytest.mark.parametrize(("text", "reason"), BROKEN, ids=[str(number) for number in range(len(BROKEN))])
def test_what_readers_would_change_silently_is_broken(text, reason):
    """NaN, 1e400, duplicate keys, surrogates, marks and bad bytes are refused, not read as something else."""
    with pytest.raises(BrokenJson, match=reason):
        decode(text)


def test_integers_of_any_size_are_read_exactly():
    """No integer passes through a double."""
    assert decode("[18446744073709551615,9007199254740993,-1180591620717411303425]") == [
        2**64 - 1,
        9007199254740993,
        -(2**70) - 1,
    ]


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (True, 1, False),
        (False, 0, False),
        (1, 1.0, True),
        (0, -0.0, True),
        (None, 0, False),
        ("1", 1, False),
        (10**16, 1e16, True),
        (9007199254740993, 9007199254740992.0, False),
        ([1, [True]], [1.0, [1]], False),
        ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}, True),
        ({"a": True}, {"a": True}, True),
        ([], {}, False),
        ("ver 1.0", "ver 1", False),
    ],
)
def test_json_identity(a, b, same):
    """True ≠ 1, 1 = 1.0, -0 = 0, big integers and doubles are compared exactly."""
    assert equal(a, b) is same
    assert (canonical(a) == canonical(b)) is same
    assert (digest(a) == digest(b)) is same


numbers = st.sampled_from([0, 1, 2**53, 2**53 + 1, 10**16, 10**17]).flatmap(
    lambda number: st.sampled_from(
        [number, float(number), -number, bool(number), str(number), float(number) + 0.5]
    )
)
close_values = st.recursive(
    numbers,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)


@given(close_values, close_values)
def test_equal_values_and_only_they_have_one_canonical_spelling(a, b):
    """equal(a, b) exactly where canonical(a) == canonical(b)."""
    assert equal(a, b) == (canonical(a) == canonical(b))
    assert equal(a, b) == equal(b, a)


def test_a_broken_text_pickles():
    """pytest-xdist sends exceptions between processes."""
    import pickle

    error = pickle.loads(pickle.dumps(BrokenJson("odd", 3)))
    assert (error.reason, error.column, str(error)) == ("odd", 3, "odd (column 3)")
