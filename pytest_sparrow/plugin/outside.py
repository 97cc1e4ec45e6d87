"""What fixtures ask for outside their test's run: in fixtures of a wider scope, before ``sparrow``, and in teardown.

Such requests are no behaviour of the agent's. They stand in a golden of their own beside the test's
(``<test>+fixtures``): a replay answers them as often as the fixture asks, in any order, and nobody misses one. A
request that this golden lacks is refused, and so is one that changed, but in an update: there the changed request gets
the answer of the recorded one, and its place in the golden if the test passes.

A fixture of a wider scope is set up for one test and used by many. Each of them gets a copy of what was asked, so each
replays alone. Where a replay has set the fixture up for a test that was recorded with other answers, the fixture is set
up again.
"""

from __future__ import annotations

import re
import shlex
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_sparrow.comparing import request_changes
from pytest_sparrow.errors import ReplayDivergence, SparrowError
from pytest_sparrow.exchange import Asked
from pytest_sparrow.findings import Finding, Kind, asking, of_change
from pytest_sparrow.matching.counts import request_key, request_shape
from pytest_sparrow.matching.similarity import Nearest
from pytest_sparrow.plugin.attempt import Attempt
from pytest_sparrow.plugin.extensions import codecs_of, secret_rules_of
from pytest_sparrow.plugin.golden import FIXTURES, place_of
from pytest_sparrow.plugin.hiding import Directories
from pytest_sparrow.plugin.session import ATTEMPT, SESSION
from pytest_sparrow.run.context import is_collecting
from pytest_sparrow.run.crossing import Crossing
from pytest_sparrow.run.lanes import Lane
from pytest_sparrow.run.passages import passage
from pytest_sparrow.settings import Mode
from pytest_sparrow.wire.asking import addressed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.plugin.session import AttemptState, SessionState
    from pytest_sparrow.run.crossing import OpenRun
    from pytest_sparrow.run.run import Run
    from pytest_sparrow.settings import Behaviour, Settings


class FixtureRequests:
    """The requests of one test's fixtures outside the test's run: the policy for them (see `boundaries.http`).

    Args:
        item: the test.
        settings: the test's settings.
        means: what the mode means for the test: where the world is open, the requests are recorded.
    """

    def __init__(self, item: pytest.Item, settings: Settings, means: Behaviour) -> None:
        self._item = item
        self._settings = settings
        self._shut = means.shut
        self._mode = means.outside
        self._session: SessionState = item.config.stash[SESSION]
        self._place = place_of(item, settings.dir, settings.golden).further(FIXTURES)
        self._run: _Run | None = None
        self._begins = False

    @property
    def updates(self) -> bool:
        """Whether a request that changed is accepted."""
        return self._mode is Mode.UPDATE

    @property
    def fixture(self) -> str:
        """The fixture that asks, "" where nobody knows."""
        return self._session.fixture

    @property
    def attempt(self) -> Attempt | None:
        """The run of the fixtures; None where they have asked for nothing, and nothing is recorded."""
        return None if self._run is None else self._run.attempt

    def begin(self) -> None:
        """Before the test's fixtures are set up: tear down those that a replay has set up by other answers."""
        replayed = self._session.fixtures_replayed
        used = [each for each in self._definitions() if id(each) in replayed]
        if not (self._shut and used and self._place.exists):
            return
        here = [(exchange.asked, exchange.answered) for exchange in self._opened().attempt.recorded]
        for fixture in used:
            if any((each.asked, each.answered) not in here for each in replayed[id(fixture)]):
                del replayed[id(fixture)]
                self._begins = True
                fixture.finish(self._item._request)  # type: ignore[attr-defined]  # noqa: SLF001
                self._begins = False

    def _definitions(self) -> Iterator[Any]:
        """Pytest's definitions of the fixtures that the test uses, those that others override, too."""
        known: Any = getattr(self._item, "_fixtureinfo", None)
        for name in getattr(self._item, "fixturenames", ()):
            yield from known.name2fixturedefs.get(name, ())

    def prepare(self) -> None:
        """Know what the fixtures that the test uses have asked for, before the test's own run opens."""
        known = self._session.fixtures_asked
        if self._shut:
            if not self._place.exists:
                return
            self._opened().read()
        for fixture in self._definitions():
            for asked, answered, of in known.get(id(fixture), ()):
                if of != self._item.nodeid:
                    self._opened().copy(fixture.argname, asked, answered)

    def __call__(self, host: str, port: int | None, what: str) -> Exception | OpenRun | None:
        """Whom a request of a fixture asks, the error that refuses the request, or None to let it pass."""
        allowed, ignored = self._settings.allow_hosts, self._settings.ignore_hosts
        if passage(host, port, allow=allowed, ignore=ignored) != "cross":
            return None
        if not self._shut or self._place.exists:
            try:
                return self._opened()
            except (SparrowError, OSError) as error:
                return self.refused(what, host, str(error))
        return self.refused(what, host, "reaches out, outside the test's run, and this is a replay")

    def refused(
        self, what: str, host: str, why: str, *, edited: bool = False, drawn: bool = False
    ) -> ReplayDivergence:
        """The refusal of a request, which names the fixture; the report repeats it.

        Args:
            what: the request.
            host: whom it asks.
            why: why it is refused, as the end of a sentence that begins with the fixture.
            edited: whether the golden holds what is asked in other words.
            drawn: whether it holds what is asked with other numbers and ids, which a fixture draws anew in each run.
        """
        fixture = self._session.fixture
        where = f"the fixture {fixture!r}" if fixture else "the setup or teardown"
        accept = f"accept it offline: pytest --sparrow-update {shlex.quote(self._place.recorder)}"
        refused = ReplayDivergence(
            f"{what}: {where} of {self._item.nodeid} {why}",
            (
                *([accept] if edited else []),
                f"record the test again, or keep the host reachable: ini sparrow_allow_hosts = {host}",
            ),
        )
        own = threading.current_thread() is threading.main_thread() and not is_collecting()
        self._session.refused[str(refused)] = own and not drawn
        return refused

    def tears_down_others(self) -> bool:
        """Whether the fixture that is torn down is used by other tests too: its teardown is in one golden at most."""
        state = self._item.stash.get(ATTEMPT, None)
        if not self._begins and (state is None or not state.attempt.closed):
            return False
        return self._session.fixturedef is None or self._is_shared()

    def _is_shared(self) -> bool:
        """Whether several tests use the fixture that asks without its being set up anew."""
        fixture = self._session.fixturedef
        return fixture is not None and fixture.scope != "function"

    def remember(self, asked: dict[str, Json], answered: dict[str, Json]) -> None:
        """Keep what a fixture asked for, for the other tests that use what it made."""
        if self._mode is not Mode.REPLAY and self._is_shared():
            known = self._session.fixtures_asked.setdefault(id(self._session.fixturedef), [])
            known.append((asked, answered, self._item.nodeid))

    def replays(self, crossing: Crossing) -> None:
        """Keep by which recorded answers a fixture is set up."""
        if (
            crossing.recorded is not None
            and self._item.stash.get(ATTEMPT, None) is None
            and self._is_shared()
        ):
            replayed = self._session.fixtures_replayed.setdefault(id(self._session.fixturedef), [])
            replayed.append(crossing.recorded)

    def keep(self, state: AttemptState | None) -> None:
        """Write the golden of a recording after the last teardown, or drop it; as the test's own.

        Args:
            state: what became of the test.
        """
        passed = state is not None and state.passed and not state.failed
        if self._shut:
            if state is not None and passed and self._run is not None and self._run.edited:
                self._keep_edited(state, self._run)
            return
        if state is None:
            return
        attempt = self.attempt
        if attempt is not None:
            # Ids that count in no comparison stand in both goldens.
            changed = any(kept.what != "unchanged" for kept in state.kept)
            if attempt.recording is not None:
                attempt.recording.keep(passed=passed, afresh=changed)
        elif passed and self._place.exists:
            from pytest_sparrow.store import FsRecorder

            FsRecorder(self._place.directory).delete(self._place.run_id)

    def _keep_edited(self, state: AttemptState, run: _Run) -> None:
        recording = run.attempt.recording
        if recording is None or not recording.keep_requests():
            return
        from pytest_sparrow.plugin.recording import Kept

        # One test, whose own golden may be up to date.
        state.kept[:] = [each for each in state.kept if each.what != "current"]
        counts = not any(each.what == "revised" for each in state.kept)
        remark = run.remark().cleaned(run.attempt.shown)
        state.kept.append(Kept("revised" if counts else "", self._item.nodeid, remark))

    def _opened(self) -> _Run:
        if self._run is None:
            config, request = self._item.config, self._item._request  # type: ignore[attr-defined]  # noqa: SLF001
            attempt = Attempt(
                self._place,
                replace(self._settings, mode=self._mode, script=(), golden=""),
                Directories(request),
                codecs_of(config),
                secret_rules=secret_rules_of(config),
                required=False,
                of_fixtures=True,
            )
            attempt.record()
            self._run = _Run(self, attempt)
        return self._run


def _undrawn(asked: dict[str, Json]) -> str:
    """What a request asks, without its numbers and ids."""
    path = asked["url"].partition("://")[2].partition("/")[2]
    return _DRAWN.sub("#", f"{asked['method']} {path} {asked.get('body')}")


_DRAWN = re.compile(r"[0-9a-fA-F-]{8,}|\d+")


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
        self.edited: dict[str, tuple[Exchange, Finding]] = {}
        self._owner = owner
        self._asked: dict[int, dict[str, Json]] = {}
        self._given: set[int] = set()
        self._recorded = attempt.recorded
        self._nearest = Nearest(self._recorded)
        attempt.run.watchers.append(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.attempt.run, name)

    def ask(self, kind: str, asked: dict[str, Json]) -> Crossing:
        """Begin a crossing; see `OpenRun.ask`."""
        run = self.attempt.run
        crossing = self._begun(asked)
        edit = None if crossing is not None else self._edit(asked)
        if crossing is None and edit is not None and self._owner.updates:
            crossing = self._edited(asked, *edit, self._owner.fixture)
        if crossing is not None:
            self._asked[id(crossing)] = asked
            self._given.add(id(crossing.recorded))
            self._owner.replays(crossing)
            return crossing
        if self._owner.tears_down_others():
            return _done(run, kind, asked)
        what = f"{asked['method']} {asked['url'].partition('?')[0]}"
        why = f"asks for what {self.attempt.place.shown} does not hold"
        if edit is not None:
            why += f" at {', '.join(dict.fromkeys(part.path for part in edit[1].parts))}"
        host, same = asked["url"].split("/")[2], _undrawn(self.attempt.as_recorded(asked))
        drawn = any(_undrawn(each.asked) == same for each in self._recorded)
        raise self._owner.refused(what, host, why, edited=edit is not None, drawn=drawn)

    def _begun(self, asked: dict[str, Json]) -> Crossing | None:
        """The crossing of a request that the golden answers, or that is recorded; None for any other."""
        run = self.attempt.run
        findings = len(run.violations.findings)
        try:
            crossing = run.ask("http", asked)
        except ReplayDivergence:
            return None
        return crossing if len(run.violations.findings) == findings else None

    def _edit(self, asked: dict[str, Json]) -> tuple[Exchange, Finding] | None:
        """The recorded request of which a request is an edit, and how they differ; None where there is none."""
        clean = self.attempt.as_recorded(asked)
        known = self.edited.get(request_key("http", clean))
        if known is not None:
            return known
        waiting = {number for number, each in enumerate(self._recorded) if id(each) not in self._given}
        number = self._nearest.find("http", clean, waiting)
        if number not in waiting or request_shape(self._recorded[number].asked) != request_shape(clean):
            return None
        recorded = self._recorded[number]
        changes = request_changes(recorded.asked, clean)
        found = asking(Kind.DRIFT, Asked(kind="http", content=clean))
        return recorded, replace(found, golden=recorded.asked, parts=tuple(map(of_change, changes)))

    def _edited(
        self, asked: dict[str, Json], recorded: Exchange, found: Finding, fixture: str
    ) -> Crossing | None:
        """The crossing of a request that gets the answer and the place of the recorded one, whose edit it is."""
        crossing = self._begun(recorded.asked)
        if crossing is None or crossing.recorded is not recorded or crossing.replayed is None:
            return None
        clean = self.attempt.as_recorded(asked)
        crossing.asked = clean
        crossing.replayed = addressed(clean, recorded.asked, crossing.replayed)
        found = replace(found, detail={"fixture": fixture})
        self.edited.setdefault(request_key("http", clean), (recorded, found))
        return crossing

    def remark(self) -> Finding:
        """What was accepted, for the summary."""
        first, *more = (found for _, found in self.edited.values())
        detail = {"more": len(more), "fixture": first.detail["fixture"]}
        return Finding(kind=Kind.UPDATED, parts=(replace(first, detail={}),), detail=detail)

    def read(self) -> None:
        """Know the secrets of the recorded answers: the test may send them."""
        self.attempt.know_answers()

    def copy(self, fixture: str, asked: dict[str, Json], answered: dict[str, Json]) -> None:
        """Have what a fixture asked for when it was set up for another test, which this test's golden may lack."""
        crossing = self._begun(asked)
        edit = None if crossing is not None else self._edit(asked)
        if edit is not None:
            crossing = self._edited(asked, *edit, fixture)
        if crossing is not None:
            self._given.add(id(crossing.recorded))
            crossing.settle(answered if crossing.replayed is None else crossing.replayed)

    # As a watcher.

    def asked(self, crossing: Crossing) -> None:
        """Nothing to do."""

    def answered(self, crossing: Crossing, answered: dict[str, Json] | None) -> None:
        """Remember it."""
        asked = self._asked.pop(id(crossing), None)
        if asked is not None and answered is not None:
            self._owner.remember(asked, answered)
