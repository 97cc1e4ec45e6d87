"""The fixture ``sparrow``: opens a test's run, and in a replay refuses what other fixtures ask of the world."""

from __future__ import annotations

import inspect
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from pytest_sparrow.errors import SparrowError
from pytest_sparrow.plugin import outcome, reporting
from pytest_sparrow.plugin.golden import place_of
from pytest_sparrow.plugin.markers import folder_settings, inject_faults, marked, names_fixture, uses_fixture
from pytest_sparrow.plugin.options import shown_file
from pytest_sparrow.plugin.session import ATTEMPT, SAMPLE, SESSION, AttemptState, SessionState, refusal
from pytest_sparrow.settings import Behaviour, Crossings, behaviour
from pytest_sparrow.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from pytest_sparrow.plugin.api import Sparrow
    from pytest_sparrow.plugin.golden import GoldenPlace
    from pytest_sparrow.settings import Settings

T = TypeVar("T")


def run(request: pytest.FixtureRequest, folder: object) -> Iterator[Sparrow]:
    """Open this test's run, and at teardown keep or drop what was recorded.

    Args:
        request: the request of the fixture ``sparrow``.
        folder: what the fixture ``sparrow_settings`` returned.
    """
    from pytest_sparrow.plugin.attempt import Attempt
    from pytest_sparrow.plugin.extensions import codecs_of, secret_rules_of
    from pytest_sparrow.plugin.hiding import Directories
    from pytest_sparrow.plugin.running import watch

    watch(request.config)
    item = request.node
    session = request.config.stash[SESSION]
    settings = _settings_of(item, session, folder)
    place = _place_of(item, settings)
    if place.corpus and not settings.mode.reads:
        pytest.skip("a run of a corpus can only be replayed, and sparrow is off")
    codecs = _or_fail(lambda: codecs_of(request.config))
    secret_rules = _or_fail(lambda: secret_rules_of(request.config))
    required = settings.crossings or (
        Crossings.REQUIRED if session.in_body or names_fixture(item) else Crossings.OPTIONAL
    )
    outside = session.outside
    if outside is not None:
        _or_fail(outside.prepare)
    attempt = _or_fail(
        lambda: Attempt(
            place,
            settings,
            Directories(request),
            codecs,
            secret_rules=secret_rules,
            required=required is Crossings.REQUIRED,
            report_late=lambda finding: session.late.append(
                (item.nodeid, finding.cleaned(attempt.shown).to_json())
            ),
            beside=None if outside is None else outside.attempt,
            sample=item.stash.get(SAMPLE, None),
        )
    )
    state = AttemptState(attempt)
    item.stash[ATTEMPT] = state
    session.attempts[item.nodeid] = state
    try:
        _or_fail(attempt.open)
        attempt.world.opens(in_body=session.in_body)
        _or_fail(lambda: inject_faults(item, attempt.sparrow))
        if session.in_body:
            attempt.find_directories()
            outcome.refuse_blocked(state)
        yield attempt.sparrow
    finally:
        # Judged already, unless the body was never reached, or the body itself ends the fixture.
        outcome.judge(state, failed=not session.in_body)
        session.attempts.pop(item.nodeid, None)
        _or_fail(
            attempt.drop if request.config.getoption("setuponly", default=False) else lambda: _keep(state)
        )


def _place_of(item: pytest.Item, settings: Settings) -> GoldenPlace:
    place = place_of(item, settings.dir, settings.golden)
    return place if settings.sample is None else place.sample(settings.sample)


def _settings_of(item: pytest.Item, session: SessionState, folder: object) -> Settings:
    """The test's settings; they were checked before, except in a worker of pytest-xdist."""
    try:
        return marked(item, session, folder_settings(folder, "sparrow_settings", session))
    except pytest.UsageError as error:
        raise refusal(session, str(error)) from None


def _keep(state: AttemptState) -> None:
    from pytest_sparrow.plugin.leaving import leave

    state.kept = state.attempt.keep(passed=state.passed and not state.failed)
    state.not_pending = leave(state)


def _or_fail(step: Callable[[], T]) -> T:
    """Fail the test without our frames where the user made a mistake, or the disk refuses."""
    try:
        return step()
    except (SparrowError, OSError, pytest.UsageError) as error:
        message = str(error)
    # Outside of the handler: inside it the text would come twice, around "during handling of".
    pytest.fail(message, pytrace=False)


def begin(item: pytest.Item) -> None:
    """Shut the world before the first fixture of a test that will replay."""
    session = item.config.stash[SESSION]
    settings, means = _meant(item, session) if uses_fixture(item) else (session.settings, Behaviour())
    if not means.shut:
        session.put_patches_back()
    if not (means.shut or means.records):
        return
    from pytest_sparrow.boundaries import http, patching
    from pytest_sparrow.plugin.outside import FixtureRequests

    if means.shut:
        patching.leave_in_place()
        session.put_patches_back = patching.put_all_back
    session.outside = FixtureRequests(item, settings, means)
    session.shut = stack = ExitStack()
    stack.callback(setattr, session, "shut", None)
    stack.callback(http.set_outside_policy, http.set_outside_policy(session.outside))
    _or_fail(http.install)
    stack.callback(http.uninstall)
    session.dummy_keys = settings.dummy_keys if means.shut else None
    _or_fail(session.outside.begin)


def _meant(item: pytest.Item, session: SessionState) -> tuple[Settings, Behaviour]:
    """The settings of a test that uses the fixture, and what they mean; nothing where one is wrong."""
    try:
        settings = marked(item, session, session.settings)
    except pytest.UsageError:
        return session.settings, Behaviour()  # the fixture will raise it again
    return settings, behaviour(settings.mode, golden=_place_of(item, settings).exists)


def end(item: pytest.Item) -> None:
    """Open the world again after the last fixture is torn down, and restore all that a replay set."""
    state = item.stash.get(ATTEMPT, None)
    if state is not None:
        state.attempt.after_teardown()
    session = item.config.stash[SESSION]
    if session.shut is not None:
        session.shut.close()
    outside, session.outside = session.outside, None
    if outside is not None:
        _or_fail(lambda: outside.keep(state))


def setting_up(request: pytest.FixtureRequest, fixturedef: Any) -> Generator[None, Any, Any]:
    """Note which fixture is being set up or torn down; check what ``sparrow_settings`` returns."""
    session = request.config.stash[SESSION]
    _fill_keys(session)
    before, session.fixturedef = session.fixturedef, fixturedef
    session.fixtures_asked.pop(id(fixturedef), None)
    known = len(session.refused)
    try:
        result = yield
    except Exception as error:
        if len(session.refused) > known:
            _refuse(session, error, fixturedef)
        raise
    finally:
        session.fixturedef = before
    # With --setup-plan no fixture is called.
    if fixturedef.argname == "sparrow_settings" and not request.config.getoption("setupplan", default=False):
        _check_folder(result, request, fixturedef)
    # Finalizers run last in, first out: this one comes before the fixture's own.
    fixturedef.addfinalizer(lambda: setattr(session, "fixturedef", fixturedef))
    return result


def name_refusal(session: SessionState, error: Exception) -> None:
    """Fail with what was refused, where that made fixtures fail: a client's own error says nothing of the cause.

    Raises:
        pytest.fail.Exception: something was refused.
    """
    if session.refused:
        raise _refusal(session, error) from None


def _refuse(session: SessionState, error: Exception, fixturedef: Any) -> None:
    refusal = _refusal(session, error)
    if fixturedef.cached_result is not None:
        # Other tests that use the fixture are given the same failure.
        fixturedef.cached_result = (*fixturedef.cached_result[:2], (refusal, None))
    raise refusal from None


def _refusal(session: SessionState, error: Exception) -> BaseException:
    why = one_line(f"{type(error).__name__}: {error}", _MOST_OF_ERROR)
    text = f"{reporting.refused_text([*session.refused])}\n  so it failed: {why}"
    return pytest.fail.Exception(text, pytrace=False)


_MOST_OF_ERROR = 100


def _fill_keys(session: SessionState) -> None:
    """Fill absent API keys for the fixtures of a test that will replay: one may make a client for the whole session.

    Not earlier: skip marks must see the real environment.
    """
    keys, session.dummy_keys = session.dummy_keys, None
    if keys is not None and session.shut is not None:
        from pytest_sparrow.boundaries.world.environment import dummy_keys

        session.shut.enter_context(dummy_keys(extra=keys))


def _check_folder(value: object, request: pytest.FixtureRequest, fixturedef: Any) -> None:
    """Check what a fixture ``sparrow_settings`` returns; a message names the fixture's file."""
    if isinstance(value, dict) and not value:
        return
    code = getattr(inspect.unwrap(fixturedef.func), "__code__", None)
    file = "" if code is None else f"{shown_file(Path(code.co_filename), request.config)}: "
    session = request.config.stash[SESSION]
    try:
        folder_settings(value, f"{file}sparrow_settings", session)
    except pytest.UsageError as error:
        raise refusal(session, str(error)) from None
