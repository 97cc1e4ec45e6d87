"""What docs/determinism.md calls not covered: red when an agent depends on it, and the failure shows where."""

import re

from plugin.anyday import FAKETIME
from plugin.failures import reported

BOTH = re.compile(r"^  Message.*text\n    golden  \"It is .*\n    new     \"It is ", flags=re.MULTILINE)

TELLS = """
    import asyncio
    import os
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

    def say(sparrow, value):
        sparrow.record(Message(run=sparrow.run_id, role="assistant", text=f"It is {value}."))

    def test_generator(sparrow):
        say(sparrow, random.Random().random())

    def test_fixture(drawn, sparrow):
        say(sparrow, drawn)

    def test_task_of_a_tool(sparrow):
        say(sparrow, after_tool(sparrow))

    def test_tempfile(sparrow):
        say(sparrow, tempfile.mkdtemp(dir="."))

    def test_machine(sparrow):
        say(sparrow, os.environ["COLUMNS"])

    def test_ctime(sparrow):
        say(sparrow, time.ctime()[:10])
"""


def test_what_is_not_covered_is_red(inner):
    """Nothing is guessed or hidden: the replay differs, and both values are reported.

    What C code asks for the time is another day's in a replay.
    """
    inner.write("test_it.py", TELLS)
    inner.env(COLUMNS="81")
    inner.record().assert_outcomes(passed=6)
    inner.env(COLUMNS="123", **({"LD_PRELOAD": FAKETIME, "FAKETIME": "+3d"} if FAKETIME else {}))
    texts = reported(inner.replay(*([] if FAKETIME else ["-k", "not ctime"])))
    drawn = {"test_generator", "test_fixture", "test_task_of_a_tool"}
    day = {"test_ctime"} if FAKETIME else set()  # another day takes libfaketime
    assert texts.keys() == {*drawn, *day, "test_tempfile", "test_machine"}
    for name, text in texts.items():
        assert BOTH.search(text), text
        if name in drawn:
            assert "\n  maybe   drawn at random where no seed reached" in text


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
