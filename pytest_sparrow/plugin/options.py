"""The session's settings: options and ini keys made from the table, and their values with the origin of each."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sparrow.errors import UsageError
from pytest_sparrow.settings import SHORT_OPTIONS, TABLE, Mode, Setting, SettingPlace, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(slots=True, eq=False, repr=False)
class SessionSettings:
    """What command line, environment and ini file say.

    Attributes:
        settings: the values.
        origins: where each value came from; a setting that nobody mentions has none.
        decided: names of the settings that stand on the command line, which nothing overrides.
    """

    settings: Settings
    origins: dict[str, str]
    decided: frozenset[str]


def add_options(parser: pytest.Parser) -> None:
    """Declare every option and ini key."""
    group = parser.getgroup("sparrow", "replay testing of AI agents")
    for mode, help_text in SHORT_OPTIONS.items():
        group.addoption(_short(mode), action="store_true", default=False, help=help_text)
    for setting in TABLE:
        text = f"{setting.help}; {setting.kind.valid}"
        if SettingPlace.COMMAND_LINE in setting.places:
            group.addoption(setting.option, metavar=setting.name.upper(), default=None, help=text)
        if SettingPlace.INI in setting.places:
            parser.addini(setting.key, text, type=setting.kind.ini, default=None)


def _short(mode: Mode) -> str:
    return f"--sparrow-{mode.value}"


@contextmanager
def as_pytest_error() -> Iterator[None]:
    """Raise a `UsageError` of ours as pytest's, which ends a session with exit code 4 and one line."""
    try:
        yield
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None


def read_session(config: pytest.Config) -> SessionSettings:
    """The session's settings, before markers and ``sparrow_settings``.

    Raises:
        pytest.UsageError: a value is wrong, wherever it stands, or a mode that writes or verifies meets CI; the text
            names the origin, the value and what is valid.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    decided = set()
    with as_pytest_error():
        for setting in TABLE:
            # All are read, so that a wrong one is an error although another one wins.
            for place, origin, value in reversed(list(_said(config, setting))):
                values[setting.name], origins[setting.name] = value, origin
                if place is SettingPlace.COMMAND_LINE:
                    decided.add(setting.name)
    settings = Settings(**values)
    if "mode" not in decided:
        refuse_in_ci(settings.mode, origins.get("mode", ""))
    if "runs" in decided and not settings.mode.live:
        raise pytest.UsageError(
            f"{origins['runs']}: only live runs are counted, and the mode is {settings.mode.value}: "
            "say --sparrow-mode=verify as well"
        )
    return SessionSettings(settings, origins, frozenset(decided))


def _said(config: pytest.Config, setting: Setting) -> Iterator[tuple[SettingPlace, str, Any]]:
    """What is said of a setting outside of Python: where, the origin for messages, and the value; the winner first."""
    parse = setting.kind.parse
    if SettingPlace.COMMAND_LINE in setting.places:
        for option, text in _options(config, setting):
            yield SettingPlace.COMMAND_LINE, option, parse(text, option)
    text = os.environ.get(setting.variable, "") if SettingPlace.ENVIRONMENT in setting.places else ""
    if text:
        yield SettingPlace.ENVIRONMENT, setting.variable, parse(text, setting.variable)
    if SettingPlace.INI in setting.places:
        origin, written = _written(config, setting)
        if written is not None:
            value = (parse if isinstance(written, str) else setting.kind.read)(written, origin)
            yield SettingPlace.INI, origin, (*setting.default, *value) if setting.adds else value


def _options(config: pytest.Config, setting: Setting) -> Iterator[tuple[str, str]]:
    text = config.getoption(setting.option)
    if setting.name != "mode":
        if text is not None:
            yield setting.option, text
        return
    found = [(_short(mode), mode.value) for mode in SHORT_OPTIONS if config.getoption(_short(mode))]
    if text is not None:
        found.append((setting.option, text))
    if len(found) > 1:
        names = [f"{option}={word}" if option == setting.option else option for option, word in found]
        raise UsageError(" and ".join(names) + " exclude each other")
    yield from found


def _written(config: pytest.Config, setting: Setting) -> tuple[str, Any]:
    """The origin and the value of an ini key: text, or what TOML holds; None where the key is absent or empty."""
    file = config.inipath
    overridden = any(line.startswith(f"{setting.key}=") for line in config.getoption("override_ini") or ())
    origin = (
        f"-o {setting.key}" if overridden or file is None else f"{shown_file(file, config)}: {setting.key}"
    )
    try:
        value = config.getini(setting.key)
    except (TypeError, ValueError, pytest.UsageError):
        # A native table of pytest 9 holds a value of a type that no type of pytest's own ini keys covers.
        value = _native(file, setting.key)
    if value == "" and not isinstance(setting.default, str):
        value = None  # `-o sparrow_level=` takes back what the file says
    return origin, value


def _native(file: Path | None, key: str) -> Any:
    """A value of the table ``[tool.pytest]`` or, in a file of pytest's own, ``[pytest]``."""
    import tomllib

    if file is None:
        return None
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    native = document.get("tool", {}).get("pytest", {})
    return native[key] if key in native else document.get("pytest", {}).get(key)


def shown_file(file: Path, config: pytest.Config) -> str:
    """A file as a message names it: from where pytest was started, if the file lies below."""
    try:
        return file.relative_to(config.invocation_params.dir).as_posix()
    except ValueError:
        return str(file)


def on_ci() -> bool:
    """Whether ``CI`` is set, as providers of continuous integration do."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false", "no")


def refuse_in_ci(mode: Mode, origin: str) -> None:
    """Refuse a mode that writes or verifies where CI runs and nobody typed it.

    A forgotten setting must not bless a change, nor ask models on every commit, which costs money.

    Raises:
        pytest.UsageError: it is such a mode, and ``CI`` is set.
    """
    does = "writes goldens" if mode.writes else "asks the world" if mode.live else ""
    if does and on_ci():
        raise pytest.UsageError(
            f"{origin}: mode {mode.value!r} {does}, and CI is set: "
            f"say it on the command line (--sparrow-mode={mode.value}) if you mean it"
        )
