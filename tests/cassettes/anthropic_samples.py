"""Answers in Anthropic's format, written by hand, for what recorded cassettes rarely hold."""

from __future__ import annotations

import json
from typing import Any

from .serving import Cassette, Interaction

__all__ = ["ALL", "ASK", "event", "message", "stream_of"]

ASK: dict[str, Any] = {
    "model": "claude-test",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hello"}],
}
_URL = "https://api.anthropic.com/v1/messages"
_USAGE = {"input_tokens": 11, "output_tokens": 7}


def message(*content: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A whole answer."""
    base = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-test"}
    ended = {"stop_reason": "end_turn", "stop_sequence": None, "usage": _USAGE}
    return {**base, "content": list(content), **ended, **more}


def event(kind: str, **fields: Any) -> str:
    """One event of a stream."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields}, ensure_ascii=False)}"


def stream_of(*blocks: tuple[dict[str, Any], list[dict[str, Any]]], usage: Any = None) -> list[str]:
    """The events of a whole stream: each block's beginning and its deltas, a ping between."""
    begun = message(stop_reason=None, usage={"input_tokens": 11, "output_tokens": 1})
    events = [event("message_start", message=begun), event("ping")]
    for index, (block, deltas) in enumerate(blocks):
        events.append(event("content_block_start", index=index, content_block=block))
        events += [event("content_block_delta", index=index, delta=delta) for delta in deltas]
        events.append(event("content_block_stop", index=index))
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    events.append(event("message_delta", delta=delta, usage=usage or {"output_tokens": 7}))
    return [*events, event("message_stop")]


def _whole(name: str, answer: dict[str, Any], *, status: int = 200, beta: bool = False) -> Cassette:
    url = f"{_URL}?beta=true" if beta else _URL
    one = Interaction(url=url, request=ASK, status=status, body=json.dumps(answer).encode())
    return Cassette(name=name, interactions=[one])


def _streamed(name: str, events: list[str], *, beta: bool = False) -> Cassette:
    url = f"{_URL}?beta=true" if beta else _URL
    return Cassette(
        name=name, interactions=[Interaction(url=url, request={**ASK, "stream": True}, events=events)]
    )


def _text(*pieces: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces]


def _call(kind: str, call_id: str, name: str, *pieces: str, **more: Any) -> tuple[Any, list[Any]]:
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return {"type": kind, "id": call_id, "name": name, "input": {}, **more}, deltas


_SEARCHED = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [
        {
            "type": "web_search_result",
            "url": "https://x",
            "title": "X",
            "encrypted_content": "abc",
            "page_age": None,
        }
    ],
}
_MCP_RESULT = {
    "type": "mcp_tool_result",
    "tool_use_id": "mcptoolu_1",
    "is_error": False,
    "content": [{"type": "text", "text": "found"}],
}
_THINKING = (
    {"type": "thinking", "thinking": "", "signature": ""},
    [
        {"type": "thinking_delta", "thinking": "Let me "},
        {"type": "thinking_delta", "thinking": "see"},
        {"type": "signature_delta", "signature": "sig"},
    ],
)
_CITED = {
    "type": "citations_delta",
    "citation": {
        "type": "web_search_result_location",
        "cited_text": "c",
        "encrypted_index": "e",
        "title": "X",
        "url": "https://x",
    },
}

ALL = [
    _whole("text", message({"type": "text", "text": "Hello \u2028 there"})),
    _whole("nothing-said", message()),
    _whole(
        "thinking-and-calls",
        message(
            {"type": "thinking", "thinking": "Hm", "signature": "sig"},
            {"type": "redacted_thinking", "data": "abc"},
            {"type": "text", "text": "One moment"},
            {"type": "tool_use", "id": "toolu_1", "name": "refund", "input": {"amount": 39.99}},
            {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
            stop_reason="tool_use",
        ),
    ),
    _whole(
        "cached",
        message(
            {"type": "text", "text": "Hi"},
            usage={**_USAGE, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 1000},
        ),
    ),
    _whole(
        "web-search",
        message(
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
            _SEARCHED,
            {"type": "text", "text": "Found"},
        ),
    ),
    _whole(
        "mcp",
        message(
            {
                "type": "mcp_tool_use",
                "id": "mcptoolu_1",
                "name": "find",
                "server_name": "s",
                "input": {"a": 1},
            },
            _MCP_RESULT,
        ),
        beta=True,
    ),
    _whole("error", {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow"}}, status=429),
    _whole("gateway-error", {"message": "no upstream"}, status=502),
    _streamed("streamed-text", stream_of(_text("Hel", "lo"), _text("again"))),
    _streamed("streamed-thinking", stream_of(_THINKING, _text("Yes"))),
    _streamed("streamed-citations", stream_of((_text("x")[0], [*_text("so")[1], _CITED]))),
    _streamed(
        "streamed-calls",
        stream_of(
            _text("One moment"),
            _call("tool_use", "toolu_1", "refund", "", '{"amount": 3', "9.99}"),
            _call("tool_use", "toolu_2", "now"),
            _call("server_tool_use", "srvtoolu_1", "web_search", '{"query": "\\ud83d', '\\ude00"}'),
            (_SEARCHED, []),
        ),
    ),
    _streamed(
        "streamed-mcp",
        stream_of(
            _call("mcp_tool_use", "mcptoolu_1", "find", '{"a": 1}', server_name="s"), (_MCP_RESULT, [])
        ),
        beta=True,
    ),
    _streamed(
        "streamed-counts",
        stream_of(
            _text("Hi"),
            usage={
                "input_tokens": 13,
                "cache_read_input_tokens": 50,
                "cache_creation_input_tokens": None,
                "output_tokens": 9,
            },
        ),
    ),
    _streamed(
        "streamed-error",
        [
            *stream_of(_text("Hel"))[:4],
            event("error", error={"type": "overloaded_error", "message": "Overloaded"}),
        ],
    ),
    _streamed("streamed-cut", stream_of(_text("Hel"), _text("lo"))[:6]),
]
