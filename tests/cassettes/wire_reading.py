"""What real traffic says, read by plain walks over JSON and lines: no codec of ours, and none of its helpers.

``told_of(path)`` reads a vcrpy file; its `Said` is compared with the events that recordings and imports tell.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["Said", "Traffic", "read_file", "said_by", "sent_by", "traffic_of"]


@dataclass(slots=True)
class Said:
    """What one answer says.

    Attributes:
        text: all of the words for the user, joined.
        thought: all of the reasoning, joined.
        calls: name and arguments of each call that the agent is to make.
        hosted: names of the calls that the provider made itself.
        usage: tokens in and out; None where nobody counted.
        failed: whether something went wrong.
    """

    text: str = ""
    thought: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    hosted: list[str] = field(default_factory=list)
    usage: tuple[int, int] | None = None
    failed: bool = False

    def count(self, usage: Any, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
        """Keep token counts, if there are any."""
        usage = usage if isinstance(usage, dict) else {}
        if any(isinstance(usage.get(key), int) for key in inputs + outputs):
            self.usage = (_sum(usage, inputs), _sum(usage, outputs))

    def call(self, name: Any, arguments: Any) -> None:
        """Keep a call; text that is JSON is its value, and no arguments are none."""
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments) if arguments.strip() else {}
            except ValueError:
                pass
        self.calls.append((name, {} if arguments is None else arguments))


def _sum(usage: dict[str, Any], keys: tuple[str, ...]) -> int:
    return sum(usage.get(key) or 0 for key in keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """One exchange as its bytes.

    Attributes:
        method: the HTTP method.
        url: the URL.
        asked: the request's body, parsed where it is JSON, else None.
        status: the answer's status.
        headers: the answer's headers, lower-case.
        answered: the answer's content, uncompressed.
    """

    method: str
    url: str
    asked: Any
    status: int
    headers: dict[str, str]
    answered: bytes


def read_file(path: Path) -> list[Traffic]:
    """The exchanges of a vcrpy file."""
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    content = yaml.load(raw, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return [traffic_of(each) for each in content["interactions"]]


def traffic_of(raw: Any) -> Traffic:
    """One interaction of a vcrpy file."""
    request, response = raw["request"], raw["response"]
    headers = {
        str(name).lower(): values[0] if isinstance(values, list) and values else str(values)
        for name, values in (response.get("headers") or {}).items()
    }
    status = response.get("status", response.get("status_code"))
    return Traffic(
        method=request["method"],
        url=request["uri"],
        asked=_json(_content(request)),
        status=status["code"] if isinstance(status, dict) else status,
        headers=headers,
        answered=_content(response),
    )


def _content(half: Any) -> bytes:
    if half.get("parsed_body") is not None:
        return json.dumps(half["parsed_body"]).encode()
    body = half.get("body", half.get("content"))
    if isinstance(body, dict) and ("string" in body or "base64_string" in body):
        encoded = body.get("base64_string")
        body = base64.b64decode(encoded) if encoded else body["string"]
    if isinstance(body, dict | list):
        return json.dumps(body).encode()
    content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body or b""
    if content[:2] == b"\x1f\x8b":
        return zlib.decompressobj(31).decompress(content)
    return content


def _json(content: bytes | str) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _events(traffic: Traffic) -> list[Any] | None:
    """The JSON of each ``data:`` of a stream (or of each line, or frame); None where the answer is one JSON value."""
    if "eventstream" in traffic.headers.get("content-type", "") or traffic.answered[:2] == b"\0\0":
        return list(_frames(traffic.answered))
    if _json(traffic.answered) is not None:
        return None
    text = traffic.answered.decode("utf-8", "replace")
    found = []
    for block in re.split(r"(?:\r\n|\n|\r){2}", text):
        lines = block.splitlines() if "\u2028" not in block else re.split(r"\r\n|\n|\r", block)
        data = [line[5:].removeprefix(" ") for line in lines if line.startswith("data:")]
        if data:
            value = _json("\n".join(data))
            named = next((line[6:].strip() for line in lines if line.startswith("event:")), "")
            found.append({"error": value} if named == "error" and isinstance(value, str) else value)
    if not found:
        found = [_json(line) for line in text.splitlines()]
    return [each for each in found if isinstance(each, dict)]


def _frames(content: bytes) -> Iterator[Any]:
    """Payloads of AWS's binary stream, each under its kind; ``invoke`` wraps the maker's own events."""
    at = 0
    while len(content) - at >= 16:
        size, heads = struct.unpack_from(">II", content, at)
        head = content[at + 12 : at + 12 + heads]
        payload = _json(content[at + 12 + heads : at + size - 4])
        at += size
        names, place = {}, 0
        while place < len(head):
            length = head[place]
            name = head[place + 1 : place + 1 + length].decode()
            (width,) = struct.unpack_from(">H", head, place + 2 + length)
            names[name] = head[place + 4 + length : place + 4 + length + width].decode()
            place += 4 + length + width
        if ":exception-type" in names:
            yield {"error": payload}
        elif isinstance(payload, dict) and "bytes" in payload:
            yield _json(base64.b64decode(payload["bytes"]))
        else:
            yield {names.get(":event-type", ""): payload}


def said_by(traffic: Traffic) -> Said | None:
    """What an answer says; None where the request is no call of a model in a known format."""
    read = _reader(traffic)
    if read is None:
        return None
    said = Said(failed=traffic.status >= 400)
    if not said.failed:
        events = _events(traffic)
        read(said, _json(traffic.answered) if events is None else events)
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
    return "".join(_words(_dict(part).get("text")) if not isinstance(part, str) else part for part in _list(content))


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
        for name, arguments, _ in choice["calls"].values():
            said.call(name, arguments)


def _delta(joined: dict[str, Any], delta: dict[str, Any]) -> None:
    content = delta.get("content")
    for part in content if isinstance(content, list) else [{"type": "text", "text": content}]:
        key = "thought" if part.get("type") == "thinking" else "text"
        joined[key] += _words(part.get("thinking")) if key == "thought" else part.get("text") or ""
    joined["text"] += (delta.get("refusal") or "") + (_dict(delta.get("audio")).get("transcript") or "")
    details = (_words([each.get("text") or each.get("summary")]) for each in _list(delta.get("reasoning_details")))
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
        ends = [e["response"] for e in events if isinstance(e.get("response"), dict) and "output" in e["response"]]
        said.failed |= any(e.get("type") == "error" for e in events)
        last = ends[-1] if ends else {}
        items = _list(last.get("output")) or [e["item"] for e in events if e.get("type") == "response.output_item.done"]
        answer = {**last, "output": items}
    answer = _dict(answer)
    said.failed |= bool(answer.get("error")) or answer.get("status") == "failed"
    said.count(answer.get("usage"), ("input_tokens",), ("output_tokens",))
    for item in _list(answer.get("output")):
        if answer.get("status") in ("queued", "in_progress") or answer.get("object") == "response.compaction":
            continue
        kind = item.get("type")
        if kind == "message":
            said.text += "".join(part.get("text") or part.get("refusal") or "" for part in _list(item["content"]))
        elif kind == "reasoning":
            said.thought += _words(item.get("summary")) + _words(item.get("content"))
        elif kind in ("function_call", "custom_tool_call"):
            arguments = item.get("arguments") if kind == "function_call" else item.get("input")
            said.call(item["name"], arguments) if kind == "function_call" else said.calls.append((item["name"], arguments))
        elif kind == "tool_search_call" and item.get("execution") == "client":
            said.call("tool_search", item.get("arguments"))
        elif kind == "mcp_call":
            said.hosted.append(item["name"])
        elif kind == "mcp_list_tools" or str(kind).endswith("_call"):
            said.hosted.append(kind.removesuffix("_call"))


# Anthropic's messages.


def _messages(said: Said, answer: Any) -> None:
    usage: dict[str, Any] = {}
    if isinstance(answer, list):
        blocks: dict[int, dict[str, Any]] = {}
        for event in answer:
            said.failed |= event.get("type") == "error" or "error" in event
            usage.update(_counted(_dict(event.get("message")).get("usage")))
            usage.update(_counted(event.get("usage")))
            if event.get("type") == "content_block_start":
                blocks[event["index"]] = {**event["content_block"], "json": ""}
            delta = _dict(event.get("delta"))
            for key, to in (("text", "text"), ("thinking", "thinking"), ("partial_json", "json")):
                if key in delta and event["type"] == "content_block_delta":
                    blocks[event["index"]][to] = blocks[event["index"]].get(to, "") + delta[key]
        content = [
            {**block, "input": _json(block["json"]) if block["json"] else block.get("input")} for block in blocks.values()
        ]
    else:
        answer = _dict(answer)
        said.failed |= answer.get("type") == "error"
        usage, content = _counted(answer.get("usage")), answer.get("content")
    said.count(
        usage, ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"), ("output_tokens",)
    )
    for block in _list(content):
        if block["type"] == "text":
            said.text += block["text"]
        elif block["type"] == "thinking":
            said.thought += block["thinking"]
        elif block["type"] == "tool_use":
            said.call(block["name"], block.get("input"))
        elif block["type"].endswith("_tool_use"):
            said.hosted.append(block["name"])


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
            if str(candidate.get("finishReason")) not in ("None", "STOP", "MAX_TOKENS", "FINISH_REASON_UNSPECIFIED"):
                one.failed = True
    for one in candidates.values():
        said.text += one.text
        said.thought += one.thought
        said.calls += one.calls
        said.hosted += one.hosted
        said.failed |= one.failed and not (one.text or one.thought or one.calls or one.hosted)


def _gemini_part(said: Said, part: dict[str, Any]) -> None:
    if part.get("thought"):
        said.thought += part.get("text") or ""
    else:
        said.text += part.get("text") or ""
    call = part.get("functionCall")
    if call and "name" in call:
        said.call(call["name"], call.get("args"))
    if "executableCode" in part:
        said.hosted.append("code_execution")
    if "toolCall" in part:
        said.hosted.append(part["toolCall"]["toolType"].lower())
    if "inlineData" in part:
        said.hosted.append("inline_data")


def _grounded(candidate: dict[str, Any]) -> list[str]:
    """A mark for each thing that the provider looked up by itself, known by what it cites."""
    marks = [candidate.get("urlContextMetadata"), _dict(candidate.get("groundingMetadata")).get("groundingChunks")]
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
            said.call(call["function"]["name"], call["function"].get("arguments"))


def _converse(said: Said, answer: Any) -> None:
    if isinstance(answer, list):
        blocks: dict[int, dict[str, Any]] = {}
        body: dict[str, Any] = {}
        for kind, event in ((kind, event) for each in answer for kind, event in each.items()):
            said.failed |= kind == "error"
            block = blocks.setdefault(event.get("contentBlockIndex"), {}) if kind.startswith("contentBlock") else {}
            block.update(_dict(_dict(event).get("start")))
            for key, value in _dict(_dict(event).get("delta")).items():
                text = value if isinstance(value, str) else value.get("text", value.get("input", ""))
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
            said.call(call["name"], call.get("input"))


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
            said.call(call["function"]["name"], call["function"]["arguments"])
    else:
        calls: dict[int, list[str]] = {}
        counts = {}
        for event in answer:
            message = _dict(_dict(event.get("delta")).get("message"))
            piece = _dict(message.get("content"))
            said.text += piece.get("text") or ""
            said.thought += (message.get("tool_plan") or "") + (piece.get("thinking") or "")
            if call := _dict(message.get("tool_calls")):
                named = calls.setdefault(event["index"], [call["function"].get("name", ""), ""])
                named[1] += call["function"].get("arguments") or ""
            counts = _dict(event.get("delta")).get("usage") or counts
        for name, arguments in calls.values():
            said.call(name, arguments)
    said.count(_dict(counts).get("tokens"), ("input_tokens",), ("output_tokens",))


def _cohere_first(said: Said, answer: Any) -> None:
    whole = answer
    if isinstance(answer, list):
        whole = next((each["response"] for each in answer if each.get("event_type") == "stream-end"), {})
        whole = {"text": "".join(e.get("text") or "" for e in answer if e["event_type"] == "text-generation"), **whole}
    said.text += whole.get("text") or ""
    meta = _dict(whole.get("meta"))
    said.count(meta.get("tokens") or meta.get("billed_units"), ("input_tokens",), ("output_tokens",))
    for call in _list(whole.get("tool_calls")):
        said.call(call["name"], call.get("parameters"))


def _completions(said: Said, answer: Any) -> None:
    chunks = answer if isinstance(answer, list) else [answer]
    texts: dict[int, str] = {}
    for chunk in map(_dict, chunks):
        said.failed |= bool(chunk.get("error"))
        said.count(chunk.get("usage"), ("prompt_tokens",), ("completion_tokens",))
        said.count(chunk, ("prompt_token_count",), ("generation_token_count",))
        for choice in _list(chunk.get("choices")) + _list(chunk.get("outputs")) + _list(chunk.get("results")):
            place = choice.get("index", 0)
            texts[place] = texts.get(place, "") + (choice.get("text") or choice.get("outputText") or "")
        said.text += chunk.get("completion") or chunk.get("generation") or chunk.get("outputText") or ""
    said.text += "".join(text for _, text in sorted(texts.items()))


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
    (r"/(completions|complete)$", ("prompt",), _completions),
)
