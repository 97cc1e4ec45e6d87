"""The clock of whole test runs: an unchanged agent is green on any day and in any zone, a changed one is red."""

import json
import textwrap

from plugin.anyday import CHANGES, FAKETIME, world

TESTS = """
    import pytest
    from agent import agent

    @pytest.mark.parametrize("number", range(3))
    def test_day(sparrow, number):
        assert agent() == "Have a nice day."
"""

NEXT_YEAR = {"LD_PRELOAD": FAKETIME, "FAKETIME": "+1y"} if FAKETIME else {}

REPORTS = """
    import time

    BEGIN = time.time()

    def pytest_runtest_logreport(report):
        assert BEGIN <= report.start <= report.stop < BEGIN + 300
"""

REAL = """
    import os
    import time
    import pytest

    REAL = time.time()

    def test_moved(sparrow):
        assert sparrow.call("f", int, 1) == 1

    @pytest.mark.sparrow(clock="real" if "SHUT" in os.environ else "flow")
    def test_real(sparrow):
        assert sparrow.call("f", int, 1) == 1
        assert REAL <= time.time() < REAL + 300
"""


FURTHER = """
    import time

    def test_further(sparrow):
        start = time.time()
        with sparrow.run("second") as second:
            second.call("f", time.sleep, 0.5)
            assert abs(time.time() - second.call("g", time.time)) < 60
        assert 0.5 <= time.time() - start < 60
        assert abs(time.time() - sparrow.call("h", time.time)) < 60
"""


def test_an_unchanged_agent_is_green_on_any_day(inner):
    """Recorded once, replayed on other days, in another zone, with other hashes, in another order, alone: green.

    `sparrow.run` replays at the moment of its own golden, and the outer clock has gone on when it is over.
    With clock = real nothing is moved. Start, stop and duration of every report are real, and in order: other plugins
    read them.
    """
    inner.write("test_it.py", TESTS)
    inner.write("conftest.py", REPORTS)
    inner.write("test_real.py", REAL)
    inner.write("test_further.py", FURTHER)
    with world(inner):
        inner.record().assert_outcomes(passed=6)
    inner.env(TZ="Asia/Tokyo")
    inner.replay("test_it.py::test_day[1]").assert_outcomes(passed=1)
    inner.env(PYTHONHASHSEED="4711", **NEXT_YEAR)
    result = inner.replay()
    assert "sparrow: 6 replayed equal" in result.stdout.str()
    inner.unset("TZ", "PYTHONHASHSEED", *NEXT_YEAR)
    # In a worker, in the opposite order.
    plugins = ("-p", "xdist", "-n", "1", "-p", "pytest_randomly", "--randomly-seed=2")
    result = inner.replay(*plugins, "-v")
    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines(["*PASSED*test_day[[]2[]]*", "*PASSED*test_day[[]1[]]*"])


def test_a_changed_agent_is_red(inner):
    """Each single change of behaviour is found, on any day."""
    inner.write("test_it.py", TESTS)
    with world(inner):
        inner.record("-k", "0").assert_outcomes(passed=1)
    changed = """
        @pytest.mark.sparrow(golden="test_day[0]")
        @pytest.mark.parametrize("change", {changes})
        def test_changed(sparrow, monkeypatch, change):
            monkeypatch.setattr("agent.CHANGE", change)
            assert agent() == "Have a nice day."
    """
    changes = ("none", *CHANGES)
    inner.write("test_it.py", textwrap.dedent(TESTS) + textwrap.dedent(changed).format(changes=changes))
    inner.env(TZ="Asia/Tokyo")
    result = inner.replay("-k", "changed", "-rfp")
    result.assert_outcomes(failed=len(CHANGES), passed=1, deselected=3)
    result.stdout.fnmatch_lines(["PASSED test_it.py::test_changed[[]none[]]"])


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
    with world(inner, waits=0.7, turns=1):
        inner.record("-k", "0").assert_outcomes(passed=1)
    result = inner.replay("-k", "0", "--durations=1", "--durations-min=0")
    result.assert_outcomes(passed=1)
    result.stdout.no_re_match_line(r"[1-9]\d*\.\d+s call")


DEADLINES = """
    import os
    import time

    def test_reads(sparrow):
        deadline = time.time() + 0.05
        reads = 0
        while time.time() < deadline:
            reads += 1
        assert reads > 10
        assert sparrow.call("f", int, 1) == 1

    def test_waits(sparrow):
        sparrow.call("f", int, 1)
        for wait in (0.1, 0.1) if os.environ.get("SHUT") else (0.01, 0.01):
            deadline = time.time() + wait
            while time.time() < deadline:
                time.sleep(0.001)
            sparrow.call("f", int, 1)
"""


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


OWN = """
    import contextlib
    import time
    from datetime import date

    import freezegun
    import pytest
    import time_machine

    REAL = time.time()

    @pytest.fixture(params=["time_machine", "freezegun"])
    def freeze(request):
        travel = {"time_machine": time_machine.travel, "freezegun": freezegun.freeze_time}[request.param]
        return lambda: travel("2001-02-03")

    @pytest.fixture
    def frozen(freeze):
        with freeze():
            yield

    @pytest.fixture
    def before(frozen, sparrow):
        return sparrow

    @pytest.fixture
    def after(sparrow, frozen):
        return sparrow

    def test_before(before):
        assert before.call("f", str, str(date.today())) == "2001-02-03"

    def test_after_before():
        assert REAL <= time.time() < REAL + 300

    def test_after(after):
        assert after.call("f", str, str(date.today())) == "2001-02-03"

    def test_after_after():
        assert REAL <= time.time() < REAL + 300

    def test_within(sparrow, freeze):
        with freeze():
            assert sparrow.call("f", str, str(date.today())) == "2001-02-03"

    def test_after_within():
        assert REAL <= time.time() < REAL + 300
"""


LIVE = """
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
"""


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

    def under(policy):
        return pytest.param(policy, marks=pytest.mark.sparrow(policy=f"* = {policy}"))

    @pytest.mark.parametrize("policy", [under("run"), under("verify")])
    def test_it(sparrow, policy):
        assert set(agent(sparrow)) == {not os.environ.get("SHUT")}
"""


def test_recorded_moments(inner):
    """Every reading is equal on another day.

    Reading the clock is no event and no exchange, however often; an agent that waits longer ends all the same.
    A stepping clock stands still, and a crossing is a second: in record and replay alike, to the microsecond.
    A test that sets the clock itself, in a fixture set up before sparrow or after it, or in the body: its own time
    wins, and is put back in the end.
    In a live fork the agent's clock goes on where it was: a deadline that it has set doesn't jump into the past.
    What a tool asks that runs looks at dates, so it sees the real time; the agent around it, also beside it or between
    two items, stays at its moment.
    """
    inner.write("test_deadlines.py", DEADLINES)
    inner.write("test_step.py", STEPS)
    inner.write("test_own.py", OWN)
    inner.write("test_live.py", LIVE)
    inner.write("test_runs.py", RUNS)
    inner.record().assert_outcomes(passed=15)
    [exchanges] = inner.path.glob("__sparrow__/*/test_reads/exchanges.jsonl")
    assert exchanges.read_bytes().count(b"\n") == 1
    assert exchanges.stat().st_size < 500
    inner.env(TZ="Asia/Tokyo")
    inner.replay().assert_outcomes(passed=15)
    [step] = inner.path.glob("__sparrow__/test_step/test_it/inputs.json")
    assert json.loads(step.read_text(encoding="utf-8"))["config_snapshot"]["clock"]["mode"] == "step"


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


DURATIONS = """
    import asyncio
    import concurrent.futures
    import os
    import threading
    import time
    import timeit
    from time import monotonic, perf_counter as now
    from timeit import default_timer

    import pytest

    SLOW = 0 if os.environ.get("SHUT") else 0.03
    AT_IMPORT = now()

    @pytest.fixture(scope="module", autouse=True)
    def reads_in_the_first_test():
        now()

    def measured(sparrow, clock, work=time.sleep):
        start = clock()
        sparrow.call("work", work, 0.03)
        time.sleep(SLOW)
        return clock() - start

    def tell(sparrow, *durations):
        sparrow.call("tell", str, repr(durations))

    @pytest.mark.parametrize(
        "clock", [now, monotonic, default_timer], ids=["perf_counter", "monotonic", "default_timer"]
    )
    def test_held(sparrow, clock):
        tell(sparrow, CLOCKS[clock](sparrow))

    CLOCKS = {
        now: lambda sparrow: measured(sparrow, lambda: now()),
        monotonic: lambda sparrow: measured(sparrow, lambda: monotonic()),
        default_timer: lambda sparrow: measured(sparrow, lambda: timeit.default_timer() - 0 * default_timer()),
    }

    def test_modules_own(sparrow):
        tell(
            sparrow,
            measured(sparrow, lambda: time.perf_counter()),
            measured(sparrow, lambda: time.monotonic()),
            measured(sparrow, lambda: time.perf_counter_ns()),
            measured(sparrow, lambda: time.monotonic_ns()),
        )
        assert now() > AT_IMPORT

    def test_imported_in_the_body(sparrow):
        from time import perf_counter
        tell(sparrow, measured(sparrow, lambda: perf_counter()))

    def test_threads(sparrow):
        start = now()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            works = [pool.submit(measured, sparrow, lambda: now()) for _ in range(3)]
            durations = [work.result() for work in works]
        tell(sparrow, now() - start, *durations)

    def test_tasks(sparrow):
        async def one(number):
            start = now()
            sparrow.call("one", int, number)
            await asyncio.wait_for(asyncio.sleep(SLOW), 5)
            return now() - start

        async def all():
            start = now()
            durations = await asyncio.gather(*map(one, range(3)))
            tell(sparrow, now() - start, *durations)

        asyncio.run(all())

    def test_within_a_tool(sparrow):
        def tool(seconds):
            start = now()
            time.sleep(seconds)
            return now() - start > 0
        tell(sparrow, measured(sparrow, lambda: now(), tool))

    def test_a_further_run(sparrow):
        start = now()
        with sparrow.run("second") as second:
            tell(second, measured(second, lambda: now()), now() > start)
        assert now() > start

    def test_a_deadline(sparrow):
        sparrow.call("work", time.sleep, 0.03)
        assert len({now() for _ in range(100)}) > 1
        end = now() + 0.01
        while now() < end:
            pass
        tell(sparrow)
        tell(sparrow, measured(sparrow, lambda: now()))
        event, end = threading.Event(), now() + (0.1 if SLOW else 0.2)
        while now() < end:
            event.wait(0.01)
        tell(sparrow)
"""


def test_durations_are_those_of_the_recording(inner):
    """What the user's code measures comes back to the last bit: each clock, under each name, in each kind of strand.

    Loops until a deadline end, also if the deadline was changed, and fill no golden.
    """
    inner.write("test_it.py", DURATIONS)
    inner.record().assert_outcomes(passed=10)
    [golden] = inner.path.glob("__sparrow__/*/test_a_deadline/inputs.json")
    text = golden.read_text(encoding="utf-8")
    assert 64 < text.count(" ", text.index('"readings"')) < 400
    inner.env(SHUT="1")
    result = inner.replay("-p", "no:randomly")
    result.assert_outcomes(passed=10)
    inner.replay("-k", "tasks or held").assert_outcomes(passed=4, deselected=6)
