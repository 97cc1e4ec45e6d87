"""What fixtures ask for outside their test's run: in fixtures of a wider scope, before ``sparrow``, and in teardown.

Such requests are no behaviour of the agent's. They stand in a golden of their own beside the test's
(``<test>+fixtures``): a replay answers them as often as the fixture asks, in any order, and nobody misses one. A
request that this golden lacks is refused, and so is one that changed.

A fixture of a wider scope is set up for one test and used by many. Each of them gets a copy of what was asked, so each
replays alone. Where a replay has set the fixture up for a test that was recorded with other answers, the fixture is set
up again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_sparrow.errors import ReplayDivergence, SparrowError
from pytest_sparrow.plugin.attempt import Attempt
from pytest_sparrow.plugin.extensions import codecs_of, secret_rules_of
from pytest_sparrow.plugin.golden import FIXTURES, place_of
from pytest_sparrow.plugin.hiding import Directories
from pytest_sparrow.plugin.session import ATTEMPT, SESSION
from pytest_sparrow.run.crossing import Crossing, passage
from pytest_sparrow.run.lanes import Lane
from pytest_sparrow.settings import Mode

if TYPE_CHECKING:
    import pytest

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.plugin.session import AttemptState, SessionState
    from pytest_sparrow.run.crossing import OpenRun
    from pytest_sparrow.run.run import Run
    from pytest_sparrow.settings import Settings


class FixtureRequests:
    """The requests of one test's fixtures outside the test's run: the policy for them (see `boundaries.http`).

    Args:
        item: the test.
        settings: the test's settings.
        shut: whether the world is shut; else the requests are recorded.
    """

    def __init__(self, item: pytest.Item, settings: Settings, *, shut: bool) -> None:
        self._item = item
        self._settings = settings
        self._shut = shut
        self._session: SessionState = item.config.stash[SESSION]
        self._place = place_of(item, settings.dir, settings.golden).further(FIXTURES)
        self._run: _Run | None = None
        self._begins = False

    @property
    def attempt(self) -> Attempt | None:
        """The run of the fixtures; None where they have asked for nothing, and nothing is recorded."""
        return None if self._run is None else self._run.attempt

    def begin(self) -> None:
        """Before the test's fixtures are set up: tear down those that a replay has set up by other answers."""
        known: Any = getattr(self._item, "_fixtureinfo", None)
        replayed = self._session.fixtures_replayed
        names = [name for name in getattr(self._item, "fixturenames", ()) if name in replayed]
        if not (self._shut and names and self._place.folder.exists()):
            return
        here = [(exchange.asked, exchange.answered) for exchange in self._opened().attempt.recorded]
        for name in names:
            if any((exchange.asked, exchange.answered) not in here for exchange in replayed[name]):
                del replayed[name]
                self._begins = True
                for fixture in known.name2fixturedefs.get(name, ())[-1:]:
                    fixture.finish(self._item._request)  # type: ignore[attr-defined]  # noqa: SLF001
                self._begins = False

    def prepare(self) -> None:
        """Know what the fixtures that the test uses have asked for, before the test's own run opens."""
        known = self._session.fixtures_asked
        if self._shut:
            if self._place.folder.exists():
                self._opened().read()
            return
        for name in getattr(self._item, "fixturenames", ()):
            for asked, answered, of in known.get(name, ()):
                if of != self._item.nodeid:
                    self._opened().copy(asked, answered)

    def __call__(self, host: str, port: int | None, what: str) -> Exception | OpenRun | None:
        """Whom a request of a fixture asks, the error that refuses the request, or None to let it pass."""
        allowed, ignored = self._settings.allow_hosts, self._settings.ignore_hosts
        if passage(host, port, allow=allowed, ignore=ignored) != "cross":
            return None
        if not self._shut or self._place.folder.exists():
            try:
                return self._opened()
            except (SparrowError, OSError) as error:
                return self.refused(what, host, str(error))
        return self.refused(what, host, "reaches out, outside the test's run, and this is a replay")

    def refused(self, what: str, host: str, why: str) -> ReplayDivergence:
        """The refusal of a request, which names the fixture; the report repeats it."""
        fixture = self._session.fixture
        where = f"the fixture {fixture!r}" if fixture else "the setup or teardown"
        refused = ReplayDivergence(
            f"{what}: {where} of {self._item.nodeid} {why}",
            (f"record the test again, or keep the host reachable: ini sparrow_allow_hosts = {host}",),
        )
        self._session.refused.append(str(refused))
        return refused

    def tears_down_others(self) -> bool:
        """Whether the fixture that is torn down is used by other tests too: its teardown is in one golden at most."""
        state = self._item.stash.get(ATTEMPT, None)
        if not self._begins and (state is None or not state.attempt.closed):
            return False
        known: Any = getattr(self._item, "_fixtureinfo", None)
        found = () if known is None else known.name2fixturedefs.get(self._session.fixture, ())
        return not found or found[-1].scope != "function"

    def remember(self, asked: dict[str, Json], answered: dict[str, Json]) -> None:
        """Keep what a fixture asked for, for the other tests that use the fixture."""
        known = self._session.fixtures_asked.setdefault(self._session.fixture, [])
        known.append((asked, answered, self._item.nodeid))

    def replays(self, crossing: Crossing) -> None:
        """Keep by which recorded answers a fixture is set up."""
        if crossing.recorded is not None and self._item.stash.get(ATTEMPT, None) is None:
            self._session.fixtures_replayed.setdefault(self._session.fixture, []).append(crossing.recorded)

    def keep(self, state: AttemptState | None) -> None:
        """Write the golden of a recording after the last teardown, or drop it; as the test's own.

        Args:
            state: what became of the test.
        """
        passed = state is not None and state.passed and not state.failed
        if self._shut or state is None:
            return
        attempt = self.attempt
        if attempt is not None:
            # Ids that count in no comparison stand in both goldens.
            changed = any(kept.what != "unchanged" for kept in state.kept)
            attempt.keep_own(passed=passed, afresh=changed)
        elif passed and self._place.folder.exists():
            from pytest_sparrow.store import FsRecorder

            FsRecorder(self._place.directory).delete(self._place.run_id)

    def _opened(self) -> _Run:
        if self._run is None:
            config, request = self._item.config, self._item._request  # type: ignore[attr-defined]  # noqa: SLF001
            mode = Mode.REPLAY if self._shut else Mode.RECORD
            attempt = Attempt(
                self._place,
                replace(self._settings, mode=mode, script=(), golden=""),
                Directories(request),
                codecs_of(config),
                secret_rules=secret_rules_of(config),
                required=False,
                of_fixtures=True,
            )
            attempt.record()
            self._run = _Run(self, attempt)
        return self._run


_DONE: dict[str, Json] = {
    "status": 200,
    "headers": {"content-type": "application/json"},
    "body": {"json": {}},
}
"""What a replay answers to a wider fixture's teardown that only the recording of another test saw: nothing is there to
be cleaned up."""


def _done(run: Run, kind: str, asked: dict[str, Json]) -> Crossing:
    crossing = Crossing(run, kind, asked, Lane(""), 0.0)
    crossing.lane.open.append(crossing)
    crossing.replayed = _DONE
    return crossing


class _Run:
    """The run of the fixtures as boundaries see it: refuses in the fixture's name."""

    def __init__(self, owner: FixtureRequests, attempt: Attempt) -> None:
        self.attempt = attempt
        self._owner = owner
        self._asked: dict[int, dict[str, Json]] = {}
        attempt.run.watchers.append(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.attempt.run, name)

    def ask(self, kind: str, asked: dict[str, Json]) -> Crossing:
        """Begin a crossing; see `OpenRun.ask`."""
        run = self.attempt.run
        findings = len(run.violations.findings)
        try:
            crossing = run.ask(kind, asked)
            self._asked[id(crossing)] = asked
            if len(run.violations.findings) == findings:
                self._owner.replays(crossing)
                return crossing
        except ReplayDivergence:
            pass
        if self._owner.tears_down_others():
            return _done(run, kind, asked)
        what = f"{asked['method']} {asked['url'].partition('?')[0]}"
        raise self._owner.refused(
            what, asked["url"].split("/")[2], f"asks for what {self.attempt.place.shown} does not hold"
        )

    def read(self) -> None:
        """Know the secrets of the recorded answers: the test may send them."""
        self.attempt.know_answers()

    def copy(self, asked: dict[str, Json], answered: dict[str, Json]) -> None:
        """Record what the fixture asked for when it was set up for another test."""
        self.attempt.run.ask("http", asked).settle(answered)

    # As a watcher.

    def asked(self, crossing: Crossing) -> None:
        """Nothing to do."""

    def answered(self, crossing: Crossing, answered: dict[str, Json] | None) -> None:
        """Remember it."""
        asked = self._asked.pop(id(crossing), None)
        if asked is not None and answered is not None and crossing.replayed is None:
            self._owner.remember(asked, answered)
