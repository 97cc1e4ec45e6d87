"""A model for inner runs: it proposes one call, and answers once it has the result; and an agent that asks it."""

from __future__ import annotations

import contextlib
import json
import secrets

from pytest_sparrow.testing.loopback import loopback

__all__ = ["AGENT", "model"]

AGENT = '''
import json
import os

import httpx
import pytest

import tools

URL = os.environ["WORLD"] + "/chat"


def change(name, usual):
    """What the environment says instead."""
    return type(usual)(os.environ.get(name, usual))


def ask(messages):
    answer = httpx.post(URL, json={"model": "m", "messages": messages}).raise_for_status()
    return answer.json()["choices"][0]["message"]


def agent(task="add one and two"):
    messages = [{"role": "system", "content": change("PROMPT", "be kind")}, {"role": "user", "content": task}]
    while True:
        message = ask(messages)
        messages.append(message)
        if not message.get("tool_calls"):
            return message["content"]
        for call in message["tool_calls"]:
            args = json.loads(call["function"]["arguments"])
            result = tools.add(args["a"], args["b"] + change("MORE", 0))
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": str(result)})
'''
"""``agent.py``; PROMPT and MORE in the environment change what it does."""

TOOLS = """
def add(a: int, b: int) -> int:
    return 3
"""


@contextlib.contextmanager
def model(inner, says=lambda: "It is 3.", proposes=lambda task: {"a": 1, "b": 2}):
    """Serve the model, and write the agent into the folder.

    Args:
        inner: the folder.
        says: makes the model's last answer.
        proposes: makes the arguments of the call that it proposes, given the user's text; None: it answers at once.
    """
    with loopback(chat=lambda call: _chat(call, says, proposes)) as server:
        inner.write("agent.py", AGENT)
        inner.write("tools.py", TOOLS)
        inner.env(WORLD=server.url)
        yield server


def _chat(call, says, proposes):
    messages = json.loads(call.body)["messages"]
    arguments = None if messages[-1]["role"] == "tool" else proposes(messages[-1]["content"])
    message = {"role": "assistant", "content": says()} if arguments is None else {}
    if arguments is not None:
        function = {"name": "add", "arguments": json.dumps(arguments)}
        call_id = f"call_{secrets.token_hex(12)}"
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": call_id, "type": "function", "function": function}],
        }
    body = {
        "id": f"chatcmpl-{secrets.token_hex(8)}",
        "object": "chat.completion",
        "created": secrets.randbelow(10**9),
        "model": "m-1",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
    }
    call.answer(json.dumps(body).encode(), content_type="application/json")
