"""A test without a golden, replayed."""

import shlex

TWO = """
    def test_it(sparrow):
        print("the body ran")
        sparrow.call("f", int)

    class TestHere:
        def test_a_b(self, sparrow, later):
            pass
"""


def test_a_missing_golden_fails_before_the_body(inner):
    """FAILED and not ERROR, exit code 1, the command that records it in the text, and the body does not run."""
    inner.write("test_it.py", TWO)
    inner.write("conftest.py", "import pytest\n@pytest.fixture\ndef later(sparrow): return 1\n")
    result = inner.run("-rA")
    assert result.ret == 1
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "no golden for this test: nothing to replay",
            "  golden  *__sparrow__/test_it/test_it",
            "  record  pytest --sparrow-record test_it.py::test_it",
            "  record  pytest --sparrow-record test_it.py::TestHere::test_a_b",
            "sparrow: 2 without a usable golden",
            "FAILED test_it.py::test_it - *no golden for this test*",
        ]
    )
    for ours in ("the body ran", "attempt.py", "outcome.py", "Traceback"):
        result.stdout.no_fnmatch_line(f"*{ours}*")
    assert inner.files() == {}


def test_the_command_that_is_shown_records(inner):
    """The command in the text, run as it stands in a shell, records the test; hostile ids too."""
    inner.write(
        "test_it.py",
        """
        import pytest

        @pytest.mark.parametrize("word", ["it's a/b $HOME", "[x] *"])
        def test_it(sparrow, word):
            sparrow.call("f", int, word and 1)
        """,
    )
    result = inner.run()
    commands = [line.split("  record  ")[1] for line in result.stdout.lines if line.startswith("  record  ")]
    assert len(commands) == 2
    for number, command in enumerate(commands, 1):
        program, *args = shlex.split(command)
        assert program == "pytest"
        inner.run(*args).assert_outcomes(passed=1)
        assert len(inner.goldens()) == number
    inner.run().assert_outcomes(passed=2)


def test_a_fixture_that_fails_for_want_of_a_golden(inner):
    """A fixture that runs the agent is shut in, too; if it fails by that, the missing golden is reported as well."""
    inner.write(
        "test_it.py",
        """
        import pytest

        @pytest.fixture
        def answer(sparrow):
            return sparrow.call("f", int)

        def test_it(answer):
            pass
        """,
    )
    result = inner.run()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "no golden for this test: nothing to replay",
            "  record  pytest --sparrow-record test_it.py::test_it",
        ]
    )
