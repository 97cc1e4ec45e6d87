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
    """Nothing is guessed or hidden: the replay differs, and both values are told."""
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
