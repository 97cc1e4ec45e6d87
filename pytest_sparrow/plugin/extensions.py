"""The hooks that others may implement, and what they give: codecs, adapters, and secret rules."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sparrow.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pytest_sparrow.boundaries.http.adapter import Library
    from pytest_sparrow.frameworks.adapter import Framework
    from pytest_sparrow.providers.codec import Codec
    from pytest_sparrow.redact.user_rules import SecretFinder


def pytest_sparrow_codecs(config: pytest.Config) -> Sequence[Codec]:  # type: ignore[empty-body]
    """Codecs for wire formats of model providers, beside those that come with pytest-sparrow.

    Asked once a session, before the first test that uses the fixture. They are tried before the built-in ones, so
    that one of yours may take over a host that looks like another's format. What a codec is:
    `pytest_sparrow.providers.codec.Codec`, and ``docs/providers.md``.
    """


def pytest_sparrow_frameworks(config: pytest.Config) -> Sequence[Framework]:  # type: ignore[empty-body]
    """Adapters of agent frameworks, beside those that come with pytest-sparrow.

    Asked once, when the session starts: in a plugin, or in a ``conftest.py`` that pytest reads before it collects. One
    with the name of a built-in adapter replaces it. What an adapter is: `pytest_sparrow.frameworks.adapter.Framework`,
    and ``docs/frameworks.md``.
    """


def pytest_sparrow_http_libraries(config: pytest.Config) -> Sequence[Library]:  # type: ignore[empty-body]
    """Adapters of HTTP libraries, beside those that come with pytest-sparrow.

    Asked when ``pytest_sparrow_frameworks`` is. One with the name of a built-in library replaces its adapter. What an
    adapter is: `pytest_sparrow.boundaries.http.adapter`, and ``docs/testing-adapters.md``.
    """


def pytest_sparrow_redact(config: pytest.Config) -> Sequence[str | SecretFinder]:  # type: ignore[empty-body]
    """Secrets that must not be recorded, besides those that are known by themselves.

    Asked once a session, before the first test that uses the fixture. Strings are lines as the ini key
    ``sparrow_secrets`` has them; an object has a ``kind`` and a method ``find(text)`` that gives the start and the end
    of each secret in a text: `pytest_sparrow.redact.user_rules.SecretFinder`, and ``docs/secrets.md``.
    """


_METHODS = ("request", "answer", "compose")
_CODECS: pytest.StashKey[tuple[Codec, ...]] = pytest.StashKey()
_RULES: pytest.StashKey[tuple[str | SecretFinder, ...]] = pytest.StashKey()


def codecs_of(config: pytest.Config) -> tuple[Codec, ...]:
    """The codecs to try, in order; asked for once a session, and registered until its end.

    Raises:
        pytest.UsageError: a hook returned something else than codecs; the text says which value, and why.
    """
    known = config.stash.get(_CODECS, None)
    if known is None:
        from pytest_sparrow.providers import builtin_codecs
        from pytest_sparrow.providers.registry import register, unregister

        given = [codec for some in config.hook.pytest_sparrow_codecs(config=config) for codec in some]
        for codec in given:
            _check(codec)
        register(given)
        config.add_cleanup(lambda: unregister(given))
        known = config.stash[_CODECS] = (*given, *builtin_codecs())
    return known


def codecs_in(folder: Path) -> tuple[Codec, ...]:
    """The codecs that a session in a folder would have; its plugins and first conftest.py files are loaded.

    The adapters that it would have are registered until this process ends.

    Raises:
        UsageError: pytest can't start there; the text is pytest's.
    """
    probe = _Probe()
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = pytest.main([str(folder), "-W", "ignore"], plugins=[probe])
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
            add_adapters(config)
        return 0


def _check(codec: Any) -> None:
    from pytest_sparrow.providers.facts import NO_FACTS, ProviderFacts

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


def add_adapters(config: pytest.Config) -> Callable[[], None]:
    """Register the adapters that hooks give; returns what takes them away. Nothing is loaded where no hook gives any.

    Raises:
        pytest.UsageError: a hook returned something else than adapters.
    """
    undo = contextlib.ExitStack()
    given = [adapter for some in config.hook.pytest_sparrow_frameworks(config=config) for adapter in some]
    if given:
        from pytest_sparrow import frameworks
        from pytest_sparrow.frameworks.adapter import Framework

        for adapter in given:
            if not isinstance(adapter, Framework):
                raise pytest.UsageError(f"pytest_sparrow_frameworks: {adapter!r} is no Framework")
        frameworks.register(given)
        undo.callback(frameworks.unregister, given)
    sending = [
        library for some in config.hook.pytest_sparrow_http_libraries(config=config) for library in some
    ]
    if sending:
        from pytest_sparrow.boundaries import http

        try:
            http.register(sending, "pytest_sparrow_http_libraries")
        except UsageError as error:
            raise pytest.UsageError(str(error)) from None
        undo.callback(http.unregister)
    return undo.close


def secret_rules_of(config: pytest.Config) -> tuple[str | SecretFinder, ...]:
    """The secret rules of other plugins and ``conftest.py`` files; asked for once a session.

    Raises:
        UsageError: a hook returned something else than rules; the text says why.
    """
    known = config.stash.get(_RULES, None)
    if known is None:
        from pytest_sparrow.redact.user_rules import read_rules

        known = tuple(rule for some in config.hook.pytest_sparrow_redact(config=config) for rule in some)
        read_rules(known, "pytest_sparrow_redact")
        config.stash[_RULES] = known
    return known
