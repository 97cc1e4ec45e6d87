"""Reads Anthropic's content blocks: parts of answers, tool outputs in requests, and messages joined from a stream.

Format: https://docs.claude.com/en/api/messages (content blocks of requests and answers, usage) and
https://docs.claude.com/en/docs/build-with-claude/streaming. Bedrock's ``invoke-with-response-stream`` carries the
events in a binary stream (`pytest_sparrow.wire.eventstream`): a frame's payload is ``{"bytes": base64 of an event}``,
see InvokeModelWithResponseStream of https://docs.aws.amazon.com/bedrock/latest/APIReference/.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from pytest_sparrow.providers.blocks import LazyBlocks, content_blocks, encoded_image
from pytest_sparrow.providers.codec import Output, Part, Proposal, Reasoning, Text, Usage
from pytest_sparrow.providers.reading import (
    StreamReader,
    as_dict,
    as_list,
    as_text,
    failure_of,
    holdable,
    parse_json_text,
    raw_text,
    text_block,
    usage_from,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import Failure
    from pytest_sparrow.wire.sse import ServerSentEvent

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


def tool_results(messages: list[Json]) -> list[Output]:
    """Every tool output that a conversation sends back, in its order; a hosted tool's belongs to an answer."""
    return [
        Output(
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


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedMessage:
    """What a stream said.

    Attributes:
        content: the content blocks, as an answer that wasn't streamed has them.
        usage: the last counts that came, or None.
        failure: the error that came inside the stream, or None.
    """

    content: list[Json]
    usage: Usage | None
    failure: Failure | None


def join_message(events: Iterable[ServerSentEvent]) -> JoinedMessage:
    """Join the events of one message, up to its end or the place where the stream broke."""
    message = _Message()
    stream = StreamReader(events)
    for event, data in stream:
        fields = as_dict(data)
        kind = as_text(fields.get("type")) or event.event
        if kind == "error":
            stream.fail(failure_of(data, as_text(event.data)))
        else:
            message.add(kind, fields)
    return JoinedMessage(content=message.content(), usage=usage_of(message.usage), failure=stream.failure)


class _Message:
    """The message under way."""

    def __init__(self) -> None:
        self.usage: dict[str, Json] = {}
        self._blocks: list[_JoinedBlock] = []
        self._by_index: dict[int, _JoinedBlock] = {}

    def add(self, kind: str, event: dict[str, Json]) -> None:
        match kind:
            case "message_start":
                message = as_dict(event.get("message"))
                self._count(message)
                for index, block in enumerate(as_list(message.get("content"))):
                    self._start(index, as_dict(block))
            case "content_block_start":
                self._start(event.get("index"), as_dict(event.get("content_block")))
            case "content_block_delta":
                self._delta(event.get("index"), as_dict(event.get("delta")))
            case "content_block_stop":
                if block := self._block(event.get("index")):
                    block.finished = True
            case "message_delta" | "message_stop":
                self._count(event)
                for block in self._blocks:
                    block.finished = True
            case _:  # ping, and what the API may add
                pass

    def _count(self, holder: dict[str, Json]) -> None:
        # Counts are cumulative: a later one replaces an earlier one, and those left out stay.
        usage = as_dict(holder.get("usage"))
        self.usage.update({key: count for key, count in usage.items() if count is not None})

    def _start(self, index: Json, begun: dict[str, Json]) -> _JoinedBlock:
        block = _JoinedBlock(begun)
        self._blocks.append(block)
        if type(index) is int:
            self._by_index[index] = block
        return block

    def _block(self, index: Json) -> _JoinedBlock | None:
        if type(index) is int:
            return self._by_index.get(index)
        return self._blocks[-1] if self._blocks else None

    def _delta(self, index: Json, delta: dict[str, Json]) -> None:
        # A block whose beginning never came still has what its deltas say.
        kind = "thinking" if "thinking" in delta else "text"
        block = self._block(index) or self._start(index, {"type": kind})
        block.add(delta)

    def content(self) -> list[Json]:
        return [block.whole() for block in self._blocks]


@dataclass(slots=True)
class _JoinedBlock:
    """One content block under way. Fragments are kept in lists and joined once: ``+=`` would be quadratic."""

    begun: dict[str, Json]
    finished: bool = False
    _pieces: dict[str, list[str]] = field(default_factory=dict)

    def add(self, delta: dict[str, Json]) -> None:
        for key in ("text", "thinking", "partial_json"):
            if piece := raw_text(delta.get(key)):
                self._pieces.setdefault(key, []).append(piece)

    def whole(self) -> dict[str, Json]:
        """The block in the shape of an answer that wasn't streamed."""
        block = dict(self.begun)
        for key in ("text", "thinking"):
            if key in self._pieces:
                block[key] = raw_text(block.get(key)) + "".join(self._pieces[key])
        text = "".join(self._pieces.get("partial_json", ()))
        if text.strip():
            block["input"] = parse_json_text(text)
        elif not self.finished and not block.get("input"):
            block["input"] = ""  # {} would say that the call is whole, and takes no arguments
        return block
