"""What real traffic says, read by plain walks over JSON and lines: no codec of ours, and none of its helpers.

`wire_compared` compares it with the events that recordings and imports of a vcrpy file hold.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from .wire_files import events_of, parsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from .wire_files import Traffic

__all__ = ["Said", "said_by"]


@dataclass(slots=True)
class Said:
    """What one answer says.

    Attributes:
        text: all of the words for the user, joined.
        thought: all of the reasoning, joined.
        calls: name and arguments of each call that the agent is to make.
        ids: the ids of these calls, where they have any.
        hosted: names of the calls that the provider made itself.
        usage: tokens in and out; None where nobody counted.
        failed: whether something went wrong.
    """

    text: str = ""
    thought: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    hosted: list[str] = field(default_factory=list)
    usage: tuple[int, int] | None = None
    failed: bool = False

    def count(self, usage: Any, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
        """Keep token counts, if there are any."""
        usage = usage if isinstance(usage, dict) else {}
        if any(isinstance(usage.get(key), int) for key in inputs + outputs):
            self.usage = (_sum(usage, inputs), _sum(usage, outputs))

    def call(self, call_id: Any, name: Any, arguments: Any) -> None:
        """Keep a call; text that is JSON is its value, and no arguments are none."""
        if isinstance(arguments, str):
            with suppress(ValueError):
                arguments = json.loads(arguments) if arguments.strip() else {}
        self.ids |= {call_id} - {None, ""}
        self.calls.append((name, {} if arguments is None else arguments))


def _sum(usage: dict[str, Any], keys: tuple[str, ...]) -> int:
    return sum(usage.get(key) or 0 for key in keys)


def said_by(traffic: Traffic) -> Said | None:
    """What an answer says; None where the request is no call of a model in a known format."""
    read = _reader(traffic)
    if read is None:
        return None
    said = Said(failed=traffic.status >= 400)
    if not said.failed:
        events = events_of(traffic)
        read(said, parsed(traffic.answered) if events is None else events)
    sides = ("input", "output")
    counted = [traffic.headers.get(f"x-amzn-bedrock-{side}-token-count", "") for side in sides]
    if all(map(str.isdigit, counted)):  # of Bedrock's invoke
        said.usage = (int(counted[0]), int(counted[1]))
    return said


def _reader(traffic: Traffic) -> Callable[[Said, Any], None] | None:
    path = unquote(urlsplit(traffic.url).path).rstrip("/")
    asked = traffic.asked if isinstance(traffic.asked, dict) else {}
    for pattern, wanted, read in _FORMATS:
        if re.search(pattern, path) and (not wanted or any(key in asked for key in wanted)):
            return read
    return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _words(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(
        _words(_dict(part).get("text")) if not isinstance(part, str) else part for part in _list(content)
    )


# OpenAI's chat.


def _chat(said: Said, answer: Any) -> None:
    chunks = answer if isinstance(answer, list) else [answer]
    choices: dict[int, dict[str, Any]] = {}
    for chunk in map(_dict, chunks):
        said.failed |= bool(chunk.get("error"))
        usage = chunk.get("usage") or _dict(chunk.get("x_groq")).get("usage")
        said.count(usage, ("prompt_tokens",), ("completion_tokens",))
        for choice in _list(chunk.get("choices")):
            said.failed |= bool(choice.get("error"))
            joined = choices.setdefault(choice.get("index", 0), {"text": "", "thought": "", "calls": {}})
            _delta(joined, choice.get("delta") or choice.get("message") or {})
    for _, choice in sorted(choices.items()):
        said.text += choice["text"]
        said.thought += choice["thought"]
        for name, arguments, call_id in choice["calls"].values():
            said.call(call_id, name, arguments)


def _delta(joined: dict[str, Any], delta: dict[str, Any]) -> None:
    content = delta.get("content")
    for part in content if isinstance(content, list) else [{"type": "text", "text": content}]:
        key = "thought" if part.get("type") == "thinking" else "text"
        joined[key] += _words(part.get("thinking")) if key == "thought" else part.get("text") or ""
    joined["text"] += (delta.get("refusal") or "") + (_dict(delta.get("audio")).get("transcript") or "")
    details = (
        _words([each.get("text") or each.get("summary")]) for each in _list(delta.get("reasoning_details"))
    )
    thoughts = (delta.get("reasoning_content"), delta.get("reasoning"), "".join(details))
    joined["thought"] += next((each for each in thoughts if each), "")
    calls = _list(delta.get("tool_calls"))
    if delta.get("function_call"):
        calls = [*calls, {"index": "legacy", "function": delta["function_call"]}]
    for number, call in enumerate(calls):
        place = call.get("index", number)
        if call.get("id") and place in joined["calls"] and call["id"] not in joined["calls"][place][2:]:
            place = call["id"]
        function = _dict(call.get("function") or call.get("custom"))
        old = joined["calls"].get(place, ("", "", call.get("id")))
        piece = function.get("arguments", function.get("input"))
        arguments = piece if isinstance(piece, dict) else old[1] + (piece or "")
        name = function.get("name") or ""
        joined["calls"][place] = (old[0] if name == old[0] else old[0] + name, arguments, old[2])


# OpenAI's responses.


def _responses(said: Said, answer: Any) -> None:
    if isinstance(answer, list):
        events = answer
        ends = [
            e["response"] for e in events if isinstance(e.get("response"), dict) and "output" in e["response"]
        ]
        said.failed |= any(e.get("type") == "error" for e in events)
        last = ends[-1] if ends else {}
        items = _list(last.get("output")) or [
            e["item"] for e in events if e.get("type") == "response.output_item.done"
        ]
        answer = {**last, "output": items}
    answer = _dict(answer)
    said.failed |= bool(answer.get("error")) or answer.get("status") == "failed"
    said.count(answer.get("usage"), ("input_tokens",), ("output_tokens",))
    for item in _list(answer.get("output")):
        if answer.get("status") in ("queued", "in_progress") or answer.get("object") == "response.compaction":
            continue
        kind = item.get("type")
        if kind == "message":
            said.text += "".join(
                part.get("text") or part.get("refusal") or "" for part in _list(item["content"])
            )
        elif kind == "reasoning":
            said.thought += _words(item.get("summary")) + _words(item.get("content"))
        elif kind in ("function_call", "tool_search_call") and item.get("execution") != "server":
            said.call(item.get("call_id"), item.get("name", "tool_search"), item.get("arguments"))
        elif kind == "custom_tool_call":
            said.call(item["call_id"], item["name"], json.dumps(item["input"]))
        elif kind == "mcp_call":
            said.hosted.append(item["name"])
        elif kind == "mcp_list_tools" or str(kind).endswith("_call"):
            said.hosted.append(kind.removesuffix("_call"))


# Anthropic's messages.


def _messages(said: Said, answer: Any) -> None:
    if isinstance(answer, list):
        content, usage = _joined_message(said, answer)
    else:
        said.failed |= _dict(answer).get("type") == "error"
        content, usage = _list(_dict(answer).get("content")), _counted(_dict(answer).get("usage"))
    cached = ("cache_creation_input_tokens", "cache_read_input_tokens")
    said.count(usage, ("input_tokens", *cached), ("output_tokens",))
    for block in content:
        if block["type"] == "text":
            said.text += block["text"]
        elif block["type"] == "thinking":
            said.thought += block["thinking"]
        elif block["type"] == "tool_use":
            said.call(block["id"], block["name"], block.get("input"))
        elif block["type"].endswith("_tool_use"):
            said.hosted.append(block["name"])


def _joined_message(said: Said, events: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    usage: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for event in events:
        said.failed |= event.get("type") == "error" or "error" in event
        usage.update(_counted(_dict(event.get("message")).get("usage")))
        usage.update(_counted(event.get("usage")))
        if event.get("type") == "content_block_start":
            blocks[event["index"]] = {**event["content_block"], "json": ""}
        if event.get("type") == "content_block_delta":
            block, delta = blocks[event["index"]], event["delta"]
            for key, to in (("text", "text"), ("thinking", "thinking"), ("partial_json", "json")):
                block[to] = block.get(to, "") + delta.get(key, "")
    whole = [
        {**block, "input": block["json"] or block.get("input"), "text": block.get("text", "")}
        for block in blocks.values()
    ]
    return whole, usage


def _counted(usage: Any) -> dict[str, Any]:
    return {key: count for key, count in _dict(usage).items() if count is not None}


# Gemini.


def _gemini(said: Said, answer: Any) -> None:
    candidates: dict[int, Said] = {}
    for chunk in map(_dict, answer if isinstance(answer, list) else [answer]):
        said.failed |= "error" in chunk or "blockReason" in _dict(chunk.get("promptFeedback"))
        said.count(
            chunk.get("usageMetadata"),
            ("promptTokenCount", "toolUsePromptTokenCount"),
            ("candidatesTokenCount", "thoughtsTokenCount"),
        )
        for number, candidate in enumerate(_list(chunk.get("candidates"))):
            one = candidates.setdefault(candidate.get("index", number), Said())
            for part in _list(_dict(candidate.get("content")).get("parts")):
                _gemini_part(one, part)
            one.hosted += _grounded(candidate)
            one.failed |= str(candidate.get("finishReason")) not in _ENDS
    for one in candidates.values():
        said.text += one.text
        said.thought += one.thought
        said.calls += one.calls
        said.hosted += one.hosted
        said.failed |= one.failed and not (one.text or one.thought or one.calls or one.hosted)


_ENDS = ("None", "STOP", "MAX_TOKENS", "FINISH_REASON_UNSPECIFIED", "2")


def _gemini_part(said: Said, part: dict[str, Any]) -> None:
    if part.get("thought"):
        said.thought += part.get("text") or ""
    else:
        said.text += part.get("text") or ""
    call = part.get("functionCall")
    if call and "name" in call:
        said.call(call.get("id"), call["name"], call.get("args"))
    if "executableCode" in part:
        said.hosted.append("code_execution")
    if "toolCall" in part:
        said.hosted.append(part["toolCall"]["toolType"].lower())
    if "inlineData" in part:
        said.hosted.append("inline_data")


def _grounded(candidate: dict[str, Any]) -> list[str]:
    """A mark for each thing that the provider looked up by itself, known by what it cites."""
    marks = [
        candidate.get("urlContextMetadata"),
        _dict(candidate.get("groundingMetadata")).get("groundingChunks"),
    ]
    return ["(grounding)" for each in marks if each]


# The others.


def _ollama(said: Said, answer: Any) -> None:
    for chunk in map(_dict, answer if isinstance(answer, list) else [answer]):
        message = _dict(chunk.get("message"))
        said.failed |= "error" in chunk
        said.text += message.get("content") or chunk.get("response") or ""
        said.thought += message.get("thinking") or chunk.get("thinking") or ""
        said.count(chunk, ("prompt_eval_count",), ("eval_count",))
        for call in _list(message.get("tool_calls")):
            said.call(None, call["function"]["name"], call["function"].get("arguments"))


def _converse(said: Said, answer: Any) -> None:
    if isinstance(answer, list):
        blocks: dict[int, dict[Any, Any]] = {}
        body: dict[str, Any] = {}
        for kind, event in ((kind, event) for each in answer for kind, event in each.items()):
            said.failed |= kind == "error"
            block = (
                blocks.setdefault(event.get("contentBlockIndex"), {})
                if kind.startswith("contentBlock")
                else {}
            )
            block.update(_dict(_dict(event).get("start")))
            for key, value in _dict(_dict(event).get("delta")).items():
                found = _dict(value)
                text = value if isinstance(value, str) else found.get("text", found.get("input", ""))
                block[key, "pieces"] = block.get((key, "pieces"), "") + (text or "")
            body.update(event if kind == "metadata" else {})
        content = [_converse_block(block) for block in blocks.values()]
    else:
        body = _dict(answer)
        content = _list(_dict(_dict(body.get("output")).get("message")).get("content"))
    inputs = ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
    said.count(body.get("usage"), inputs, ("outputTokens",))
    for block in content:
        said.text += block.get("text") or _words(_dict(block.get("citationsContent")).get("content"))
        said.thought += _dict(_dict(block.get("reasoningContent")).get("reasoningText")).get("text") or ""
        call = block.get("toolUse")
        if call and call.get("type") == "server_tool_use":
            said.hosted.append(call["name"])
        elif call:
            said.call(call["toolUseId"], call["name"], call.get("input"))


def _converse_block(block: dict[Any, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = {"text": block.get(("text", "pieces"), "")}
    if thought := block.get(("reasoningContent", "pieces")):
        whole["reasoningContent"] = {"reasoningText": {"text": thought}}
    if "toolUse" in block:
        whole["toolUse"] = {**block["toolUse"], "input": block.get(("toolUse", "pieces"), "")}
    return whole


def _cohere(said: Said, answer: Any) -> None:
    if not isinstance(answer, list):
        message, counts = _dict(answer["message"]), answer.get("usage")
        said.text += "".join(part.get("text") or "" for part in _list(message.get("content")))
        said.thought += (message.get("tool_plan") or "") + "".join(
            part.get("thinking") or "" for part in _list(message.get("content"))
        )
        for call in _list(message.get("tool_calls")):
            said.call(call.get("id"), call["function"]["name"], call["function"]["arguments"])
    else:
        calls: dict[int, list[Any]] = {}
        counts = {}
        for event in answer:
            message = _dict(_dict(event.get("delta")).get("message"))
            piece = _dict(message.get("content"))
            said.text += piece.get("text") or ""
            said.thought += (message.get("tool_plan") or "") + (piece.get("thinking") or "")
            if call := _dict(message.get("tool_calls")):
                named = calls.setdefault(
                    event["index"], [call.get("id"), call["function"].get("name", ""), ""]
                )
                named[2] += call["function"].get("arguments") or ""
            counts = _dict(event.get("delta")).get("usage") or counts
        for call_id, name, arguments in calls.values():
            said.call(call_id, name, arguments)
    said.count(_dict(counts).get("tokens"), ("input_tokens",), ("output_tokens",))


def _cohere_first(said: Said, answer: Any) -> None:
    whole = answer
    if isinstance(answer, list):
        whole = next((each["response"] for each in answer if each.get("event_type") == "stream-end"), {})
        pieces = (each.get("text") or "" for each in answer if each["event_type"] == "text-generation")
        whole = {"text": "".join(pieces), **whole}
    said.text += whole.get("text") or ""
    meta = _dict(whole.get("meta"))
    said.count(meta.get("tokens") or meta.get("billed_units"), ("input_tokens",), ("output_tokens",))
    for call in _list(whole.get("tool_calls")):
        said.call(None, call["name"], call.get("parameters"))


def _completions(said: Said, answer: Any) -> None:
    texts: dict[int, str] = {}
    counts: dict[str, int] = {}
    for chunk in map(_dict, answer if isinstance(answer, list) else [answer]):
        said.failed |= bool(chunk.get("error"))
        billed = _dict(chunk.get("meta")).get("billed_units")
        for holder in (chunk, chunk.get("usage"), chunk.get("amazon-bedrock-invocationMetrics"), billed):
            counts |= {key: count for key, count in _dict(holder).items() if key in _COUNTS}
        lists = (
            _list(chunk.get(key)) for key in ("choices", "outputs", "results", "generations", "completions")
        )
        for choice in (each for found in lists for each in found):
            place = choice.get("index", 0)
            texts[place] = (
                texts.get(place, "")
                + next((choice[key] for key in _TEXTS if key in choice), "")
                + _words([choice.get("data")])
            )
        said.text += next((chunk[key] for key in _TEXTS if isinstance(chunk.get(key), str)), "")
    said.text += "".join(text for _, text in sorted(texts.items()))
    said.count(counts, _COUNTS[::2], _COUNTS[1::2])


_TEXTS = ("text", "outputText", "completion", "generation")
_COUNTS = (
    *("prompt_tokens", "completion_tokens", "inputTokenCount", "outputTokenCount"),
    *("prompt_token_count", "generation_token_count", "input_tokens", "output_tokens"),
)


_FORMATS: tuple[tuple[str, tuple[str, ...], Callable[[Said, Any], None]], ...] = (
    (r"/api/(chat|generate)$", ("model",), _ollama),
    (r"/messages$", ("messages",), _messages),
    (r"/model/[^/]*(anthropic|claude)[^/]*/invoke(-with-response-stream)?$", ("messages",), _messages),
    (r":(stream)?[rR]awPredict$", ("anthropic_version",), _messages),
    (r"/v2/chat$", ("messages",), _cohere),
    (r"/chat$", ("message",), _cohere_first),
    (r"/(chat/completions|chat)$", ("messages",), _chat),
    (r"/responses(/compact)?$", ("input", "prompt", "previous_response_id"), _responses),
    (r"/responses/resp_\w+$", (), _responses),
    (r":(generateContent|streamGenerateContent)$", ("contents",), _gemini),
    (r"/converse(-stream)?$", ("messages",), _converse),
    (r"/model/.*nova[^/]*/invoke(-with-response-stream)?$", ("messages",), _converse),
    (r"/(completions|complete|v1/generate)$", ("prompt",), _completions),
    (r"/model/[^/]*(mistral|deepseek|openai)[^/]*/invoke(-with-response-stream)?$", ("messages",), _chat),
    (r"/model/.*/invoke(-with-response-stream)?$", ("prompt", "inputText"), _completions),
)
