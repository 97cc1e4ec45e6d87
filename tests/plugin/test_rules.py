"""DeepDiff's words as settings: by ini, by marker and for a folder."""

import pytest

TOOL = """
    from pathlib import Path

    def refund(order, note, price): return {"seen": [1, 2] if RECORDS else [2, 1]}

    RECORDS = not Path("__sparrow__").exists()

    MARK
    def test_it(sparrow):
        tool = sparrow.tool(refund)
        sparrow.call("quote", lambda: 1)
        tool("1234", "Please" if RECORDS else "PLEASE", 1.0 if RECORDS else 1.04)
"""


def differing(inner, mark="", ini=""):
    inner.write("test_it.py", TOOL.replace("MARK", mark))
    inner.write("pytest.ini", f"[pytest]\n{ini}\n")
    inner.record().assert_outcomes(passed=1)
    return inner.replay()


@pytest.mark.parametrize(
    ("mark", "ini"),
    [
        ("", "sparrow_ignore_string_case = true\nsparrow_significant_digits = 1"),
        ("@__import__('pytest').mark.sparrow(ignore_string_case=True, significant_digits=1)", ""),
        ("", "sparrow_exclude_paths =\n  ToolUse*[refund].args['note']\n  ToolUse*[refund].args['price']"),
        ("", "sparrow_exclude_regex_paths = \\['(note|price)'\\]"),
    ],
    ids=["ini", "marker", "paths", "regex"],
)
def test_rules_settle_differences(inner, mark, ini):
    """A call whose arguments differ only in what does not count gets its recorded answer, and is no difference."""
    differing(inner, mark, ini).assert_outcomes(passed=1)


def test_without_rules_the_call_has_no_answer(inner):
    """The same run, compared as it is, is red."""
    differing(inner).assert_outcomes(failed=1)


OPERATOR = """
    import pytest

    class Rounding:
        def match(self, level):
            return level.path().endswith("['price']")

        def give_up_diffing(self, level, diff_instance):
            return SETTLES

    @pytest.fixture
    def sparrow_settings():
        return {"custom_operators": [Rounding()]}
"""

SAYS = """
    from pathlib import Path

    from pytest_sparrow import ToolUseStarted

    RECORDS = not Path("__sparrow__").exists()

    def test_it(sparrow):
        price = 1.0 if RECORDS else 1.04
        sparrow.record(ToolUseStarted(run=sparrow.run_id, id="c", name="refund", args={"price": price}))

    def test_other():
        pass
"""


@pytest.mark.parametrize(
    ("settles", "passed", "says"),
    [
        ("abs(level.t1 - level.t2) < 0.05", 2, "*2 passed*"),
        ("False", 1, "  ToolUseStarted[[]refund].args[[]'price']"),
        ("level.t1 / 0", 1, "custom_operators: Rounding.give_up_diffing raised ZeroDivisionError: *"),
    ],
    ids=["settled", "not settled", "raises"],
)
def test_an_operator_decides_for_a_folder(inner, settles, passed, says):
    """What an operator settles is equal; an operator that raises fails its own test only, which names it."""
    inner.write("conftest.py", OPERATOR.replace("SETTLES", settles))
    inner.write("test_it.py", SAYS)
    inner.record().assert_outcomes(passed=2)
    result = inner.replay()
    result.assert_outcomes(passed=passed, failed=2 - passed)
    result.stdout.fnmatch_lines([says])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    result.stdout.no_fnmatch_line("*site-packages*")


def test_what_is_no_operator_is_a_usage_error(inner):
    """When tests are collected, with the marker's test."""
    inner.write(
        "test_it.py",
        """
        import pytest

        @pytest.mark.sparrow(custom_operators=[len])
        def test_it(sparrow): pass
        """,
    )
    result = inner.refused()
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["*test_it.py::test_it*custom_operators: <built-in function len> is no operator*"]
    )
