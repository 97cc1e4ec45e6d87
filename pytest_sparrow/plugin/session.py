"""The session's state, settings and codecs.

What the plugin keeps, in typed stash keys: nothing lives in module globals.

The session: its settings, and the keys that a user wants filled from the start.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from pytest_sparrow.plugin.options import read_session
from pytest_sparrow.settings import dummy_key

if TYPE_CHECKING:
    from pytest_sparrow.boundaries.http import OutsidePolicy
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.findings import Finding, Verdict
    from pytest_sparrow.plugin.attempt import Attempt, Kept
    from pytest_sparrow.settings import Settings

__all__ = ["ATTEMPT", "OUTSIDE", "SESSION", "AttemptState", "SessionState", "refusal", "start", "stop"]


@dataclass(slots=True)
class SessionState:
    """The session's settings, and what to tell at its end.

    Attributes:
        settings: before marker and ``sparrow_settings``.
        origin: the ini key or the variable that gives the mode, "" where nothing but the command line does.
        decided: names of the settings that the command line has said.
        counts: how many tests ended how.
        ways: how many tests were judged by other settings than the defaults, by those settings.
        remarks: findings for the summary as JSON, each with its node id.
        verdicts: the verdicts on the tests that diverged as JSON, by node id.
        attempts: the attempts under way, by node id.
        fixture: the fixture that is being set up or torn down, "" between them.
        filled_keys: environment variables that hold a dummy of ours.
        wrong: a wrong setting that was met while tests run: the session ends with it.
    rerun: tests whose attempt failed and is made again: what became of its recording is no news.
    """

    settings: Settings
    origin: str
    decided: frozenset[str] = frozenset()
    counts: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    remarks: list[tuple[str, dict[str, Json]]] = field(default_factory=list)
    verdicts: dict[str, list[Json]] = field(default_factory=dict)
    attempts: dict[str, AttemptState] = field(default_factory=dict)
    fixture: str = ""
    filled_keys: list[str] = field(default_factory=list)
    wrong: str = ""
    rerun: set[str] = field(default_factory=set)


@dataclass(slots=True)
class AttemptState:
    """One attempt, and what its reports said.

    Attributes:
        attempt: the attempt.
        diverged: the verdicts of its runs that diverged.
        cause: what made it fail first, or None.
        divergence: the text of its divergence, "" if there is none.
        missed: the agent asked for something that the replay could not give.
        contradicted: the agent did something else than the golden says; stopping early is nothing else.
        passed: a passing report of the call phase has come.
        failed: a report that forbids keeping a recording has come (failed, skipped, xfail; sub-reports too).
        remarks: what is worth a line in the summary.
        kept: what became of the recordings.
    """

    attempt: Attempt
    diverged: list[Verdict] = field(default_factory=list)
    cause: Finding | None = None
    divergence: str = ""
    missed: bool = False
    contradicted: bool = False
    passed: bool = False
    failed: bool = False
    remarks: list[Finding] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)


SESSION: pytest.StashKey[SessionState] = pytest.StashKey()
OUTSIDE: pytest.StashKey[OutsidePolicy | None] = pytest.StashKey()
ATTEMPT: pytest.StashKey[AttemptState] = pytest.StashKey()


def start(config: pytest.Config) -> None:
    """Read the settings into the stash.

    Raises:
        pytest.UsageError: one of them is wrong.
    """
    said = read_session(config)
    settings = said.settings
    origin = "" if "mode" in said.decided else said.origins.get("mode", "")
    state = SessionState(settings, origin, said.decided)
    config.stash[SESSION] = state
    if settings.mode.shut:
        # Only what the user lists: a dummy that is set so early also makes `skipif(no key)` tests run.
        for name in settings.dummy_keys:
            if name not in os.environ:
                os.environ[name] = dummy_key(name)
                state.filled_keys.append(name)


def refusal(session: SessionState, wrong: str) -> BaseException:
    """What fails a test because of a wrong setting; the session ends with a usage error once that is reported."""
    session.wrong = wrong
    return pytest.fail.Exception(wrong, pytrace=False)


def stop(config: pytest.Config) -> None:
    """Take the dummies out again, where they still stand."""
    state = config.stash.get(SESSION, None)
    for name in state.filled_keys if state is not None else ():
        if os.environ.get(name) == dummy_key(name):
            del os.environ[name]
