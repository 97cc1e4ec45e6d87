"""Finds the codecs of a session, or of a project: those that other plugins bring, then the built-in ones."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sparrow.errors import UsageError
from pytest_sparrow.providers import builtin_codecs
from pytest_sparrow.providers.facts import NO_FACTS, ProviderFacts
from pytest_sparrow.providers.registry import register, unregister

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_sparrow.providers.codec import Codec

__all__ = ["codecs_in", "codecs_of"]

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


def codecs_in(folder: Path) -> tuple[Codec, ...]:
    """The codecs that a session in a folder would have; its plugins and first conftest.py files are loaded.

    Raises:
        UsageError: pytest can't start there; the text is pytest's.
    """
    probe = _Probe()
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = pytest.main([str(folder)], plugins=[probe])
    if code != 0:
        raise UsageError(f"pytest does not start in {folder}: {said.getvalue().strip()}")
    return probe.codecs


class _Probe:
    """Ends a session before it begins, and keeps the codecs that it would have had."""

    codecs: tuple[Codec, ...] = ()

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> int:
        """Ask the hook; the value ends the session."""
        if hasattr(config.hook, "pytest_sparrow_codecs"):
            self.codecs = codecs_of(config)
        return 0


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
