"""A folder of transcripts as tests."""

from __future__ import annotations

from full import FULL

from plugin.support import AGENT, REFUND, put_runs

MANY = 10_000 if FULL else 1_000

TESTS = """
    import pytest

    import support

    @pytest.fixture(autouse=True)
    def tools(sparrow, monkeypatch):
        monkeypatch.setattr(support, "TOOLS", sparrow.tools(dict(support.TOOLS)))

    @pytest.mark.sparrow_corpus("runs/")
    class TestRuns:
        @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
        def test_again(self, sparrow, stream):
            assert "opened a ticket" in support.on_openai(sparrow.golden.inputs.task, stream)
"""

ONE = """
    import pytest

    @pytest.mark.sparrow_corpus({argument})
    def test_it(sparrow):
        assert sparrow.golden is None or sparrow.golden.inputs.task
"""


def test_one_test_a_transcript(inner):
    """Ids name the runs; other parameters and classes work beside; a damaged one fails alone; nothing is written."""
    inner.write("tests/support.py", AGENT)
    put_runs(inner, "tests/runs", "b", "a", "Broken one", ".pending")
    inner.write("tests/runs/notes.txt", "no run")
    events = inner.path / "tests" / "runs" / "Broken one" / "events.jsonl"
    events.write_bytes(events.read_bytes()[:-5])
    inner.write("tests/test_it.py", TESTS)
    before = sorted((inner.path / "tests" / "runs").rglob("*"))
    result = inner.record("-v", "-p", "no:randomly")
    result.assert_outcomes(passed=4, failed=2)
    result.stdout.fnmatch_lines(
        [
            "tests/test_it.py::TestRuns::test_again[[]Broken one-whole] FAILED*",
            "tests/test_it.py::TestRuns::test_again[[]Broken one-stream] FAILED*",
            "tests/test_it.py::TestRuns::test_again[[]a-whole] PASSED*",
            "tests/test_it.py::TestRuns::test_again[[]b-stream] PASSED*",
            "*events.jsonl:43: *torn*",
            "  golden  tests/runs/Broken one",
        ]
    )
    assert sorted((inner.path / "tests" / "runs").rglob("*")) == before
    assert inner.goldens() == []


def test_it_spreads_over_workers(inner):
    """Every worker collects the same tests in the same order; here from the root folder."""
    put_runs(inner, "runs", *(f"run{number:02}" for number in range(12)))
    inner.write("tests/test_it.py", ONE.format(argument='"runs"').replace("assert", "sparrow.golden; assert"))
    result = inner.replay("-p", "xdist", "-n", "2")
    result.assert_outcomes(failed=12)  # the agent doesn't run: nothing was replayed
    result.stdout.fnmatch_lines(["*nothing was replayed*"])


def test_what_cannot_be_followed_fails_the_collection(inner):
    """No such folder, none in it, no argument, no fixture: each says what it looked for."""
    inner.write("tests/empty/readme", "")
    put_runs(inner, "tests/runs")
    for name, argument in {
        "missing": '"nowhere"',
        "empty": '"empty"',
        "none": "",
        "two": '"runs", "runs"',
    }.items():
        inner.write(f"tests/test_{name}.py", ONE.format(argument=argument))
    inner.write("tests/test_unused.py", ONE.format(argument='"runs"').replace("(sparrow)", "()"))
    result = inner.refused("--continue-on-collection-errors")
    assert result.ret == 1
    result.assert_outcomes(errors=5)
    result.stdout.fnmatch_lines_random(
        [
            "*test_missing.py::test_it: @pytest.mark.sparrow_corpus: there is no such folder; looked for",
            "*tests/nowhere",
            "*test_empty.py::test_it: * holds no transcript: a transcript is a folder with inputs.json*",
            '*test_none.py::test_it: * takes one folder, like sparrow_corpus("runs/")',
            "*test_two.py::test_it: * takes one folder*",
            "*test_unused.py::test_it: * does not use the fixture sparrow*",
        ]
    )


def test_what_excludes_a_corpus(inner):
    """Another golden, a script, a unittest: usage errors; mode off skips."""
    put_runs(inner, "runs")
    for key in ("golden='test_b'", "script=['a']"):
        inner.write(
            "test_it.py", ONE.format(argument='"runs"').replace("@", f"@pytest.mark.sparrow({key})\n    @")
        )
        result = inner.refused()
        assert result.ret == 4
        result.stderr.fnmatch_lines(
            [f"*{key.partition('=')[0]} and @pytest.mark.sparrow_corpus exclude each other"]
        )
    inner.write(
        "test_it.py",
        """
        import unittest
        import pytest

        class TestIt(unittest.TestCase):
            @pytest.mark.sparrow_corpus("runs")
            @pytest.mark.usefixtures("sparrow")
            def test_it(self): pass
        """,
    )
    result = inner.refused()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*sparrow_corpus needs a test that pytest can parametrise*"])
    inner.write("test_it.py", ONE.format(argument='"runs"'))
    result = inner.run("--sparrow-mode=off", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*can only be replayed, and sparrow is off"])


def test_a_run_with_its_own_exchanges_is_replayed_from_them(inner):
    """A corpus may hold our own goldens: here the folder of a module's."""
    inner.write(
        "test_first.py",
        """
        def add(a: int, b: int) -> int:
            return a + b

        def test_add(sparrow):
            assert sparrow.tool(add)(1, 2) == 3
        """,
    )
    assert inner.record().ret == 0
    inner.write(
        "test_again.py",
        """
        import pytest
        import test_first

        @pytest.mark.sparrow_corpus("__sparrow__/test_first")
        def test_again(sparrow):
            assert sparrow.tool(test_first.add)(1, 2) == 3
        """,
    )
    result = inner.replay("test_again.py", "-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["test_again.py::test_again[[]test_add] PASSED*"])


def test_thousands_are_collected_without_reading_any(inner):
    """A transcript is a folder with inputs.json: what is in it, broken or not, is nobody's business yet."""
    root = inner.path / "runs"
    for number in range(MANY):
        folder = root / f"{number:05}"
        folder.mkdir(parents=True)
        (folder / "inputs.json").touch()
    inner.write("test_it.py", ONE.format(argument='"runs"'))
    result = inner.run("--collect-only", "-q", "-k", f"test_it and {MANY - 1:05}")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [f"test_it.py::test_it[[]{MANY - 1:05}]", f"1/{MANY} tests collected ({MANY - 1} deselected)*"]
    )


def test_the_markers_are_known(inner):
    """--strict-markers takes it, --markers explains it."""
    put_runs(inner, "runs", REFUND)
    inner.write("test_it.py", ONE.format(argument='"runs"'))
    assert inner.refused("--strict-markers", "--collect-only").ret == 0
    inner.refused("--markers").stdout.fnmatch_lines(["@pytest.mark.sparrow_corpus(folder): *"])
