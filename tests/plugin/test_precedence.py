"""Who decides the mode, what excludes what, and wrong values."""

import pytest
from inner_runs import TOOL_TEST

from plugin.wrong_markers import said_of_markers

SAYS = """
    import pytest

    @pytest.mark.sparrow(mode="off")
    def test_marked(sparrow):
        print("marked:", sparrow.mode)

    def test_plain(sparrow):
        print("plain:", sparrow.mode)
"""


@pytest.mark.parametrize(
    ("options", "environ", "ini", "marked", "plain", "header"),
    [
        ((), "", "", "off", "replay", "sparrow: replay"),
        ((), "", "off", "off", "off", "sparrow: off (from pytest.ini: sparrow_mode)"),
        ((), "off", "record", "off", "off", "sparrow: off (from SPARROW_MODE)"),
        ((), "record", "", "off", "record", "sparrow: record (from SPARROW_MODE)"),
        (("--sparrow-mode=off",), "record", "new", "off", "off", "sparrow: off"),
        (("--sparrow-record",), "off", "off", "record", "record", "sparrow: record"),
    ],
)
def test_precedence(inner, options, environ, ini, marked, plain, header):
    """Command line, then marker, then SPARROW_MODE, then ini, then replay."""
    inner.write("test_it.py", SAYS)
    inner.write("pytest.ini", f"[pytest]\nsparrow_mode = {ini}\n")
    if environ:
        inner.env(SPARROW_MODE=environ)
    result = inner.run(*options, "-s")
    lines = result.stdout.lines
    assert header in lines
    assert any(f"marked: {marked}" in line for line in lines)
    # Without a golden the body of a replay does not run.
    assert any(f"plain: {plain}" in line for line in lines) is (plain != "replay")


@pytest.mark.parametrize(
    ("options", "environ", "ini", "says"),
    [
        (
            ("--sparrow-record", "--sparrow-replay"),
            "",
            "",
            "*--sparrow-record and --sparrow-replay exclude each other*",
        ),
        (
            ("--sparrow-record", "--sparrow-mode=off"),
            "",
            "",
            "*--sparrow-record and --sparrow-mode=off exclude each other*",
        ),
        (("--sparrow-mode=play",), "", "", "*--sparrow-mode: 'play' is not one of: replay, record, new*off*"),
        ((), "play", "", "*SPARROW_MODE: 'play' is not one of: replay, record, new*off*"),
        (
            (),
            "",
            "sparrow_mode = play",
            "*pytest.ini: sparrow_mode: 'play' is not one of: replay, record, new*off*",
        ),
    ],
)
def test_wrong_values_are_usage_errors(inner, options, environ, ini, says):
    """A wrong value, or options that exclude each other: exit code 4, its origin and the valid values, no test run."""
    inner.write("test_it.py", TOOL_TEST)
    inner.write("pytest.ini", f"[pytest]\n{ini}\n")
    if environ:
        inner.env(SPARROW_MODE=environ)
    result = inner.refused(*options)
    assert result.ret == 4
    result.stderr.fnmatch_lines([says])
    assert "Traceback" not in result.stderr.str()
    result.stdout.no_fnmatch_line("*test_it*")


WRONG = [
    (
        "mode='play'",
        "test_it.py::test_*: @pytest.mark.sparrow: mode: 'play' is not one of: replay, record, new*off*",
    ),
    (
        "level=3",
        "test_it.py::test_*: @pytest.mark.sparrow: level: 3 is not one of: exact, trajectory, outcome*",
    ),
    (
        "colour='red'",
        "test_it.py::test_*: @pytest.mark.sparrow: unknown setting 'colour'; there are: agent, *mode*",
    ),
    ("'record'", "test_it.py::test_*: @pytest.mark.sparrow takes keywords only*"),
    (
        "ignore=3",
        "test_it.py::test_*: @pytest.mark.sparrow: ignore: 3 is not a string or a list of strings*",
    ),
    ("agent=3", "test_it.py::test_*: @pytest.mark.sparrow: agent: 3 is not a string*"),
    (
        "in_process='no'",
        "test_it.py::test_*: @pytest.mark.sparrow: in_process: 'no' is not true or false*",
    ),
]
"""Wrong markers, and how they are reported."""


def test_wrong_markers_are_usage_errors(inner):
    """A wrong marker is found when tests are collected: exit code 4, the test and the valid values named, none run."""
    said = said_of_markers(inner, [f"sparrow({marker})" for marker, _ in WRONG])
    for (_, says), text in zip(WRONG, said, strict=True):
        pytest.LineMatcher([text]).fnmatch_lines([says])


@pytest.mark.parametrize(
    ("origin", "word"),
    [
        ("pytest.ini: sparrow_mode", "record"),
        ("SPARROW_MODE", "new"),
        ("@pytest.mark.sparrow", "record"),
        ("@pytest.mark.sparrow", "new"),
    ],
)
def test_ci_refuses_what_nobody_typed(inner, origin, word):
    """Under CI a mode that writes, said anywhere but on the command line: exit code 4, and nothing is written."""
    inner.env(CI="true")
    marker = f"@__import__('pytest').mark.sparrow(mode='{word}')" if "mark" in origin else ""
    inner.write("test_it.py", f"{marker}\ndef test_it(sparrow): sparrow.call('f', int)\n")
    inner.write("pytest.ini", f"[pytest]\nsparrow_mode = {word if 'ini' in origin else ''}\n")
    if origin == "SPARROW_MODE":
        inner.env(SPARROW_MODE=word)
    result = inner.refused()
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        [f"*{origin}: mode '{word}' writes goldens, and CI is set: *--sparrow-mode={word}*"]
    )
    assert inner.files() == {}


def test_ci_lets_the_command_line_write(inner):
    """Under CI the command line may record; and where it says replay, no marker or ini is asked about writing."""
    inner.env(CI="true")
    inner.write("test_it.py", TOOL_TEST)
    inner.run("--sparrow-record").assert_outcomes(passed=1)
    assert inner.goldens() == ["__sparrow__/test_it/test_add"]
    inner.write(
        "test_it.py",
        TOOL_TEST.replace("def test", "@__import__('pytest').mark.sparrow(mode='new')\n    def test"),
    )
    inner.env(SPARROW_MODE="record")
    inner.replay().assert_outcomes(passed=1)
    inner.env(CI="false")
    inner.run().assert_outcomes(passed=1)
