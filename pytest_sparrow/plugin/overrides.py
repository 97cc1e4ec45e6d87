"""Settings given in Python, by marker or by `sparrow_settings`; markers are checked at collection.

Settings given in Python: by the marker for one test, by ``sparrow_settings`` for a folder.

The marker ``sparrow_inject``: one fault each, as `Sparrow.inject` takes it.

Markers are checked when tests are collected: a wrong one is a usage error, not a failing test.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sparrow.plugin import corpus
from pytest_sparrow.plugin.corpus import CORPUS
from pytest_sparrow.plugin.options import (
    choice,
    read_not_secret,
    read_policy,
    read_secrets,
    read_seed,
    refuse_writing_in_ci,
)
from pytest_sparrow.plugin.session import SESSION
from pytest_sparrow.settings import ClockMode, Level, Mode, Policy, Requests, Settings, Unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from pytest_sparrow.plugin.session import SessionState
    from pytest_sparrow.plugin.sparrow import Sparrow

__all__ = [
    "INJECT",
    "MARKER",
    "check",
    "check_markers",
    "inject_faults",
    "marked",
    "marker_settings",
    "override",
]


MARKER = "sparrow"


def marker_settings(item: pytest.Item) -> dict[str, Any]:
    """What the test's ``sparrow`` markers say; the closest one wins, key by key.

    Raises:
        pytest.UsageError: a marker has positional arguments.
    """
    said: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers(MARKER))):
        if marker.args:
            raise pytest.UsageError(
                f"{item.nodeid}: @pytest.mark.sparrow takes keywords only, like level='trajectory'"
            )
        said.update(marker.kwargs)
    return said


def marked(item: pytest.Item, session: SessionState, under: Settings) -> Settings:
    """The settings with the test's markers laid over them, as far as the command line has not decided.

    Raises:
        pytest.UsageError: see `marker_settings` and `override`.
    """
    origin = f"{item.nodeid}: @pytest.mark.{MARKER}"
    settings = override(under, marker_settings(item), origin, decided=session.decided)
    if settings.golden and settings.script:
        raise pytest.UsageError(f"{origin}: golden and script exclude each other: which one feeds the test?")
    in_corpus = item.get_closest_marker(CORPUS) is not None
    if in_corpus and (settings.golden or settings.script):
        said = "golden" if settings.golden else "script"
        raise pytest.UsageError(f"{origin}: {said} and @pytest.mark.{CORPUS} exclude each other")
    if (settings.golden or settings.script or in_corpus) and settings.mode.writes:
        # The golden is another test's, which writes it, or nobody's: this one can only replay.
        return dataclasses.replace(settings, mode=Mode.REPLAY)
    return settings


def override(
    settings: Settings, said: Mapping[str, Any], origin: str, *, decided: Collection[str] = ()
) -> Settings:
    """Settings with what a user said in Python laid over them.

    Args:
        settings: what is laid under.
        said: setting by setting.
        origin: where it was said, for messages.
        decided: settings that the command line has said: what is said of them here is checked, and not taken.

    Raises:
        pytest.UsageError: an unknown key or a wrong value; the text names the origin and the valid ones.
    """
    values: dict[str, Any] = {}
    for key, value in said.items():
        reader = _READERS.get(key)
        if reader is None:
            raise pytest.UsageError(
                f"{origin}: unknown setting {key!r}; there are: {', '.join(sorted(_READERS))}"
            )
        values[key] = reader(value, f"{origin}: {key}")
    for key in decided:
        values.pop(key, None)
    if "mode" in values:
        refuse_writing_in_ci(values["mode"], origin)
    return dataclasses.replace(settings, **values)


def _words(value: object, origin: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(word, str) for word in value):
        return tuple(value)
    raise pytest.UsageError(f"{origin} takes a string or a list of strings, not {value!r}")


def _script(value: object, origin: str) -> tuple[Any, ...]:
    from pytest_sparrow.errors import UsageError
    from pytest_sparrow.scenario import checked

    try:
        return checked(value, origin)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None


def _text(value: object, origin: str) -> str:
    if isinstance(value, str):
        return value
    raise pytest.UsageError(f"{origin} takes a string, not {value!r}")


def _flag(value: object, origin: str) -> bool:
    if isinstance(value, bool):
        return value
    raise pytest.UsageError(f"{origin} takes True or False, not {value!r}")


def _policy(value: object, origin: str) -> tuple[tuple[str, Policy], ...]:
    if not isinstance(value, dict):
        return read_policy(_words(value, origin), origin)
    said = []
    for who, word in value.items():
        if not isinstance(who, str):
            raise pytest.UsageError(f"{origin}: the key {who!r} is no tool's name, risk or '*'")
        said.append((who, word if isinstance(word, Policy) else choice(Policy, word, f"{origin}: {who}")))
    return tuple(said)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "mode": lambda value, origin: value if isinstance(value, Mode) else choice(Mode, value, origin),
    "level": lambda value, origin: value if isinstance(value, Level) else choice(Level, value, origin),
    "requests": lambda value, origin: (
        value if isinstance(value, Requests) else choice(Requests, value, origin)
    ),
    "unwrapped": lambda value, origin: (
        value if isinstance(value, Unwrapped) else choice(Unwrapped, value, origin)
    ),
    "agent": _text,
    "golden": _text,
    "script": _script,
    "policy": _policy,
    "in_process": _flag,
    "tools": _words,
    "ignore": _words,
    "allow_hosts": _words,
    "ignore_hosts": _words,
    "dummy_keys": _words,
    "clock": lambda value, origin: (
        value if isinstance(value, ClockMode) else choice(ClockMode, value, origin)
    ),
    "seed": read_seed,
    "env": _words,
    "directories": _flag,
    "secrets": lambda value, origin: read_secrets(_words(value, origin), origin),
    "not_secret": lambda value, origin: read_not_secret(_words(value, origin), origin),
}


INJECT = "sparrow_inject"


def check(item: pytest.Item) -> None:
    """Whether every marker of a test says a fault, and somebody lays it.

    Raises:
        pytest.UsageError: not so; the text names the test, and what there is.
    """
    for marker in item.iter_markers(INJECT):
        from pytest_sparrow.errors import UsageError
        from pytest_sparrow.run.whatif.faults import fault_of
        from pytest_sparrow.scenario import checked

        where = f"{item.nodeid}: @pytest.mark.{INJECT}"
        if "sparrow" not in getattr(item, "fixturenames", ()):
            raise pytest.UsageError(
                f"{where}: the test does not use the fixture sparrow, which lays the fault"
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
    """Lay the faults of a test's markers, those of its class and module first."""
    for marker in reversed(list(item.iter_markers(INJECT))):
        sparrow.inject(*marker.args, **marker.kwargs)


def check_markers(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Read every test's markers once.

    Not in a worker of pytest-xdist, where a usage error is a crash without words: there each such test fails.

    Raises:
        pytest.UsageError: a marker is wrong; the text names the test and the valid keys or values.
    """
    if hasattr(config, "workerinput"):
        return
    session = config.stash[SESSION]
    for item in items:
        corpus.check(item)
        check(item)
        if item.get_closest_marker(MARKER) is not None:
            marked(item, session, session.settings)
