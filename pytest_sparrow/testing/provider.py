"""A real provider on loopback that speaks OpenAI's chat format and follows plans: the model's name says which."""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.testing.loopback import Call

Turn = str | list[tuple[str, dict[str, Any]]]

PLANS: dict[str, list[Turn]] = {
    "shop": [
        [("lookup", {"order_id": "1234"}), ("lookup", {"order_id": "5678"})],
        [("refund", {"order_id": "1234", "amount": 39.99})],
        "done: {outputs}",
    ],
    "raises": [[("broken", {"order_id": "1234"})], "done: {outputs}"],
    "context": [[("note", {"text": "milk"})], [("note", {"text": "eggs"})], "done: {outputs}"],
    "object": [[("invoice", {"order_id": "1234"})], "done: {outputs}"],
    "approval": [[("erase", {"order_id": "1234"})], "done: {outputs}"],
    "boss": [[("delegate", {"order_id": "1234"})], "done: {outputs}"],
    "clerk": [[("refund", {"order_id": "1234", "amount": 39.99})], "refunded: {outputs}"],
    "triage": [[("pass_on", {})], "not reached"],
    "slow": [[("wait", {"order_id": "1234"})], "done: {outputs}"],
    "retry": [[("picky", {"text": "bad"})], [("picky", {"text": "good"})], "done: {outputs}"],
    "shape": [
        [("give_answer", {"amount": "no number"})],
        [("give_answer", {"amount": 3})],
    ],
}
"""What the model answers, turn by turn: calls, or a text with the outputs of the tools so far."""


def chat(call: Call) -> None:
    """Answer as the plan of the model says; the turn is the number of the assistant's messages so far."""
    body = json.loads(call.body)
    messages = body["messages"]
    outputs = [message["content"] for message in messages if message["role"] == "tool"]
    said = [body["model"], *re.findall(r"You are (?:an? )?(\w+)", call.body.decode())]
    plan = next(PLANS[name] for name in said if name in PLANS)
    # After a hand-off the next agent has the first one's turn in its messages: that one counts for no other plan.
    own = {name for turn in plan if not isinstance(turn, str) for name, _ in turn}
    turns = [
        message
        for message in messages
        if message["role"] == "assistant"
        and own.issuperset(each["function"]["name"] for each in message.get("tool_calls") or ())
    ]
    offered = {tool["function"]["name"] for tool in body.get("tools") or ()}
    turn = plan[min(len(turns), len(plan) - 1)]
    message: dict[str, Any] = {"role": "assistant", "content": None}
    if isinstance(turn, str) and "final_answer" in offered:
        turn = [("final_answer", {"answer": turn.format(outputs=" | ".join(outputs))})]
    if isinstance(turn, str):
        message["content"] = turn.format(outputs=" | ".join(outputs))
    else:
        message["tool_calls"] = [
            {
                "id": f"call_{secrets.token_hex(6)}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(args)},
            }
            for name, args in turn
        ]
    _send(call, body, message)


def _send(call: Call, body: dict[str, Any], message: dict[str, Any]) -> None:
    finish = "tool_calls" if "tool_calls" in message else "stop"
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    head = {"id": f"chatcmpl-{secrets.token_hex(6)}", "created": 1, "model": body["model"]}
    if not body.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": finish}
        answer = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
        call.answer(json.dumps(answer).encode(), content_type="application/json")
        return
    for number, each in enumerate(message.get("tool_calls", ())):
        each["index"] = number
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": message, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
        {"choices": [], "usage": usage},
    ]
    call.start(content_type="text/event-stream")
    for chunk in chunks:
        data = json.dumps({**head, "object": "chat.completion.chunk", **chunk})
        call.chunk(f"data: {data}\n\n".encode())
    call.chunk(b"data: [DONE]\n\n")
    call.end()


def gemini(plan: str) -> Callable[[Call], None]:
    """Answer as a plan says, in Gemini's format: the model's name stands in the address."""

    def answer(call: Call) -> None:
        contents = json.loads(call.body)["contents"]
        outputs = [
            part["functionResponse"]["response"]
            for content in contents
            for part in content["parts"]
            if "functionResponse" in part
        ]
        turn = PLANS[plan][min(sum(content["role"] == "model" for content in contents), len(PLANS[plan]) - 1)]
        if isinstance(turn, str):
            said = " | ".join(str(output.get("result", output)) for output in outputs)
            parts: list[dict[str, Any]] = [{"text": turn.format(outputs=said)}]
        else:
            parts = [{"functionCall": {"name": name, "args": args}} for name, args in turn]
        body = {
            "candidates": [
                {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
            ],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7},
            "modelVersion": "gemini",
        }
        call.answer(json.dumps(body).encode(), content_type="application/json")

    return answer
