"""With the plugins that people use beside it, found as people find them: by entry point."""

import pytest

from plugin.chatting import model

MANY = """
    import pytest

    @pytest.mark.parametrize("number", range(8))
    def test_it(sparrow, number):
        assert sparrow.call("f", int, number) == number
"""

RERUNS = """
    import pytest

    TRIES = []

    def test_body(sparrow):
        TRIES.append("body")
        assert sparrow.call("f", int, 1) == 1
        assert TRIES.count("body") > 1

    @pytest.fixture
    def later(sparrow):
        TRIES.append("later")
        assert sparrow.call("f", int, 2) == 2
        assert TRIES.count("later") > 1

    def test_fixture(sparrow, later):
        pass

    def test_subtests(sparrow, subtests):
        TRIES.append("subtests")
        assert sparrow.call("f", int, 3) == 3
        with subtests.test():
            assert TRIES.count("subtests") > 1

    def test_never(sparrow):
        sparrow.call("f", int)
        assert False
"""

ASYNC = """
    import asyncio, json, os
    import httpx
    import pytest

    async def ask(number):
        async with httpx.AsyncClient() as client:
            body = {"model": "m", "messages": [{"role": "user", "content": str(number)}]}
            answer = await client.post(os.environ["WORLD"] + "/chat", json=body)
            return answer.json()["id"]

    async def twice(number: int) -> int:
        if os.environ.get("SHUT"):
            raise RuntimeError("the tool ran")
        await asyncio.sleep(0.01 * (5 - number))
        return number * 2

    @pytest.fixture
    async def world():
        await asyncio.sleep(0)
        yield "world"

    async def test_it(sparrow, world):
        sparrow.tool(twice)
        assert len(set(await asyncio.gather(*map(ask, range(5))))) == 5
        assert await asyncio.gather(*map(twice, range(5))) == [0, 2, 4, 6, 8]

    def test_own_loop(sparrow):
        sparrow.tool(twice)
        assert asyncio.run(twice(3)) == 6
"""


def goldens_of(inner):
    """The files of goldens, without those of sessions within tests."""
    folder = inner.path / "__sparrow__"
    found = (path for path in folder.rglob("*") if path.is_file() and ".pending" not in path.parts)
    return {path: path.read_bytes() for path in found}


def test_xdist_rerunfailures_and_asyncio(inner):
    """Under -n 2 every golden is there and whole, and the counts are right.

    A rerun starts afresh: what fails first and passes then is recorded once, replayed, and counted once.
    An async test with an async agent is recorded and replayed, its gathered calls each with their own answer.
    """
    inner.write(
        "pytest.ini",
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n",
    )
    inner.write("test_it.py", RERUNS)
    inner.write("test_async.py", ASYNC)
    inner.write("test_many.py", MANY)
    plugins = ("-p", "xdist", "-p", "pytest_rerunfailures", "-p", "pytest_asyncio.plugin")
    with model(inner):
        result = inner.record(*plugins, "-n", "2", "--reruns", "2")
        result.assert_outcomes(passed=13, failed=1)
        result.stdout.fnmatch_lines(["sparrow: record", "sparrow: 13 recorded, 1 not recorded"])
        assert str(result.stdout).count("left unfinished") == 1
    before = goldens_of(inner)
    recorded = (
        "async/test_it",
        "async/test_own_loop",
        *(f"it/test_{name}" for name in ("body", "fixture", "subtests")),
    )
    names = [f"__sparrow__/test_{name}" for name in recorded]
    assert [name for name in inner.goldens() if "test_many" not in name] == names
    assert len(inner.goldens()) == 13
    result = inner.record("-p", "xdist", "-p", "pytest_asyncio.plugin", "-n", "2", "test_many.py")
    result.stdout.fnmatch_lines(["sparrow: 8 recorded again, unchanged"])
    assert goldens_of(inner) == before
    # By entry point, and with one worker: each Python loads all plugins.
    result = inner.replay("-n", "1", "--reruns", "2", "-k", "not never", autoload=True)
    result.assert_outcomes(passed=13)
    result.stdout.fnmatch_lines(["sparrow: replay", "sparrow: 13 replayed equal*"])


def test_a_rerun_that_never_reaches_the_fixture(inner):
    """What an earlier attempt left is not reported again by one that fails before sparrow is set up."""
    inner.write(
        "test_it.py",
        """
        import pytest

        TRIES = []

        @pytest.fixture
        def early():
            TRIES.append(1)
            assert len(TRIES) == 1, "early"

        def test_it(early, sparrow):
            sparrow.call("f", int)
            assert False
        """,
    )
    result = inner.record("-p", "pytest_rerunfailures", "--reruns", "2")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["E*AssertionError: early"])
    result.stdout.no_fnmatch_line("*not recorded*")


def test_a_wrong_marker_under_xdist(inner):
    """A wrong marker ends the session with a usage error under workers, too; the test fails before its body."""
    inner.write("test_it.py", "import pytest\n@pytest.mark.sparrow(level=3)\ndef test_it(sparrow): pass\n")
    result = inner.run("-n", "1", "-p", "xdist")
    assert result.ret == 4
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["test_it.py::test_it: @pytest.mark.sparrow: level: 3 is not one of: exact, trajectory, outcome"]
    )


REPEATED = """
    import os

    import pytest

    def test_plain(sparrow):
        assert sparrow.call("f", int, 1) == 1

    @pytest.mark.parametrize("number", [1, 2])
    def test_number(sparrow, number):
        assert sparrow.call("f", int, number) == number

    def test_inner(sparrow, pytester):
        assert sparrow.call("f", int, 1) == 1
        pytester.makepyfile("def test_it(sparrow):\\n    assert sparrow.call('g', int, 2) == 2")
        for mode in ("record", "replay"):
            options = ("-p", "pytest_sparrow.plugin", "-p", "no:asyncio", f"--sparrow-{mode}")
            pytester.runpytest_inprocess(*options).assert_outcomes(passed=1)
        assert sparrow.call("f", int, 3) == 3

    def test_exit(sparrow):
        assert sparrow.call("f", int, 1) == 1
        if "EXIT" in os.environ:
            pytest.exit("enough")
"""


REPEATS = (
    *("-p", "pytest_repeat", "-p", "pytester"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning", "test_it.py"),
)


def test_repeats_inner_sessions_and_exits(inner):
    """pytest-repeat's tests use one golden, a session within a test has its own runs, `pytest.exit` keeps all."""
    pytest.importorskip("pytest_repeat")
    inner.write("test_it.py", REPEATED)
    inner.record(*REPEATS).assert_outcomes(passed=5)
    before = goldens_of(inner)
    result = inner.replay(*REPEATS, "--count=2")
    result.assert_outcomes(passed=10)
    result.stdout.fnmatch_lines(["sparrow: 10 replayed equal*"])
    inner.env(EXIT="1")
    for run in (inner.replay, inner.record):
        assert run(*REPEATS, "-k", "exit").ret == pytest.ExitCode.INTERRUPTED
    assert goldens_of(inner) == before
