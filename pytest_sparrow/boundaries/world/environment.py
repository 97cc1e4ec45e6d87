"""Records environment variables by an allow-list, sets them again in a replay, and fills absent API keys with dummies.

SDK constructors refuse to start without a key, although a replay will send nothing.
"""

from __future__ import annotations

import contextlib
import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.patching import MISSING, ItemPatch
from pytest_sparrow.errors import UsageError
from pytest_sparrow.providers.registry import facts
from pytest_sparrow.settings import dummy_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, MutableMapping

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.redact import Redactor

__all__ = ["ReplayedEnvironment", "dummies", "dummy_keys", "environment_to_record"]


def environment_to_record(
    patterns: Iterable[str], redactor: Redactor, environ: Mapping[str, str] | None = None
) -> dict[str, str | None]:
    """The variables that a recording notes, by name; None for a name that is absent, or a pattern.

    Args:
        patterns: names, ``*`` and ``?`` as in file names.
        redactor: knows what a secret is.
        environ: the environment; ``os.environ`` if None.

    Raises:
        UsageError: one of them looks like a secret, which a golden must not hold.
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


class ReplayedEnvironment:
    """The environment as it was recorded, while a replay runs.

    A variable that was absent is absent, also where it matches a recorded pattern only now. A variable that the test
    itself changes meanwhile is left alone.

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
        self._patches: list[ItemPatch] = []

    def set(self) -> None:
        """Make the environment the recorded one."""
        names = tuple(self._recorded)
        values = {name: value for name, value in self._recorded.items() if value is not None}
        absent = [name for name in self._environ if name not in values and _allowed(name, names)]
        replacements = {**dict.fromkeys(absent, MISSING), **values}
        self._patches = [ItemPatch(self._environ, *item).apply() for item in replacements.items()]

    def restore(self) -> None:
        """Put back what `set` changed. To be called again after the teardown of fixtures, as `Patch.restore`."""
        for patch in self._patches:
            patch.restore()


def _allowed(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


_OTHER_KEYS: tuple[tuple[str, ...], ...] = (
    ("CO_API_KEY",),
    ("COHERE_API_KEY",),
    ("VOYAGE_API_KEY",),
    ("TAVILY_API_KEY",),
)
"""Variables that SDKs of services read whose format no codec knows; rows as in `ProviderFacts.key_variables`."""


def dummies(environ: Mapping[str, str], extra: Iterable[str] = ()) -> dict[str, str]:
    """The API keys that are absent, each with an obvious dummy.

    An empty variable counts as absent: that is how CI passes a secret that a fork may not see, and an SDK
    that gets an empty key fails as it does without one.

    Args:
        environ: the environment.
        extra: further names to fill.
    """
    rows = [*facts().key_variables, *_OTHER_KEYS, *((name,) for name in extra)]
    return {row[0]: dummy_key(row[0]) for row in rows if not any(environ.get(name) for name in row)}


@contextlib.contextmanager
def dummy_keys(environ: MutableMapping[str, str] | None = None, extra: Iterable[str] = ()) -> Iterator[None]:
    """Fill absent API keys (see `dummies`) while open, and put everything back.

    A variable that was changed meanwhile is left alone.

    Args:
        environ: what to fill; ``os.environ`` if None.
        extra: further names to fill.
    """
    environment = os.environ if environ is None else environ
    with contextlib.ExitStack() as stack:
        for name, dummy in dummies(environment, extra).items():
            stack.enter_context(ItemPatch(environment, name, dummy))
        yield
