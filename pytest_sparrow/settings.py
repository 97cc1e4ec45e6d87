"""What the user said, and what follows from it. Pure, and standard library only: the plugin loads it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Behaviour",
    "ClockMode",
    "Level",
    "Mode",
    "Policy",
    "Requests",
    "Settings",
    "Unwrapped",
    "behaviour",
    "dummy_key",
    "judged_by",
    "policy_of",
]


class Mode(enum.Enum):
    """What the user said."""

    REPLAY = "replay"
    RECORD = "record"
    NEW = "new"
    OFF = "off"

    @property
    def writes(self) -> bool:
        """Whether this mode may write goldens (and so is refused under CI unless on the command line)."""
        return self in (Mode.RECORD, Mode.NEW)


class Behaviour(enum.Enum):
    """What follows for one test."""

    FEED = "feed"
    """The world is shut; answers come from the golden."""
    RECORD = "record"
    """The world is open; a golden is written if the test passes."""
    PASS = "pass"  # noqa: S105 - no password
    """The world is open; nothing is read or written."""
    MISSING = "missing"
    """There is nothing to feed: the test fails before its body runs."""


def behaviour(mode: Mode, *, golden: bool) -> Behaviour:
    """What a mode means for a test that has a golden, or has none."""
    match mode:
        case Mode.OFF:
            return Behaviour.PASS
        case Mode.RECORD:
            return Behaviour.RECORD
        case Mode.NEW:
            return Behaviour.FEED if golden else Behaviour.RECORD
        case Mode.REPLAY:
            return Behaviour.FEED if golden else Behaviour.MISSING


class ClockMode(enum.Enum):
    """What the wall clock does while a run is open."""

    FLOW = "flow"
    """Recording: left alone. Replay: starts at the recorded moment, runs on, and moves on with the fed answers."""
    STEP = "step"
    """Stands still, and goes on one tick with each crossing: the same in record and replay."""
    REAL = "real"
    """Left alone."""


class Level(enum.Enum):
    """How much of a run is compared."""

    EXACT = "exact"
    TRAJECTORY = "trajectory"
    OUTCOME = "outcome"


class Requests(enum.Enum):
    """What request drift is: a failure, a remark, or nothing."""

    COMPARE = "compare"
    REPORT = "report"
    IGNORE = "ignore"


class Unwrapped(enum.Enum):
    """What a proposed tool that nobody wrapped is: a remark or a failure."""

    WARN = "warn"
    FAIL = "fail"


class Policy(enum.Enum):
    """What becomes of a wrapped tool's call in a replay."""

    FEED = "feed"
    """It gets the recorded answer; the tool does not run."""
    RUN = "run"
    """The tool runs, and what it gives is compared like any event."""
    VERIFY = "verify"
    """The tool runs, what it gives is compared, and the agent gets the recorded answer: one difference stays one."""


def dummy_key(name: str) -> str:
    """What an absent API key is filled with while a test replays: no provider would take it for a key.

    Each variable has one of its own, so that a redacted request tells which key it held, as the recorded one does.
    """
    return f"sparrow-dummy-{name.lower().replace('_', '-')}"


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
)
"""Hosts that agents report to: no part of what an agent does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one test, after command line, marker, ``sparrow_settings``, environment and ini.

    Attributes:
        mode: what was said.
        agent: the agent's name in RunStarted and inputs.json.
        level: how much is compared.
        requests: what request drift is.
        unwrapped: what an unwrapped tool is.
        ignore: paths, as a report prints them, that the comparison leaves out.
        allow_hosts: host, host:port or unix socket path that stay reachable in replay (``*`` matches within a name).
        ignore_hosts: hosts that are never recorded and answered 204 in replay.
        in_process: capture in-process transports (ASGI, WSGI, MockTransport) too.
        tools: dotted names to wrap.
        dummy_keys: environment variables filled with a dummy while a test replays.
        directory: name of the goldens' folder beside the test file.
        golden: name of another test of the file, whose golden feeds this one; "" for its own.
        script: turns of a scenario that feeds this test in place of a golden, as `scenario.checked` gives them.
        policy: what becomes of tools in a replay: pairs of a tool's name, a risk or ``*``, and the policy.
        clock: what the wall clock does.
        seed: whether randomness is seeded; a number is the seed of a test that is recorded.
        env: environment variables to record and to feed; ``*`` matches within a name.
        directories: hide the run's directories (temporary, project's, home) behind placeholders when recording.
        secrets: what is a secret besides what is known as one: lines as `redact.own_rules.read_rules` reads them.
        not_secret: kinds, and digests of values, that may be written.
        limits: lines that lift a limit on what is read of a golden, like ``events = 5000000``; checked.
    """

    mode: Mode = Mode.REPLAY
    agent: str = "pytest"
    level: Level = Level.EXACT
    requests: Requests = Requests.COMPARE
    unwrapped: Unwrapped = Unwrapped.WARN
    ignore: tuple[str, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    ignore_hosts: tuple[str, ...] = TELEMETRY_HOSTS
    in_process: bool = False
    tools: tuple[str, ...] = ()
    dummy_keys: tuple[str, ...] = ()
    directory: str = "__sparrow__"
    golden: str = ""
    script: tuple[Any, ...] = ()
    policy: tuple[tuple[str, Policy], ...] = ()
    clock: ClockMode = ClockMode.FLOW
    seed: bool | int = True
    env: tuple[str, ...] = ()
    directories: bool = True
    secrets: tuple[str, ...] = ()
    not_secret: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


def policy_of(said: tuple[tuple[str, Policy], ...], name: str, risk: str) -> Policy:
    """What was said of a tool: by its name, else of its risk, else of all (``*``); else it is fed."""
    table = dict(said)
    return next((table[key] for key in (name, risk, "*") if key in table), Policy.FEED)


def judged_by(settings: Settings) -> str:
    """What a run is judged by where that is not the default, like ``requests=report, level=trajectory``; else ""."""
    said = []
    if settings.requests is not Requests.COMPARE:
        said.append(f"requests={settings.requests.value}")
    if settings.level is not Level.EXACT:
        said.append(f"level={settings.level.value}")
    return ", ".join(said)
