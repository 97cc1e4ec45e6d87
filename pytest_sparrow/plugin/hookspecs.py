"""Hooks that other plugins and ``conftest.py`` files may implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pytest_sparrow.providers.codec import Codec
    from pytest_sparrow.redact.user_rules import SecretFinder

__all__ = ["pytest_sparrow_codecs", "pytest_sparrow_redact"]


def pytest_sparrow_codecs(config: pytest.Config) -> Sequence[Codec]:  # type: ignore[empty-body]
    """Codecs for wire formats of model providers, beside those that come with pytest-sparrow.

    Asked once a session, before the first test that uses the fixture. They are tried before the built-in ones, so
    that one of yours may take over a host that looks like another's format. What a codec is:
    `pytest_sparrow.providers.codec.Codec`, and ``docs/providers.md``.
    """


def pytest_sparrow_redact(config: pytest.Config) -> Sequence[str | SecretFinder]:  # type: ignore[empty-body]
    """What must not be recorded, besides what is known as a secret.

    Asked once a session, before the first test that uses the fixture. Strings are lines as the ini key
    ``sparrow_secrets`` has them; an object has a ``kind`` and a method ``find(text)`` that gives the start and the end
    of each secret in a text: `pytest_sparrow.redact.user_rules.SecretFinder`, and ``docs/secrets.md``.
    """
