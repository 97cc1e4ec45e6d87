"""What docs/determinism.md calls not covered: red when an agent depends on it, and the failure shows where."""

import pytest

from plugin.anyday import FAKETIME

TELLS = """
    import asyncio
    import random
    import tempfile
    import time

    import pytest

    from pytest_sparrow import Message

    @pytest.fixture
    def drawn():
        return random.random()

    async def draw():
        random.random()

    async def tool() -> int:
        await asyncio.create_task(draw())
        return 1

    def after_tool(sparrow):
        asyncio.run(sparrow.tool(tool)())
        return random.random()

    def test_it(sparrow, drawn):
        sparrow.record(Message(run=sparrow.run_id, role="assistant", text=f"It is {SOURCE}."))
"""

SOURCES = {
    "generator": "random.Random().random()",
    "fixture": "drawn",
    "task of a tool": "after_tool(sparrow)",
    "tempfile": "tempfile.mkdtemp(dir='.')",
    "ctime": "time.ctime()[:10]",
}


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_not_covered_is_red(inner, name):
    """Nothing is guessed or hidden: the replay differs, and both values are reported."""
    if name == "ctime" and not FAKETIME:
        pytest.skip("another day takes libfaketime")
    inner.write("test_it.py", TELLS.replace("SOURCE", SOURCES[name]))
    inner.record().assert_outcomes(passed=1)
    if name == "ctime":
        inner.env(LD_PRELOAD=FAKETIME, FAKETIME="+3d")
    result = inner.replay()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["  Message*text", '    golden  "It is *', '    new     "It is *'])
    if name in ("generator", "fixture", "task of a tool"):
        result.stdout.fnmatch_lines(["  maybe   drawn at random where no seed reached*"])


ONCE = """
    import functools
    import random

    from pytest_sparrow import Message

    @functools.cache
    def library():
        return random.random()

    def first_use(sparrow):
        library()
        text = f"It is {random.random()}."
        sparrow.record(Message(run=sparrow.run_id, role="assistant", text=text))

    def test_a(sparrow):
        first_use(sparrow)

    def test_b(sparrow):
        first_use(sparrow)
"""


def test_a_draw_at_a_librarys_first_use_shifts_what_comes_after_it(inner):
    """The test that comes first pays it; run alone, another one does, and is red with both values."""
    inner.write("test_it.py", ONCE)
    inner.record("-p", "no:randomly").assert_outcomes(passed=2)
    inner.replay("-p", "no:randomly").assert_outcomes(passed=2)
    result = inner.replay("test_it.py::test_b")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ['    golden  "It is *', '    new     "It is *', "  maybe   drawn at random*"]
    )


ZONE = """
    import time

    def zone() -> str:
        return time.tzname[0]

    def test_it(sparrow):
        sparrow.tool(zone, policy="run")()
"""


def test_a_tool_that_runs_is_in_the_recorded_zone(inner):
    """A process has one zone: while a replay moves the clock it is the recording's, for tools that really run, too."""
    inner.write("test_it.py", ZONE)
    inner.env(TZ="Asia/Tokyo")
    inner.record().assert_outcomes(passed=1)
    inner.env(TZ="America/St_Johns")
    inner.replay().assert_outcomes(passed=1)
