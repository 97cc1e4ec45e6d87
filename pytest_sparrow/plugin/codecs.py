"""The codecs of a session: what other plugins bring, then the built-in ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_sparrow.providers import builtin_codecs
from pytest_sparrow.providers.facts import NO_FACTS, ProviderFacts
from pytest_sparrow.providers.registry import register, unregister

if TYPE_CHECKING:
    from pytest_sparrow.providers.codec import Codec

__all__ = ["codecs_of"]

_METHODS = ("request", "answer", "compose")
_CODECS: pytest.StashKey[tuple[Codec, ...]] = pytest.StashKey()


def codecs_of(config: pytest.Config) -> tuple[Codec, ...]:
    """The codecs to try, in order; asked for once a session, and registered until its end.

    Raises:
        pytest.UsageError: what a hook gave is no codec; the text says which one and why.
    """
    known = config.stash.get(_CODECS, None)
    if known is None:
        given = [codec for some in config.hook.pytest_sparrow_codecs(config=config) for codec in some]
        for codec in given:
            _check(codec)
        register(given)
        config.add_cleanup(lambda: unregister(given))
        known = config.stash[_CODECS] = (*given, *builtin_codecs())
    return known


def _check(codec: Any) -> None:
    where = "pytest_sparrow_codecs"
    if isinstance(codec, type):
        raise pytest.UsageError(f"{where}: {codec.__name__} is a class; give an instance: {codec.__name__}()")
    if not isinstance(getattr(codec, "name", None), str):
        raise pytest.UsageError(f"{where}: {codec!r} has no name (a str)")
    missing = [name for name in _METHODS if not callable(getattr(codec, name, None))]
    if missing:
        raise pytest.UsageError(f"{where}: the codec {codec.name!r} lacks {', '.join(missing)}")
    if not isinstance(getattr(codec, "facts", NO_FACTS), ProviderFacts):
        raise pytest.UsageError(f"{where}: the facts of the codec {codec.name!r} are no ProviderFacts")
