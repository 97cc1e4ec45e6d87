"""What chat completions say, as an SDK returns them, and what the events say of them."""

from __future__ import annotations

import json
from typing import Any

from pytest_sparrow.events import Error, TokenUsage, ToolOutput, ToolUseProposed
from pytest_sparrow.providers.reading import text_block

__all__ = ["chat_compared", "sdk_facts", "with_parsed_arguments"]


def sdk_facts(results: Any) -> dict[str, Any]:
    """Texts, calls and usage of what the SDK returned: deltas joined by choice and by call index."""
    texts: Any = {}
    calls: Any = {}
    usage = None
    for result in results:
        usage = result.get("usage") or usage
        for choice in result["choices"]:
            said = choice.get("message") or choice.get("delta") or {}
            where = choice["index"]
            for key in ("content", "refusal"):
                texts[where, key] = texts.get((where, key), "") + (said.get(key) or "")
            for position, call in enumerate(said.get("tool_calls") or ()):
                at = (where, call.get("index") if "delta" in choice else position)
                name, arguments = calls.get(at, ("", ""))
                function = call.get("function") or call.get("custom") or {}
                piece = function.get("arguments") or function.get("input") or ""
                calls[at] = (name + (function.get("name") or ""), arguments + piece)
    return {
        "texts": [text for _, text in sorted(texts.items()) if text],
        "calls": [call for _, call in sorted(calls.items())],
        "usage": usage and (usage["prompt_tokens"], usage["completion_tokens"]),
    }


def with_parsed_arguments(facts: dict[str, Any]) -> dict[str, Any]:
    """The SDK leaves arguments as text; the codec parses what is JSON."""
    return {**facts, "calls": [(name, _parsed(text)) for name, text in facts["calls"]]}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def chat_compared(cassette: Any, results: Any, events: Any) -> Any:
    """What the events tell and what the traffic holds, by kind."""
    answers = [_facts(each) for each in results]
    calls = [[event.name, event.args] for event in events if isinstance(event, ToolUseProposed)]
    usage = [(event.input, event.output) for event in events if isinstance(event, TokenUsage)]
    outputs = [[event.id, list(event.blocks)] for event in events if isinstance(event, ToolOutput)]
    return {
        "texts": (_texts(events), [text for answer in answers for text in answer["texts"]]),
        "calls": (calls, [list(call) for answer in answers for call in answer["calls"]]),
        "usage": (usage, [answer["usage"] for answer in answers if answer["usage"]]),
        "outputs": (outputs, _tool_messages(cassette)),
        "errors": (
            [sum(isinstance(event, Error) for event in events)],
            [sum(answer["error"] for answer in answers)],
        ),
    }


def _facts(results: Any) -> Any:
    if "sdk_error" in results[0]:
        return {"texts": [], "calls": [], "usage": None, "error": True}
    in_stream = any("error" in result for result in results)
    return {**with_parsed_arguments(sdk_facts(results)), "error": in_stream}


def _texts(events: Any) -> list[str]:
    return [event.text for event in events if event.type == "ThinkingDelta"]


def _tool_messages(cassette: Any) -> list[Any]:
    """What the requests send back, each once."""
    found = {
        message["tool_call_id"]: [text_block(message["content"])]
        for interaction in cassette.interactions
        for message in interaction.request["messages"]
        if message["role"] == "tool" and isinstance(message["content"], str)
    }
    return [[call_id, blocks] for call_id, blocks in found.items()]
