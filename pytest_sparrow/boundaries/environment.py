"""Environment variables by allow-list: written down when a run is recorded, set again while it is replayed."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pytest_sparrow.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.redact import Redactor

__all__ = ["FedEnvironment", "environment_to_record"]


def environment_to_record(
    patterns: Iterable[str], redactor: Redactor, environ: Mapping[str, str] | None = None
) -> dict[str, str | None]:
    """The variables that a recording notes, by name; None for a name or pattern that nothing else matches.

    Args:
        patterns: names, ``*`` and ``?`` as in file names.
        redactor: knows what a secret is.
        environ: the environment; ``os.environ`` if None.

    Raises:
        UsageError: one of them looks like a secret; a golden is no place for it.
    """
    environment = os.environ if environ is None else environ
    allowed = tuple(patterns)
    noted: dict[str, str | None] = dict.fromkeys(allowed)
    noted |= {name: value for name, value in sorted(environment.items()) if _allowed(name, allowed)}
    for name, value in noted.items():
        if value and redactor.secret_variable(name, value):
            raise UsageError(
                f"setting env: {name} looks like a secret, which no golden may hold: leave it out of env "
                "(absent API keys are filled with dummies in replay, see dummy_keys)"
            )
    return noted


class FedEnvironment:
    """The environment as it was recorded, while a replay runs.

    A variable that was absent is absent, also one that matches a recorded pattern only now. What the test changes
    itself meanwhile is left alone.

    Args:
        recorded: ``env`` of the recording, of any shape.
        environ: what to change; ``os.environ`` if None.
    """

    def __init__(self, recorded: Json, environ: MutableMapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._recorded: dict[str, str | None] = {
            name: value
            for name, value in (recorded.items() if isinstance(recorded, dict) else ())
            if value is None or isinstance(value, str)
        }
        self._before: dict[str, str | None] = {}

    def set(self) -> None:
        """Make the environment the recorded one."""
        names = tuple(self._recorded)
        known = {name for name, value in self._recorded.items() if value is not None}
        for name in [name for name in self._environ if name not in known and _allowed(name, names)]:
            self._before[name] = self._environ.pop(name)
        for name in known:
            self._before[name] = self._environ.get(name)
            self._environ[name] = self._recorded[name] or ""

    def restore(self) -> None:
        """Put back what `set` changed; again after the fixtures' teardown, since monkeypatch may undo to our value."""
        for name, before in list(self._before.items()):
            if self._environ.get(name) != self._recorded.get(name):
                continue  # changed meanwhile; a later call looks again
            del self._before[name]
            if before is None:
                self._environ.pop(name, None)
            else:
                self._environ[name] = before


def _allowed(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
