"""Calls and results of tools as content blocks of an answer of Anthropic's."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from pytest_sparrow.providers.anthropic_blocks import output_blocks, says_error
from pytest_sparrow.providers.replies import json_text
from pytest_sparrow.providers.wire import as_dict
from pytest_sparrow.recording.blocks import as_text

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.recording.codec import Output, Proposal

__all__ = ["call_block", "result_block"]

# The provider's own tools, by the type of their results. Any other name can only be an MCP server's tool.
_RESULTS = {
    "advisor": "advisor_tool_result",
    "bash_code_execution": "bash_code_execution_tool_result",
    "code_execution": "code_execution_tool_result",
    "text_editor_code_execution": "text_editor_code_execution_tool_result",
    "tool_search_tool_bm25": "tool_search_tool_result",
    "tool_search_tool_regex": "tool_search_tool_result",
    "web_fetch": "web_fetch_tool_result",
    "web_search": "web_search_tool_result",
}
_MCP = "mcp_tool_result"


def call_block(call: Proposal, *, made_up: str) -> dict[str, Json]:
    """A proposed call; one without an id gets the made-up end of an id."""
    kind, prefix = "tool_use", "toolu"
    if call.hosted:
        kind, prefix = (
            ("server_tool_use", "srvtoolu") if call.name in _RESULTS else ("mcp_tool_use", "mcptoolu")
        )
    block = {"type": kind, "id": call.id or f"{prefix}_{made_up}", "name": call.name, "input": call.args}
    return {**block, "server_name": "sparrow"} if kind == "mcp_tool_use" else block


def result_block(output: Output, name: str) -> dict[str, Json]:
    """What a hosted tool of this name gave ("": the answer doesn't say whose output it is)."""
    kind = _RESULTS.get(name, _MCP)
    content = _content(list(output.blocks), own=kind != _MCP)
    block = {"type": kind, "tool_use_id": output.id, "content": content}
    # The provider's own tools have objects for their errors. A text that was an error needs the flag.
    if kind == _MCP or says_error(block) != output.is_error:
        block["is_error"] = output.is_error
    return block


def _content(blocks: list[Json], *, own: bool) -> Json:
    if own and len(blocks) == 1 and isinstance(as_dict(blocks[0]).get("Json"), dict):
        return blocks[0]["Json"]  # most of the provider's own tools give one object
    return [_entry(as_dict(block), own=own) for block in blocks]


def _entry(block: dict[str, Json], *, own: bool) -> Json:
    """One entry of a result's list: as it was where that reads back as itself, else as text."""
    if "Text" in block:
        return {"type": "text", "text": as_text(block["Text"])}
    if "Image" in block:
        image = as_dict(block["Image"])
        data = base64.b64encode(bytes(image["data"])).decode()
        source = {"type": "base64", "media_type": image["mime"], "data": data}
        return {"type": "image", "source": source}
    value = block.get("Json", block)
    if own and isinstance(value, dict) and output_blocks([value]) == [{"Json": value}]:
        return value
    return {"type": "text", "text": json_text(value)}
