"""The clock of whole test runs: an unchanged agent is green on any day and in any zone, a changed one is red."""

import json

import pytest

from plugin.anyday import CHANGES, FAKETIME, world

TESTS = """
    import pytest
    from agent import agent

    @pytest.mark.parametrize("number", range(3))
    def test_day(sparrow, number):
        assert agent() == "Have a nice day."
"""

ANY_DAY = {
    "in three days": {"LD_PRELOAD": FAKETIME, "FAKETIME": "+3d"},
    "in a year": {"LD_PRELOAD": FAKETIME, "FAKETIME": "+1y"},
    "in Tokyo": {"TZ": "Asia/Tokyo"},
    "in Tokyo, next year": {"TZ": "Asia/Tokyo", "LD_PRELOAD": FAKETIME, "FAKETIME": "+1y"},
    "with other hashes": {"PYTHONHASHSEED": "4711"},
}


def inputs(inner, name):
    [path] = inner.path.glob(f"__sparrow__/*/{name}/inputs.json")
    return json.loads(path.read_text(encoding="utf-8"))


def test_an_unchanged_agent_is_green_on_any_day(inner):
    """Recorded once, replayed on other days, in another zone, with other hashes, in another order, alone: green."""
    inner.write("test_it.py", TESTS)
    with world(inner):
        inner.record().assert_outcomes(passed=3)
    for name, environ in ANY_DAY.items():
        if "LD_PRELOAD" in environ and not FAKETIME:
            continue
        inner.env(**environ)
        result = inner.replay()
        inner.unset(*environ)
        assert "sparrow: 3 replayed equal" in result.outlines, name
    inner.replay("test_it.py::test_day[1]").assert_outcomes(passed=1)
    inner.replay("-n", "2", "-p", "xdist").assert_outcomes(passed=3)
    for seed in ("1", "2"):
        inner.replay("-p", "pytest_randomly", f"--randomly-seed={seed}").assert_outcomes(passed=3)


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_agent_is_red(inner, change):
    """Each single change of behaviour is found, on any day."""
    inner.write("test_it.py", TESTS)
    with world(inner):
        inner.record("-k", "0").assert_outcomes(passed=1)
    inner.env(CHANGE=change, TZ="Asia/Tokyo")
    inner.replay("-k", "0").assert_outcomes(failed=1)


def test_recording_again_an_unchanged_agent(inner):
    """The seed is the golden's, so that only the clock can have changed anything; without it nothing is rewritten."""
    inner.write("test_it.py", TESTS)
    inner.env(FORMAT="%Y")
    with world(inner):
        inner.record().assert_outcomes(passed=3)
        before = inner.files()
        inner.record().stdout.fnmatch_lines(["sparrow: 3 recorded again, unchanged"])
    assert inner.files() == before


EARLY_IN_A_SECOND = """
    import os
    import time

    import pytest

    @pytest.fixture(autouse=True)
    def early_in_a_second(sparrow):
        while not os.environ.get("SHUT") and not 0.2 < time.time() % 1 < 0.4:
            time.sleep(0.01)
"""
"""Some milliseconds more or less must not lie in two seconds: a clock that runs on can't help that."""


def test_a_long_recording_with_seconds_in_every_prompt_replays_at_once(inner):
    """At each replayed answer the clock moves on to when it had arrived; the wait itself isn't repeated."""
    inner.write("test_it.py", TESTS)
    inner.write("conftest.py", EARLY_IN_A_SECOND)
    inner.env(FORMAT="%H:%M:%S")
    with world(inner, waits=1.2, turns=3):
        inner.record("-k", "0").assert_outcomes(passed=1)
    result = inner.replay("-k", "0", "--durations=1", "--durations-min=0")
    result.assert_outcomes(passed=1)
    result.stdout.no_re_match_line(r"[1-9]\d*\.\d+s call")


def test_a_busy_loop_adds_nothing_to_the_transcript(inner):
    """Reading the clock is no event and no exchange, however often."""
    inner.write(
        "test_it.py",
        """
        import time

        def test_it(sparrow):
            deadline = time.time() + 0.05
            reads = 0
            while time.time() < deadline:
                reads += 1
            assert reads > 10
            assert sparrow.call("f", int, 1) == 1
        """,
    )
    inner.record().assert_outcomes(passed=1)
    [exchanges] = inner.path.glob("__sparrow__/*/*/exchanges.jsonl")
    assert exchanges.read_bytes().count(b"\n") == 1
    assert exchanges.stat().st_size < 500
    inner.replay().assert_outcomes(passed=1)


def test_a_loop_until_a_deadline_ends_in_replay(inner):
    """An agent that now waits longer than it did ends all the same."""
    inner.write(
        "test_it.py",
        """
        import os
        import time

        def test_it(sparrow):
            sparrow.call("f", int, 1)
            for wait in (0.1, 0.1) if os.environ.get("SHUT") else (0.01, 0.01):
                deadline = time.time() + wait
                while time.time() < deadline:
                    time.sleep(0.001)
                sparrow.call("f", int, 1)
        """,
    )
    inner.record().assert_outcomes(passed=1)
    inner.replay().assert_outcomes(passed=1)


STEPS = """
    import time
    import pytest

    @pytest.mark.sparrow(clock="step")
    def test_it(sparrow):
        readings = [time.time()]
        for number in range(3):
            assert sparrow.call("f", int, number) == number
            time.sleep(0.01)
            readings += [time.time(), time.time()]
        gaps = [round(b - a, 6) for a, b in zip(readings, readings[1:])]
        assert gaps == [1, 0, 1, 0, 1, 0]
        sparrow.call("g", str, repr(readings))
"""


def test_a_stepping_clock_is_the_same_in_record_and_replay(inner):
    """The clock stands still, a crossing is a second, and on another day every reading is equal to the microsecond."""
    inner.write("test_it.py", STEPS)
    inner.record().assert_outcomes(passed=1)
    inner.env(TZ="Asia/Tokyo")
    inner.replay().assert_outcomes(passed=1)
    assert inputs(inner, "test_it")["config_snapshot"]["clock"]["mode"] == "step"


def test_a_real_clock_is_left_alone(inner):
    """With clock = real nothing is moved."""
    inner.write(
        "test_it.py",
        """
        import time
        import pytest

        REAL = time.time()

        def test_it(sparrow):
            assert sparrow.call("f", int, 1) == 1
            assert REAL <= time.time() < REAL + 300
        """,
    )
    inner.record().assert_outcomes(passed=1)
    if FAKETIME:
        inner.env(LD_PRELOAD=FAKETIME, FAKETIME="+1y")
    inner.replay("-o", "sparrow_clock=real").assert_outcomes(passed=1)


def test_a_wrong_clock_or_seed_is_a_usage_error(inner):
    """The text names the origin and the valid words."""
    inner.write("test_it.py", "def test_it(sparrow): pass")
    result = inner.refused("-o", "sparrow_clock=fast")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*-o sparrow_clock: 'fast' is not one of: flow, step, real*"])
    result = inner.refused("-o", "sparrow_seed=maybe")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*-o sparrow_seed: 'maybe' is not true, false or a number from 0*"])


def test_without_time_machine_the_failure_names_the_way_out(inner):
    """Where time-machine can't be imported a replay fails by name, and works with the clock left alone."""
    inner.write("test_it.py", "def test_it(sparrow): assert sparrow.call('f', int, 1) == 1")
    inner.record().assert_outcomes(passed=1)
    inner.write("conftest.py", "import sys; sys.modules['time_machine'] = None")
    result = inner.replay()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the clock of a replay needs time-machine*", "*sparrow_clock = real*"])
    inner.replay("-o", "sparrow_clock=real").assert_outcomes(passed=1)


@pytest.mark.parametrize("place", ["before", "after", "within"])
@pytest.mark.parametrize("freeze", ["time_machine.travel", "freezegun.freeze_time"])
def test_a_test_that_sets_the_clock_itself_keeps_its_own(inner, freeze, place):
    """In a fixture set up before sparrow or after it, or in the body: its own time wins, and is put back in the end."""
    inner.write(
        "test_it.py",
        f"""
        import contextlib
        import time
        from datetime import date

        import freezegun
        import pytest
        import time_machine

        FREEZE = lambda: {freeze}("2001-02-03")
        REAL = time.time()

        @pytest.fixture
        def frozen():
            with FREEZE():
                yield

        @pytest.fixture
        def before(frozen, sparrow):
            return sparrow

        @pytest.fixture
        def after(sparrow, frozen):
            return sparrow

        @pytest.fixture
        def within(sparrow):
            return sparrow

        def test_it({place}):
            with FREEZE() if "{place}" == "within" else contextlib.nullcontext():
                assert {place}.call("f", str, str(date.today())) == "2001-02-03"

        def test_afterwards():
            assert REAL <= time.time() < REAL + 300
        """,
    )
    inner.record().assert_outcomes(passed=2)
    inner.replay().assert_outcomes(passed=2)


def test_reports_hold_real_times(inner):
    """Start, stop and duration of every report are real, and in order: other plugins read them."""
    inner.write(
        "conftest.py",
        """
        import time

        BEGIN = time.time()

        def pytest_runtest_logreport(report):
            assert BEGIN <= report.start <= report.stop < BEGIN + 300
        """,
    )
    inner.write("test_it.py", "def test_it(sparrow): assert sparrow.call('f', int, 1) == 1")
    inner.record().assert_outcomes(passed=1)
    if FAKETIME:
        inner.env(LD_PRELOAD=FAKETIME, FAKETIME="+3d")
    inner.replay().assert_outcomes(passed=1)


def test_a_further_run_has_its_own_recorded_moment(inner):
    """sparrow.run replays at the moment of its own golden, and the outer clock has gone on when it is over."""
    inner.write(
        "test_it.py",
        """
        import time

        def test_it(sparrow):
            readings = [int(time.time() * 10)]
            with sparrow.run("second") as second:
                second.call("f", time.sleep, 0.5)
                second.call("g", str, int(time.time()))
            sparrow.call("h", str, int(time.time()))
        """,
    )
    inner.record().assert_outcomes(passed=1)
    inner.env(TZ="Asia/Tokyo")
    inner.replay().assert_outcomes(passed=1)


RUNS = """
    import asyncio
    import os
    import threading
    import time
    from datetime import datetime

    import pytest

    REAL = time.time()

    def is_real():
        return REAL <= time.time() < REAL + 300 and REAL <= datetime.now().timestamp()

    def plain() -> bool:
        return is_real()

    async def later() -> bool:
        await asyncio.sleep(0.001)
        return is_real()

    def several():
        yield is_real()
        yield is_real()

    def in_a_thread() -> bool:
        found = []
        thread = threading.Thread(target=lambda: found.append(is_real()))
        thread.start()
        thread.join()
        return found == [True]

    def agent(sparrow):
        yield is_real()
        assert sparrow.tool(plain)()
        yield is_real()
        asyncio.run(both(sparrow.tool(later)))
        for now in sparrow.tool(several)():
            assert now
            yield is_real()
        assert sparrow.tool(in_a_thread)()
        yield is_real()

    async def both(tool):
        async def beside():
            return is_real()
        ran, agents = await asyncio.gather(tool(), beside())
        assert (ran, agents) == (True, not os.environ.get("SHUT"))

    @pytest.mark.parametrize("policy", ["run", "verify"])
    def test_it(sparrow, policy):
        assert set(agent(sparrow)) == {not os.environ.get("SHUT")}
"""


def test_a_tool_that_runs_sees_the_real_time(inner):
    """What it asks looks at dates; the agent around it, also beside it or between two items, stays at its moment."""
    inner.write("test_it.py", RUNS)
    inner.record().assert_outcomes(passed=2)
    inner.replay("-o", "sparrow_policy=* = run", "-k", "run").assert_outcomes(passed=1)
    inner.replay("-o", "sparrow_policy=* = verify", "-k", "verify").assert_outcomes(passed=1)


def test_the_clock_runs_on_in_a_live_fork(inner):
    """The agent's clock goes on where it was: a deadline that it has set doesn't jump into the past."""
    inner.write(
        "test_it.py",
        """
        import os
        import time

        REAL = time.time()

        def look_up() -> str:
            return "x"

        def test_it(sparrow):
            tool = sparrow.tool(look_up)
            if os.environ.get("SHUT"):
                sparrow.fork("look_up", replace={"returned": "y"}, live=True)
            before = time.time()
            assert tool() == ("y" if os.environ.get("SHUT") else "x")
            assert (before < REAL) is (time.time() < REAL) is bool(os.environ.get("SHUT"))
            assert before <= time.time() < before + 300
            assert tool() == "x"
        """,
    )
    inner.record().assert_outcomes(passed=1)
    inner.replay().assert_outcomes(passed=1)
