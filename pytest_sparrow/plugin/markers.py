"""Settings given in Python: by the markers of a test, which are checked at collection, and by ``sparrow_settings``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sparrow.plugin.golden import CORPUS, check_corpus
from pytest_sparrow.plugin.options import as_pytest_error, refuse_in_ci
from pytest_sparrow.plugin.session import SESSION
from pytest_sparrow.settings import TABLE, SettingPlace, Settings, settings_at

if TYPE_CHECKING:
    from collections.abc import Collection

    from pytest_sparrow.plugin.api import Sparrow
    from pytest_sparrow.plugin.session import SessionState

MARKER = "sparrow"
INJECT = "sparrow_inject"
FIXTURE = "sparrow"


def folder_settings(value: object, origin: str, session: SessionState) -> Settings:
    """The session's settings, overridden by what a fixture ``sparrow_settings`` returns.

    Args:
        value: what the fixture returns.
        origin: which fixture, for messages.
        session: the session.

    Raises:
        pytest.UsageError: the value is no dict of settings; the text names the origin and what is valid.
    """
    if not isinstance(value, Mapping):
        raise pytest.UsageError(f"{origin}: {value!r} is not a dict of settings")
    return _override(session.settings, value, origin, SettingPlace.FOLDER, decided=session.decided)


def marked(item: pytest.Item, session: SessionState, under: Settings) -> Settings:
    """The settings, overridden by the test's markers as far as the command line has not decided.

    Raises:
        pytest.UsageError: a marker is wrong; the text names the test and what is valid.
    """
    origin = f"{item.nodeid}: @pytest.mark.{MARKER}"
    settings = _override(under, _said(item), origin, SettingPlace.MARKER, decided=session.decided)
    in_corpus = item.get_closest_marker(CORPUS) is not None
    sources = [name for name in ("golden", "script") if getattr(settings, name)]
    if len(sources) > 1:
        raise pytest.UsageError(
            f"{origin}: golden and script exclude each other: which one answers the test?"
        )
    if in_corpus and sources:
        raise pytest.UsageError(f"{origin}: {sources[0]} and @pytest.mark.{CORPUS} exclude each other")
    if in_corpus or sources or settings.sample is not None:
        return dataclasses.replace(settings, mode=settings.mode.read_only)
    return settings


def _said(item: pytest.Item) -> dict[str, Any]:
    """What the test's ``sparrow`` markers say; the closest one wins, key by key."""
    said: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers(MARKER))):
        if marker.args:
            raise pytest.UsageError(
                f"{item.nodeid}: @pytest.mark.{MARKER} takes keywords only, like level='trajectory'"
            )
        said.update(marker.kwargs)
    return said


def _override(
    settings: Settings, said: Mapping[str, Any], origin: str, place: SettingPlace, *, decided: Collection[str]
) -> Settings:
    """Settings with those replaced that a user gives in Python; what the command line decided is checked only."""
    if not said:
        return settings
    valid = settings_at(place)
    values: dict[str, Any] = {}
    for name, value in said.items():
        if name not in valid:
            raise pytest.UsageError(f"{origin}: {_misplaced(name)}; there are: {', '.join(sorted(valid))}")
        with as_pytest_error():
            values[name] = valid[name].kind.read(value, f"{origin}: {name}")
    for name in decided:
        values.pop(name, None)
    if "mode" in values:
        refuse_in_ci(values["mode"], origin)
    return dataclasses.replace(settings, **values)


def _misplaced(name: str) -> str:
    elsewhere = next((setting.places.shown for setting in TABLE if setting.name == name), "")
    return f"{name!r} cannot stand here, but in: {elsewhere}" if elsewhere else f"unknown setting {name!r}"


def uses_fixture(item: pytest.Item) -> bool:
    """Whether setup opens a run for the test."""
    return FIXTURE in getattr(item, "fixturenames", ())


def names_fixture(item: pytest.Item) -> bool:
    """Whether the test, or a fixture that it names, asks for the fixture: no autouse fixture, no marker."""
    info = getattr(item, "_fixtureinfo", None)  # pytest has no public way to ask who names a fixture
    if info is None:
        return uses_fixture(item)
    named = [*info.argnames, *(name for mark in item.iter_markers("usefixtures") for name in mark.args)]
    seen: set[str] = set()
    while named:
        name = named.pop()
        if name == FIXTURE:
            return True
        if name not in seen:
            seen.add(name)
            named += [arg for fixture in info.name2fixturedefs.get(name, ()) for arg in fixture.argnames]
    return False


def _check_faults(item: pytest.Item) -> None:
    """Check that each ``sparrow_inject`` marker of a test names a fault, and that the test uses the fixture."""
    for marker in item.iter_markers(INJECT):
        from pytest_sparrow.errors import UsageError
        from pytest_sparrow.run.whatif.faults import fault_of
        from pytest_sparrow.scenario import checked

        where = f"{item.nodeid}: @pytest.mark.{INJECT}"
        if not uses_fixture(item):
            raise pytest.UsageError(
                f"{where}: the test does not use the fixture sparrow, which injects the fault"
            )
        options = dict(marker.kwargs)
        then = options.pop("then", None)
        try:
            if then is not None:
                checked(then, f"{where}: then")
            fault_of(*marker.args, **options)
        except (UsageError, TypeError) as error:
            raise pytest.UsageError(f"{where}: {error}") from None


def inject_faults(item: pytest.Item, sparrow: Sparrow) -> None:
    """Inject the faults of a test's markers, those of its class and module first."""
    for marker in reversed(list(item.iter_markers(INJECT))):
        sparrow.inject(*marker.args, **marker.kwargs)


def check_markers(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let every marked test use the fixture, and check every test's markers before any test runs.

    Without a run a marker's settings would mean nothing, and the test would be live. A worker of pytest-xdist checks
    nothing here, since a usage error would end it without a word: the tests check.

    Raises:
        pytest.UsageError: a marker is wrong; the text names the test and the valid keys or values.
    """
    ours = (MARKER, INJECT, CORPUS)
    marked_items = [item for item in items if any(mark.name in ours for mark in item.iter_markers())]
    for item in marked_items:
        names = getattr(item, "fixturenames", None)
        if names is not None and FIXTURE not in names and item.get_closest_marker(MARKER) is not None:
            names.append(FIXTURE)
    if hasattr(config, "workerinput"):
        return
    session = config.stash[SESSION]
    for item in marked_items:
        check_corpus(item)
        _check_faults(item)
        if item.get_closest_marker(MARKER) is not None:
            marked(item, session, session.settings)
