"""The hooks around each test, registered where a test may use the fixture: other sessions do not pay for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_sparrow.plugin import fixture, outcome, reporting, sampling
from pytest_sparrow.plugin.markers import uses_fixture
from pytest_sparrow.plugin.session import SESSION, collect

if TYPE_CHECKING:
    import warnings
    from collections.abc import Generator

_NAME = "sparrow-tests"


def watch_if_used(session: pytest.Session) -> None:
    """Watch the tests that were collected where one of them uses the fixture, or may ask for it while it runs."""
    state = session.config.stash[SESSION]
    # Whether a module names the fixture is only known of a session that replays.
    if not state.settings.mode.shut or state.collected.named or any(map(uses_fixture, session.items)):
        watch(session.config)


def watch(config: pytest.Config) -> None:
    """Register the hooks around tests, once."""
    if not config.pluginmanager.has_plugin(_NAME):
        config.pluginmanager.register(_TestHooks(config), _NAME)


class _TestHooks:
    """Follows each test: shuts the world around it, names what it is refused, and collects its reports.

    The body is followed by a hook of the plugin itself: it may be the first to ask for the fixture.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config  # some of the hooks get none

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run a test several times where it is sampled."""
        return sampling.protocol(item, nextitem)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Shut the world before the first fixture of a test that replays."""
        outcome.forget(item)
        fixture.begin(item)
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Open the world again after the last fixture."""
        try:
            return (yield)
        except Exception as error:
            fixture.name_refusal(item.config.stash[SESSION], error)
            raise
        finally:
            fixture.end(item)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: Any, request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        """Note which fixture is being set up, so that messages can name it."""
        return (yield from fixture.setting_up(request, fixturedef))

    def pytest_fixture_post_finalizer(self, request: pytest.FixtureRequest) -> None:
        """Forget the fixture that was torn down."""
        request.config.stash[SESSION].fixturedef = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note how a phase ended, as reported in the end."""
        report = yield
        reporting.reported(item, report, None if call.excinfo is None else call.excinfo.value)
        return report

    @pytest.hookimpl(trylast=True)  # the report of a wrong setting ends the session, and is shown before
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect a report, also one of a worker of pytest-xdist."""
        collect(self._config, report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage, nodeid: str) -> None:
        """Hide the secrets in a warning."""
        reporting.clean_warning(self._config.stash[SESSION], warning_message, nodeid)
