"""Answers in the responses format, written by hand, for what recorded cassettes rarely hold."""

from __future__ import annotations

import json
from typing import Any

from .serving import Cassette, Interaction

__all__ = ["ALL", "event", "response"]

_URL = "https://api.example.com/v1/responses"
_ASK: dict[str, Any] = {"model": "gpt-test", "input": "Hello"}
_USAGE = {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}
_PNG = "iVBORw0KGgo="


def response(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A whole answer of these items."""
    base = {"id": "resp_0123456789", "object": "response", "created_at": 1, "model": "gpt-test"}
    return {**base, "status": "completed", "error": None, "output": list(items), "usage": _USAGE, **more}


def event(kind: str, **fields: Any) -> str:
    """One event of a stream."""
    return f"event: {kind}\ndata: " + json.dumps({"type": kind, **fields}, ensure_ascii=False)


def _message(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    base = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
    return {**base, "content": list(parts), **more}


def _text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def _turn(answer: dict[str, Any], status: int = 200, **request: Any) -> Interaction:
    return Interaction(url=_URL, request={**_ASK, **request}, status=status, body=json.dumps(answer).encode())


def _about(path: str, answer: dict[str, Any], method: str = "GET") -> Interaction:
    return Interaction(method=method, url=_URL + path, request=None, body=json.dumps(answer).encode())


def _streamed(name: str, *events: str) -> Cassette:
    begun = event("response.created", response=response(status="in_progress", usage=None), sequence_number=0)
    turn = Interaction(url=_URL, request={**_ASK, "stream": True}, events=(begun, *events))
    return Cassette(name=name, interactions=[turn])


def _whole(name: str, *items: dict[str, Any], **more: Any) -> Cassette:
    return Cassette(name=name, interactions=[_turn(response(*items, **more))])


def _loop(name: str, call: dict[str, Any], *results: dict[str, Any], tools: Any = ()) -> Cassette:
    """A call, its result in the next request, and the last word."""
    first = {"role": "user", "content": "Hello"}
    turns = [
        _turn(response(call), input=[first], tools=list(tools)),
        _turn(response(_message(_text("Done"))), input=[first, call, *results], tools=list(tools)),
    ]
    return Cassette(name=name, interactions=turns)


def _client(kind: str, **fields: Any) -> dict[str, Any]:
    return {"id": f"{kind}_1", "type": kind, "call_id": "call_1", "status": "completed", **fields}


_SHOT = {"type": "computer_screenshot", "image_url": f"data:image/png;base64,{_PNG}"}
_CLICK = {"type": "click", "button": "left", "x": 1, "y": 2}
_EXEC = {"type": "exec", "command": ["ls"], "env": {}}
_PATCH = {"type": "delete_file", "path": "a.txt"}
_REFUSED = {"type": "refusal", "refusal": "I can't help with that."}

_WHOLE = [
    _whole("text", _message(_text("Hello \u2028 there"), _text("and more"))),
    _whole("refusal", _message(_REFUSED)),
    _whole(
        "reasoning",
        {
            "id": "rs_1",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": text} for text in ("one", "two")],
            "content": [{"type": "reasoning_text", "text": "three"}],
            "encrypted_content": "gAAA",
        },
        _message(_text("Hi")),
    ),
    _whole("failed", status="failed", error={"code": "server_error", "message": "it broke"}),
    _whole(
        "incomplete",
        _message(_text("Once upon"), status="incomplete"),
        status="incomplete",
        incomplete_details={"reason": "max_output_tokens"},
    ),
    Cassette(
        name="error",
        interactions=[_turn({"error": {"message": "Rate limit reached", "type": "requests"}}, status=429)],
    ),
    _whole(
        "file-search",
        {
            "id": "fs_1",
            "type": "file_search_call",
            "status": "completed",
            "queries": ["lamp"],
            "results": [{"file_id": "file-1", "filename": "a.txt", "score": 0.5, "text": "a lamp"}],
        },
        _message(_text("A lamp")),
    ),
    _whole(
        "code-interpreter",
        {
            "id": "ci_1",
            "type": "code_interpreter_call",
            "status": "completed",
            "code": "print(1)",
            "container_id": "cntr_1",
            "outputs": [
                {"type": "logs", "logs": "1\n"},
                {"type": "image", "url": f"data:image/png;base64,{_PNG}"},
            ],
        },
    ),
    _whole(
        "image-generation",
        {"id": "ig_1", "type": "image_generation_call", "status": "generating", "result": _PNG},
    ),
    _whole(
        "mcp",
        {"id": "mcpl_1", "type": "mcp_list_tools", "server_label": "shop", "tools": [{"name": "price"}]},
        {
            "id": "mcp_1",
            "type": "mcp_call",
            "server_label": "shop",
            "name": "price",
            "arguments": '{"item": "lamp"}',
            "output": '{"amount": 39.99}',
        },
        {
            "id": "mcp_2",
            "type": "mcp_call",
            "server_label": "shop",
            "name": "price",
            "arguments": '{"item": "?"}',
            "error": {"type": "mcp_protocol_error", "code": -32602, "message": "no such item"},
        },
    ),
    _whole(
        "web-search-sources",
        {
            "id": "ws_1",
            "type": "web_search_call",
            "status": "completed",
            "action": {
                "type": "search",
                "query": "lamp",
                "sources": [{"type": "url", "url": "https://example.com"}],
            },
        },
    ),
    _whole(
        "parallel-calls",
        _client("function_call", name="lookup", arguments='{"a":1}'),
        {**_client("function_call", name="refund", arguments='{"a": '), "call_id": "call_2"},
    ),
]

_LOOPS = [
    _loop(
        "function-parts",
        _client("function_call", name="look", arguments=""),
        _client(
            "function_call_output",
            output=[
                {"type": "input_text", "text": '{"a": 1}'},
                {"type": "input_image", "image_url": f"data:image/png;base64,{_PNG}"},
            ],
        ),
    ),
    _loop(
        "custom-tool",
        _client("custom_tool_call", name="shout", input='{"not": "parsed"}'),
        _client("custom_tool_call_output", output="HEY"),
        tools=[{"type": "custom", "name": "shout"}],
    ),
    _loop(
        "computer",
        _client("computer_call", action=_CLICK, pending_safety_checks=[]),
        _client("computer_call_output", output=_SHOT),
    ),
    _loop(
        "local-shell",
        _client("local_shell_call", action=_EXEC),
        {"type": "local_shell_call_output", "id": "call_1", "output": "a.txt"},
    ),
    _loop(
        "shell",
        _client("shell_call", action={"commands": ["ls"]}),
        _client(
            "shell_call_output",
            output=[{"stdout": "a.txt", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
        ),
    ),
    _loop(
        "apply-patch",
        _client("apply_patch_call", operation=_PATCH),
        {**_client("apply_patch_call_output"), "status": "failed", "output": "no such file"},
    ),
    _loop(
        "approval",
        {
            "id": "mcpr_1",
            "type": "mcp_approval_request",
            "server_label": "shop",
            "name": "buy",
            "arguments": '{"item": "lamp"}',
        },
        {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
    ),
]

_LATER = [
    Cassette(
        name="background",
        interactions=[
            _turn(response(status="queued", usage=None), background=True),
            _about("/resp_0123456789", response(_message(_text("He")), status="in_progress", usage=None)),
            _about("/resp_0123456789", response(_message(_text("Hello")))),
        ],
    ),
    Cassette(
        name="cancelled",
        interactions=[
            _turn(response(status="queued", usage=None), background=True),
            _about("/resp_0123456789/cancel", response(status="cancelled", usage=None), "POST"),
        ],
    ),
    Cassette(
        name="fetched-stream",
        interactions=[
            Interaction(
                method="GET",
                url=f"{_URL}/resp_0123456789?stream=true",
                request=None,
                events=(event("response.completed", response=response(_message(_text("Hi")))),),
            )
        ],
    ),
]

_ADDED = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
_PART = {"type": "output_text", "text": "", "annotations": []}
_AT = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
_BEGIN = (
    event("response.output_item.added", output_index=0, item=_ADDED),
    event("response.content_part.added", **_AT, part=_PART),
    event("response.output_text.delta", **_AT, delta="Hel", logprobs=[]),
    event("response.output_text.delta", **_AT, delta="lo", logprobs=[]),
)
_CALL = {**_client("function_call", name="lookup", arguments=""), "id": "fc_1", "status": "in_progress"}

_STREAMS = [
    _streamed("streamed-cut", *_BEGIN),
    _streamed("streamed-error", *_BEGIN, event("error", code="server_error", message="it broke", param=None)),
    _streamed(
        "streamed-failed",
        *_BEGIN,
        event(
            "response.failed",
            response=response(status="failed", error={"code": "server_error", "message": "it broke"}),
        ),
    ),
    _streamed(
        "streamed-incomplete",
        *_BEGIN,
        event("response.incomplete", response=response(_message(_text("Hello")), status="incomplete")),
    ),
    _streamed(
        "streamed-cut-in-a-call",
        event("response.output_item.added", output_index=0, item=_CALL),
        event("response.function_call_arguments.delta", item_id="fc_1", output_index=0, delta='{"a'),
    ),
    _streamed(
        "streamed-without-a-last-output",
        *_BEGIN,
        event("response.output_item.done", output_index=0, item=_message(_text("Hello"))),
        event("response.completed", response=response()),
    ),
]

ALL = [*_WHOLE, *_LOOPS, *_LATER, *_STREAMS]
