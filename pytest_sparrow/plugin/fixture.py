"""What the fixture ``sparrow`` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

from pytest_sparrow.errors import SparrowError
from pytest_sparrow.plugin.attempt import Attempt
from pytest_sparrow.plugin.codecs import codecs_of
from pytest_sparrow.plugin.golden import Directories, place_of
from pytest_sparrow.plugin.markers import folder_settings, inject_faults, marked
from pytest_sparrow.plugin.secrets import rules_of_plugins
from pytest_sparrow.plugin.session import ATTEMPT, SESSION, AttemptState, SessionState, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sparrow.plugin.sparrow import Sparrow
    from pytest_sparrow.settings import Settings

__all__ = ["run"]

T = TypeVar("T")


def run(request: pytest.FixtureRequest, folder: object) -> Iterator[Sparrow]:
    """Open this test's run, and at teardown keep or drop what was recorded."""
    item = request.node
    session = request.config.stash[SESSION]
    settings = _settings_of(item, session, folder)
    place = place_of(item, settings.dir, settings.golden)
    if place.corpus and not settings.mode.reads:
        pytest.skip("a run of a corpus can only be replayed, and sparrow is off")
    codecs = _or_fail(lambda: codecs_of(request.config))
    secret_rules = _or_fail(lambda: rules_of_plugins(request.config))
    attempt = _or_fail(
        lambda: Attempt(place, settings, Directories(request), codecs, secret_rules=secret_rules)
    )
    state = AttemptState(attempt)
    item.stash[ATTEMPT] = state
    session.attempts[item.nodeid] = state
    try:
        _or_fail(attempt.open)
        _or_fail(lambda: inject_faults(item, attempt.sparrow))
        yield attempt.sparrow
    finally:
        attempt.finish(failed=True)  # closed already, unless the call phase was never reached
        session.attempts.pop(item.nodeid, None)
        _or_fail(lambda: _keep(state))


def _settings_of(item: pytest.Item, session: SessionState, folder: object) -> Settings:
    """The test's settings; they were checked before, except in a worker of pytest-xdist."""
    try:
        return marked(item, session, folder_settings(folder, "sparrow_settings", session))
    except pytest.UsageError as error:
        raise refusal(session, str(error)) from None


def _keep(state: AttemptState) -> None:
    state.kept = state.attempt.keep(passed=state.passed and not state.failed)


def _or_fail(step: Callable[[], T]) -> T:
    """A user's mistake, or a disk that refuses, is told without our frames."""
    try:
        return step()
    except (SparrowError, OSError, pytest.UsageError) as error:
        told = str(error)
    # Outside of the handler: inside it the text would come twice, around "during handling of".
    pytest.fail(told, pytrace=False)
