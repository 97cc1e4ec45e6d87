"""Which recordings become goldens: those of tests that did not fail, as reported in the end."""

KEPT_AND_NOT = """
    import unittest
    import pytest

    def agent(sparrow, number):
        assert sparrow.call("agent", int, number) == number

    # Kept.

    def test_passes(sparrow, offset):
        agent(sparrow, 1 + offset)

    def test_subtests_pass(sparrow, subtests, offset):
        for number in range(3):
            with subtests.test(number=number):
                agent(sparrow, number + offset)

    def test_subtest_skips(sparrow, subtests, offset):
        agent(sparrow, offset)
        with subtests.test():
            pytest.skip("not here")

    def test_raises(sparrow, offset):
        with pytest.raises(ValueError):
            agent(sparrow, offset)
            raise ValueError

    # Not kept.

    def test_assert(sparrow, offset, fails):
        agent(sparrow, offset)
        assert not fails

    @pytest.fixture
    def later(sparrow, offset, fails):
        agent(sparrow, offset)
        assert not fails

    def test_later_fixture(sparrow, later):
        pass

    def test_subtest_fails(sparrow, subtests, offset, fails):
        agent(sparrow, offset)
        with subtests.test("it"):
            assert not fails

    @pytest.mark.usefixtures("sparrow")
    class TestCase(unittest.TestCase):
        @pytest.fixture(autouse=True)
        def _take(self, sparrow, offset, fails):
            self.sparrow, self.offset, self.fails = sparrow, offset, fails

        def test_case(self):
            agent(self.sparrow, self.offset)
            self.assertFalse(self.fails)

        def test_sub(self):
            agent(self.sparrow, self.offset)
            for number in range(2):
                with self.subTest(number=number):
                    self.assertFalse(self.fails and number)

        def test_skip(self):
            agent(self.sparrow, self.offset)
            if self.fails:
                self.skipTest("no")

    def test_skips(sparrow, offset, fails):
        agent(sparrow, offset)
        if fails:
            pytest.skip("no")

    def test_says_xfail(sparrow, offset, fails):
        agent(sparrow, offset)
        if fails:
            pytest.xfail("no")

    def test_exits(sparrow, offset, fails):
        agent(sparrow, offset)
        if fails:
            raise SystemExit(3)

    def test_xfails(sparrow, offset, fails, request):
        agent(sparrow, offset)
        if fails:
            request.applymarker(pytest.mark.xfail(reason="expected"))
        assert not fails

    def test_xpasses(sparrow, offset, fails, request):
        agent(sparrow, offset)
        if fails:
            request.applymarker(pytest.mark.xfail(reason="expected", strict=False))

    def test_xpasses_strictly(sparrow, offset, fails, request):
        agent(sparrow, offset)
        if fails:
            request.applymarker(pytest.mark.xfail(reason="expected", strict=True))
"""

CONFTEST = """
    import os
    import pytest

    @pytest.fixture
    def offset():
        return int(os.environ["OFFSET"])

    @pytest.fixture
    def fails():
        return bool(os.environ.get("FAILS"))
"""

KEPT = (
    "test_passes",
    "test_subtests_pass",
    "test_subtest_skips",
    "test_raises",
    "testcase-test_skip--c08370bf",
    "test_skips",
    "test_says_xfail",
    "test_xfails",
    "test_xpasses",
)
NOT_KEPT = 7


def runs(inner):
    """The bytes of every finished run, by test; unfinished recordings are left out."""
    return {name: data for name, (data, _) in inner.files().items() if ".pending" not in name}


def test_failed_tests_are_not_recorded(inner):
    """A test that fails leaves no golden, and keeps an old one to the byte; known bugs and skips in bodies replay."""
    inner.write("test_it.py", KEPT_AND_NOT)
    inner.write("conftest.py", CONFTEST)
    inner.env(OFFSET="1", FAILS="1")
    first = inner.record("-rA")
    assert first.ret == 1
    first.stdout.fnmatch_lines([f"sparrow: {len(KEPT)} recorded, {NOT_KEPT} not recorded"])
    assert [name.rpartition("/")[2] for name in inner.goldens()] == sorted(KEPT)
    known = inner.replay("-k", "skip or xfail or xpasses and not strictly")
    known.assert_outcomes(passed=1, skipped=2, xfailed=2, xpassed=1, deselected=10)
    inner.unset("FAILS")
    second = inner.record()
    second.stdout.fnmatch_lines(
        [f"sparrow: {NOT_KEPT} recorded, 3 recorded again, changed, 6 recorded again, unchanged"]
    )
    assert second.ret == 0
    assert len(inner.goldens()) == len(KEPT) + NOT_KEPT
    before = runs(inner)
    inner.env(OFFSET="2", FAILS="1")
    third = inner.record()
    third.stdout.fnmatch_lines([f"sparrow: {len(KEPT)} recorded again, changed, {NOT_KEPT} not recorded"])
    changed = {name.split("/")[2] for name, data in runs(inner).items() if before.get(name) != data}
    assert changed == set(KEPT)


def test_what_was_not_recorded_is_kept_as_unfinished(inner):
    """The summary says where an unfinished recording lies; the next good one removes it."""
    inner.write("test_it.py", KEPT_AND_NOT)
    inner.write("conftest.py", CONFTEST)
    inner.env(OFFSET="1", FAILS="1")
    result = inner.record("-k", "test_assert")
    line = next(line for line in result.stdout.lines if "not recorded, since" in line)
    assert line.startswith(
        "test_it.py::test_assert: not recorded, since the test did not pass; left unfinished in __sparrow__/"
    )
    kept = inner.path / line.partition("left unfinished in ")[2]
    assert (kept / "events.jsonl").read_bytes().count(b"\n") >= 1
    inner.unset("FAILS")
    inner.record("-k", "test_assert").assert_outcomes(passed=1, deselected=15)
    assert not kept.exists()
    assert not list(inner.path.rglob(".pending"))


def test_a_sub_report_that_is_only_logged(inner):
    """A plugin that logs a failing report of its own within a test keeps that test from being recorded."""
    inner.write(
        "test_it.py",
        """
        import pytest

        def test_it(sparrow, request):
            sparrow.call("f", int)
            node = request.node
            report = pytest.TestReport(node.nodeid, node.location, {}, "failed", "a block failed", "call")
            node.ihook.pytest_runtest_logreport(report=report)
        """,
    )
    result = inner.record()
    result.stdout.fnmatch_lines(["sparrow: 1 not recorded"])
    assert inner.goldens() == []


def test_nothing_to_record_fails(inner):
    """A test in which nothing crosses a boundary has nothing to record: FAILED, and no golden."""
    inner.write("test_it.py", "def test_it(sparrow): pass\ndef test_own(sparrow): assert 1 == 2\n")
    result = inner.record()
    assert result.ret == 1
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["nothing crossed a boundary: there is nothing to record", "*test_it.py::test_it"]
    )
    assert result.stdout.str().count("nothing crossed a boundary") == 2  # the failure, and its summary line
    assert inner.goldens() == []


def test_a_store_that_refuses_is_reported(inner):
    """What the disk refuses is reported in few words, in record and in replay; it is no missing golden."""
    inner.write("__sparrow__", "a file in the way")
    inner.write("test_it.py", "def test_it(sparrow): sparrow.call('f', int)\n")
    for result in (inner.record(), inner.replay()):
        assert result.ret == 1
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            ["the golden of this test can't be read", "  golden  *__sparrow__/test_it/test_it"]
        )
        for ours in ("UnknownRun", "no golden", "attempt.py", "recorder.py", "Traceback"):
            result.stdout.no_fnmatch_line(f"*{ours}*")
