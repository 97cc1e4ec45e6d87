"""Calls and results of tools as content blocks of an answer of Anthropic's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.providers.anthropic_blocks import says_error
from pytest_sparrow.providers.blocks import image_data
from pytest_sparrow.providers.replies import json_text
from pytest_sparrow.providers.wire import as_dict
from pytest_sparrow.recording.blocks import as_text

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.recording.codec import Output, Proposal

__all__ = ["call_block", "is_own", "mcp_result", "own_result"]

# The provider's own tools, by the type of their results.
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

_HIT = frozenset({"url", "title", "encrypted_content"})


def is_own(name: str, output: Output | None) -> bool:
    """Whether a hosted call is one of the provider's own tools, and its output (if any) in that tool's shape.

    Any other can only be an MCP server's: its name is free, and its results are texts. The SDK warns of a text
    where an own tool's object should be.
    """
    if name not in _RESULTS:
        return False
    if output is None:
        return True
    values = [as_dict(as_dict(block).get("Json")) for block in output.blocks]
    if name == "web_search" and all(map(_is_hit, values)):
        return True
    kind = as_text(values[0].get("type")) if len(values) == 1 else ""
    # web_fetch_result, web_fetch_tool_result_error: an own tool's objects have its name in their type.
    return _RESULTS[name].removesuffix("_tool_result") in kind and (
        name != "web_search" or kind.endswith("_error")
    )


def _is_hit(value: dict[str, Json]) -> bool:
    return value.get("type") == "web_search_result" and value.keys() >= _HIT


def call_block(call: Proposal, *, own: bool, made_up: str) -> dict[str, Json]:
    """A proposed call; one without an id gets the made-up end of one."""
    kind, prefix = "tool_use", "toolu"
    if call.hosted:
        kind, prefix = ("server_tool_use", "srvtoolu") if own else ("mcp_tool_use", "mcptoolu")
    block = {"type": kind, "id": call.id or f"{prefix}_{made_up}", "name": call.name, "input": call.args}
    return block if own or not call.hosted else {**block, "server_name": "sparrow"}


def own_result(output: Output, name: str) -> dict[str, Json]:
    """What the provider's own tool gave: one object, or a list of what a search found."""
    values = [block["Json"] for block in output.blocks]
    listed = name == "web_search" and not any(map(_is_error_object, values))
    content = values if listed else values[0]
    block = {"type": _RESULTS[name], "tool_use_id": output.id, "content": content}
    # These tools have objects for their errors; anything else that was one needs the flag.
    return block if says_error(block) == output.is_error else {**block, "is_error": output.is_error}


def mcp_result(output: Output) -> dict[str, Json]:
    """What any other hosted tool gave, as a list of texts."""
    return {
        "type": "mcp_tool_result",
        "tool_use_id": output.id,
        "is_error": output.is_error,
        "content": [_entry(as_dict(block)) for block in output.blocks],
    }


def _is_error_object(value: dict[str, Json]) -> bool:
    return says_error({"content": value})


def _entry(block: dict[str, Json]) -> Json:
    if "Text" in block:
        return {"type": "text", "text": as_text(block["Text"])}
    if "Image" in block:
        # One whose bytes the event left out is an empty image.
        mime, data = image_data(block) or (block["Image"]["mime"], "")
        return {"type": "image", "source": {"type": "base64", "media_type": mime, "data": data}}
    return {"type": "text", "text": json_text(block.get("Json", block))}
