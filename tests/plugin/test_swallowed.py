"""A divergence fails the test whatever the agent, its libraries, or the test itself did with it."""

import json
import re

import pytest
from full import FULL

from plugin.chatting import model
from plugin.swallowing import FRAMEWORKS, LEFTOVERS, WAYS, module_of

TOOL = """
    import contextlib
    import os
    import sys
    import threading

    import pytest

    STEP = int(os.environ.get("STEP", "1"))

    def act(number: int) -> int:
        return number

    @pytest.fixture(autouse=True)
    def taken(sparrow, monkeypatch):
        monkeypatch.setitem(globals(), "act", sparrow.tool(act))

    def quiet(number):
        with contextlib.suppress(Exception):
            act(number)
"""

CHANGES = {
    "http": "GET * the golden holds no answer to this",
    "tool": "act(number=2): the golden holds no answer to this",
    "argument": "add was called with other arguments*",
    "unplayed": "act was not called*",
}
"""What the agent does otherwise, and how that is reported."""


def recorded(inner, ways, *options):
    """One module a way, recorded; each is green again when nothing has changed."""
    for number, way in enumerate(ways.values()):
        inner.write(f"test_{number:02}.py", module_of(way))
    with model(inner) as server:
        server.routes["/page"] = lambda call: call.answer(b"page")
        result = inner.record(*options)
    result.assert_outcomes(passed=len(ways))
    result = inner.replay(*options)
    assert result.ret == 0
    result.assert_outcomes(passed=len(ways))
    result.stdout.fnmatch_lines([f"sparrow: {len(ways)} replayed equal*"])


def all_red(inner, ways, *options):
    """Every test is FAILED, once, and says what the agent did otherwise.

    Each way has one change after the other; in the short form one of them, and so every change has several ways.
    """
    for turn in range(len(CHANGES) if FULL else 1):
        changed = {}
        for number, way in enumerate(ways):
            # A test that ends early leaves the rest unasked, and that is no divergence.
            changes = [change for change in CHANGES if way not in LEFTOVERS or change != "unplayed"]
            changed[f"test_{number:02}"] = changes[(number + turn) % len(changes)]
        assert set(changed.values()) == {*CHANGES}
        inner.env(KINDS=json.dumps(changed))
        result = inner.replay("--tb=short", *options)
        text = str(result.stdout)
        assert [name for name in changed if f"FAILED {name}.py" not in text] == []
        assert result.ret == 1
        result.assert_outcomes(failed=len(ways))
        result.stdout.fnmatch_lines([f"sparrow: {len(ways)} diverged*"])
        said = re.split(r"^_+ .* _+$", text, flags=re.MULTILINE)[1:]
        assert len(said) == len(changed)
        for section, (name, change) in zip(said, changed.items(), strict=True):
            assert f"  test    {name}.py::" in section
            pytest.LineMatcher(section.splitlines()).fnmatch_lines([CHANGES[change]])


def test_no_way_of_swallowing_hides_a_divergence(inner):
    """Each way is green with the unchanged agent, and red with a changed one.

    `pytest.skip()`, `pytest.xfail()` and `skipTest()` after a divergence are such ways: a failure.
    """
    ways = WAYS | LEFTOVERS
    recorded(inner, ways)
    all_red(inner, ways)


def test_frameworks_hide_nothing(inner):
    """Fallbacks, retries, and errors that are made words of: each is red."""
    pytest.importorskip("langgraph")
    pytest.importorskip("pydantic_ai")
    options = ("-W", "ignore::DeprecationWarning")
    recorded(inner, FRAMEWORKS, *options)
    all_red(inner, FRAMEWORKS, *options)


GROUPS = """
    import asyncio

    async def ask(number):
        act(number)

    async def fail():
        raise ValueError("its own")

    async def group(*work):
        async with asyncio.TaskGroup() as tasks:
            for one in work:
                tasks.create_task(one)

    async def nested():
        await group(group(ask(1), ask(STEP)), ask(STEP + 2))

    def test_misses():
        asyncio.run(nested())

    def test_one_of_them():
        asyncio.run(group(ask(1), *([ask(2), fail()] if STEP > 1 else [])))
"""


def test_a_group_of_misses_fails_with_the_divergence_alone(inner):
    """Every client that is built on anyio has a task group; a failure of its own in the group stays."""
    inner.write("test_it.py", TOOL + GROUPS)
    inner.record().assert_outcomes(passed=2)
    inner.env(STEP="2")
    result = inner.replay()
    result.assert_outcomes(failed=2)
    alone, other = str(result.stdout).split("test_one_of_them", 1)
    assert "Exception Group Traceback" not in alone
    assert "act(number=4): the golden holds no answer to this" in alone
    assert "Exception Group Traceback" in other
    assert "ValueError: its own" in other
    assert "this test also diverged from its golden" in other


MARKED = """
    {mark}
    def test_{name}():
        act(1) and quiet(STEP)
        {then}
"""


def marked(*tests):
    """A module of tests whose agent changes with ``STEP``: each a name, a mark, and what follows."""
    return TOOL + "".join(MARKED.format(name=name, mark=mark, then=then) for name, mark, then in tests)


def unmarked(*names):
    """The same tests as they are recorded."""
    return marked(*((name, "", "pass") for name in names))


REPORTED = "act(number=2): the golden holds no answer to this"
EXPECTED = {
    "strict": ("@pytest.mark.xfail(reason='bug 7', strict=True)", "pass"),
    "lax": ("@pytest.mark.xfail(reason='bug 7', strict=False)", "pass"),
    "other_type": ("@pytest.mark.xfail(raises=AssertionError)", "pass"),
    "own_assert": ("@pytest.mark.xfail(raises=AssertionError)", "assert False"),
}
"""Marks, and what follows in the test."""


def test_a_mark_expects_a_divergence(inner):
    """`@pytest.mark.xfail` says of the whole test that it fails for now: a divergence is a failure, and is reported.

    ``raises=`` is what it says: a divergence is no AssertionError. A test that fails by its own assert and diverges is
    xfailed, too, and the divergence is reported.
    """
    inner.write("test_it.py", unmarked(*EXPECTED))
    inner.record().assert_outcomes(passed=4)
    inner.write("test_it.py", marked(*((name, *marks) for name, marks in EXPECTED.items())))
    inner.env(STEP="2")
    result = inner.replay("-rxf")
    assert result.ret == 1
    result.assert_outcomes(xfailed=3, failed=1)
    said = f"test_it.py::test_strict and 2 more tests: diverged, and is expected to fail (xfail): {REPORTED}"
    result.stdout.fnmatch_lines([said])
    result.stdout.fnmatch_lines([REPORTED])
    result.stdout.fnmatch_lines(["sparrow: 4 diverged*"])
    result.stdout.fnmatch_lines_random(
        [
            "XFAIL test_it.py::test_strict - bug 7*",
            "XFAIL test_it.py::test_lax - bug 7*",
            "FAILED test_it.py::test_other_type*",
        ]
    )
    assert inner.replay("-k", "strict or lax or own_assert").ret == 0


def test_a_test_that_is_unchanged_is_what_it_was(inner):
    """Without a divergence a mark, `pytest.skip()` and `pytest.xfail()` in the end mean what pytest says."""
    inner.write("test_it.py", unmarked("strict", "lax").replace("quiet(STEP)", "act(1)"))
    inner.write("test_early.py", unmarked("skip", "xfail").replace("quiet(STEP)", "act(1)"))
    inner.record().assert_outcomes(passed=4)
    marks = [(name, f"@pytest.mark.xfail(strict={name == 'strict'})", "pass") for name in ("strict", "lax")]
    ends = [(name, "", f"pytest.{name}('not now')") for name in ("skip", "xfail")]
    inner.write("test_it.py", marked(*marks).replace("quiet(STEP)", "act(1)"))
    inner.write("test_early.py", marked(*ends).replace("quiet(STEP)", "act(1)"))
    result = inner.replay("-rA")
    result.assert_outcomes(failed=1, xpassed=1, skipped=1, xfailed=1)
    result.stdout.fnmatch_lines_random(
        [
            "FAILED test_it.py::test_strict*",
            "XPASS test_it.py::test_lax*",
            "SKIPPED*not now",
            "XFAIL test_early.py::test_xfail*",
        ]
    )
    assert inner.replay("test_early.py").ret == 0


def test_no_mark_hides_a_golden_that_is_missing_or_damaged(inner):
    """What a mark expects to fail is the test, and without a golden it does not run."""
    inner.write("test_it.py", unmarked("damaged"))
    inner.record()
    (inner.golden("test_it/test_damaged") / "events.jsonl").write_text("{")
    mark = "@pytest.mark.xfail(reason='bug 7')"
    inner.write("test_it.py", marked(*((name, mark, "assert False") for name in ("missing", "damaged"))))
    result = inner.replay()
    assert result.ret == 1
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*_ test_missing _*", "*golden*", "*_ test_damaged _*", "*golden*damaged*"])
    result.stdout.fnmatch_lines(["sparrow: 2 without a usable golden"])


def test_reruns_of_a_divergent_test(inner):
    """Each attempt diverges again; it is counted once, and fails."""
    inner.write("test_it.py", unmarked("it"))
    options = ("-p", "pytest_rerunfailures", "--reruns", "2")
    inner.record(*options).assert_outcomes(passed=1)
    inner.env(STEP="2")
    result = inner.replay(*options)
    assert result.ret == 1
    assert result.parseoutcomes()["rerun"] == 2
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([REPORTED, "sparrow: 1 diverged*"])


ENDS = {
    "exit": (["os._exit(3)"], 3),
    "keyboard": (["raise KeyboardInterrupt"], 2),
    "pytest exit": (["pytest.exit('enough', returncode=7)"], 7),
    "failures": (["sys.exit(3)", "pytest.fail('its own')"], 1),
}
"""What ends a process or its tests, and the exit code."""


def test_however_a_process_ends_the_golden_is_whole(inner):
    """Never green, in either mode, and what was recorded before is there, byte for byte.

    Under xdist a worker that dies is reported: the test is failed, whatever it had asked for.
    """

    def golden():
        return {name: data for name, (data, _) in inner.files().items() if ".pending" not in name}

    names = ("it", "other")
    inner.write("test_it.py", unmarked(*names))
    inner.record().assert_outcomes(passed=2)
    before = golden()
    assert before
    inner.env(STEP="2")
    for end, (said, code) in ENDS.items():
        inner.write("test_it.py", marked(*((name, "", one) for name, one in zip(names, said, strict=False))))
        for run in (inner.replay, inner.record):
            result = run()
            assert result.ret == code, (end, run)
            assert " passed" not in str(result.stdout), (end, run)
            assert golden() == before, (end, run)
    inner.write("test_it.py", marked(("it", "", "os._exit(3)")))
    result = inner.replay("-p", "xdist", "-n", "1")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*crashed while running*test_it.py::test_it*"])
    assert golden() == before
    inner.write("test_it.py", unmarked(*names))
    inner.unset("STEP")
    inner.replay().assert_outcomes(passed=2)


def test_a_time_out_that_is_raised_in_the_test(inner):
    """What pytest-timeout's signal method raises is the test's own failure; the divergence is reported beside it."""
    pytest.importorskip("pytest_timeout")
    options = ("-p", "pytest_timeout", "--timeout", "1", "--timeout-method", "signal")
    options = (*options, "-o", "timeout_func_only=true")
    inner.write("test_it.py", unmarked("it"))
    inner.record().assert_outcomes(passed=1)
    inner.write("test_it.py", marked(("it", "", "threading.Event().wait(60)")))
    inner.env(STEP="2")
    result = inner.replay(*options)
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Timeout*1.0s*", REPORTED])
