"""One chat message, whole: an answer's parts, a request's tool outputs."""

from __future__ import annotations

import json
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events import jsontext
from pytest_sparrow.providers.blocks import LazyBlocks, image_block
from pytest_sparrow.providers.wire import as_dict, as_list, raw_text
from pytest_sparrow.recording.blocks import as_text, parse_json_text, text_block
from pytest_sparrow.recording.codec import Part, Proposal, Reasoning, Text, ToolResult, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.exchange import Json

__all__ = ["CallIds", "message_parts", "reasoning_text", "spoken_text", "tool_results", "usage_of"]

_U64_MAX = 2**64 - 1


class _Call:
    """One entry of ``tool_calls``, or the legacy ``function_call``; arguments are parsed when asked for."""

    __slots__ = ("_call", "id")

    def __init__(self, call: dict[str, Json]) -> None:
        self._call = call
        self.id = as_text(call.get("id"))

    def proposal(self, call_id: str) -> Proposal:
        custom = self._call.get("custom")
        if isinstance(custom, dict):
            # A custom tool takes free text by definition: it stays text even where it looks like JSON.
            return Proposal(call_id, as_text(custom.get("name")), _own_text(custom.get("input")))
        function = as_dict(self._call.get("function")) or self._call
        return Proposal(call_id, as_text(function.get("name")), _arguments(function.get("arguments")))


class CallIds:
    """Ids for calls that the provider gave none (the legacy ``function_call``; hosts that send no id).

    The n-th such call of a conversation is ``call-n``, in the answer that proposes it and in every request
    that repeats it, so that a proposal and its output still find each other.
    """

    def __init__(self, messages: list[Json]) -> None:
        self._count = sum(1 for message in messages for call in _calls(as_dict(message)) if not call.id)

    def fill(self, call: _Call) -> str:
        """The call's own id, or the next one of ours."""
        if call.id:
            return call.id
        self._count += 1
        return f"call-{self._count}"


def _own_text(value: Json) -> Json:
    return as_text(value) if isinstance(value, str) else _holdable(value)


def _holdable(value: Json) -> Json:
    """A value that came as JSON, or its text where an event could not hold it (NaN, too deep)."""
    try:
        jsontext.encode({"args": value})
    except NotRecordable:
        try:
            return json.dumps(value)
        except (ValueError, TypeError, RecursionError):
            return "(arguments that JSON cannot hold)"
    return value


def _arguments(value: Json) -> Json:
    """Parsed arguments. Absent or empty ones mean "none", as every SDK's helper reads them: ``{}``."""
    if value is None:
        return {}
    if not isinstance(value, str):
        return _holdable(value)
    return parse_json_text(value) if value.strip() else {}


def _calls(message: dict[str, Json]) -> Iterator[_Call]:
    calls = [call for call in as_list(message.get("tool_calls")) if isinstance(call, dict)]
    legacy = message.get("function_call")
    if isinstance(legacy, dict):
        calls.append(legacy)
    return map(_Call, calls)


def message_parts(message: dict[str, Json], ids: CallIds) -> Iterator[Part]:
    """The parts of an answer's message: reasoning, then text, then calls; empty text is no part."""
    if thought := as_text(reasoning_text(message)):
        yield Reasoning(thought)
    yield from _content_parts(message.get("content"))
    for said in (message.get("refusal"), as_dict(message.get("audio")).get("transcript")):
        if text := as_text(said):
            yield Text(text)
    for call in _calls(message):
        yield call.proposal(ids.fill(call))


def reasoning_text(message: dict[str, Json]) -> str:
    """Private reasoning beside the content, as a message or a chunk holds it.

    ``reasoning_content`` (DeepSeek, vLLM), ``reasoning`` (Groq, OpenRouter), else OpenRouter's
    ``reasoning_details``. Hosts that send two of them say the same twice.
    """
    for key in ("reasoning_content", "reasoning"):
        if text := raw_text(message.get(key)):
            return text
    details = map(as_dict, as_list(message.get("reasoning_details")))
    return "".join(raw_text(detail.get("text")) or raw_text(detail.get("summary")) for detail in details)


def _content_parts(content: Json) -> Iterator[Part]:
    if text := as_text(content):
        yield Text(text)
    for part in as_list(content):
        block = as_dict(part)
        if block.get("type") == "thinking":  # Mistral; its text is a list of text parts
            if thought := as_text(spoken_text(block.get("thinking"), joint="")):
                yield Reasoning(thought)
        elif text := as_text(part) or as_text(block.get("text")) or as_text(block.get("refusal")):
            yield Text(text)


def spoken_text(content: Json, *, joint: str = "\n") -> str:
    """The text of a string, or of the text parts of a list, as it came."""
    parts = (raw_text(part) or raw_text(as_dict(part).get("text")) for part in as_list(content))
    return raw_text(content) or joint.join(part for part in parts if part)


def tool_results(messages: list[Json]) -> list[ToolResult]:
    """Every tool output of a conversation, in its order (roles ``tool`` and, legacy, ``function``)."""
    results: list[ToolResult] = []
    waiting: deque[str] = deque()
    ids = CallIds([])
    for message in map(as_dict, messages):
        waiting.extend(ids.fill(call) for call in _calls(message) if not call.id)
        if message.get("role") not in ("tool", "function"):
            continue
        call_id = as_text(message.get("tool_call_id"))
        if not call_id:
            # It answers the oldest call without an id. Where there is none either, nothing can be said.
            if not waiting:
                continue
            call_id = waiting.popleft()
        results.append(ToolResult(id=call_id, blocks=LazyBlocks(partial(_blocks, message.get("content")))))
    return results


def _blocks(content: Json) -> list[Json]:
    if content is None:
        return []
    if isinstance(content, str):
        return [text_block(content)]
    if isinstance(content, list):
        return [_block(part) for part in content]
    return [{"Json": content}]


def _block(part: Json) -> Json:
    """A content part as a block; what has no block of its own (a URL, a file, audio) is kept as Json."""
    if isinstance(part, str):
        return text_block(part)
    kind, fields = as_dict(part).get("type"), as_dict(part)
    if kind == "text" and isinstance(fields.get("text"), str):
        return text_block(fields["text"])
    image = fields.get("image_url") if kind == "image_url" else None
    url = as_text(image) or as_text(as_dict(image).get("url"))
    return image_block(url) or {"Json": part}


def usage_of(
    answer: dict[str, Json], *, names: tuple[str, str] = ("prompt_tokens", "completion_tokens")
) -> Usage | None:
    """Tokens of an answer or a chunk (Groq's streams hold them in ``x_groq``); None where they are absent."""
    for usage in (as_dict(answer.get("usage")), as_dict(as_dict(answer.get("x_groq")).get("usage"))):
        counts = _count(usage.get(names[0])), _count(usage.get(names[1]))
        if counts != (None, None):
            return Usage(counts[0] or 0, counts[1] or 0)
    return None


def _count(value: Json) -> int | None:
    return value if type(value) is int and 0 <= value <= _U64_MAX else None
