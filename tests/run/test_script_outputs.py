"""From an output's blocks back to what a wrapped tool gives or raises."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_sparrow.providers.codec import Output
from pytest_sparrow.run.whatif.replayer import answered_of
from pytest_sparrow.values.restore import ABSENT, as_declared


@pytest.mark.parametrize(
    ("blocks", "returned"),
    [
        ([], None),
        ([{"Json": {"a": 1}}], {"a": 1}),
        ([{"Json": None}], None),
        ([{"Text": "a"}], "a"),
        ([{"Text": "a"}, {"Text": "b"}], "a\nb"),
        ([{"Text": "a"}, {"Json": 1}], ["a", 1]),
        ([{"Diff": {"file": "a", "patch": "b"}}], {"file": "a", "patch": "b"}),
    ],
)
def test_what_a_tool_returns(blocks, returned):
    """A value is itself, a text a str, texts are lines, a mixture is a list."""
    assert answered_of(Output("1", blocks=blocks))["returned"] == returned


@pytest.mark.parametrize(
    ("block", "annotation", "value"),
    [
        ({"Json": {"a": 1}}, str, '{"a":1}'),
        ({"Json": {"a": 1}}, dict, {"a": 1}),
        ({"Json": {"a": 1}}, ABSENT, {"a": 1}),
        ({"Text": "3"}, int, 3),
        ({"Text": "3"}, str, "3"),
        ({"Text": "3"}, Any, "3"),
        ({"Text": "[1]"}, list[int], [1]),
        ({"Json": {"a": 1}}, int, {"a": 1}),
        ({"Text": "plain"}, int, "plain"),
    ],
)
def test_the_declared_type_settles_what_events_leave_open(block, annotation, value):
    """Text of JSON, or the value: whichever the tool says it returns; as the block has it where neither is."""
    answered = answered_of(Output("1", blocks=[block]))
    read = answered["returned"]
    if "otherwise" in answered:
        read = as_declared(read, answered["otherwise"], annotation)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("ValueError: no", "ValueError", "no"),
        ("app.errors.Refused: a: b", "app.errors.Refused", "a: b"),
        ("denied by the user", "", "denied by the user"),
        ("F.\nE assert", "", "F.\nE assert"),
    ],
)
def test_what_a_tool_raises(text, kind, message):
    """``Type: message`` names the exception; any other text is one without a type."""
    raised = answered_of(Output("1", blocks=[{"Text": text}], is_error=True))["raised"]
    assert raised == {"type": kind, "module": "", "message": message}
