"""Crossings of a replayed test outside its run: session fixtures that are set up for it, and its teardown.

They belong to no run. In record they pass; in replay they are refused, with the fixture's name.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sparrow.plugin.golden import place_of
from pytest_sparrow.plugin.markers import folder_settings, marked
from pytest_sparrow.plugin.options import shown_file
from pytest_sparrow.plugin.session import ATTEMPT, OUTSIDE, SESSION, refusal
from pytest_sparrow.settings import Settings, behaviour

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["begin", "end", "setting_up"]


def begin(item: pytest.Item) -> None:
    """Before the fixtures of a test that will replay: shut what belongs to no run."""
    if "sparrow" not in getattr(item, "fixturenames", ()):
        return
    session = item.config.stash[SESSION]
    try:
        settings = marked(item, session, session.settings)
    except pytest.UsageError:
        return  # the fixture will tell it
    golden = place_of(item, settings.dir, settings.golden).folder.exists()
    if not behaviour(settings.mode, golden=golden).shut:
        return
    from pytest_sparrow.boundaries import http

    item.stash[OUTSIDE] = http.set_outside_policy(_Policy(item, settings))
    http.install()


def end(item: pytest.Item) -> None:
    """After its fixtures are torn down: open it again, and leave nothing that a replay set."""
    state = item.stash.get(ATTEMPT, None)
    if state is not None:
        state.attempt.after_teardown()
    if OUTSIDE not in item.stash:
        return
    from pytest_sparrow.boundaries import http

    http.uninstall()
    http.set_outside_policy(item.stash[OUTSIDE])
    del item.stash[OUTSIDE]


def setting_up(request: pytest.FixtureRequest, fixturedef: Any) -> Generator[None, Any, Any]:
    """Know the name of the fixture that is set up or torn down now, and check the settings that it returns."""
    session = request.config.stash[SESSION]
    before, session.fixture = session.fixture, fixturedef.argname
    try:
        result = yield
    finally:
        session.fixture = before
    if fixturedef.argname == "sparrow_settings":
        _check_folder(result, request, fixturedef)
    # Finalizers run last in, first out: this one comes before the fixture's own.
    fixturedef.addfinalizer(lambda: setattr(session, "fixture", fixturedef.argname))
    return result


def _check_folder(value: object, request: pytest.FixtureRequest, fixturedef: Any) -> None:
    """Check what a fixture ``sparrow_settings`` returns."""
    code = getattr(inspect.unwrap(fixturedef.func), "__code__", None)
    file = "" if code is None else f"{shown_file(Path(code.co_filename), request.config)}: "
    session = request.config.stash[SESSION]
    try:
        folder_settings(value, f"{file}sparrow_settings", session)
    except pytest.UsageError as error:
        raise refusal(session, str(error)) from None


class _Policy:
    """Refuses a request, naming the fixture or the teardown that it comes from."""

    def __init__(self, item: pytest.Item, settings: Settings) -> None:
        self._item = item
        self._settings = settings

    def __call__(self, host: str, port: int | None, what: str) -> Exception | None:
        from pytest_sparrow.errors import ReplayDivergence
        from pytest_sparrow.run.crossing import passage

        if (
            passage(host, port, allow=self._settings.allow_hosts, ignore=self._settings.ignore_hosts)
            != "cross"
        ):
            return None
        fixture = self._item.config.stash[SESSION].fixture
        where = f"the fixture {fixture!r}" if fixture else "the setup or teardown"
        return ReplayDivergence(
            f"{what}: {where} of {self._item.nodeid} reaches out, outside the test's run, and this is a replay",
            (
                "make the call within the test or in a fixture that requests sparrow, "
                f"or keep the host reachable: ini sparrow_allow_hosts = {host}",
            ),
        )
