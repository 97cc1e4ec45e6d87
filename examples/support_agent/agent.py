"""A support agent on the openai SDK with a tool loop of its own: sync, async, streaming and in threads.

``conversation`` is the whole agent. It does no I/O: it yields what is to be done (`Ask` the model, `Perform`
calls) and gets the result back, so that the four drivers below differ only in how they wait.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from openai import AsyncOpenAI, OpenAI
from tools import SCHEMAS, TOOLS

__all__ = ["support_agent", "support_agent_async", "support_agent_in_threads", "support_agent_streaming"]

MODEL = "gpt-4o-mini"
SYSTEM = "You are a careful support agent. Refund what the policy allows, never more, and name the ticket."

Message = dict[str, Any]


@dataclass(frozen=True)
class Ask:
    """Ask the model to continue these messages; the answer is the assistant's message."""

    messages: list[Message]


@dataclass(frozen=True)
class Perform:
    """Perform these tool calls; the answer is the list of their results, in this order."""

    calls: list[Message]


Steps = Generator[Ask | Perform, Any, str]


def conversation(task: str) -> Steps:
    """The agent: ask the model, perform the calls that it proposes, send it the results, until it has an answer."""
    messages: list[Message] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": task}]
    while True:
        message = yield Ask(messages)
        messages.append(message)
        calls = message.get("tool_calls", [])
        if not calls:
            break
        results = yield Perform(calls)
        for call, result in zip(calls, results, strict=True):
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    answer = str(message["content"])
    TOOLS["close_case"](answer=answer)
    return answer


def perform(call: Message) -> str:
    """Perform one call; returns the text for the model, also for an error that the model can react to."""
    args = json.loads(call["function"]["arguments"])
    try:
        return json.dumps(asdict(_perform(call["function"]["name"], args)))
    except ValueError as error:
        return f"error: {error}"


def _perform(name: str, args: Message) -> Any:
    match name:
        case "lookup_customer":
            return TOOLS["lookup_customer"](order_id=args["order_id"])
        case "refund_policy":
            return TOOLS["refund_policy"](topic=args["topic"])
        case "refund":
            return TOOLS["refund"](order_id=args["order_id"], amount=args["amount"])
    raise ValueError(f"there is no tool {name}")


# The drivers.


def support_agent(task: str) -> str:
    """One call after the other."""
    return _drive(task, _whole, lambda calls: [perform(call) for call in calls])


def support_agent_streaming(task: str) -> str:
    """The answers come in chunks."""
    return _drive(task, _streamed, lambda calls: [perform(call) for call in calls])


def support_agent_in_threads(task: str) -> str:
    """The calls of one turn run in threads of a pool."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        return _drive(task, _whole, lambda calls: list(pool.map(perform, calls)))


async def support_agent_async(task: str) -> str:
    """On the async client; the calls of one turn are gathered."""
    steps = conversation(task)
    answer: Any = None
    async with AsyncOpenAI() as client:
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                return str(end.value)
            if isinstance(step, Ask):
                completion = await client.chat.completions.create(**_request(step))
                answer = _message(completion)
            else:
                answer = await asyncio.gather(*(asyncio.to_thread(perform, call) for call in step.calls))


def _drive(
    task: str, ask: Callable[[OpenAI, Ask], Message], perform_all: Callable[[list[Message]], list[str]]
) -> str:
    steps = conversation(task)
    answer: Any = None
    with OpenAI() as client:
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                return str(end.value)
            answer = ask(client, step) if isinstance(step, Ask) else perform_all(step.calls)


def _request(step: Ask) -> dict[str, Any]:
    return {"model": MODEL, "messages": step.messages, "tools": SCHEMAS}


def _whole(client: OpenAI, step: Ask) -> Message:
    return _message(client.chat.completions.create(**_request(step)))


def _streamed(client: OpenAI, step: Ask) -> Message:
    request = {**_request(step), "stream": True, "stream_options": {"include_usage": True}}
    with client.chat.completions.create(**request) as chunks:
        return _joined(chunks)


def _message(completion: Any) -> Message:
    said = completion.choices[0].message
    calls = [(call.id, call.function.name, call.function.arguments) for call in said.tool_calls or ()]
    return _assistant(said.content, calls)


def _joined(chunks: Iterable[Any]) -> Message:
    content = ""
    calls: dict[int, tuple[str, str, str]] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            content += choice.delta.content or ""
            for piece in choice.delta.tool_calls or ():
                call_id, name, arguments = calls.get(piece.index, (piece.id, piece.function.name, ""))
                calls[piece.index] = (call_id, name, arguments + (piece.function.arguments or ""))
    return _assistant(content or None, calls.values())


def _assistant(content: str | None, calls: Iterable[tuple[str, str, str]]) -> Message:
    message: Message = {"role": "assistant", "content": content}
    tool_calls = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for call_id, name, arguments in calls
    ]
    return {**message, "tool_calls": tool_calls} if tool_calls else message
