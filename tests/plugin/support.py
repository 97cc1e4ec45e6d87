"""A support agent on two SDKs, for inner runs that are replayed from events alone."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["AGENT", "REFUND", "TRANSCRIPTS", "put_runs"]

TRANSCRIPTS = Path(__file__).parents[1] / "data" / "transcripts"
REFUND = "c2d7a7de-93f4-4f0b-8a0c-7d5e1b2f6c22"

AGENT = '''
import json
import os

import anthropic
import openai

DENIED = {"refund"}
CHANGE = {}


def lookup_customer(order_id: str) -> dict:
    raise RuntimeError("the tool ran")


def refund_policy(country: str, tier: str) -> dict:
    raise RuntimeError("the tool ran")


def refund(order_id: str, amount_eur: float) -> dict:
    raise RuntimeError("the tool ran")


TOOLS = {tool.__name__: tool for tool in (lookup_customer, refund_policy, refund)}


def run(name, args):
    """What a tool gives, as text, and whether it failed."""
    if name in DENIED:
        return "denied by the user", True
    try:
        return json.dumps(TOOLS[name](**{**args, **CHANGE.get(name, {})})), False
    except Exception as error:
        return f"{type(error).__name__}: {error}", True


def on_openai(task, stream=False):
    client = openai.OpenAI(max_retries=1)
    messages = [{"role": "user", "content": task}]
    while True:
        message = (streamed if stream else whole)(client, messages)
        messages.append(message)
        if not message.get("tool_calls"):
            return message["content"]
        for call in message["tool_calls"]:
            out, _ = run(call["function"]["name"], json.loads(call["function"]["arguments"]))
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": out})


def whole(client, messages):
    answer = client.chat.completions.create(model="gpt-4o", messages=messages)
    return answer.choices[0].message.model_dump(exclude_none=True)


def streamed(client, messages):
    text, calls = "", {}
    for chunk in client.chat.completions.create(model="gpt-4o", messages=messages, stream=True):
        delta = chunk.choices[0].delta
        text += delta.content or ""
        for piece in delta.tool_calls or []:
            empty = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
            call = calls.setdefault(piece.index, empty)
            call["id"] += piece.id or ""
            call["function"]["name"] += piece.function.name or ""
            call["function"]["arguments"] += piece.function.arguments or ""
    message = {"role": "assistant", "content": text or None}
    return {**message, "tool_calls": list(calls.values())} if calls else message


def on_anthropic(task):
    client = anthropic.Anthropic(max_retries=1)
    messages = [{"role": "user", "content": task}]
    while True:
        answer = client.messages.create(model="claude-sonnet-4-6", max_tokens=500, messages=messages)
        content = [block.model_dump(exclude_none=True) for block in answer.content]
        messages.append({"role": "assistant", "content": content})
        results = []
        for block in answer.content:
            if block.type == "tool_use":
                out, failed = run(block.name, block.input)
                results.append({"type": "tool_result", "tool_use_id": block.id, "content": out, "is_error": failed})
        if not results:
            return "".join(block.text for block in answer.content if block.type == "text")
        messages.append({"role": "user", "content": results})
'''
"""``support.py``: tools that must not run, and an agent that asks nobody before what is not denied."""


def put_runs(inner, folder, *names, run_id=REFUND):
    """Copy a shared transcript into a folder of the inner project, under these names."""
    for name in names or (run_id,):
        shutil.copytree(TRANSCRIPTS / run_id, inner.path / folder / name)
