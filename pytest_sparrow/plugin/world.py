"""The clock and the randomness of one attempt: which ones it needs, and what its golden says of them."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.world import Clock, Seeded, needed_clock, new_seed, noted_clock, noted_seed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pytest

    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.run.run import Run
    from pytest_sparrow.settings import Behaviour, Settings
    from pytest_sparrow.transcript import Transcript

__all__ = ["World"]


class World:
    """What lies around one run besides what it asks.

    Args:
        run: the run; clock and randomness follow its crossings.
        settings: what the user said.
        behaviour: what follows.
        golden: the golden, in record mode the one that is there already.
        answers: the golden's exchanges by the time of their asking.

    Attributes:
        clock: to be entered while the window is open; None: the real one.
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
        if replays is not None or behaviour.records:
            self.clock = needed_clock(settings.clock, run.started, replays, answers or ())
        self._body: float | None = None
        self._seed = _seed(settings, behaviour, golden)
        self._seeded = False
        if self.clock is not None:
            run.watchers.append(self.clock)

    @property
    def notes(self) -> dict[str, Json]:
        """What the golden of a recording says of this, for ``config_snapshot``."""
        notes: dict[str, Json] = {"clock": noted_clock(self._mode, self._run.started, self._body)}
        if self._seeded:
            notes["seed"] = self._seed
        return notes

    @property
    def moves_clock(self) -> bool:
        """Whether times that were read while the run was open are not the real ones."""
        return self.clock is not None

    @contextmanager
    def around_body(self, item: pytest.Item) -> Iterator[None]:
        """When the test's own code starts, whatever kind of test it is: set the clock to then, and seed randomness.

        Not in a hook: pytest-randomly seeds in pytest_runtest_call, which no hook can come after for certain, and
        pytest_pyfunc_call is not called for unittest's tests.
        """
        runtest = item.runtest

        def in_this_world() -> None:
            __tracebackhide__ = True
            self._body = round(self._run.elapsed(), 6)
            self._run.body_begins()
            if self.clock is not None:
                self.clock.body_starts()
            with self._randomness():
                runtest()

        item.runtest = in_this_world  # type: ignore[method-assign]
        try:
            yield
        finally:
            del item.runtest

    def _randomness(self) -> AbstractContextManager[object]:
        if self._seed is None:
            return nullcontext()
        seeded = Seeded(self._seed)
        self._seeded = True
        self._run.watchers.append(seeded.retries)
        return seeded

    def after_teardown(self) -> None:
        """The test's fixtures are torn down: a time zone of ours that one of them put back goes, too."""
        if self.clock is not None:
            self.clock.zone.restore()


def _seed(settings: Settings, behaviour: Behaviour, golden: Transcript | None) -> int | None:
    """The seed, or None: leave randomness alone."""
    recorded = None if golden is None else noted_seed(golden.inputs.config_snapshot)
    if settings.seed is False:
        return None
    if behaviour.replays:
        return recorded
    if not behaviour.records:
        return None
    if settings.seed is not True:
        return settings.seed
    # The one that is there already, or an unchanged agent's recording would change.
    return new_seed() if recorded is None else recorded
