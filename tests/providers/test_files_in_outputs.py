"""Every codec reads images, files and audio in a tool's output without blowing up the golden."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from pytest_sparrow.events import jsontext
from pytest_sparrow.providers import MCP, AnthropicMessages, Bedrock, Gemini, OpenAIChat, OpenAIResponses
from pytest_sparrow.providers.reading import holdable

LARGE = b"\x89PNG" * 5000
DATA = base64.b64encode(LARGE).decode()
DIGEST = hashlib.sha256(LARGE).hexdigest()
URI = f"data:image/png;base64,{DATA}"


def _asked(path, **body):
    return {"method": "POST", "url": f"https://api.example.com{path}", "headers": {}, "body": {"json": body}}


def _chat(part):
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": [part]},
    ]
    return OpenAIChat().request(_asked("/v1/chat/completions", model="m", messages=messages)).results[0]


def _responses(part):
    item = {"type": "function_call_output", "call_id": "c1", "output": [part]}
    return OpenAIResponses().request(_asked("/v1/responses", model="m", input=[item])).results[0]


def _anthropic(part):
    block = {"type": "tool_result", "tool_use_id": "c1", "content": [part]}
    body = {"model": "m", "messages": [{"role": "user", "content": [block]}]}
    return AnthropicMessages().request(_asked("/v1/messages", **body)).results[0]


def _gemini(part):
    output = {"functionResponse": {"id": "c1", "name": "f", "response": {"ok": True}, "parts": [part]}}
    path = "/v1beta/models/m:generateContent"
    return Gemini().request(_asked(path, contents=[{"role": "user", "parts": [output]}])).results[0]


def _bedrock(part):
    block = {"toolResult": {"toolUseId": "c1", "content": [part]}}
    body = {"messages": [{"role": "user", "content": [block]}]}
    return Bedrock().request(_asked("/model/m/converse", **body)).results[0]


def _mcp(part):
    asked = _asked("/mcp", jsonrpc="2.0", id=1, method="tools/call", params={"name": "f"})
    body = {"jsonrpc": "2.0", "id": 1, "result": {"content": [part]}}
    return MCP().answer(asked, {"status": 200, "headers": {}, "body": {"json": body}}).parts[0]


@pytest.mark.parametrize(
    ("read", "part", "kind"),
    [
        (_chat, {"type": "image_url", "image_url": {"url": URI}}, "Image"),
        (_chat, {"type": "file", "file": {"filename": "a.pdf", "file_data": URI}}, "Json"),
        (_chat, {"type": "input_audio", "input_audio": {"data": DATA, "format": "wav"}}, "Json"),
        (_responses, {"type": "input_image", "image_url": URI}, "Image"),
        (_responses, {"type": "input_file", "filename": "a.pdf", "file_data": URI}, "Json"),
        (_anthropic, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}, "Image"),
        (_anthropic, {"type": "document", "source": {"type": "base64", "data": DATA}}, "Json"),
        (_gemini, {"inlineData": {"mimeType": "image/png", "data": DATA}}, "Image"),
        (_gemini, {"fileData": {"fileUri": "x", "data": DATA}}, "Json"),
        (_bedrock, {"image": {"format": "png", "source": {"bytes": DATA}}}, "Image"),
        (_bedrock, {"document": {"name": "a", "source": {"bytes": DATA}}}, "Json"),
        (_bedrock, {"json": {"screen": DATA}}, "Json"),
        (_mcp, {"type": "image", "mimeType": "image/png", "data": DATA}, "Image"),
        (_mcp, {"type": "audio", "mimeType": "audio/wav", "data": DATA}, "Json"),
        (_mcp, {"type": "resource", "resource": {"uri": "a", "blob": DATA}}, "Json"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)  # fmt: skip
def test_a_large_one_is_kept_by_size_and_digest(read, part, kind):
    """The last block is of its kind, small, and names the SHA-256."""
    block = read(part).blocks[-1]
    text = json.dumps(block)
    assert list(block) == [kind]
    assert DIGEST in text
    assert len(text) < 400


@pytest.mark.parametrize("depth", [90, 96, 97, 98, 120, 5000])
def test_what_is_held_can_be_written_as_a_block_of_an_event(depth):
    """However deep a value is: as itself, as its text, or as a word for it."""
    value = "x"
    for _ in range(depth):
        value = [value]
    line = {
        "type": "ToolOutput",
        "run": "r",
        "id": "c",
        "blocks": [{"Json": holdable(value)}],
        "is_error": False,
    }
    assert jsontext.encode(line)
