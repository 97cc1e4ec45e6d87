"""Agents that act on a stream which they have not read to its end, in both of the ways people write them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from inner_runs import pytest_in

PROVIDER = Path(__file__).parents[2] / "examples" / "support_agent" / "provider.py"

INNER = """
import json
import os

import provider
import pytest
from openai import OpenAI


@pytest.fixture(scope="session")
def url():
    with provider.serve() as url:
        yield url


def lookup_customer(order_id: str) -> dict:
    return {"order_id": order_id, "paid": 39.99, "days_since_delivery": 3, "name": "Ada"}


def refund_policy(topic: str) -> dict:
    return {"days": 30}


def refund(order_id: str, amount: float) -> dict:
    return {"ticket": "T1", "amount": amount, "order_id": order_id}


TOOLS = {tool.__name__: tool for tool in (lookup_customer, refund_policy, refund)}


def perform(call):
    call_id, name, arguments = call
    args = json.loads(arguments)
    if name == "refund":
        args["amount"] += float(os.environ.get("MORE", "0"))
    return {"role": "tool", "tool_call_id": call_id, "content": json.dumps(TOOLS[name](**args))}


def turn(client, messages, style):
    calls, text, results = {}, "", []
    request = {"model": "m", "messages": messages, "stream": True, "stream_options": {"include_usage": True}}
    for chunk in client.chat.completions.create(**request):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            for piece in choice.delta.tool_calls or ():
                call_id, name, arguments = calls.get(piece.index, (piece.id, piece.function.name, ""))
                calls[piece.index] = (call_id, name, arguments + (piece.function.arguments or ""))
            if style == "inside" and choice.finish_reason == "tool_calls":
                results = [perform(call) for call in calls.values()]
        if style == "break" and chunk.choices and chunk.choices[0].finish_reason:
            results = [perform(call) for call in calls.values()]
            break
    return text, list(calls.values()), results


def agent(style, base_url):
    client = OpenAI(base_url=base_url, api_key="x")
    messages = [{"role": "user", "content": "Refund order 1234"}]
    while True:
        text, calls, results = turn(client, messages, style)
        if not calls:
            return text
        wire = [{"id": i, "type": "function", "function": {"name": n, "arguments": a}} for i, n, a in calls]
        messages.append({"role": "assistant", "content": text, "tool_calls": wire})
        messages += results


@pytest.mark.parametrize("style", ["inside", "break"])
def test_agent(sparrow, style, request):
    base_url = "http://127.0.0.1:9/v1" if sparrow.golden else request.getfixturevalue("url")
    sparrow.tools(TOOLS)
    assert "T1" in agent(style, base_url)
    calls = [call.name for call in sparrow.tool_calls]
    assert calls == [call.name for call in sparrow.proposals] == ["lookup_customer", "refund_policy", "refund"]
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The agents, recorded."""
    folder = tmp_path_factory.mktemp("open")
    shutil.copy(PROVIDER, folder)
    (folder / "test_inner.py").write_text(INNER)
    code, output = pytest_in(folder, "--sparrow-record")
    assert (code, "2 recorded" in output) == (0, True), output
    return folder


def test_calls_made_while_the_stream_is_open_answer_their_proposals(recorded):
    """A call that is made inside the loop over the chunks, or after leaving it, is recorded as what it is."""
    code, output = pytest_in(recorded, "--sparrow-replay")
    assert (code, "2 replayed equal" in output) == (0, True), output


def test_their_arguments_are_compared(recorded):
    """Another argument is a change of that call, not a call that the golden doesn't know."""
    code, output = pytest_in(recorded, "--sparrow-replay", MORE="100")
    assert code == 1, output
    assert (
        output.count("ToolUseStarted[refund].args['amount']\n    golden  39.99\n    new     139.99") == 2
    ), output
