"""Each kind of test that pytest knows, recorded, replayed, verified, updated and extended."""

KINDS = """
    import os
    import unittest

    import pytest

    TRIES = []

    def look(number):
        if os.environ.get("SHUT"):
            raise RuntimeError("it ran")
        return number

    def ask(sparrow, number=1):
        if not os.environ.get("LESS"):
            sparrow.call("look", look, 9)
        assert sparrow.call("look", look, number) == number

    def test_runs(sparrow):
        ask(sparrow)
        with sparrow.run("second") as second:
            ask(second, 2)

    class TestClass:
        def test_one(self, sparrow):
            ask(sparrow)

        @pytest.mark.parametrize("number", [1, 2])
        def test_many(self, sparrow, number):
            ask(sparrow, number)

        class TestInner:
            def test_one(self, sparrow):
                ask(sparrow, 3)

    class TestCase(unittest.TestCase):
        @pytest.fixture(autouse=True)
        def given(self, sparrow):
            self.sparrow = sparrow

        def test_case(self):
            ask(self.sparrow)

        def test_parts(self):
            for number in range(2):
                with self.subTest(number=number):
                    ask(self.sparrow, number)

    def test_parts(sparrow, subtests):
        for number in range(2):
            with subtests.test(number=number):
                ask(sparrow, number)

    @pytest.mark.asyncio
    async def test_asyncio(sparrow):
        ask(sparrow)

    @pytest.fixture
    def anyio_backend():
        return "asyncio"

    @pytest.mark.anyio
    async def test_anyio(sparrow):
        ask(sparrow)

    @pytest.mark.xdist_group("together")
    @pytest.mark.parametrize("number", [1, 2])
    def test_group(sparrow, number):
        ask(sparrow, number)

    @pytest.mark.flaky(reruns=1)
    def test_flaky(sparrow):
        ask(sparrow)
        TRIES.append(1)
        assert len(TRIES) > 1

    @pytest.mark.skip
    def test_skipped(sparrow):
        ask(sparrow)

    def test_skips(sparrow):
        ask(sparrow)
        pytest.skip("so far")

    @pytest.mark.xfail
    def test_fails_as_expected(sparrow):
        ask(sparrow)
        assert False

    @pytest.fixture
    def broken():
        raise ValueError("broken")

    def test_broken_before(broken, sparrow):
        ask(sparrow)

    def test_broken_after(sparrow, broken):
        ask(sparrow)
"""

GOLDENS = 16
"""One for each test that passes, skips itself or fails as expected; one of them has two runs."""

PLUGINS = (
    *("-p", "xdist", "-p", "pytest_rerunfailures", "-p", "pytest_asyncio.plugin"),
    *("-p", "anyio.pytest_plugin"),
)
WORKERS = ("-n", "2", "--dist", "loadgroup")
OUTCOMES = {"passed": 13, "skipped": 2, "xfailed": 1, "errors": 2}


def golden_files(inner):
    return {name: what for name, what in inner.files().items() if "/.pending/" not in name}


def halves(inner):
    """The lines of each golden's exchanges."""
    folder = inner.path / "__sparrow__"
    return {
        path.parent.name: path.read_bytes().splitlines() for path in folder.glob("*/[!.]*/exchanges.jsonl")
    }


def test_each_kind_of_test_in_each_mode(inner):
    """Recorded, replayed equal and updated, by workers as well; a test that never ran leaves nothing at all.

    Who only collects, or only sets up, writes nothing; a session of some tests writes their goldens only.
    """
    inner.write("pytest.ini", "[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    inner.write("test_it.py", KINDS)
    for only in ("--collect-only", "--setup-only", "--setup-plan"):
        result = inner.run("--sparrow-record", only, *PLUGINS)
        result.stdout.no_fnmatch_line("*recorded*")
        result.stdout.no_fnmatch_line("*is not a dict*")
        assert not inner.goldens()
        assert not list(inner.path.glob("__sparrow__/*/.pending/*"))
    recorded = inner.record(*PLUGINS, *WORKERS)
    recorded.assert_outcomes(**OUTCOMES)
    recorded.stdout.fnmatch_lines([f"sparrow: {GOLDENS} recorded, 1 not recorded"])
    assert len(inner.goldens()) == GOLDENS
    before = golden_files(inner)
    inner.record(*PLUGINS).stdout.fnmatch_lines(
        [f"sparrow: {GOLDENS} recorded again, unchanged, 1 not recorded"]
    )
    inner.replay(*PLUGINS, *WORKERS).assert_outcomes(**OUTCOMES)
    inner.replay(*PLUGINS, "-n", "2", "--dist", "each", "-k", "Class").assert_outcomes(passed=8)
    assert golden_files(inner) == before
    verified = inner.run("--sparrow-mode=verify", *PLUGINS)
    verified.assert_outcomes(**OUTCOMES)
    verified.stdout.fnmatch_lines(["sparrow: 13 verified*"])
    old = halves(inner)
    inner.env(LESS="1", SHUT="1")
    inner.run("--sparrow-update", "-x", "-k", "runs or parts", *PLUGINS).assert_outcomes(passed=3)
    assert sum(lines != old[name] for name, lines in halves(inner).items()) == 4
    updated = inner.run("--sparrow-update", *PLUGINS, *WORKERS)
    updated.assert_outcomes(**OUTCOMES)
    updated.stdout.fnmatch_lines([f"sparrow: *{GOLDENS - 4} updated, 4 up to date*"])
    assert halves(inner) == {
        name: [line for line in lines if b"[9]" not in line] for name, lines in old.items()
    }
    inner.unset("LESS", "SHUT")
    extended = inner.run("--sparrow-mode=extend", *PLUGINS, *WORKERS)
    extended.assert_outcomes(**OUTCOMES)
    extended.stdout.fnmatch_lines([f"sparrow: *{GOLDENS} extended*"])
    assert golden_files(inner).keys() == before.keys()


KILLED = """
    import os
    import pytest

    @pytest.mark.parametrize("number", range(8))
    def test_it(sparrow, number):
        if not os.environ.get("LESS"):
            sparrow.call("f", int, 9)
        assert sparrow.call("f", int, number) == number
        if os.environ.get("KILL") == str(number):
            os._exit(9)
"""


def test_a_killed_worker(inner):
    """No golden is damaged; the next replay names what is missing, and the next session of the mode settles it."""
    inner.write("test_it.py", KILLED)
    workers = ("-p", "xdist", "-n", "2")
    inner.env(KILL="3")
    inner.record(*workers).assert_outcomes(passed=7, failed=1)
    inner.unset("KILL")
    result = inner.replay()
    result.assert_outcomes(passed=7, failed=1)
    result.stdout.fnmatch_lines(
        ["no golden for this test*", "  record  pytest --sparrow-record 'test_it.py::test_it[[]3]'"]
    )
    inner.record(*workers).stdout.fnmatch_lines(["sparrow: 1 recorded, 7 recorded again, unchanged"])
    inner.env(KILL="5", LESS="1")
    inner.run("--sparrow-update", *workers).assert_outcomes(passed=7, failed=1)
    inner.unset("KILL")
    result = inner.replay()
    result.assert_outcomes(passed=7, failed=1)
    result.stdout.fnmatch_lines(["  accept  pytest --sparrow-update 'test_it.py::test_it[[]5]'"])
    inner.run("--sparrow-update", *workers).stdout.fnmatch_lines(["sparrow: 1 updated, 7 up to date"])
    assert len(inner.goldens()) == 8
    assert not [name for name in inner.files() if ".pending/" in name]
