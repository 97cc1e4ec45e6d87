"""A model for tests of faults, in OpenAI's and Anthropic's format, whole and streamed; and agents on real clients."""

from __future__ import annotations

import contextlib
import json

from pytest_sparrow.testing.loopback import loopback

__all__ = ["model"]

TOOLS = """
    import os
    import queue

    # Lists are filled again in a replay.
    calls = queue.SimpleQueue()

    def refund(order: str) -> str:
        if os.environ.get("SHUT"):
            raise RuntimeError("the tool ran")
        calls.put(order)
        return f"refunded {order}"

    async def arefund(order: str) -> str:
        return refund(order)
"""

AGENT = """
    import asyncio
    import json
    import os

    import aiohttp
    import requests
    from anthropic import Anthropic
    from google import genai
    from openai import AsyncOpenAI, OpenAI

    import tools

    URL = os.environ["WORLD"]
    SPEC = [{"type": "function", "function": {"name": "refund", "parameters": {"type": "object"}}}]
    TASK = os.environ.get("PROMPT", "refund order 1")

    def run_tool(call):
        try:
            return tools.refund(**json.loads(call["function"]["arguments"]))
        except Exception as error:
            return f"failed: {error}"

    def turns(ask):
        messages = [{"role": "user", "content": TASK}]
        while True:
            message = ask(messages)
            messages.append(message)
            if not message.get("tool_calls"):
                return message["content"]
            for call in message["tool_calls"]:
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": run_tool(call)})

    def openai_whole(**options):
        with OpenAI(base_url=URL, api_key="k", **options) as client:
            def ask(messages):
                answer = client.chat.completions.create(model="m", messages=messages, tools=SPEC)
                return answer.choices[0].message.to_dict()
            return turns(ask)

    def openai_async(**options):
        async def main():
            async with AsyncOpenAI(base_url=URL, api_key="k", **options) as client:
                messages = [{"role": "user", "content": TASK}]
                while True:
                    answer = await client.chat.completions.create(model="m", messages=messages, tools=SPEC)
                    message = answer.choices[0].message.to_dict()
                    messages.append(message)
                    if not message.get("tool_calls"):
                        return message["content"]
                    for call in message["tool_calls"]:
                        messages.append({"role": "tool", "tool_call_id": call["id"], "content": run_tool(call)})
        return asyncio.run(main())

    heard = []

    def openai_stream(tries=1, **options):
        del heard[:]
        messages = [{"role": "user", "content": "hello"}]
        with OpenAI(base_url=URL, api_key="k", **options) as client:
            while True:
                said, tries = [], tries - 1
                try:
                    for chunk in client.chat.completions.create(model="m", messages=messages, stream=True):
                        said += [choice.delta.content or "" for choice in chunk.choices]
                        heard.extend(choice.delta.content or "" for choice in chunk.choices)
                    return "".join(said)
                except Exception:
                    if not tries:
                        raise

    def openai_stream_async(tries=1, **options):
        del heard[:]
        async def main():
            async with AsyncOpenAI(base_url=URL, api_key="k", **options) as client:
                stream = await client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "hello"}], stream=True
                )
                async for chunk in stream:
                    heard.extend(choice.delta.content or "" for choice in chunk.choices)
                return "".join(heard)
        return asyncio.run(main())

    def anthropic_whole(**options):
        with Anthropic(base_url=URL, api_key="k", **options) as client:
            messages = [{"role": "user", "content": "hello"}]
            return client.messages.create(model="m", max_tokens=9, messages=messages).content[0].text

    def google(**options):
        client = genai.Client(api_key="k", http_options={"base_url": URL, **options})
        return client.models.generate_content(model="m", contents="hello").text

    def with_requests(path="plain", **options):
        answer = requests.get(f"{URL}/{path}", timeout=options.pop("timeout", 9), **options)
        answer.raise_for_status()
        return answer.json()["said"]

    def with_aiohttp(path="plain", **options):
        async def main():
            async with aiohttp.ClientSession(**options) as session:
                async with session.get(f"{URL}/{path}", raise_for_status=True) as answer:
                    return (await answer.json())["said"]
        return asyncio.run(main())
"""
"""``agent.py``: each function is an agent that gives its last answer."""


@contextlib.contextmanager
def model(inner):
    """Serve the model, and write the agents into the folder."""
    routes = {"chat/completions": _chat, "v1/messages": _messages, "plain": _plain}
    routes["v1/models/m:generateContent"] = _gemini
    with loopback(**routes) as server:
        inner.write("agent.py", AGENT)
        inner.write("tools.py", TOOLS)
        inner.env(WORLD=server.url)
        yield server


def _json(call, body):
    call.answer(json.dumps(body).encode(), content_type="application/json")


def _plain(call):
    _json(call, {"said": "hello"})


def _gemini(call):
    content = {"role": "model", "parts": [{"text": "It is done."}]}
    _json(call, {"candidates": [{"content": content, "finishReason": "STOP"}]})


def _messages(call):
    head = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "stop_reason": "end_turn",
    }
    usage = {"input_tokens": 1, "output_tokens": 1}
    text = [{"type": "text", "text": "It is done."}]
    _json(call, {**head, "stop_sequence": None, "usage": usage, "content": text})


def _chat(call):
    asked = json.loads(call.body)
    if asked.get("stream"):
        return _stream(call)
    message = {"role": "assistant", "content": "It is done."}
    if asked["messages"][-1]["role"] != "tool":
        function = {"name": "refund", "arguments": '{"order": "1"}'}
        calls = [{"id": f"call_{len(call.handler.server.loopback.calls)}", "type": "function"}]
        message = {"role": "assistant", "content": None, "tool_calls": [{**calls[0], "function": function}]}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    _json(call, {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})
    return None


def _stream(call):
    call.start(content_type="text/event-stream")
    for text in ("It ", "is ", "done."):
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
        head = {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [choice],
        }
        call.chunk(f"data: {json.dumps(head)}\n\n".encode())
    call.chunk(b"data: [DONE]\n\n")
    call.end()
