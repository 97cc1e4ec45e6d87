"""How a divergence is reported: once, in the call phase, without our frames, whatever the agent did with it."""

import re

import pytest

from plugin.failures import reported

AGENT = """
    import os
    import pytest

    STEP = int(os.environ.get("STEP", "1"))

    def act(number: int) -> int:
        return number

    def more(number: int) -> int:
        return number

    def test_argument(sparrow):
        sparrow.tool(act)
        act(STEP)

    def test_swallows_exception(sparrow):
        sparrow.tool(act)
        act(1)
        if STEP > 1:
            try:
                act(2)
            except Exception:
                pass

    def test_swallows_base_exception(sparrow):
        sparrow.tool(act)
        act(1)
        if STEP > 1:
            try:
                act(2)
            except BaseException:
                pass

    def test_raises_around(sparrow):
        sparrow.tool(act)
        with pytest.raises(Exception):
            act(STEP)
            raise RuntimeError

    def test_skips_after(sparrow):
        sparrow.tool(act)
        try:
            act(STEP)
        except Exception:
            pytest.skip("provider down")

    def test_unplayed(sparrow):
        sparrow.tool(act)
        act(1)
        if STEP == 1:
            act(2)

    def test_served_nothing(sparrow):
        sparrow.tool(act)
        if STEP == 1:
            act(1)

    def test_misses(sparrow):
        sparrow.tool(act)
        act(0)
        for number in range(30 if STEP > 1 else 0):
            try:
                act(number + 1)
            except Exception as error:
                print(f"<{str(error).splitlines()[0]}>")
"""

NAMES = re.findall(r"def (test_\w+)", AGENT)

OWN = (
    AGENT.partition("    def test_")[0]
    + """
    import unittest

    def test_own(sparrow):
        sparrow.tool(act)
        act(1)
        if STEP == 1:
            act(2)
        assert STEP == 1, "its own words"

    def test_miss(sparrow):
        sparrow.tool(act)
        act(1)
        if STEP > 1:
            act(2)  # the line of the miss

    @pytest.mark.usefixtures("sparrow")
    class TestCase(unittest.TestCase):
        @pytest.fixture(autouse=True)
        def take(self, sparrow):
            self.act = sparrow.tool(act)

        def test_it(self):
            try:
                self.act(STEP)
            except Exception:
                self.skipTest("provider down")

    def test_skips(sparrow):
        sparrow.tool(act)
        if STEP > 1:
            pytest.skip("not on this system")
        act(1)

    class TestParts(unittest.TestCase):
        @pytest.fixture(autouse=True)
        def take(self, sparrow):
            self.act = sparrow.tool(act)

        def test_parts(self):
            with self.subTest(part=1):
                self.act(STEP)
            with self.subTest(part=2):
                assert STEP == 1, "its own words"
    """
)


@pytest.fixture
def diverged(inner):
    """Recorded, and replayed with another step."""

    def record():
        inner.write("test_it.py", AGENT)
        inner.write("test_own.py", OWN)
        inner.record().assert_outcomes(passed=len(NAMES) + 5)
        inner.replay().assert_outcomes(passed=len(NAMES) + 5)

    inner.once(record)
    inner.env(STEP="2")
    return inner


def test_every_divergence_fails_once(diverged):
    """FAILED, once, exit code 1; no frame of ours; test, golden and the command that accepts it are in the text."""
    result = diverged.replay("-rfE", "test_it.py")
    assert result.ret == 1
    result.assert_outcomes(failed=len(NAMES))
    result.stdout.fnmatch_lines([f"sparrow: {len(NAMES)} diverged*"])
    texts = reported(result)
    assert list(texts) == NAMES
    for name, text in texts.items():
        text = text.partition("\n----")[0]  # what the test printed follows
        assert len(text.splitlines()) <= 25
        assert f"  test    test_it.py::{name}\n" in text
        assert f"  golden  __sparrow__/test_it/{name}\n" in text
        # A recording in which nothing crosses a boundary fails as well.
        accepted = f"\n  accept  pytest --sparrow-update test_it.py::{name}" in text
        assert (f"\n  extend  pytest --sparrow-mode=extend test_it.py::{name}" in text) is (
            "holds no answer" in text
        )
        recorded = f"\n  record  pytest --sparrow-record test_it.py::{name}" in text
        assert (accepted, recorded) == {
            "test_served_nothing": (False, False),
            "test_unplayed": (True, False),
        }.get(name, (False, True))
        # Of code only the user's own line is named.
        assert all(line.startswith("test_it.py:") for line in re.findall(r"\S+\.py:\d+", text)), text
        assert text.count("  test  ") == 1
        assert ("nothing was replayed" in text) is (name == "test_served_nothing")
        assert f"FAILED test_it.py::{name} - " in result.stdout.str()
    for name in ("test_argument", "test_raises_around", "test_skips_after"):
        assert texts[name].splitlines()[0] == "act(number=2): the golden holds no answer to this"
        assert "  ToolUse*[act].args['number']\n    golden  1\n    new     2\n" in texts[name]
    assert texts["test_unplayed"].splitlines()[0] == "act was not called"
    # Ignoring a path settles only another argument of a call that no model proposed, and whose answer is not given yet.
    offered = {name for name, text in texts.items() if "ignore=" in text}
    waiting = {
        name for name, text in texts.items() if "the closest recorded call, not played yet: act(" in text
    }
    assert {"test_argument", "test_raises_around", "test_skips_after"} == offered == waiting
    misses = re.findall(r"<(.*)>", texts["test_misses"])
    assert [("refused, after 20 calls" in miss) for miss in misses] == [
        False
    ] * 20  # then the agent is stopped


def test_the_text_is_the_same_under_xdist(diverged):
    """A worker reports what the terminal of a single process reports."""
    alone = diverged.replay("-k", "argument or unplayed")
    spread = diverged.replay("-p", "xdist", "-n", "1", "-k", "argument or unplayed")
    spread.assert_outcomes(failed=2)
    spread.stdout.fnmatch_lines(["sparrow: 2 diverged*"])
    lines = [
        {name: text.splitlines() for name, text in reported(result).items()} for result in (alone, spread)
    ]
    for name, text in lines[0].items():
        assert [line for line in lines[1][name] if not line.startswith("[gw")] == text


def test_a_failure_of_its_own_stays(diverged):
    """A test that fails by itself keeps its failure; the divergence is a note and a section, and a count without tb."""
    result = diverged.replay("test_own.py", "-k", "test_own and not (miss or Case or skips or Parts)")
    result.assert_outcomes(failed=1, deselected=4)
    result.stdout.fnmatch_lines(
        [
            "E*AssertionError: its own words",
            "E*pytest-sparrow: this test also diverged from its golden*",
            "*- pytest-sparrow -*",
            "act was not called",
            "  mend    what the test fails by itself, or let new answers make it pass: pytest --sparrow-record *",
            "sparrow: 1 diverged*",
            "FAILED test_own.py::test_own - AssertionError: its own words",
        ]
    )
    for refused in ("  accept  *", "  review  *"):  # nothing updates the golden of a failing test
        result.stdout.no_fnmatch_line(refused)
    bare = diverged.replay("--tb=no", "test_own.py::test_own")
    bare.assert_outcomes(failed=1)
    bare.stdout.fnmatch_lines(["sparrow: 1 diverged*", "FAILED test_own.py::test_own - *"])


def test_a_miss_hides_behind_nothing(diverged):
    """A test that fails only since a replay had no answer fails with the divergence, not with our traceback.

    A unittest skips itself behind pytest's back: it must not hide a miss either. A test that skips itself before it
    asks for anything is skipped, in replay as anywhere.
    """
    result = diverged.replay("test_own.py", "-k", "miss or skips or Case", "-rs")
    result.assert_outcomes(failed=2, skipped=1, deselected=2)
    text = reported(result)["test_miss"].partition("\n____")[0]
    line = OWN.partition("  # the line of the miss")[0].count("\n") + 1
    assert text.splitlines()[0] == "act(number=2): the golden holds no answer to this"
    assert re.findall(r"\S+\.py:\d+", text) == [f"test_own.py:{line}"]
    result.stdout.fnmatch_lines(["  test    test_own.py::TestCase::test_it", "sparrow: 2 diverged*"])
    result.stdout.fnmatch_lines(["SKIPPED*test_own.py:*: not on this system"])


def test_a_block_of_subtests_that_met_a_miss_fails_with_its_line(diverged):
    """The report of the test says the rest; a block that fails by itself keeps its traceback."""
    result = diverged.replay("test_own.py", "-k", "TestParts")
    first, second = re.findall(
        r"^_+ [^\n]*\(part=\d\) _+\n(.*?)(?=^_+ \S)", result.stdout.str(), re.MULTILINE | re.DOTALL
    )
    assert first.splitlines() == [
        "act(number=2): the golden holds no answer to this",
        "  more    in the report of test_own.py::TestParts::test_parts",
    ]
    assert "AssertionError: its own words" in second
    result.stdout.fnmatch_lines(["  test    test_own.py::TestParts::test_parts"])
