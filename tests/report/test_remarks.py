"""Remarks in the summary: each once, and not too many."""

from pytest_sparrow.report.remarks import MOST_LINES, aside_lines, remark_lines


def test_equal_remarks_are_one_line():
    """It names the first test, and how many more say the same; a test that says it twice counts once."""
    remarks = [
        ("t.py::a[1]", "drifted"),
        ("t.py::b", "ran"),
        ("t.py::a[2]", "drifted"),
        ("t.py::a[2]", "drifted"),
    ]
    assert remark_lines(remarks) == ["t.py::a[1] and 1 more test: drifted", "t.py::b: ran"]


def test_other_remarks_are_bounded():
    """What is left out is counted, and the tests that it is about; the last line is one of the bounded."""
    remarks = [(f"t.py::a[{test}]", f"remark {number}") for number in range(30) for test in range(number + 1)]
    lines = remark_lines(remarks)
    assert len(lines) == MOST_LINES
    assert lines[:2] == ["t.py::a[0]: remark 0", "t.py::a[0] and 1 more test: remark 1"]
    assert lines[-1] == "… and 11 more remarks of 30 tests"
    assert len(remark_lines(remarks[: sum(range(MOST_LINES + 1))])) == MOST_LINES
    assert not any(line.startswith("…") for line in remark_lines(remarks[: sum(range(MOST_LINES + 1))]))


def test_a_remark_is_one_printable_line():
    """A tool's name comes from a model: nothing of it reaches the terminal raw."""
    (line,) = remark_lines([("t.py::a", "x\x1b[31m\ny: proposed once")])
    assert line.isprintable()


def test_recordings_that_were_not_kept_are_one_line():
    """One says its folder; of several the folder that holds them is named, once."""
    one, other = ("t.py::a", "/g/.pending/a.1"), ("t.py::b", "/g/.pending/b.2")
    assert aside_lines([]) == []
    assert aside_lines([one]) == [
        "t.py::a: not recorded, since the test did not pass; put aside in /g/.pending/a.1"
    ]
    assert aside_lines([one, other]) == [
        "t.py::a and 1 more test: not recorded, since they did not pass; put aside below /g/.pending"
    ]
