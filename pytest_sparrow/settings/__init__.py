"""What the user said: the table of settings, each of them one row, and the values of one test.

A row of `Settings` is all that a setting is: the ini key, the command-line option, the check of markers and of
``sparrow_settings``, the environment variable and the README's table come from the row.
"""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass, fields, replace
from typing import Any

from pytest_sparrow.settings.kinds import (
    Age,
    Choice,
    Flag,
    Lines,
    MaxAge,
    Number,
    Objects,
    PlainText,
    Rate,
    Table,
)
from pytest_sparrow.settings.modes import DEFAULT_MODE, SHORT_OPTIONS, Behaviour, Mode, behaviour, outcomes
from pytest_sparrow.settings.row import PYTHON, USUAL, Setting, SettingPlace, row

__all__ = [
    "DUMMY",
    "SHORT_OPTIONS",
    "TABLE",
    "TELEMETRY_HOSTS",
    "Behaviour",
    "ChangedCode",
    "Level",
    "Mode",
    "Policy",
    "Requests",
    "Setting",
    "SettingPlace",
    "Settings",
    "Unused",
    "Unwrapped",
    "WallClock",
    "behaviour",
    "dummy_key",
    "judged_by",
    "outcomes",
    "policy_of",
    "settings_at",
]


class WallClock(enum.Enum):
    """What the wall clock does while a run is open."""

    FLOW = "flow"
    """Recording: left alone. Replay: starts at the recorded moment, runs on, and moves on with the replayed answers."""
    STEP = "step"
    """Stands still, and goes on one tick with each crossing: the same in record and replay."""
    REAL = "real"
    """Left alone."""


class Level(enum.Enum):
    """How much of a run is compared."""

    EXACT = "exact"
    TRAJECTORY = "trajectory"
    OUTCOME = "outcome"


class Crossings(enum.Enum):
    """Whether a test must ask for something over a boundary."""

    REQUIRED = "required"
    OPTIONAL = "optional"


class Requests(enum.Enum):
    """How changed requests are judged: as a failure, as a remark, or not at all."""

    COMPARE = "compare"
    REPORT = "report"
    IGNORE = "ignore"


class Unwrapped(enum.Enum):
    """How a proposed tool that nobody wrapped is judged: as a remark or a failure."""

    WARN = "warn"
    FAIL = "fail"


class ChangedCode(enum.Enum):
    """How a tool is judged that a replay does not run, and whose code has changed since it was recorded."""

    WARN = "warn"
    FAIL = "fail"


class Unused(enum.Enum):
    """What becomes of a session after which goldens belong to no test."""

    WARN = "warn"
    FAIL = "fail"
    IGNORE = "ignore"


class Policy(enum.Enum):
    """What becomes of a wrapped tool's call in a replay."""

    FEED = "feed"
    """The call gets the recorded answer; the tool does not run."""
    RUN = "run"
    """The tool runs, and its output is compared like any event."""
    VERIFY = "verify"
    """The tool runs, its output is compared, and the agent gets the recorded answer: one difference stays one."""


TELEMETRY_HOSTS = (
    "api.smith.langchain.com",
    "*.sentry.io",
    "*.ingest.sentry.io",
    "*.posthog.com",
    "logfire-api.pydantic.dev",
    "logfire-us.pydantic.dev",
    "logfire-eu.pydantic.dev",
    "cloud.langfuse.com",
    "us.cloud.langfuse.com",
    "telemetry.crewai.com",
    "*.datadoghq.com",
    "*.honeycomb.io",
    "api.traceloop.com",
    # Wherever these clients send to: a collector of one's own has any address, and batches are cut by chance.
    "user-agent:OTel-OTLP-Exporter-Python/*",
    "user-agent:logfire*",
    "user-agent:langsmith-py/*",
    "user-agent:sentry.python*",
    "user-agent:posthog-python/*",
)
"""Hosts that agents report to, and the clients that report: no part of what an agent does."""

LOOK_UPS = (
    "models.dev/*",
    "raw.githubusercontent.com/berriai/litellm/*",
    "openaipublic.blob.core.windows.net/encodings/*",
    "huggingface.co/*/resolve/*",
    "huggingface.co/api/models/*",
    "openrouter.ai/api/v1/models",
    "pypi.org/pypi/*/json",
    "registry.npmjs.org/*",
    "*/.well-known/*",
)
"""What clients read once a day, once a process, or only where they have not kept it: ``host/path``."""


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Settings:
    """The settings of one test, after command line, marker, ``sparrow_settings``, environment and ini file."""

    mode: Mode = row(
        Choice(Mode),
        "whether the world is open, and whether goldens are compared or written",
        default=DEFAULT_MODE,
        places=SettingPlace.COMMAND_LINE | SettingPlace.MARKER | SettingPlace.ENVIRONMENT | SettingPlace.INI,
    )
    level: Level | None = row(
        Choice(Level),
        "how much is compared",
        default=None,
        places=SettingPlace.COMMAND_LINE | USUAL,
        default_shown="exact; trajectory in mode verify",
    )
    requests: Requests | None = row(
        Choice(Requests),
        "how changed requests are judged: as a failure, as a remark (the scripted replay: prompts may be edited), "
        "or not at all",
        default=None,
        places=SettingPlace.COMMAND_LINE | USUAL,
        default_shown="compare; report in mode verify",
    )
    runs: int = row(
        Number(least=1),
        "in mode verify: how many live runs of a test are made at most; with more than one the test passes if enough "
        "of them do (`pass_rate`)",
        default=1,
        places=SettingPlace.COMMAND_LINE | SettingPlace.MARKER | SettingPlace.INI,
    )
    pass_rate: float = row(
        Rate(),
        "how many of these runs must pass, as a share",
        default=1.0,
        places=SettingPlace.COMMAND_LINE | SettingPlace.MARKER | SettingPlace.INI,
        default_shown="1, all",
    )
    sample: int | None = row(
        Number(least=1),
        "replay one of these runs, by its number, in place of the golden",
        default=None,
        places=SettingPlace.COMMAND_LINE,
    )
    crossings: Crossings | None = row(
        Choice(Crossings),
        "whether a test that asks for nothing fails: by default where the test names the fixture itself, and not "
        "where an autouse fixture or a marker brings the fixture",
        default=None,
        default_shown="by the test",
    )
    unwrapped: Unwrapped = row(
        Choice(Unwrapped),
        "how a proposed tool that nobody wrapped is judged: as a remark or a failure",
        default=Unwrapped.WARN,
    )
    changed_code: ChangedCode = row(
        Choice(ChangedCode),
        "how a replay judges a tool that it does not run, and whose code changed since it was recorded: as a remark "
        "or a failure",
        default=ChangedCode.WARN,
    )
    policy: tuple[tuple[str, Policy], ...] = row(
        Table(Policy, "'refund = feed', 'ReadOnly = run', '* = verify'"),
        "what a replay does with wrapped tools: a policy by the tool's name, a risk or `*`",
        default=(),
        default_shown="feed",
    )
    golden: str = row(
        PlainText(),
        "the name of another test of the file, whose golden is replayed",
        default="",
        places=SettingPlace.MARKER,
        default_shown="its own",
    )
    script: tuple[Any, ...] = row(
        Objects("pytest_sparrow.scenario:checked", "a list of turns"),
        "turns that are replayed in place of a golden ([scenarios](docs/scenarios.md))",
        default=(),
        places=PYTHON,
    )
    ignore: tuple[str, ...] = row(
        Lines(check="pytest_sparrow.comparing.result:check_paths"),
        "paths, as a report prints them, to leave out of the comparison",
        default=(),
    )
    exclude_paths: tuple[str, ...] = row(
        Lines(check="pytest_sparrow.comparing.result:check_paths"),
        "as `ignore`, in DeepDiff's word ([rules](docs/rules.md))",
        default=(),
    )
    ignore_headers: tuple[str, ...] = row(
        Lines(),
        "headers of requests that do not count, beside [those that never do](docs/rules.md#headers); "
        "`x-acme-*` is a pattern",
        default=(),
    )
    exclude_regex_paths: tuple[str, ...] = row(
        Lines(check="pytest_sparrow.comparing.rules:check_patterns"),
        "regular expressions, searched for in each path as a report prints it",
        default=(),
    )
    significant_digits: int | None = row(
        Number(),
        "to how many digits after the point numbers are compared",
        default=None,
        default_shown="all",
    )
    ignore_order: bool | tuple[str, ...] = row(
        Lines(check="pytest_sparrow.comparing.result:check_paths", flag=True),
        "the order of lists does not count: in all of them, or at and below these paths",
        default=False,
    )
    ignore_string_case: bool = row(
        Flag(),
        "texts and keys that differ in case alone are equal",
        default=False,
    )
    ignore_numeric_type_changes: bool = row(
        Flag(),
        "numbers are compared to 12 digits after the point, unless `significant_digits` says otherwise",
        default=False,
    )
    custom_operators: tuple[object, ...] = row(
        Objects("pytest_sparrow.comparing.rules:read_operators", "a list of operators as DeepDiff has them"),
        "objects that decide whether two values are equal, as DeepDiff has them",
        default=(),
        places=PYTHON,
    )
    tools: tuple[str, ...] = row(
        Lines(),
        "dotted names of tools to wrap, as `refund = myagent.tools.refund_tool` under another name",
        default=(),
    )
    frameworks: tuple[str, ...] = row(
        Lines(check="pytest_sparrow.frameworks:check_names"),
        "the frameworks whose tools are recorded and replayed without being wrapped: `auto` (all that are known), "
        "`off`, or names; a replay follows its golden",
        default=("auto",),
        default_shown="auto",
    )
    allow_hosts: tuple[str, ...] = row(
        Lines(),
        "`host`, `host:port` or the path of a unix socket that stay reachable in a replay",
        default=(),
    )
    ignore_hosts: tuple[str, ...] = row(
        Lines(),
        "hosts that are never recorded, and answered 204 in a replay, or clients (`user-agent:NAME*`); of the default "
        "what is only read counts as `look_ups`; an ini file adds to the default",
        default=TELEMETRY_HOSTS,
        default_shown="known telemetry hosts and clients",
        adds=True,
    )
    look_ups: tuple[str, ...] = row(
        Lines(),
        "what clients ask by chance (once a day, once a process), as `host/path` or `POST host/path`, with `*` for "
        "anything: recorded and replayed, but nobody misses it; an ini file adds to the default",
        default=LOOK_UPS,
        default_shown="known registries and downloads",
        adds=True,
    )
    in_process: bool = row(
        Flag(),
        "also capture transports that lead to code of the same process (ASGI, WSGI, MockTransport)",
        default=False,
    )
    agent: str = row(
        PlainText(),
        "the agent's name in transcripts",
        default="pytest",
    )
    env: tuple[str, ...] = row(
        Lines(),
        "environment variables to record, and to set again in a replay; `FEATURE_*` is a pattern",
        default=(),
    )
    clock: WallClock = row(
        Choice(WallClock),
        "what the wall clock does. flow: starts a replay at the recorded moment and moves on with the answers; step: "
        "stands still but for a second a crossing, in record and replay; real: left alone",
        default=WallClock.FLOW,
    )
    seed: bool | int = row(
        Number(flag=True),
        "seed `random`, `uuid` and numpy, the same in record and replay; a number seeds tests that are recorded",
        default=True,
    )
    directories: bool = row(
        Flag(),
        "hide temporary, project and home directories in goldens, and put the replay's own back",
        default=True,
    )
    secrets: tuple[str, ...] = row(
        Lines(check="pytest_sparrow.redact.user_rules:read_rules"),
        "further secrets: `kind = regex`, `kind = field:name`, or either bare",
        default=(),
    )
    not_secret: tuple[str, ...] = row(
        Lines(check="pytest_sparrow.redact.user_rules:read_allowed"),
        "what is no secret though it looks like one: a kind, or `value:<digest>`",
        default=(),
    )
    limits: tuple[str, ...] = row(
        Lines(check="pytest_sparrow.store.damage:Limits.of"),
        "how much is read of a golden at most: `events = 2000000`, …; the error names the limit",
        default=(),
        places=SettingPlace.INI,
        default_shown="generous",
    )
    dummy_keys: tuple[str, ...] = row(
        Lines(),
        "further API keys to fill with a dummy while a test replays; as ini, from the start of the session",
        default=(),
    )
    unused: Unused = row(
        Choice(Unused),
        "what a complete and green session does with goldens that no test uses: name them in the summary, fail as "
        "well, or nothing",
        default=Unused.WARN,
        places=SettingPlace.COMMAND_LINE | SettingPlace.INI,
    )
    max_age: MaxAge | None = row(
        Age(),
        "goldens that were recorded longer ago are named, or fail the session",
        default=None,
        places=SettingPlace.COMMAND_LINE | SettingPlace.INI,
        default_shown="any",
    )
    pending: bool | None = row(
        Flag(),
        "a replay that differs leaves its new run for `pytest-sparrow review` and `accept`",
        default=None,
        places=SettingPlace.COMMAND_LINE | SettingPlace.INI,
        default_shown="true; false where `CI` is set",
    )
    dir: str = row(
        PlainText(folder=True),
        "the name of the goldens' folder",
        default="__sparrow__",
        places=SettingPlace.INI,
    )

    @property
    def level_in_force(self) -> Level:
        """How much is compared: a model that answers anew says it in other words."""
        return self.level or (Level.TRAJECTORY if self.mode.live else Level.EXACT)

    @property
    def requests_in_force(self) -> Requests:
        """How changed requests are judged: a later request repeats what a model said before."""
        return self.requests or (Requests.REPORT if self.mode.live else Requests.COMPARE)


TABLE: tuple[Setting, ...] = tuple(replace(each.metadata["row"], name=each.name) for each in fields(Settings))
"""Every setting, in the order of the README's table."""


def settings_at(place: SettingPlace) -> dict[str, Setting]:
    """The settings that may stand in a place, by name."""
    return {setting.name: setting for setting in TABLE if place in setting.places}


DUMMY = "sparrow-dummy-"
"""How each dummy of a key begins."""


@functools.cache
def dummy_key(name: str) -> str:
    """What an absent API key is filled with while a test replays: no provider would take it for a key.

    Each variable has a dummy of its own, so that a redacted request shows which key it held, as the recorded one does.
    """
    return f"{DUMMY}{name.lower().replace('_', '-')}"


def policy_of(
    table: tuple[tuple[str, Policy], ...], name: str, risk: str, own: Policy | None = None
) -> Policy:
    """The policy of a tool: its own, else by its name, its risk, that of all (``*``), else the recorded answer.

    Args:
        table: the setting ``policy``.
        name: the tool's name.
        risk: its risk.
        own: the policy that was given when the tool was wrapped, or None.
    """
    if own is not None:
        return own
    policies = dict(table)
    return next((policies[key] for key in (name, risk, "*") if key in policies), Policy.FEED)


def judged_by(settings: Settings) -> str:
    """The settings that a run is judged by and that are no default, like ``requests=report, level=trajectory``."""
    said = []
    if settings.requests_in_force is not Requests.COMPARE:
        said.append(f"requests={settings.requests_in_force.value}")
    if settings.level_in_force is not Level.EXACT:
        said.append(f"level={settings.level_in_force.value}")
    return ", ".join(said)
