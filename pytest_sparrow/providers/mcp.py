"""MCP over streamable HTTP: a ``tools/call`` is the call of a tool, its result that tool's output.

Format: https://modelcontextprotocol.io/specification ("Transports", "Tools"): JSON-RPC 2.0 in a POST, answered by
JSON or by a stream of messages. Other methods (``initialize``, ``tools/list``…) are plain HTTP.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_sparrow.providers.blocks import LazyBlocks, content_blocks, encoded_image, image_data, json_block
from pytest_sparrow.providers.codec import ModelAnswer, Output, ToolRequest
from pytest_sparrow.providers.composing import (
    broken_reply,
    event_text,
    fault_of,
    json_reply,
    json_text,
    stream_reply,
)
from pytest_sparrow.providers.facts import ProviderFacts
from pytest_sparrow.providers.reading import (
    as_dict,
    as_list,
    as_text,
    failure_of,
    header,
    http_failure,
    json_answer,
    json_request,
    lenient_json,
    stream_events,
    text_block,
)

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

_INTERNAL_ERROR = -32603
_SESSION, _VERSION = "mcp-session-id", "mcp-protocol-version"


_FACTS = ProviderFacts(
    packages={"mcp": "mcp"},
    answer_keys=frozenset({"jsonrpc"}),
    answer_headers=frozenset({_VERSION, _SESSION}),
    volatile_headers=frozenset({_VERSION}),
    # A client that got a session ends it.
    header_values={_SESSION: "recorded-session"},
    session_headers=frozenset({_SESSION}),
)


class MCP:
    """The calls of MCP tools, recognised by their JSON-RPC envelope; see `Codec`."""

    name: str = "mcp"
    facts = _FACTS

    def request(self, asked: dict[str, Json]) -> ToolRequest | None:
        """Read a ``tools/call``; None for any other request."""
        body = json_request(asked)
        if body is None or body.get("jsonrpc") != "2.0" or body.get("method") != "tools/call":
            return None
        called = as_dict(body.get("params"))
        if not isinstance(called.get("name"), str):
            return None
        return ToolRequest(name=as_text(called["name"]), args=called.get("arguments") or {})

    def answer(self, asked: dict[str, Json], answered: dict[str, Json]) -> ModelAnswer:
        """Read the result, whole or out of a stream with other messages in it."""
        wanted = (json_request(asked) or {}).get("id")
        message = next((one for one in _messages(answered) if one.get("id") == wanted), {})
        result = as_dict(message.get("result"))
        inside = None
        if message.get("error"):
            inside = failure_of(message["error"])
        parts: tuple[Output, ...] = ()
        if result:
            blocks = LazyBlocks(partial(_blocks, result))
            parts = (Output("", blocks, is_error=result.get("isError") is True),)
        return ModelAnswer(parts=parts, failure=http_failure(answered, inside))

    def compose(self, asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
        """Build the result: JSON, or a stream where the client takes nothing else."""
        envelope = {"jsonrpc": "2.0", "id": (json_request(asked) or {}).get("id")}
        output = next((part for part in answer.parts if isinstance(part, Output)), None)
        fault = None if answer.failure is None else fault_of(answer.failure)
        if fault is not None and fault.kind:
            return broken_reply(fault)
        if fault is not None:
            error = {"code": _INTERNAL_ERROR, "message": fault.message}
            return json_reply({**envelope, "error": error}, status=fault.status or 200)
        content = [] if output is None else [_content(block) for block in output.blocks]
        body = {**envelope, "result": {"content": content, "isError": bool(output and output.is_error)}}
        if "application/json" in (header(asked, "accept") or "application/json"):
            return json_reply(body)
        return stream_reply([event_text(body, "message")])


def _messages(answered: dict[str, Json]) -> list[dict[str, Json]]:
    events = stream_events(answered)
    found = [json_answer(answered)] if events is None else [lenient_json(event.data) for event in events]
    return [
        as_dict(one) for message in found for one in (message if isinstance(message, list) else [message])
    ]


def _blocks(result: dict[str, Json]) -> list[Json]:
    content = as_list(result.get("content"))
    if not content and "structuredContent" in result:
        return [json_block(result["structuredContent"])]
    return content_blocks(content, _known)


def _known(part: dict[str, Json]) -> Json | None:
    """A text or an image as a block; audio, a resource and a link have none."""
    if part.get("type") == "text" and isinstance(part.get("text"), str):
        return text_block(part["text"])
    if part.get("type") == "image" and isinstance(part.get("data"), str):
        return encoded_image(part["data"], as_text(part.get("mimeType")) or "image/png")
    return None


def _content(block: Json) -> Json:
    """A block as a content part; a large image, whose bytes no event holds, becomes JSON."""
    if "Text" in block:
        return {"type": "text", "text": block["Text"]}
    if image := image_data(block):
        return {"type": "image", "data": image[1], "mimeType": image[0]}
    return {"type": "text", "text": json_text(block.get("Json", block))}
