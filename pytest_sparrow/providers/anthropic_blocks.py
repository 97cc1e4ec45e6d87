"""Anthropic's content blocks: an answer's parts, a request's tool outputs, a message as every turn repeats it.

Format: https://docs.claude.com/en/api/messages (content blocks of requests and answers, usage).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_sparrow.providers.blocks import LazyBlocks, content_blocks, encoded_image
from pytest_sparrow.providers.values import holdable, usage_from
from pytest_sparrow.providers.wire import as_dict, as_list
from pytest_sparrow.recording.blocks import as_text, text_block
from pytest_sparrow.recording.codec import Output, Part, Proposal, Reasoning, Text, ToolResult, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.exchange import Json

__all__ = ["answer_parts", "output_blocks", "plain_message", "says_error", "tool_results", "usage_of"]

# tool_result > search_result or document > source > content > text is as deep as the format goes.
_LEVELS = 10


def answer_parts(content: Json) -> Iterator[Part]:
    """The parts of an answer's content; a block without a text (redacted thinking, an upload) is none."""
    if text := as_text(content):  # not the API's own, but what some gateways send
        yield Text(text)
    for block in map(as_dict, as_list(content)):
        kind = as_text(block.get("type"))
        if kind == "text" and (text := as_text(block.get("text"))):
            yield Text(text)
        elif kind == "thinking" and (text := as_text(block.get("thinking"))):
            yield Reasoning(text)
        elif kind == "tool_use" or kind.endswith("_tool_use"):
            # server_tool_use, mcp_tool_use: run by the provider. A client's own tools all have the bare type.
            yield _proposal(block, hosted=kind != "tool_use")
        elif kind.endswith("_tool_result"):
            blocks = output_blocks(block.get("content"))
            yield Output(as_text(block.get("tool_use_id")), blocks, says_error(block))


def _proposal(block: dict[str, Json], *, hosted: bool) -> Proposal:
    args = holdable(block.get("input", {}))
    return Proposal(as_text(block.get("id")), as_text(block.get("name")), args, hosted)


def says_error(block: dict[str, Json]) -> bool:
    """Whether a result is an error: by its ``is_error``, else by the type of its content (``…_error``)."""
    flag = block.get("is_error")
    if isinstance(flag, bool):
        return flag
    return as_text(as_dict(block.get("content")).get("type")).endswith("_error")


def output_blocks(content: Json) -> list[Json]:
    """The content of a result as the cockpit's blocks: a text, one object of a hosted tool, or a list."""
    return content_blocks(content, _known)


def _known(part: dict[str, Json]) -> Json | None:
    """A text or an image as a block; a link, a document and a search result have none."""
    if part.get("type") == "text" and isinstance(part.get("text"), str):
        return text_block(part["text"])
    source = as_dict(part.get("source"))
    if part.get("type") != "image" or source.get("type") != "base64":
        return None
    return encoded_image(as_text(source.get("data")), as_text(source.get("media_type")))


def tool_results(messages: list[Json]) -> list[ToolResult]:
    """Every tool output that a conversation sends back, in its order; a hosted tool's belongs to an answer."""
    return [
        ToolResult(
            id=as_text(block.get("tool_use_id")),
            blocks=LazyBlocks(partial(output_blocks, block.get("content"))),
            is_error=block.get("is_error") is True,
        )
        for message in map(as_dict, messages)
        for block in map(as_dict, as_list(message.get("content")))
        if block.get("type") == "tool_result"
    ]


def plain_message(message: Json) -> Json:
    """A message as every later request repeats it.

    A text alone is a list of one text block, and breakpoints of the prompt cache (``cache_control``), which
    clients move to the newest message each turn, are left out.
    """
    fields = as_dict(message)
    content = fields.get("content")
    if isinstance(content, str):
        return {**fields, "content": [{"type": "text", "text": content}]}
    return {**fields, "content": [_without_breakpoints(block, _LEVELS) for block in as_list(content)]}


def _without_breakpoints(value: Json, levels: int) -> Json:
    if levels == 0:
        return value
    if isinstance(value, list):
        return [_without_breakpoints(item, levels - 1) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        # An input is the user's own data, whatever its keys are called.
        key: item if key == "input" else _without_breakpoints(item, levels - 1)
        for key, item in value.items()
        if key != "cache_control"
    }


def usage_of(usage: dict[str, Json]) -> Usage | None:
    """Tokens of an answer; None where they are absent, or all 0 (no answer costs nothing: nobody counted).

    Input is the sum of ``input_tokens`` (those after the last breakpoint of the prompt cache),
    ``cache_creation_input_tokens`` and ``cache_read_input_tokens``, which the reference calls the total: it
    doesn't depend on whether the cache was warm, and counts what other providers count.
    """
    inputs = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    counts = usage_from(tuple(map(usage.get, inputs)), (usage.get("output_tokens"),))
    return counts if counts != Usage(0, 0) else None
