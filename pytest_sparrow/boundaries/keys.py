"""Keys for SDK constructors that refuse to start without one, while nothing will be sent."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from pytest_sparrow.settings import dummy_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, MutableMapping

__all__ = ["dummies", "dummy_keys"]

_KEYS: tuple[tuple[str, ...], ...] = (
    ("OPENAI_API_KEY",),
    ("AZURE_OPENAI_API_KEY",),
    # With a token set, a key as well would make the SDK send both.
    ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    # google-genai warns where both are set and they weren't before.
    ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    ("MISTRAL_API_KEY",),
    ("GROQ_API_KEY",),
    ("CO_API_KEY",),
    ("COHERE_API_KEY",),
    ("DEEPSEEK_API_KEY",),
    ("OPENROUTER_API_KEY",),
    ("TOGETHER_API_KEY",),
    ("FIREWORKS_API_KEY",),
    ("XAI_API_KEY",),
    ("CEREBRAS_API_KEY",),
    ("PERPLEXITY_API_KEY",),
    ("PPLX_API_KEY",),
    ("VOYAGE_API_KEY",),
    ("TAVILY_API_KEY",),
)
"""Names that SDK constructors read. Of names in one row each is an alternative: only the first is filled, and
only where none of them is set."""


def dummies(environ: Mapping[str, str], extra: Iterable[str] = ()) -> dict[str, str]:
    """The API keys that are absent, each with an obvious dummy.

    An empty variable counts as absent: that is how CI passes a secret that a fork may not see, and an SDK
    that gets an empty key fails as it does without one.

    Args:
        environ: the environment.
        extra: further names to fill.
    """
    rows = [*_KEYS, *((name,) for name in extra)]
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
    filled = dummies(environment, extra)
    before = {name: environment.get(name) for name in filled}
    environment.update(filled)
    try:
        yield
    finally:
        for name, value in before.items():
            if environment.get(name) != filled[name]:
                continue
            if value is None:
                del environment[name]
            else:
                environment[name] = value
