"""Command-line options and ini keys: what they are called, and reading them with their origin named."""

from __future__ import annotations

import enum
import importlib
import os
from typing import TYPE_CHECKING, TypeVar

import pytest

from pytest_sparrow.settings import (
    TELEMETRY_HOSTS,
    ClockMode,
    Level,
    Mode,
    Policy,
    Requests,
    Settings,
    Unwrapped,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "add_options",
    "choice",
    "read_decided",
    "read_mode",
    "read_not_secret",
    "read_policy",
    "read_secrets",
    "read_seed",
    "read_settings",
    "refuse_writing_in_ci",
]

T = TypeVar("T", bound=enum.Enum)


def add_options(parser: pytest.Parser) -> None:
    """Declare every option and ini key."""
    group = parser.getgroup("sparrow", "replay testing of AI agents")
    group.addoption(
        "--sparrow-record",
        action="store_true",
        default=False,
        help="run against the real world and write the golden of every test that uses sparrow and passes",
    )
    group.addoption(
        "--sparrow-replay",
        action="store_true",
        default=False,
        help="feed the goldens back, offline, and fail where behaviour changed (the default)",
    )
    group.addoption(
        "--sparrow-mode",
        metavar="MODE",
        default=None,
        help="one of: " + ", ".join(mode.value for mode in Mode),
    )
    group.addoption(
        "--sparrow-level",
        metavar="LEVEL",
        default=None,
        help="how much is compared, whatever markers and files say; one of: "
        + ", ".join(level.value for level in Level),
    )
    group.addoption(
        "--sparrow-requests",
        metavar="HOW",
        default=None,
        help="what request drift is, whatever markers and files say ('report' is the scripted replay: prompts may be "
        "edited); one of: " + ", ".join(requests.value for requests in Requests),
    )
    add = parser.addini
    add("sparrow_mode", "mode where the command line, the marker and SPARROW_MODE say nothing", default="")
    add("sparrow_dir", "name of the goldens' folder beside each test file", default="__sparrow__")
    add("sparrow_agent", "the agent's name in transcripts", default="pytest")
    add("sparrow_level", "how much is compared: exact, trajectory or outcome", default="exact")
    add("sparrow_requests", "what request drift is: compare, report or ignore", default="compare")
    add("sparrow_unwrapped", "what a tool that nobody wrapped is: warn or fail", default="warn")
    add(
        "sparrow_policy",
        "what becomes of wrapped tools in replay, a line each: a tool's name, a risk or * = feed, run or verify",
        type="linelist",
        default=[],
    )
    add("sparrow_in_process", "capture in-process HTTP transports too", type="bool", default=False)
    add("sparrow_tools", "dotted names of tools to wrap", type="linelist", default=[])
    add(
        "sparrow_ignore",
        "paths, as a report prints them, to leave out of the comparison",
        type="linelist",
        default=[],
    )
    add("sparrow_allow_hosts", "hosts that stay reachable in replay", type="linelist", default=[])
    add(
        "sparrow_ignore_hosts",
        "hosts that are never recorded, besides the known telemetry hosts",
        type="linelist",
        default=[],
    )
    add("sparrow_env", "environment variables to record, and to feed in replay", type="linelist", default=[])
    add("sparrow_clock", "what the wall clock does: flow, step or real", default="flow")
    add("sparrow_seed", "seed randomness: true, false, or the seed of new goldens", default="true")
    add(
        "sparrow_directories",
        "hide temporary, project and home directories behind placeholders when recording",
        type="bool",
        default=True,
    )
    add(
        "sparrow_limits",
        "the most that is read of a golden, where the defaults are too small; a line each like: events = 5000000",
        type="linelist",
        default=[],
    )
    add(
        "sparrow_secrets",
        "what must not be recorded besides known secrets, a line each: kind = pattern, or kind = field:name",
        type="linelist",
        default=[],
    )
    add(
        "sparrow_not_secret",
        "what may be recorded though it looks like a secret, a line each: a kind, or the value:… of a refusal",
        type="linelist",
        default=[],
    )
    add(
        "sparrow_dummy_keys",
        "environment variables to fill with a dummy from the start",
        type="linelist",
        default=[],
    )


def choice(kind: type[T], value: object, origin: str) -> T:
    """The member of an enum that a user's word names.

    Raises:
        pytest.UsageError: there is none; the text names the origin and the valid words.
    """
    try:
        return kind(value)
    except ValueError:
        valid = ", ".join(member.value for member in kind)
        raise pytest.UsageError(f"{origin}: {value!r} is not one of: {valid}") from None


def read_mode(config: pytest.Config) -> tuple[Mode, str]:
    """The session's mode and where it came from; the marker of a single test may still override it.

    Raises:
        pytest.UsageError: a wrong value, two options that exclude each other, or a mode that writes under CI.
    """
    said = [
        (mode, option)
        for mode, option, given in (
            (Mode.RECORD, "--sparrow-record", config.getoption("--sparrow-record")),
            (Mode.REPLAY, "--sparrow-replay", config.getoption("--sparrow-replay")),
        )
        if given
    ]
    word = config.getoption("--sparrow-mode")
    if word is not None:
        said.append((choice(Mode, word, "--sparrow-mode"), f"--sparrow-mode={word}"))
    if len(said) > 1:
        raise pytest.UsageError(" and ".join(option for _, option in said) + " exclude each other")
    if said:
        return said[0][0], "command line"
    for word, origin in (
        (os.environ.get("SPARROW_MODE", ""), "SPARROW_MODE"),
        (config.getini("sparrow_mode"), "ini sparrow_mode"),
    ):
        if word:
            mode = choice(Mode, word, origin)
            refuse_writing_in_ci(mode, origin)
            return mode, origin
    return Mode.REPLAY, "default"


def refuse_writing_in_ci(mode: Mode, origin: str) -> None:
    """Refuse a mode that writes where CI runs and nobody typed it: a forgotten setting must not bless a change.

    Raises:
        pytest.UsageError: it is so.
    """
    if mode.writes and os.environ.get("CI", "").lower() not in ("", "0", "false", "no"):
        raise pytest.UsageError(
            f"{origin}: mode {mode.value!r} writes goldens, and CI is set: "
            f"say it on the command line (--sparrow-mode={mode.value}) if you mean it"
        )


def read_decided(config: pytest.Config, mode_origin: str) -> frozenset[str]:
    """The settings that the command line has said, and that nothing may lay itself over."""
    said = {name for name in ("level", "requests") if config.getoption(f"--sparrow-{name}") is not None}
    return frozenset(said | ({"mode"} if mode_origin == "command line" else set()))


def read_settings(config: pytest.Config, mode: Mode) -> Settings:
    """The session's settings, before marker and ``sparrow_settings``.

    Raises:
        pytest.UsageError: a wrong value; the text names the ini key and the valid words.
    """
    ini = config.getini
    directory = str(ini("sparrow_dir"))
    if not directory or directory in (".", "..") or any(sign in directory for sign in "/\\\0"):
        raise pytest.UsageError(f"ini sparrow_dir: {directory!r} is not the name of a folder")
    return Settings(
        mode=mode,
        agent=str(ini("sparrow_agent")),
        level=_said(config, Level, "level"),
        requests=_said(config, Requests, "requests"),
        unwrapped=choice(Unwrapped, ini("sparrow_unwrapped"), "ini sparrow_unwrapped"),
        in_process=_flag(config, "sparrow_in_process"),
        policy=read_policy(ini("sparrow_policy"), "ini sparrow_policy"),
        tools=tuple(ini("sparrow_tools")),
        ignore=tuple(ini("sparrow_ignore")),
        allow_hosts=tuple(ini("sparrow_allow_hosts")),
        ignore_hosts=(*TELEMETRY_HOSTS, *ini("sparrow_ignore_hosts")),
        dummy_keys=tuple(ini("sparrow_dummy_keys")),
        directory=directory,
        clock=choice(ClockMode, ini("sparrow_clock"), "ini sparrow_clock"),
        seed=read_seed(ini("sparrow_seed"), "ini sparrow_seed"),
        env=tuple(ini("sparrow_env")),
        directories=_flag(config, "sparrow_directories"),
        secrets=read_secrets(ini("sparrow_secrets"), "ini sparrow_secrets"),
        not_secret=read_not_secret(ini("sparrow_not_secret"), "ini sparrow_not_secret"),
        limits=_limits(ini("sparrow_limits")),
    )


def _limits(lines: Sequence[str]) -> tuple[str, ...]:
    if lines:
        from pytest_sparrow.errors import UsageError
        from pytest_sparrow.store.damage import Limits

        try:
            Limits.of(lines, "ini sparrow_limits")
        except UsageError as error:
            raise pytest.UsageError(str(error)) from None
    return tuple(lines)


def read_policy(lines: Iterable[str], origin: str) -> tuple[tuple[str, Policy], ...]:
    """Lines like ``refund = feed``, ``ReadOnly = run`` or ``* = verify``.

    Raises:
        pytest.UsageError: a line of another shape, or another word; the text names the origin and the valid words.
    """
    said = []
    for line in lines:
        who, sign, word = (part.strip() for part in line.rpartition("="))
        if not who or not sign:
            raise pytest.UsageError(
                f"{origin}: {line!r} is not like 'refund = feed', 'ReadOnly = run', '* = verify'"
            )
        said.append((who, choice(Policy, word, f"{origin}: {who}")))
    return tuple(said)


def read_secrets(lines: Iterable[str], origin: str) -> tuple[str, ...]:
    """Lines like ``customer = cust_[0-9]{8}`` or ``iban = field:iban``; checked here, read by each test.

    Raises:
        pytest.UsageError: one can't be read; the text names the origin.
    """
    return _checked(lines, origin, "user_rules", "read_rules")


def read_not_secret(words: Iterable[str], origin: str) -> tuple[str, ...]:
    """Kinds, and digests of values; checked here, read by each test.

    Raises:
        pytest.UsageError: a word is neither; the text names the origin.
    """
    return _checked(words, origin, "user_rules", "read_allowed")


def _checked(lines: Iterable[str], origin: str, module: str, reader: str) -> tuple[str, ...]:
    said = tuple(lines)
    if said:  # only who says something pays for the import
        from pytest_sparrow.errors import UsageError

        try:
            getattr(importlib.import_module(f"pytest_sparrow.redact.{module}"), reader)(said, origin)
        except UsageError as error:
            raise pytest.UsageError(str(error)) from None
    return said


def _said(config: pytest.Config, kind: type[T], name: str) -> T:
    """What the ini file says, and above it the command line; a wrong word is an error in either."""
    found = choice(kind, config.getini(f"sparrow_{name}"), f"ini sparrow_{name}")
    word = config.getoption(f"--sparrow-{name}")
    return found if word is None else choice(kind, word, f"--sparrow-{name}")


def read_seed(value: object, origin: str) -> bool | int:
    """Yes, no, or a number, as a word of the ini file or as a Python value.

    Raises:
        pytest.UsageError: it is none of them; the text names the origin.
    """
    if isinstance(value, str):
        word = value.strip().lower()
        value = {"true": True, "false": False}.get(
            word, int(word) if word.isascii() and word.isdigit() else value
        )
    if isinstance(value, int) and value >= 0:
        return value
    raise pytest.UsageError(f"{origin} takes true, false or a number from 0, not {value!r}")


def _flag(config: pytest.Config, name: str) -> bool:
    """A yes or no of the ini file; pytest's own error doesn't say which key is wrong."""
    try:
        return bool(config.getini(name))
    except (ValueError, pytest.UsageError) as error:  # which one depends on pytest's version
        raise pytest.UsageError(f"ini {name}: {error}; it takes true or false") from None
