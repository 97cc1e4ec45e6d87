"""A streamed message of Anthropic's, joined: events in, the content of the same answer unstreamed out.

Format: https://docs.claude.com/en/docs/build-with-claude/streaming.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_sparrow.providers.anthropic_blocks import usage_of
from pytest_sparrow.providers.wire import StreamReader, as_dict, as_list, failure_of, raw_text
from pytest_sparrow.recording.blocks import as_text, parse_json_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.sse import ServerSentEvent
    from pytest_sparrow.recording.codec import Failure, Usage

__all__ = ["JoinedMessage", "join_message"]


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
    """Join the events of one message, to its end or to wherever the stream broke."""
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
        self._blocks: list[_Block] = []
        self._by_index: dict[int, _Block] = {}

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

    def _start(self, index: Json, begun: dict[str, Json]) -> _Block:
        block = _Block(begun)
        self._blocks.append(block)
        if type(index) is int:
            self._by_index[index] = block
        return block

    def _block(self, index: Json) -> _Block | None:
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
class _Block:
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
