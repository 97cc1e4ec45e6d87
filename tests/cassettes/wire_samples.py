"""Answers in the chat-completions format, written by hand, for what recorded cassettes rarely hold."""

from __future__ import annotations

import json
from typing import Any

from .serving import Cassette, Interaction

__all__ = ["ALL", "chunk", "completion"]

_ASK: dict[str, Any] = {"model": "gpt-test", "messages": [{"role": "user", "content": "Hello"}]}
_USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


def completion(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A whole answer, one choice a message."""
    choices = [
        {"index": index, "finish_reason": "stop", "message": {"role": "assistant", **message}}
        for index, message in enumerate(messages)
    ]
    base = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-test",
        "choices": choices,
    }
    return {**base, "usage": _USAGE, **more}


def chunk(delta: dict[str, Any] | None = None, *, index: int = 0, **more: Any) -> str:
    """One event of a stream; without a delta it has no choices."""
    choices = [] if delta is None else [{"index": index, "delta": delta, "finish_reason": None}]
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-test"}
    return "data: " + json.dumps({**base, "choices": choices, **more}, ensure_ascii=False)


def _whole(name: str, answer: dict[str, Any], status: int = 200) -> Cassette:
    return Cassette(
        name=name, interactions=[Interaction(request=_ASK, status=status, body=json.dumps(answer).encode())]
    )


def _streamed(name: str, *events: str) -> Cassette:
    return Cassette(name=name, interactions=[Interaction(request={**_ASK, "stream": True}, events=events)])


def _call(name: str, arguments: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


ALL = [
    _whole("text", completion({"content": "Hello \u2028 there"})),
    _whole("two-choices", completion({"content": "one"}, {"content": "two"})),
    _whole("refusal", completion({"content": None, "refusal": "I can't help with that."})),
    _whole(
        "broken-arguments",
        completion({"content": "", "tool_calls": [_call("refund", '{"a": ', id="call_1")]}),
    ),
    _whole(
        "custom-tool",
        completion(
            {
                "content": None,
                "tool_calls": [
                    {"id": "call_1", "type": "custom", "custom": {"name": "shell", "input": "ls -l"}}
                ],
            }
        ),
    ),
    _whole(
        "error", {"error": {"message": "Rate limit reached", "type": "requests", "code": None}}, status=429
    ),
    _streamed(
        "streamed-choices",
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hel"}),
        chunk({"content": "other"}, index=1),
        chunk({"content": "lo"}),
        chunk(usage=_USAGE),
        "data: [DONE]",
    ),
    _streamed(
        "streamed-parallel-calls",
        chunk({"role": "assistant", "content": None}),
        chunk({"tool_calls": [_call("lookup", "", index=0, id="call_1")]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a'}}]}),
        chunk({"tool_calls": [_call("refund", '{"b"', index=1, id="call_2")]}),
        chunk({"tool_calls": [{"index": 1, "function": {"arguments": ":39.99}"}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '":1}'}}]}),
        chunk(usage=_USAGE),
        "data: [DONE]",
    ),
    _streamed("streamed-refusal", chunk({"refusal": "I "}), chunk({"refusal": "can't"}), "data: [DONE]"),
    _streamed("streamed-cut", chunk({"content": "Hel"}), chunk({"content": "lo"})),
    _streamed("streamed-comment", ": keep-alive", chunk({"content": "Hi"}), "data: [DONE]"),
]
