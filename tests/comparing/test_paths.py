"""Paths: what is printed can be read, and copied into a rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.comparing.result import matches, parse, render
from pytest_sparrow.errors import UsageError

NAME = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
STEP = st.one_of(NAME.map("[{}".format), NAME.map(".{}".format))


@given(st.sampled_from(["ToolUseStarted", "request"]), NAME, st.lists(STEP, max_size=5))
def test_a_printed_path_reads_back_as_itself(root, label, steps):
    """Printing and reading are inverse for any names, and what is printed is printable."""
    path = (root, "[" + label, *(step for step in steps if not step[1:].isdecimal()))
    printed = render(path)
    assert printed.isprintable()
    if not label.isdecimal():
        assert parse(printed) == path
        assert all(map(matches, parse(printed), path))


def test_fields_are_dotted_and_data_is_in_brackets():
    """The spelling that DESIGN fixes."""
    assert render(("ToolUseStarted", "[refund", ".args", ".lines", "[", ".qty")) == (
        "ToolUseStarted[refund].args['lines'][]['qty']"
    )
    assert render(("request", ".messages", "[system", ".content")) == "request.messages[system].content"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("request.messages[0].content", "no indices"),
        ("ToolOutput[refund].blocks[12]", "no indices"),
        ("", "is no path"),
        ("a b", "can't be read"),
        ("ToolUseStarted[refund", "can't be read"),
        ("['args']", "is no path"),
    ],
)
def test_what_is_no_path_is_refused_with_an_example(text, said):
    """A wrong path is a usage error that shows a right one."""
    with pytest.raises(UsageError, match=said) as error:
        parse(text)
    assert "ToolUseStarted[refund].args['amount']" in str(error.value)


@pytest.mark.parametrize(
    ("pattern", "step", "fits"),
    [
        (".amount", ".amount", True),
        (".amount", "[amount", False),
        (".am*", ".amount", True),
        (".*", "[amount", False),
        ("[*", "[x", True),
        ("[", "[system", True),
        ("[user", "[", False),
        (".a.c", ".abc", False),
    ],
)
def test_a_star_matches_within_a_step(pattern, step, fits):
    """``*`` stands for any run of characters of one step, ``[]`` for any element, and a dot for a dot."""
    assert matches(pattern, step) is fits
