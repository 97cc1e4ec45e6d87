"""The wall clock of a replay."""

import datetime as dt
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import time_machine
from frozen import frozen
from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.boundaries.world import Clock, needed_clock, needed_reader, zone_here
from pytest_sparrow.boundaries.world.clock import GRACE, TICK, Flowing, Stepping
from pytest_sparrow.boundaries.world.environment import Zone
from pytest_sparrow.errors import UsageError
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.run.lanes import Lane
from pytest_sparrow.run.users_code import is_installed, is_users_file
from pytest_sparrow.settings import WallClock

SECOND = 10**9
ZERO = 1_700_000_000 * SECOND
THEN = dt.datetime(2023, 11, 14, 22, 13, 20, tzinfo=dt.UTC)


def today():
    return dt.date.today()  # noqa: DTZ011 - that is what agents do


class Real:
    """A clock that a test moves."""

    def __init__(self):
        self.at = 77 * SECOND

    def __call__(self):
        return self.at

    def passes(self, seconds):
        self.at += round(seconds * SECOND)


@pytest.fixture
def real():
    return Real()


@pytest.fixture
def zone():
    """The process's time zone, put back afterwards."""
    before = os.environ.get("TZ")
    yield
    if before is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = before
    time.tzset()


def shown(source):
    return (source.now() - ZERO) / SECOND


def in_place(name):
    os.environ["TZ"] = name
    time.tzset()


def clock(source=None, zone=None):
    return Clock(source or Flowing(ZERO), Zone(zone, ZERO / SECOND))


# What it shows.


def test_it_starts_then_and_runs_on(real):
    """A flowing clock starts at the recorded moment and goes on with real time."""
    source = Flowing(ZERO, real=real)
    assert shown(source) == 0
    real.passes(2.5)
    assert shown(source) == 2.5


def test_an_answer_moves_it_to_when_it_had_arrived(real):
    """A replayed answer moves it forward to the recorded arrival, and from there it runs on."""
    source = Flowing(ZERO, [0.5, 41.0], real=real)
    real.passes(0.1)
    source.asked(0.5)
    assert shown(source) == 0.5
    source.arrived(40.0)
    assert shown(source) == 40
    real.passes(0.2)
    assert shown(source) == 40.2


def test_it_never_goes_back(real):
    """A replay that is later than the recording was stays where it is."""
    source = Flowing(ZERO, real=real)
    real.passes(10)
    source.asked(1.0)
    source.arrived(2.0)
    source.arrived(None)
    assert shown(source) == 10


def test_a_slow_replay_stays_before_the_next_request(real):
    """Between two crossings it waits at the recorded request, so that a slow machine reads no later moment."""
    source = Flowing(ZERO, [0.01, 5.02], real=real)
    source.asked(0.01)
    source.arrived(5.0)
    real.passes(0.7)
    assert shown(source) == 5.02


@pytest.mark.parametrize("fixtures", [0.1, 0.9])
def test_what_fixtures_take_does_not_count(real, fixtures):
    """The test's own code starts when it started in the recording, whether fixtures were slower or faster."""
    source = Flowing(ZERO, [3.0], body=0.5, real=real)
    real.passes(fixtures)
    source.body_starts()
    assert shown(source) == 0.5
    real.passes(0.25)
    assert shown(source) == 0.75


def test_a_loop_that_waits_ends(real):
    """The clock waits no longer than the grace, so that a loop until a deadline ends."""
    source = Flowing(ZERO, [0.01], real=real)
    real.passes(0.5)
    assert shown(source) == 0.01
    real.passes(60)
    assert shown(source) == 60.5 - GRACE


def test_more_crossings_than_recorded_just_run_on(real):
    """Where the recording asked no further, it flows freely."""
    source = Flowing(ZERO, [0.1], real=real)
    source.asked(0.1)
    source.asked(None)
    real.passes(3)
    assert shown(source) == pytest.approx(3.1)


@given(
    st.lists(st.floats(0, 100), max_size=5).map(sorted),
    st.lists(
        st.tuples(st.sampled_from(["asked", "arrived", "passes"]), st.floats(0, 200) | st.none()),
        max_size=20,
    ),
)
def test_time_only_goes_forward(began, steps):
    """No reading is earlier than one before it, whatever crosses whenever; how often somebody reads decides nothing."""
    real = Real()
    source, unread = (Flowing(ZERO, began, real=real) for _ in range(2))
    last = source.now()
    for what, seconds in steps:
        if what == "passes":
            real.passes(seconds or 0)
        else:
            for each in (source, unread):
                getattr(each, what)(seconds)
        now = source.now()
        assert now >= last
        last = now
    assert (unread.now(), unread.skipped) == (last, source.skipped)


def test_a_long_run_in_which_nobody_reads_the_time(real):
    """Moves that wait for a reader are bounded, and none is lost."""
    source = Flowing(ZERO, [float(number) for number in range(3000)], real=real)
    for number in range(3000):
        source.asked(float(number))
        source.arrived(number + 0.5)
    assert len(source._moves) < 2000
    assert shown(source) == 2999.5


def test_a_stepping_clock_stands_still_between_crossings():
    """The clock moves one tick a crossing, whatever time passes and however long answers take."""
    source = Stepping(ZERO)
    assert shown(source) == 0
    source.asked(17.0)
    source.arrived(99.0)
    assert shown(source) == TICK


# Put before the process.


def test_every_reading_of_the_wall_clock_is_moved_and_no_other():
    """time, datetime and localtime show the recorded moment; monotonic clocks are left alone; all is restored."""
    before, monotonic = time.time(), time.monotonic()
    with clock():
        assert 0 <= time.time() - ZERO / SECOND < 60
        assert 0 <= time.time_ns() - ZERO < 60 * SECOND
        assert dt.datetime.now(dt.UTC) - THEN < dt.timedelta(minutes=1)
        assert dt.datetime.now().year == 2023  # noqa: DTZ005 - that is what agents do
        assert today().year == time.localtime().tm_year == 2023
        assert time.strftime("%Y") == "2023"
        assert 0 <= time.monotonic() - monotonic < 60
    assert time.time() >= before


def test_a_test_that_travels_within_wins():
    """A nested travel shows its own time, and ours has gone on beneath it when it ends."""
    source = Flowing(ZERO)
    with clock(source):
        with time_machine.travel("2001-01-01T00:00:00+00:00"):
            source.arrived(100.0)
            assert today().year == 2001
        assert 100 <= time.time() - ZERO / SECOND < 160
    assert not time_machine.escape_hatch.is_travelling()


def test_freezegun_within_wins():
    """The same with freezegun."""
    with clock():
        with frozen("2001-01-01"):
            assert today().year == 2001
        assert today().year == 2023
    assert today().year > 2023


def test_what_still_travels_at_our_end_goes_on_and_ends_by_itself():
    """A fixture that was set up after ours and is torn down after it keeps its time until then."""
    ours = clock()
    ours.__enter__()
    theirs = time_machine.travel("2001-01-01T00:00:00+00:00")
    theirs.start()
    ours.__exit__()
    assert today().year == 2001
    theirs.stop()
    assert not time_machine.escape_hatch.is_travelling()
    assert today().year > 2023


@pytest.mark.parametrize("freeze", [time_machine.travel, frozen])
def test_a_test_that_has_set_the_clock_before_keeps_it(freeze):
    """A test that set the clock before the run opened did so in the recording, too."""
    with freeze("2001-01-01"), clock():
        assert today().year == 2001
    assert today().year > 2023


def test_a_run_within_a_run_has_its_own_clock_and_moves_the_outer_one_on():
    """After a further run the outer clock has gone on by what the inner one skipped."""
    with clock(Flowing(ZERO)):
        inner = Flowing(ZERO - 3600 * SECOND)
        with clock(inner):
            assert time.time() - ZERO / SECOND < -3500
            inner.arrived(30.0)
        assert 29 < time.time() - ZERO / SECOND < 90


def test_without_time_machine_the_way_out_is_named(monkeypatch):
    """PyPy has no time-machine: the error says how to leave the clock alone."""
    monkeypatch.setitem(sys.modules, "time_machine", None)
    with pytest.raises(UsageError, match="sparrow_clock = real"), clock():
        pass
    assert today().year > 2023


def test_nothing_is_imported_for_a_run_that_leaves_the_clock_alone():
    """Recording in flow doesn't even load time-machine."""
    code = "import sys, pytest_sparrow.boundaries.world; assert 'time_machine' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# Which one a run needs.


def golden(timestamp="2023-11-14T22:13:20+00:00", **noted):
    return SimpleNamespace(timestamp=timestamp, config_snapshot=noted)


def test_a_recording_moves_nothing_but_in_steps():
    """Both flow and real leave a recording alone; step starts at the run's start."""
    assert needed_clock(WallClock.FLOW, THEN) is None
    assert needed_clock(WallClock.REAL, THEN) is None
    stepping = needed_clock(WallClock.STEP, THEN)
    assert isinstance(stepping.source, Stepping)
    assert stepping.source.now() == ZERO


def test_a_replay_follows_its_golden():
    """A golden that was recorded in steps is replayed in steps, any other flows; real leaves both alone."""
    stepped, flowing = golden(clock={"mode": "step"}), golden(clock={"mode": "flow"})
    for mode in (WallClock.FLOW, WallClock.STEP):
        assert isinstance(needed_clock(mode, THEN, stepped).source, Stepping)
        assert isinstance(needed_clock(mode, THEN, flowing).source, Flowing)
        assert isinstance(needed_clock(mode, THEN, golden()).source, Flowing)
    assert needed_clock(WallClock.REAL, THEN, stepped) is None


@pytest.mark.parametrize("timestamp", ["2023-11-14T22:13:20.123456789Z", "2023-11-14T23:13:20.123456+01:00"])
def test_timestamps_of_the_cockpit_and_of_other_offsets(timestamp):
    """Nanoseconds and offsets are read."""
    assert needed_clock(WallClock.FLOW, THEN, golden(timestamp)).source.now() // 1000 >= ZERO // 1000 + 123456


@pytest.mark.parametrize(
    "timestamp",
    ["yesterday", "", "0001-01-01T00:00:00+14:00", "1960-01-01T00:00:00Z", "9999-12-31T23:59:59+00:00"],
)
def test_a_timestamp_that_is_no_time_leaves_the_clock_alone(timestamp):
    """What a clock can't show is no reason to fail."""
    assert needed_clock(WallClock.FLOW, THEN, golden(timestamp)) is None


def test_watching_a_run():
    """The clock follows the recorded exchanges; a crossing that has none moves nothing."""
    moved = needed_clock(WallClock.FLOW, THEN, golden(), [])
    exchange = Exchange(kind="tool", asked={}, answered={}, began=10.0, ended=20.0)
    moved.asked(SimpleNamespace(recorded=exchange))
    assert 10 <= shown(moved.source) < 20
    moved.answered(SimpleNamespace(recorded=exchange), {})
    moved.asked(SimpleNamespace(recorded=None))
    moved.answered(SimpleNamespace(recorded=None), None)
    assert 20 <= shown(moved.source) < 80


# The time zone.


@pytest.mark.parametrize(
    ("tz", "noted"),
    [
        ("Europe/Berlin", {"zone": "Europe/Berlin", "tz": "CET-1"}),
        (":America/New_York", {"zone": "America/New_York", "tz": "EST5"}),
        ("Asia/Kolkata", {"zone": "Asia/Kolkata", "tz": "IST-5:30"}),
        ("/usr/share/zoneinfo/Asia/Tokyo", {"zone": "Asia/Tokyo", "tz": "JST-9"}),
        ("America/Sao_Paulo", {"zone": "America/Sao_Paulo", "tz": "<-0300>3"}),
        ("CET-1CEST,M3.5.0,M10.5.0", {"zone": None, "tz": "CET-1CEST,M3.5.0,M10.5.0"}),
    ],
)
def test_the_zone_here(zone, tz, noted):
    """The name where it is one of the database and means what the local time is, and a POSIX text in any case."""
    in_place(tz)
    assert zone_here(ZERO / SECOND) == noted
    hour = time.localtime(ZERO / SECOND).tm_hour
    in_place(noted["tz"])
    assert time.localtime(ZERO / SECOND).tm_hour == hour


def test_a_zone_that_is_none_has_no_name(zone):
    """TZ may hold anything; a golden doesn't name what is no zone."""
    in_place("No/Such")
    assert zone_here(ZERO / SECOND)["zone"] is None


@pytest.mark.parametrize("noted", [{"zone": "Asia/Tokyo", "tz": "JST-9"}, {"zone": None, "tz": "JST-9"}])
def test_the_recorded_zone_is_put_in_place_and_taken_away(zone, noted):
    """Local time is the recorded zone's while the run is open; the former one comes back exactly."""
    in_place("America/New_York")
    with clock(zone=noted):
        assert dt.datetime.now().astimezone().utcoffset() == dt.timedelta(hours=9)
        assert time.strftime("%Z") == "JST"
    assert os.environ["TZ"] == "America/New_York"
    assert time.localtime(ZERO / SECOND).tm_gmtoff == -5 * 3600


def test_a_name_that_the_system_does_not_know_gives_way_to_the_posix_text(zone):
    """The C library takes an unknown name for UTC, silently."""
    in_place("UTC")
    with clock(zone={"zone": "Mars/Olympus", "tz": "MMT-2:30"}):
        assert time.localtime(ZERO / SECOND).tm_gmtoff == 9000


@pytest.mark.parametrize(
    "noted", [None, {}, "Asia/Tokyo", {"zone": 5, "tz": ["x"]}, {"zone": None, "tz": ""}]
)
def test_a_golden_without_a_zone_changes_none(zone, noted):
    """An older golden, or another's, leaves the time zone alone."""
    in_place("Asia/Kolkata")
    with clock(zone=noted):
        assert os.environ["TZ"] == "Asia/Kolkata"


def test_the_zone_that_is_in_place_stays_as_it_is_spelled(zone):
    """Where the recorded zone is this machine's, TZ isn't touched."""
    in_place(":Europe/Berlin")
    with clock(zone={"zone": "Europe/Berlin", "tz": "CET-1"}):
        assert os.environ["TZ"] == ":Europe/Berlin"


def test_a_fixture_that_puts_our_zone_back_does_not_leak_it(zone, monkeypatch):
    """A monkeypatch undoes TZ to what it was when it was set: ours, long gone. A second restore sees to it."""
    in_place("UTC")
    ours = Zone({"zone": "Asia/Tokyo", "tz": "JST-9"}, ZERO / SECOND)
    ours.set()
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        ours.restore()
        assert os.environ["TZ"] == "Europe/Berlin"
    assert os.environ["TZ"] == "Asia/Tokyo"
    ours.restore()
    assert os.environ["TZ"] == "UTC"


# What the user's code reads durations from.

ODD = ("5", {"": "1 2"}, {"": ["", "x 1", "1 x", None, 7]}, {"task-1": None})


def test_goldens_of_any_shape_are_read(real):
    """An older golden holds no readings: the clocks are the real ones. A line that is none is left out."""
    run = SimpleNamespace(parent=None, watchers=[], lane_here=lambda: None)
    for golden in ({}, [], {"clock": None}, {"clock": {"mode": "flow"}}):
        assert needed_reader(WallClock.FLOW, run, golden, records=False) is None
    assert needed_reader(WallClock.STEP, run, None, records=True) is None
    assert needed_reader(WallClock.REAL, run, {"clock": {"readings": {}}}, records=False) is None
    for readings in ODD:
        golden = {"clock": {"readings": readings}}
        reader = needed_reader(WallClock.FLOW, run, golden, records=False)
        assert (reader is None) == isinstance(readings, str)


def test_durations_go_on_behind_the_recorded_ones():
    """What was recorded comes back; more readings flow on from there, never back, and later durations stay equal."""
    run = SimpleNamespace(parent=None, watchers=[], lane_here=lambda: None)
    note = {"": [f"0.0 {SECOND} {3 * SECOND}", f"7.5 {4 * SECOND} {9 * SECOND} {10**30}"]}
    lane = Lane("")
    replay = needed_reader(WallClock.FLOW, run, {"clock": {"readings": note}}, records=False)
    with replay:
        first, second = (replay.read("monotonic", lane) for _ in range(2))
        assert second - first == 2 * SECOND
        replay.answered(SimpleNamespace(recorded=SimpleNamespace(ended=7.0)), None)
        more = replay.read("monotonic", lane)
        assert more - first >= 6 * SECOND
        replay.asked(SimpleNamespace(lane=lane, optional=False, recorded=SimpleNamespace(lane="", began=7.5)))
        late, later, last = (replay.read("monotonic", lane) for _ in range(3))
        assert late >= more
        assert later - late == 5 * SECOND
        assert replay.read("monotonic", lane) >= last > later


@pytest.mark.parametrize("folder", ["/usr/lib/python3/dist-packages", "/home/a/.local/lib/site-packages"])
def test_packages_outside_the_environment_are_installed(folder):
    """What the system or the user has installed is not the agent's own code: its readings are none of the agent's."""
    assert is_installed(f"{folder}/pytest_timeout.py")
    assert not is_users_file(f"{folder}/pytest_timeout.py")
    assert is_users_file("/home/a/agent/agent.py")
