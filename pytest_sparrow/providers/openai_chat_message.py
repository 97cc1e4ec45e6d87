"""One chat message, whole: an answer's parts, a request's tool outputs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_sparrow.providers.blocks import LazyBlocks, content_blocks, image_block
from pytest_sparrow.providers.call_ids import CallIds, OpenCalls
from pytest_sparrow.providers.values import arguments_of, holdable, usage_from
from pytest_sparrow.providers.wire import as_dict, as_list, failure_of, raw_text, spoken_text
from pytest_sparrow.recording.blocks import as_text, text_block
from pytest_sparrow.recording.codec import Failure, Part, Proposal, Reasoning, Text, ToolResult, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.exchange import Json

__all__ = ["ask_ids", "failure_in", "message_parts", "reasoning_text", "tool_results", "usage_of"]


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
            return Proposal(call_id, as_text(custom.get("name")), holdable(custom.get("input")))
        function = as_dict(self._call.get("function")) or self._call
        return Proposal(call_id, as_text(function.get("name")), arguments_of(function.get("arguments")))


def ask_ids(messages: list[Json]) -> CallIds:
    """The ids that an answer goes on with: some hosts give none, and the legacy format has none."""
    return CallIds(sum(1 for message in messages for call in _calls(as_dict(message)) if not call.id))


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
        yield call.proposal(ids.fill(call.id))


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


def tool_results(messages: list[Json]) -> list[ToolResult]:
    """Every tool output of a conversation, in its order (roles ``tool`` and, legacy, ``function``)."""
    results: list[ToolResult] = []
    ids, unnamed = CallIds(), OpenCalls()
    for message in map(as_dict, messages):
        for call in _calls(message):
            if not call.id:
                unnamed.proposed(ids.fill(""), wire="", name="")
        if message.get("role") not in ("tool", "function"):
            continue
        # One without an id answers the oldest call without an id. Where there is none either, nothing can be said.
        call_id = as_text(message.get("tool_call_id")) or unnamed.answered(wire="", name="")
        if call_id:
            blocks = LazyBlocks(partial(content_blocks, message.get("content"), _known))
            results.append(ToolResult(id=call_id, blocks=blocks))
    return results


def _known(part: dict[str, Json]) -> Json | None:
    """A text or an image as a block; a URL, a file and audio have none."""
    if part.get("type") == "text" and isinstance(part.get("text"), str):
        return text_block(part["text"])
    image = part.get("image_url") if part.get("type") == "image_url" else None
    return image_block(as_text(image) or as_text(as_dict(image).get("url")))


def usage_of(answer: dict[str, Json]) -> Usage | None:
    """Tokens of an answer or a chunk (Groq's streams hold them in ``x_groq``); None where they are absent."""
    for usage in (as_dict(answer.get("usage")), as_dict(as_dict(answer.get("x_groq")).get("usage"))):
        if found := usage_from((usage.get("prompt_tokens"),), (usage.get("completion_tokens"),)):
            return found
    return None


def failure_in(body: Json) -> Failure | None:
    """An error inside an answer or a chunk of status 200, as OpenRouter sends it for all of it or for one choice."""
    answer = as_dict(body)
    holders = (answer, *map(as_dict, as_list(answer.get("choices"))))
    return next((failure_of(holder["error"]) for holder in holders if holder.get("error")), None)
