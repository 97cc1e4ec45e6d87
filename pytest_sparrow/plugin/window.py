"""Opens a run with its boundaries, its clock and its randomness, and closes them again, restored exactly."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries import guard, http
from pytest_sparrow.boundaries.guard.network import noting_uncaptured
from pytest_sparrow.boundaries.guard.processes import hearing_forked, naming_children
from pytest_sparrow.boundaries.http.retry_delays import skip_retry_delays
from pytest_sparrow.boundaries.patching import AttributePatch
from pytest_sparrow.boundaries.world import (
    Clock,
    Reader,
    Seeded,
    needed_clock,
    needed_reader,
    new_seed,
    noted_clock,
    noted_seed,
    strands,
)
from pytest_sparrow.boundaries.world.environment import dummy_keys
from pytest_sparrow.findings import Finding, Kind
from pytest_sparrow.report.words import FORKED, OUT_OF_A_FORK
from pytest_sparrow.run.context import close_window, has_threads, open_window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    import pytest

    from pytest_sparrow.boundaries.tools import Tools
    from pytest_sparrow.boundaries.world.environment import ReplayedEnvironment
    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.run.run import Run
    from pytest_sparrow.settings import Behaviour, Settings
    from pytest_sparrow.transcript import Transcript


class Window:
    """The time in which a run is open.

    Args:
        run: the run.
        tools: the run's tools; those that the settings name are wrapped when the window opens.
        environment: the recorded environment, where the run replays one.
        clock: moves the wall clock, where the run needs a moved clock.
        reader: what the user's code reads durations from, where not from the real clocks.
    """

    def __init__(
        self,
        run: Run,
        tools: Tools,
        environment: ReplayedEnvironment | None = None,
        clock: Clock | None = None,
        reader: Reader | None = None,
    ) -> None:
        self.run = run
        self.tools = tools
        self._environment = environment
        self._clock = clock
        self._reader = reader
        self._undo: list[Callable[[], object]] = []

    def open(self) -> None:
        """Install what captures, shut the world if the run replays, and open the run.

        Raises:
            UsageError: a tool's dotted name cannot be resolved, or the clock cannot be moved where it must be.
        """
        try:
            self._open()
        except BaseException:
            self._undo_all()
            raise

    def _open(self) -> None:
        run, undo = self.run, self._undo
        _end_what_outlasted()
        undo.append(partial(_outlasting, run, self.tools.close))
        if self._environment is not None:
            self._environment.set()
            undo.append(self._environment.restore)
        for each in (self._clock, self._reader):
            if each is not None:
                self._enter(each)
        self._enter(hearing_forked(self._in_forked_child, self._report_forked))
        if run.replaying:
            self._enter(dummy_keys(extra=run.settings.dummy_keys))
            self._enter(guard.shut(run))
            self._enter(skip_retry_delays())
            self._enter(naming_children(run, run.violations.add))
        elif run.keeps:
            self._enter(noting_uncaptured(run, run.violations.add))
        http.install()
        undo.append(partial(_outlasting, run, http.uninstall))
        self._enter(strands.PATCHES)
        undo.append(partial(strands.exits.belong_to, strands.exits.belong_to(run)))
        if run.frameworks:
            from pytest_sparrow import frameworks  # a golden without frameworks needs none of them

            patches = frameworks.patches()
            patches.install()
            undo.append(partial(_outlasting, run, patches.uninstall))
        undo.append(partial(close_window, run, open_window(run)))
        for line in run.settings.tools:
            name, _, dotted = line.rpartition("=")
            self.tools.tool(dotted.strip(), name=name.strip() or None)

    def _enter(self, what: AbstractContextManager[object]) -> None:
        what.__enter__()
        self._undo.append(partial(what.__exit__, None, None, None))

    def _undo_all(self) -> None:
        """Put back all that was set, the last first; the first error is raised once all is put back."""
        failed: BaseException | None = None
        while self._undo:
            try:
                self._undo.pop()()
            except BaseException as error:  # noqa: BLE001 - what is left must be put back, too
                failed = failed or error
        if failed is not None:
            raise failed

    def _in_forked_child(self, report: Callable[[str], None]) -> None:
        self.run.violations.mirror = report

    def _report_forked(self, line: str) -> None:
        kind = Kind.REFUSED if self.run.replaying else Kind.UNRECORDABLE
        hint = OUT_OF_A_FORK if line.endswith(FORKED) else ""
        self.run.violations.add(Finding(kind=kind, detail={"text": line, "hint": hint}))

    def close(self, *, failed: bool) -> None:
        """End the run, then restore the world. A second call does nothing."""
        try:
            if not self.run.closed:
                self._name_misfits()
                self.run.close(failed=failed)
        finally:
            self._undo_all()

    def _name_misfits(self) -> None:
        if not self.run.frameworks:
            return
        from pytest_sparrow import frameworks

        for adapter in frameworks.loaded(self.run.frameworks):
            for misfit in adapter.misfits:
                self.run.not_compared("seam", adapter.name, misfit)


_outlasted: list[tuple[Run, Callable[[], None]]] = []
"""What replays left in place for threads that live longer than their tests, with the run of each."""


def _outlasting(run: Run, close: Callable[[], None]) -> None:
    """Close something, unless threads of a replay would then reach the world; else when they have ended."""
    if run.replaying and has_threads(run):
        _outlasted.append((run, close))
    else:
        close()


def _end_what_outlasted() -> None:
    ended = [each for each in _outlasted if not has_threads(each[0])]
    for each in ended:
        _outlasted.remove(each)
        each[1]()


_OF_FIXTURES = 0x5EED


class World:
    """The clock and the randomness of one run: which ones the run needs, and what its golden notes of them.

    Args:
        run: the run; clock and randomness follow its crossings.
        settings: the test's settings.
        behaviour: what the mode means for this test.
        golden: the golden; in record mode the earlier golden.
        answers: the golden's exchanges in the order of their requests.

    Attributes:
        clock: the clock to enter while the window is open; None: the real clock.
        reader: what to enter, too: what durations are read from; None: the real clocks.
    """

    def __init__(
        self,
        run: Run,
        settings: Settings,
        behaviour: Behaviour,
        golden: Transcript | None,
        answers: Sequence[Exchange] | None,
    ) -> None:
        self._mode = settings.clock
        self._run = run
        replays = golden.inputs if behaviour.replays and golden is not None else None
        self.clock: Clock | None = None
        if replays is not None or behaviour.journals:
            self.clock = needed_clock(settings.clock, run.started, replays, answers or ())
        snapshot = None if replays is None else replays.config_snapshot
        self.reader = needed_reader(settings.clock, run, snapshot, records=behaviour.journals)
        self._body: float | None = None
        self._seed = _seed(settings, behaviour, golden)
        self._seeded = False
        self._seeds: Seeded | None = None
        if self.clock is not None:
            run.watchers.append(self.clock)

    @property
    def notes(self) -> dict[str, Json]:
        """What a recording notes of clock and seed, for ``config_snapshot``."""
        clock = noted_clock(self._mode, self._run.started, self._body)
        if self.reader is not None and (readings := self.reader.note):
            clock["readings"] = readings
        notes: dict[str, Json] = {"clock": clock}
        if self._seeded:
            notes["seed"] = self._seed
        return notes

    @property
    def moves_clock(self) -> bool:
        """Whether times that were read while the run was open differ from the real times."""
        return self.clock is not None

    def opens(self, *, in_body: bool) -> None:
        """Seed randomness for what the agent does from here: in fixtures, or in the body that asked for the run.

        Args:
            in_body: whether the test's own code runs already.
        """
        if in_body:
            self._body_starts()
        elif self._seed is not None:
            # Another sequence than the body's: ids made here and there must differ.
            self._seed_with(self._seed ^ _OF_FIXTURES)

    @contextmanager
    def around_body(self, item: pytest.Item) -> Iterator[None]:
        """Set the clock and seed randomness right before the test's own code, whatever kind of test it is.

        Not in a hook: pytest-randomly seeds in pytest_runtest_call, which no hook can come after for certain, and
        pytest_pyfunc_call is not called for unittest's tests.
        """
        runtest = item.runtest

        def in_this_world() -> None:
            __tracebackhide__ = True
            self._body_starts()
            try:
                try:
                    runtest()
                finally:
                    self._run.waiting.body_ends()
            finally:
                self.leave()

        with AttributePatch(item, "runtest", in_this_world):
            yield

    def _body_starts(self) -> None:
        self._body = round(self._run.elapsed(), 6)
        self._run.body_begins()
        self._run.waiting.body_begins()
        if self.clock is not None:
            self.clock.body_starts()
        if self.reader is not None:
            self.reader.body_starts(self._body)
        if self._seed is not None:
            self._seed_with(self._seed)

    def _seed_with(self, seed: int) -> None:
        if self._seeds is not None:
            self._seeds.again(seed)
            return
        self._seeded = True
        self._seeds = Seeded(seed)
        self._seeds.__enter__()
        self._run.watchers.append(self._seeds.retries)

    def leave(self) -> None:
        """The body is over: restore randomness. A second call does nothing."""
        self._run.waiting.body_ends()
        seeds, self._seeds = self._seeds, None
        if seeds is not None:
            self._run.watchers.remove(seeds.retries)
            seeds.__exit__()

    def after_teardown(self) -> None:
        """Restore the time zone again: a fixture may have put back the recorded one."""
        if self.clock is not None:
            self.clock.zone.restore()


def _seed(settings: Settings, behaviour: Behaviour, golden: Transcript | None) -> int | None:
    """The seed; None leaves randomness alone."""
    recorded = None if golden is None else noted_seed(golden.inputs.config_snapshot)
    if settings.seed is False:
        return None
    if behaviour.follows:
        return recorded
    if not behaviour.records:
        return None
    if settings.seed is not True:
        return settings.seed
    # The earlier golden's seed, or an unchanged agent's recording would change.
    return new_seed() if recorded is None else recorded
