"""Replays what the agent's own code reads of the clocks that measure durations.

The clocks are `time.perf_counter`, `time.monotonic` and their ``_ns`` forms. A recording notes each reading of the
user's code behind the call that its lane made last; a replay gives the same readings behind the same call, so a
duration in a prompt is the recorded one, to the last bit. All other code (asyncio, HTTP libraries, pytest-timeout)
reads the real clocks: its deadlines work.

The functions are replaced where user code finds them: in `time`, as `timeit.default_timer`, and under any name in the
globals of the user's modules.
"""

from __future__ import annotations

import functools
import sys
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any, Self

from pytest_sparrow import real_time
from pytest_sparrow.boundaries.patching import AttributePatch, Patches, namespace
from pytest_sparrow.boundaries.world.clock import Flowing, somebody_freezes
from pytest_sparrow.errors import UsageError
from pytest_sparrow.exchange import LOOSE_LANES
from pytest_sparrow.run.context import carries, current_run
from pytest_sparrow.run.users_code import is_users, is_users_file
from pytest_sparrow.settings import WallClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType, ModuleType

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.crossing import Crossing
    from pytest_sparrow.run.lanes import Lane
    from pytest_sparrow.run.run import Run

MOST_BEHIND_A_CALL = 64
MOST = 512
"""The most readings that a recording notes, behind one call and in all: a loop until a deadline reads thousands."""

_LONGEST = 10**17
"""The most nanoseconds of a run, three years."""

# Python's floats hold a multiple of 2**-30 s exactly for the first 97 days of a clock, and so does the difference of
# two of them. `_UNIT` is the least number of nanoseconds that is such a multiple.
_TICKS = 2**30
_SECOND = 10**9
_UNIT = 5**9


def _in_seconds(nanoseconds: int) -> float:
    return (nanoseconds * _TICKS // _SECOND) / _TICKS


class Reader(ABC):
    """Says what the user's code reads in one run, and follows the calls of the run (see `run.emitter.Watcher`).

    Args:
        run: the run.
    """

    _not_before_now = 0

    def __init__(self, run: Run) -> None:
        self.run = run
        self._zeros: dict[str, int] = {}

    def __enter__(self) -> Self:
        if not somebody_freezes():
            around = None if self.run.parent is None else _readers.get(id(self.run.parent))
            for clock, real in _REAL.items():
                now = real() if around is None else around.now(clock)
                # A replay's is another one than its recording's, by a multiple of the unit: differences stay equal.
                self._zeros[clock] = (now + self._not_before_now) // _UNIT * _UNIT
            _readers[id(self.run)] = self
            self.run.watchers.append(self)
            _PATCHES.install()
        return self

    def __exit__(self, *_: object) -> None:
        if _readers.pop(id(self.run), None) is not None:
            self.run.watchers.remove(self)
            _PATCHES.uninstall()

    @property
    def note(self) -> dict[str, list[str]]:
        """What to note of the readings in ``config_snapshot.clock``, by lane; see `docs/format.md`."""
        return {}

    def now(self, clock: str) -> int:
        """Nanoseconds of a clock beside all readings."""
        return _REAL[clock]()

    @abstractmethod
    def read(self, clock: str, lane: Lane) -> int:
        """Nanoseconds of a clock; the lane is that of the calling strand."""

    @abstractmethod
    def body_starts(self, seconds: float) -> None:
        """The test's own code starts, so many seconds after the run did; what fixtures have read counts apart."""

    @abstractmethod
    def asked(self, crossing: Crossing) -> None:
        """A call begins: what its lane reads from here is behind this call."""

    @abstractmethod
    def answered(self, crossing: Crossing, answered: dict[str, Json] | None) -> None:
        """An answer is in."""


class Noting(Reader):
    """Notes the readings of a recording."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._since: dict[Lane, float] = {}
        self._noted: dict[tuple[str, float], list[int]] = {}
        self._left = MOST

    @property
    def note(self) -> dict[str, list[str]]:
        """The readings, behind the moment of each call."""
        noted: dict[str, list[str]] = {}
        for (label, since), readings in self._noted.items():
            noted.setdefault(label, []).append(" ".join(map(str, (since, *readings))))
        return noted

    def read(self, clock: str, lane: Lane) -> int:
        """The real clock."""
        now = self.now(clock)
        noted = self._noted.setdefault((lane.label, self._since.get(lane, 0.0)), [])
        if self._left > 0 and len(noted) < MOST_BEHIND_A_CALL:
            self._left -= 1
            noted.append(now - self._zeros[clock])
        return now

    def body_starts(self, seconds: float) -> None:
        """The test's own code starts."""
        lane = self.run.lane_here()
        if lane is not None:
            self._since[lane] = seconds

    def asked(self, crossing: Crossing) -> None:
        """A call begins."""
        if not crossing.optional:
            self._since[crossing.lane] = crossing.began

    def answered(self, crossing: Crossing, answered: dict[str, Json] | None) -> None:
        """Nothing changes."""


class Replaying(Reader):
    """Gives the readings of a recording again.

    What is read beyond the recorded readings flows on from the last one, and never passes an answer's arrival.

    Args:
        run: the run.
        noted: the golden's note, of any shape.
        body: when the recorded test's own code started, in seconds of its run.
    """

    _not_before_now = _UNIT - 1

    def __init__(self, run: Run, noted: dict[str, Json], body: float | None) -> None:
        super().__init__(run)
        self._noted = dict(_noted(noted))
        self._body = body
        self._due: dict[Lane, deque[int]] = {}
        self._last: dict[Lane, int] = {}
        self._late: dict[Lane, int] = {}

    def __enter__(self) -> Self:
        self._flow = Flowing(0)
        return super().__enter__()

    def now(self, clock: str) -> int:
        """What flows on."""
        return self._zeros[clock] + self._flow.now()

    def read(self, clock: str, lane: Lane) -> int:
        """The recorded reading, else one that flows."""
        due = self._due.get(lane)
        if due is None:
            due = self._due[lane] = self._behind(lane.label, 0.0)
        late, last = self._late.get(lane, 0), self._last.get(lane, 0)
        if due:
            shown = due.popleft() + late
            # A lane that read more than recorded stays late, so that later durations are the recorded ones.
            later = -(-max(last - shown, 0) // _UNIT) * _UNIT
            self._late[lane] = late + later
            shown += later
        else:
            shown = max(self._flow.now(), last)
        self._last[lane] = shown
        self._flow.arrived(shown / _SECOND)
        return self._zeros[clock] + shown

    def body_starts(self, seconds: float) -> None:  # noqa: ARG002 - of this run
        """The test's own code starts."""
        lane = self.run.lane_here()
        if lane is not None and self._body is not None:
            self._due[lane] = self._behind(lane.label, self._body)

    def asked(self, crossing: Crossing) -> None:
        """A call begins."""
        recorded = crossing.recorded
        if recorded is not None and not crossing.optional:
            self._due[crossing.lane] = self._behind(recorded.lane, recorded.began)

    def answered(self, crossing: Crossing, answered: dict[str, Json] | None) -> None:  # noqa: ARG002
        """An answer is in: so late is it at the least."""
        if crossing.recorded is not None:
            self._flow.arrived(crossing.recorded.ended)

    def _behind(self, label: str, since: float) -> deque[int]:
        return deque(self._noted.get((label, since), ()))


def _noted(note: dict[str, Json]) -> Iterator[tuple[tuple[str, float], list[int]]]:
    """The readings of a golden's note, by lane and moment; a line that is none is left out."""
    for label, lines in note.items():
        for line in lines if isinstance(lines, list) else ():
            since, *readings = str(line).split()[: MOST_BEHIND_A_CALL + 1] or [""]
            try:
                yield (label, float(since)), [min(int(reading), _LONGEST) for reading in readings]
            except ValueError:
                continue


def needed_reader(mode: WallClock, run: Run, golden: Json, *, records: bool) -> Reader | None:
    """What the user's code of a run reads its durations from; None: from the real clocks.

    Args:
        mode: the setting ``clock``.
        run: the run.
        golden: the golden's ``config_snapshot`` where the run replays one; else None.
        records: whether the run is recorded.
    """
    if mode is WallClock.REAL:
        return None
    if golden is None:
        return Noting(run) if records and mode is WallClock.FLOW else None
    clock = golden.get("clock") if isinstance(golden, dict) else None
    noted = clock.get("readings") if isinstance(clock, dict) else None
    if not isinstance(clock, dict) or not isinstance(noted, dict):
        return None
    body = clock.get("body")
    return Replaying(run, noted, body if isinstance(body, int | float) else None)


# Process-wide, because the functions are; empty while no run needs them.
_readers: dict[int, Reader] = {}
_REAL: dict[str, Callable[[], int]] = {
    name: real_time.real(f"{name}_ns") for name in ("perf_counter", "monotonic")
}


def _reading(frame: FrameType, clock: str) -> int | None:
    """What the code of a frame reads of a clock; None: the real time."""
    if not (_readers and is_users(frame)):
        return None
    try:
        run: Any = current_run()
    except UsageError:  # of which run, nobody knows
        return None
    reader = _readers.get(id(run))
    if reader is None:
        return None
    lane = run.lane_here()
    if lane is None or lane.label.startswith(LOOSE_LANES):
        return reader.now(clock) if carries(run) else None
    return reader.read(clock, lane)


def _standing_for(name: str) -> Callable[[], Any]:
    """The function that stands for one of `time`'s while a run is open; whoever keeps it longer reads the real time."""
    clock, real = name.removesuffix("_ns"), real_time.real(name)
    show: Callable[[int], Any] = int if name.endswith("_ns") else _in_seconds

    @functools.wraps(real)
    def read() -> Any:
        frame = sys._getframe(1)  # noqa: SLF001 - what inspect.stack() uses
        there = vars(time)[name]
        if there is not read and is_users(frame) and getattr(there, "__module__", "") == "freezegun.api":
            return there()  # freezegun looks for the real functions in modules, and does not know this one
        reading = _reading(frame, clock)
        return real() if reading is None else show(reading)

    return read


_STANDING = {name: _standing_for(name) for clock in _REAL for name in (clock, f"{clock}_ns")}


def _patches_for(module: ModuleType) -> Iterator[AttributePatch]:
    real = {id(getattr(module, name)): standing for name, standing in _STANDING.items()}
    for name, standing in _STANDING.items():
        yield AttributePatch(module, name, standing)
    for user in list(sys.modules.values()):
        space = namespace(user) or {}
        if user is not module and (_is_own(space) or space.get("__name__") == "timeit"):
            for key, value in list(space.items()):
                if id(value) in real:
                    yield AttributePatch(user, key, real[id(value)])


def _is_own(space: Any) -> bool:
    file = space.get("__file__")
    return isinstance(file, str) and is_users_file(file)


_PATCHES = Patches({"time": _patches_for})
