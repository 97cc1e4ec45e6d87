"""An agent on the real openai SDK, and a world that answers it from memory: what recording is held against."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx2
from openai import OpenAI

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TURNS", "agent", "client", "lookup"]

TURNS = 10
"""Tool calls in one conversation: with one model call each, and a last one, 21 crossings and 46 events."""

_SYSTEM = (
    "You are a careful support agent. Refund what the policy allows, never more, and name the ticket. " * 5
)


class _World(httpx2.BaseTransport):
    """Answers as a provider does; a transport of its own, so that it counts as the world and is recorded."""

    def __init__(self) -> None:
        self._calls = 0

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        messages = json.loads(request.content)["messages"]
        done = sum(message["role"] == "tool" for message in messages) == TURNS
        self._calls += 1
        headers = {"content-type": "application/json", "x-request-id": f"req_{self._calls:032x}"}
        return httpx2.Response(200, headers=headers, content=json.dumps(self._completion(done=done)).encode())

    def _completion(self, *, done: bool) -> dict[str, Any]:
        finish = "stop" if done else "tool_calls"
        choice = {"index": 0, "message": self._message(done=done), "logprobs": None, "finish_reason": finish}
        return {
            "id": f"chatcmpl-{self._calls:028x}",
            "object": "chat.completion",
            "created": 1_800_000_000 + self._calls,
            "model": "gpt-4o-mini-2026-07-18",
            "system_fingerprint": "fp_0f9e8d7c6b",
            "choices": [choice],
            "usage": {"prompt_tokens": 512, "completion_tokens": 24, "total_tokens": 536},
        }

    def _message(self, *, done: bool) -> dict[str, Any]:
        if done:
            return {
                "role": "assistant",
                "content": "I refunded 39.99. Your ticket is T-1234.",
                "refusal": None,
            }
        function = {
            "name": "lookup",
            "arguments": json.dumps({"order_id": f"{self._calls}", "fields": ["paid"]}),
        }
        call = {"id": f"call_{self._calls:024x}", "type": "function", "function": function}
        return {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}


def client() -> OpenAI:
    """A client whose world is in memory."""
    http_client = httpx2.Client(transport=_World())
    return OpenAI(api_key="not-a-key", base_url="https://api.example.com/v1", http_client=http_client)


def lookup(order_id: str, fields: list[str]) -> dict[str, Any]:
    """A tool that costs nothing: what is left is the agent's own work."""
    items = [{"sku": "A-1", "count": 2, "price": 12.5}, {"sku": "B-9", "count": 1, "price": 14.99}]
    return {"order_id": order_id, "fields": fields, "paid": 39.99, "name": "Ada", "items": items}


def agent(openai: OpenAI, tool: Callable[..., Any]) -> str:
    """The agent: ask the model, perform the calls that it proposes, send it the results, until it has an answer."""
    messages: list[Any] = [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": "Refund order 1234 if you may"},
    ]
    while True:
        said = openai.chat.completions.create(model="gpt-4o-mini", messages=messages).choices[0].message
        if not said.tool_calls:
            return said.content or ""
        messages.append(said.model_dump(exclude_none=True))
        for call in said.tool_calls:
            assert call.type == "function"
            result = json.dumps(tool(**json.loads(call.function.arguments)))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
