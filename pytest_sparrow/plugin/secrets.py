"""What one test must not write or show: the user's rules, the redactor and the scanner made of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from pytest_sparrow.boundaries.world.environment import dummies
from pytest_sparrow.errors import UsageError
from pytest_sparrow.redact import Redactor
from pytest_sparrow.redact.scanner import Scanner
from pytest_sparrow.redact.user_rules import read_allowed, read_rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.plugin.golden import GoldenPlace
    from pytest_sparrow.redact import Places
    from pytest_sparrow.redact.user_rules import SecretFinder
    from pytest_sparrow.settings import Settings

__all__ = ["Secrets", "refuse_secret_name", "rules_of_plugins", "secrets_of"]

_RULES: pytest.StashKey[tuple[str | SecretFinder, ...]] = pytest.StashKey()


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The two nets of one test.

    Attributes:
        redactor: hides what it knows.
        scanner: refuses what is left.
    """

    redactor: Redactor
    scanner: Scanner


def rules_of_plugins(config: pytest.Config) -> tuple[str | SecretFinder, ...]:
    """What other plugins and ``conftest.py`` files call a secret; asked for once a session.

    Raises:
        UsageError: one of them is no rule; the text says why.
    """
    known = config.stash.get(_RULES, None)
    if known is None:
        known = tuple(rule for some in config.hook.pytest_sparrow_redact(config=config) for rule in some)
        read_rules(known, "pytest_sparrow_redact")
        config.stash[_RULES] = known
    return known


def secrets_of(settings: Settings, places: Places, given: Sequence[str | SecretFinder]) -> Secrets:
    """The nets of one test.

    Args:
        settings: what the user said.
        places: the directories to hide.
        given: what other plugins call a secret.

    Raises:
        UsageError: a line of the settings can't be read; the text names it.
    """
    allowed = read_allowed(settings.not_secret, "sparrow_not_secret")
    rules = read_rules((*given, *settings.secrets), "sparrow_secrets")
    # With the dummies that a replay fills in: they stand where the recording had a key, and are hidden alike.
    environ = {**os.environ, **dummies(os.environ, settings.dummy_keys)}
    return Secrets(
        redactor=Redactor(environ, places=places, rules=rules, allowed=allowed),
        scanner=Scanner(allowed=allowed),
    )


def refuse_secret_name(place: GoldenPlace, redactor: Redactor) -> None:
    """Refuse to record a test whose id holds a secret: it would name the golden's folder.

    Raises:
        UsageError: it does; the text does not repeat it.
    """
    shown = redactor.text(place.nodeid)
    if shown != place.nodeid:
        raise UsageError(
            f"{shown}: the test's id holds a secret, and a golden's folder is named after it (pytest prints it, too): "
            "give the parameter an id without it, like pytest.param(key, id='admin-key')"
        )
