"""Wire formats of model providers, one file each: what a request holds and what an answer says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.providers.anthropic.codec import AnthropicMessages
from pytest_sparrow.providers.bedrock.codec import Bedrock
from pytest_sparrow.providers.gemini.codec import Gemini
from pytest_sparrow.providers.mcp import MCP
from pytest_sparrow.providers.ollama import Ollama
from pytest_sparrow.providers.openai_chat.codec import OpenAIChat
from pytest_sparrow.providers.openai_responses.codec import OpenAIResponses

if TYPE_CHECKING:
    from pytest_sparrow.providers.codec import Codec

__all__ = [
    "MCP",
    "AnthropicMessages",
    "Bedrock",
    "Gemini",
    "Ollama",
    "OpenAIChat",
    "OpenAIResponses",
    "builtin_codecs",
]


def builtin_codecs() -> tuple[Codec, ...]:
    """The codecs that come with pytest-sparrow; the first one that knows a request reads it.

    OpenAI's chat format is spoken by many hosts on any path, so its codec is the most lenient: it stays last.
    """
    return (MCP(), AnthropicMessages(), Bedrock(), Gemini(), Ollama(), OpenAIResponses(), OpenAIChat())
