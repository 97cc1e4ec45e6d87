"""What only Anthropic's messages have, by which they are told from other formats behind a path of somebody's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.providers.wire import as_dict, as_list, header
from pytest_sparrow.recording.blocks import as_text

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["is_versioned", "looks_like_messages"]

_BLOCKS = frozenset({"tool_use", "tool_result", "thinking", "redacted_thinking"})


def is_versioned(asked: dict[str, Json], body: dict[str, Json]) -> bool:
    """Whether a request names the version of Anthropic's API, in a header or (Bedrock, Vertex) in its body."""
    return bool(header(asked, "anthropic-version")) or "anthropic_version" in body


def looks_like_messages(body: dict[str, Json], messages: list[Json]) -> bool:
    """Whether a request has a system prompt, tools or blocks as only this format has them."""
    if "system" in body or any("input_schema" in as_dict(tool) for tool in as_list(body.get("tools"))):
        return True
    blocks = (as_dict(block) for message in messages for block in as_list(as_dict(message).get("content")))
    return any(as_text(block.get("type")) in _BLOCKS for block in blocks)
