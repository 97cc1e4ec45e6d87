"""Findings as plain text: in the order that DESIGN fixes, and bounded."""

from __future__ import annotations

import pytest

from pytest_sparrow.comparing import compare
from pytest_sparrow.events import parse_event
from pytest_sparrow.findings import Finding, Kind, Subject, Verdict, Way, WayKind, of_change
from pytest_sparrow.report.plain import MOST_LINES, render_comparison, render_verdict
from pytest_sparrow.report.summary import MOST_REMARKS, summary_lines
from pytest_sparrow.report.words import title

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
    """What, the test, the golden, where, path and values, what follows, the commands; nothing else."""
    comparison = compare(REFUND, with_amount(139.99, "no answer"))
    verdict = Verdict(
        subject=Subject(nodeid="test_refund.py::test_refund", golden="__sparrow__/test_refund"),
        findings=(
            *(of_change(change, comparison) for change in comparison.changes),
            Finding(kind=Kind.DRIFT, follows=True),
        ),
        ways=(Way(WayKind.ACCEPT, ("test_refund.py::test_refund",)), Way(WayKind.IGNORE, ("a.b['c']",))),
    )
    assert render_verdict(verdict).splitlines() == [
        "refund was called with other arguments",
        "  test    test_refund.py::test_refund",
        "  golden  __sparrow__/test_refund",
        "  where   turn 1 of 2, event 3 of 5",
        "  ToolUseStarted[refund].args['amount']",
        "    golden  39.99",
        "    new     139.99",
        "  2 more differences follow from this (ToolOutput 1, request drift 1)",
        "  accept  pytest --sparrow-update test_refund.py::test_refund",
        """  ignore  @pytest.mark.sparrow(ignore=["a.b['c']"])""",
    ]


def test_equal_runs_are_one_line():
    """Equal runs have nothing to report."""
    assert render_comparison(compare(REFUND, list(REFUND))) == ["the runs are equal"]


@pytest.mark.parametrize("count", [3, 7, 8, 300])
def test_a_report_is_bounded_and_counts_the_rest(count):
    """However many changes there are, 25 lines show the first ones and how many there are more."""
    golden = [each for n in range(count) for each in call(f"c{n}", f"tool_{n}", {"n": 1000 + n}, "x")]
    new = [each for n in range(count) for each in call(f"c{n}", f"tool_{n}", {"n": 5000 + n * n}, "x")]
    comparison = compare(golden, new)
    lines = render_comparison(comparison, header=["  test  x"], commands=["  one", "  two"])
    assert len(lines) <= MOST_LINES
    assert lines[-2:] == ["  one", "  two"]
    shown = sum(line.startswith("    new ") for line in lines)
    rest = [line for line in lines if "more difference" in line and "follow" not in line]
    assert shown + sum(int(line.split()[0]) for line in rest) == len(comparison.roots) == count
    assert lines[-3] == f"  {count} more differences follow from this (ToolUseStarted {count})"


def test_everything_is_shown_when_asked_for():
    """With `everything` followers are shown in full, marked as such, without a bound."""
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
    comparison = compare(REFUND, new)
    assert render_comparison(comparison)[0] == title(of_change(comparison.roots[0])) == said


def test_an_order_that_changed_is_reported_as_such():
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


def remark(text):
    return Finding(kind=Kind.UNREAD, case="codec", detail={"text": text})


def test_equal_remarks_are_one_line():
    """The line names the first test, and how many more have the remark; a test that has it twice counts once."""
    remarks = [
        ("t.py::a[1]", remark("drifted")),
        ("t.py::b", remark("ran")),
        ("t.py::a[2]", remark("drifted")),
        ("t.py::a[2]", remark("drifted")),
    ]
    assert summary_lines(remarks) == ["t.py::a[1] and 1 more test: drifted", "t.py::b: ran"]


def test_other_remarks_are_bounded():
    """What is left out is counted, and the tests that it is about; the last line is one of the bounded."""
    remarks = [
        (f"t.py::a[{test}]", remark(f"remark {number}")) for number in range(30) for test in range(number + 1)
    ]
    lines = summary_lines(remarks)
    assert len(lines) == MOST_REMARKS
    assert lines[:2] == ["t.py::a[0]: remark 0", "t.py::a[0] and 1 more test: remark 1"]
    assert lines[-1] == "… and 11 more remarks of 30 tests"
    few = summary_lines(remarks[: sum(range(MOST_REMARKS + 1))])
    assert len(few) == MOST_REMARKS
    assert not any(line.startswith("…") for line in few)


def test_a_remark_is_one_printable_line():
    """A tool's name comes from a model: nothing of it reaches the terminal raw."""
    (line,) = summary_lines([("t.py::a", remark("x\x1b[31m\ny: proposed once"))])
    assert line.isprintable()


def test_recordings_that_were_not_kept_are_one_line():
    """One recording is named with its folder; several are named once, by the folder that holds them, at the end."""
    one, other = (
        (nodeid, Finding(kind=Kind.NOT_KEPT, detail={"folder": folder}))
        for nodeid, folder in (("t.py::a", "/g/.pending/a.1"), ("t.py::b", "/g/.pending/b.2"))
    )
    assert summary_lines([]) == []
    assert summary_lines([one]) == [
        "t.py::a: not recorded, since the test did not pass; left unfinished in /g/.pending/a.1"
    ]
    assert summary_lines([one, ("t.py::c", remark("ran")), other]) == [
        "t.py::c: ran",
        "t.py::a and 1 more test: not recorded, since they did not pass; left unfinished below /g/.pending",
    ]
