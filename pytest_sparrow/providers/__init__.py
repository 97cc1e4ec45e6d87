"""Codecs: what requests and answers of model providers mean; a file or a folder for each wire format.

Codecs are imported when they are first asked for (PEP 562): scenarios use the words of `pytest_sparrow.providers.codec`
while tests are collected, and need no codec for that.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_sparrow.providers.codec import Codec

_MODULES = {
    "MCP": "mcp",
    "ClaudeAgent": "claude_agent",
    "Bedrock": "bedrock",
    "Cohere": "cohere",
    "AnthropicMessages": "anthropic.codec",
    "Gemini": "gemini.codec",
    "Ollama": "ollama",
    "Completions": "completions",
    "OpenAIResponses": "openai_responses.codec",
    # OpenAI's chat format is spoken by many hosts on any path, so its codec is the most lenient: it stays last.
    "OpenAIChat": "openai_chat.codec",
}
"""The codecs that come with pytest-sparrow, in the order in which they are asked, and their modules."""

__all__ = ["builtin_codecs", *_MODULES]  # noqa: PLE0604 - read off the table above


def builtin_codecs() -> tuple[Codec, ...]:
    """The codecs that come with pytest-sparrow, in the order in which they are asked to read a request."""
    return tuple(_load(name)() for name in _MODULES)


def _load(name: str) -> Any:
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _load(name)
