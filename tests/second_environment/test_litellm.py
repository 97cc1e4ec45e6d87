"""litellm, sync and async: its handlers of its own, its SDKs, and its aiohttp transport under httpx."""

from __future__ import annotations

import importlib.util
import json

import pytest
from inner_runs import pytest_in

from pytest_sparrow.testing.loopback import loopback

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("litellm") is None,
    reason="litellm is not installed: .ci/run has a second environment for it, with openai 2 on httpx",
)

INNER = '''
import asyncio
import json
import os

import litellm
import pytest

TOOL = {
    "type": "function",
    "function": {"name": "refund", "parameters": {"type": "object", "properties": {"amount": {"type": "number"}}}},
}
MODELS = {"openai": "openai/gpt-4o", "anthropic": "anthropic/claude-sonnet-4-5"}
PATHS = {"openai": "/v1", "anthropic": ""}


def refund(amount):
    return {"refunded": amount}


def parameters(provider, messages):
    return dict(
        model=MODELS[provider],
        api_base=os.environ["WORLD"] + PATHS[provider],
        api_key="sk-none",
        messages=messages,
        tools=[TOOL],
        max_tokens=99,
    )


def act(message, messages, tool):
    """Run what the model asks for; gives the answer, or None: go on."""
    messages.append(message.model_dump(exclude_none=True))
    for call in message.tool_calls or ():
        amount = json.loads(call.function.arguments)["amount"] + float(os.environ.get("MORE", 0))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(tool(amount))})
    return None if message.tool_calls else message.content


def agent(provider, tool):
    messages = [{"role": "user", "content": "Refund order 1234"}]
    while True:
        answer = litellm.completion(**parameters(provider, messages))
        if said := act(answer.choices[0].message, messages, tool):
            return said


async def agent_async(provider, tool):
    messages = [{"role": "user", "content": "Refund order 1234"}]
    while True:
        answer = await litellm.acompletion(**parameters(provider, messages))
        if said := act(answer.choices[0].message, messages, tool):
            return said


async def agent_streaming(provider, tool):
    messages = [{"role": "user", "content": "Refund order 1234"}]
    while True:
        stream = await litellm.acompletion(**parameters(provider, messages), stream=True)
        chunks = [chunk async for chunk in stream]
        answer = litellm.stream_chunk_builder(chunks, messages=messages)
        if said := act(answer.choices[0].message, messages, tool):
            return said


@pytest.mark.parametrize("provider", MODELS)
def test_sync(sparrow, provider):
    assert agent(provider, sparrow.tool(refund)) == "Refunded."


@pytest.mark.parametrize("provider", MODELS)
def test_async(sparrow, provider):
    assert asyncio.run(agent_async(provider, sparrow.tool(refund))) == "Refunded."


@pytest.mark.parametrize("provider", MODELS)
def test_streaming(sparrow, provider):
    assert asyncio.run(agent_streaming(provider, sparrow.tool(refund))) == "Refunded."
'''


def _chat(call):
    asked = json.loads(call.body)
    done = asked["messages"][-1]["role"] == "tool"
    function = {"name": "refund", "arguments": '{"amount": 39.99}'}
    calls = [{"index": 0, "id": "call_1", "type": "function", "function": function}]
    said = {
        "role": "assistant",
        **({"content": "Refunded."} if done else {"content": None, "tool_calls": calls}),
    }
    reason = "stop" if done else "tool_calls"
    about = {"id": "chatcmpl-1", "created": 1, "model": "gpt-4o"}
    if asked.get("stream"):
        chunks = [
            {**about, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": said}]},
            {
                **about,
                "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": {}, "finish_reason": reason}],
            },
        ]
        return _events([("", chunk) for chunk in chunks], "data: [DONE]\n\n")
    choice = {"index": 0, "message": said, "finish_reason": reason}
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    body = {**about, "object": "chat.completion", "choices": [choice], "usage": usage}
    return "application/json", json.dumps(body)


def _messages(call):
    asked = json.loads(call.body)
    done = len(asked["messages"]) > 1
    block = (
        {"type": "text", "text": "Refunded."}
        if done
        else {"type": "tool_use", "id": "toolu_1", "name": "refund", "input": {"amount": 39.99}}
    )
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "stop_reason": "end_turn" if done else "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 3},
    }
    if not asked.get("stream"):
        return "application/json", json.dumps({**message, "content": [block]})
    start = {**block, "text": ""} if done else {**block, "input": {}}
    delta = (
        {"type": "text_delta", "text": "Refunded."}
        if done
        else {"type": "input_json_delta", "partial_json": '{"amount": 39.99}'}
    )
    return _events(
        [
            (
                "message_start",
                {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
            ),
            ("content_block_start", {"type": "content_block_start", "index": 0, "content_block": start}),
            ("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": delta}),
            ("content_block_stop", {"type": "content_block_stop", "index": 0}),
            (
                "message_delta",
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": message["stop_reason"], "stop_sequence": None},
                    "usage": {"output_tokens": 3},
                },
            ),
            ("message_stop", {"type": "message_stop"}),
        ]
    )


def _events(events, end=""):
    text = "".join(
        (f"event: {name}\n" if name else "") + f"data: {json.dumps(data)}\n\n" for name, data in events
    )
    return "text/event-stream", text + end


def _route(answer):
    def serve(call):
        kind, text = answer(call)
        call.answer(text.encode(), content_type=kind)

    return serve


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project recorded against a model on loopback, which is off afterwards."""
    folder = tmp_path_factory.mktemp("litellm")
    (folder / "test_it.py").write_text(INNER)
    with loopback() as server:
        server.routes.update({"/v1/chat/completions": _route(_chat), "/v1/messages": _route(_messages)})
        code, output = pytest_in(folder, "--sparrow-record", **{**OFFLINE, "WORLD": server.url})
        assert code == 0, output
        assert len(server.calls) == 12
    return folder


OFFLINE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "WORLD": "http://127.0.0.1:9"}


def test_every_way_replays_with_the_server_off(project):
    """Sync, async and streamed, of two providers' formats: green, and nothing asks the network."""
    code, output = pytest_in(project, "--sparrow-replay", **OFFLINE)
    assert code == 0, output
    assert "6 replayed equal" in output


def test_every_way_is_red_where_the_agent_changed(project):
    """$39.99 became $139.99: each of the six is red, and says so."""
    code, output = pytest_in(project, "--sparrow-replay", MORE="100", **OFFLINE)
    assert code == 1
    assert "6 failed" in output
    assert output.count("ToolUseStarted[refund].args['amount']") >= 6
    assert "139.99" in output
