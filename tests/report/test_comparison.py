"""A comparison as text: in the order that DESIGN fixes, and bounded."""

from __future__ import annotations

import pytest

from pytest_sparrow.comparing import compare
from pytest_sparrow.events import parse_event
from pytest_sparrow.report.comparison import MOST_LINES, headline, render_comparison

RUN = "run-0001"


def event(kind, /, **fields):
    return parse_event({"type": kind, "run": RUN, **fields})


def call(own_id, name, args, out="ok"):
    return [
        event("ToolUseProposed", id=own_id, name=name, args=args, risk="Mutating"),
        event("ToolUseStarted", id=own_id, name=name, args=args),
        event("ToolOutput", id=own_id, blocks=[{"Text": out}], is_error=False),
    ]


def says(text):
    return event("Message", role="assistant", text=text)


REFUND = [event("RunStarted", task="t", agent="a"), *call("c1", "refund", {"amount": 39.99}), says("done")]


def with_amount(amount, out):
    return [*REFUND[:2], *call("c1", "refund", {"amount": amount}, out)[1:], says("done")]


def test_the_refund_reads_as_in_the_design():
    """What, the caller's header, where, path and values, what follows, the commands; nothing else."""
    comparison = compare(REFUND, with_amount(139.99, "no answer"))
    lines = render_comparison(
        comparison,
        header=["  test    test_refund.py::test_refund"],
        commands=["  accept  pytest --sparrow-record"],
        also_follow={"request drift": 1},
    )
    assert lines == [
        "refund was called with other arguments",
        "  test    test_refund.py::test_refund",
        "  where   turn 1 of 2, event 3 of 5",
        "  ToolUseStarted[refund].args['amount']",
        "    golden  39.99",
        "    new     139.99",
        "  2 more differences follow from this (ToolOutput 1, request drift 1)",
        "  accept  pytest --sparrow-record",
    ]


def test_equal_runs_are_one_line():
    """There is nothing to tell."""
    assert render_comparison(compare(REFUND, list(REFUND))) == ["the runs are equal"]


@pytest.mark.parametrize("count", [3, 7, 8, 300])
def test_a_report_is_bounded_and_counts_the_rest(count):
    """However many changes there are, 25 lines tell the first ones and how many there are more."""
    golden = [each for n in range(count) for each in call(f"c{n}", f"tool_{n}", {"n": 1000 + n}, "x")]
    new = [each for n in range(count) for each in call(f"c{n}", f"tool_{n}", {"n": 5000 + n * n}, "x")]
    comparison = compare(golden, new)
    lines = render_comparison(comparison, header=["  test  x"], commands=["  one", "  two"])
    assert len(lines) <= MOST_LINES
    assert lines[-2:] == ["  one", "  two"]
    told = sum(line.startswith("    new ") for line in lines)
    rest = [line for line in lines if "more difference" in line and "follow" not in line]
    assert told + sum(int(line.split()[0]) for line in rest) == len(comparison.roots) == count
    assert lines[-3] == f"  {count} more differences follow from this (ToolUseStarted {count})"


def test_everything_is_shown_when_asked_for():
    """With `everything` followers are told in full, marked as such, without a bound."""
    comparison = compare(REFUND, with_amount(139.99, "no answer"))
    lines = render_comparison(comparison, everything=True, limit=None)
    assert "  ToolOutput[refund].blocks[]['Text']  (turn 1 of 2, event 4 of 5; follows)" in lines
    assert sum(line.startswith("    new ") for line in lines) == len(comparison.changes)


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (
            [REFUND[0], *call("c1", "refund", {"amount": 1}), says("done")],
            "the model proposed refund with other arguments",
        ),
        ([REFUND[0], says("done")], "refund was not called"),
        (
            [*REFUND[:4], *call("c2", "notify", {}), says("done")],
            "notify was called, where the golden has no such call",
        ),
        ([*REFUND[:3], *call("c1", "x", {}, "other")[2:], says("done")], "refund gave another output"),
        ([*REFUND[:2], says("done")], "refund was proposed and not run"),
        ([*REFUND[:3], says("done")], "refund gave no output"),
        ([*REFUND[:4], says("gone")], "the assistant said something else"),
        ([event("RunStarted", task="u", agent="a"), *REFUND[1:]], "the run was given another task"),
        ([*REFUND, event("Error", message="x")], "Error is new"),
        (REFUND[:4], "Message is missing"),
    ],
)
def test_the_first_line_says_what_happened(new, said):
    """In the words of someone who watches the agent, not of the format."""
    assert headline(compare(REFUND, new)) == said


def test_an_order_that_changed_is_told_as_such():
    """A call that moved: where it was and where it is now."""
    one, other = call("c1", "look", {}), call("c2", "pay", {})
    lines = render_comparison(compare([*one, *other], [*other, *one]))
    assert lines[0] == "look was called in another order"
    assert lines[1] == "  where   turn 1 of 2, event 1 of 6; now event 4 of 6"


def test_hostile_names_stay_on_their_line():
    """A tool's name with escapes and line ends can't forge lines or colours."""
    golden = call("c1", "ev\x1b[2Jil\n\u202e", {"a\n": 1})
    lines = render_comparison(compare(golden, call("c1", "ev\x1b[2Jil\n\u202e", {"a\n": 2})))
    assert all(line.isprintable() for line in lines)
    assert lines[0].startswith("the model proposed ev\\x1b[2Jil\\n\\u202e")
