"""A streamed conversation of Bedrock's, joined: frames in, the body of the same answer unstreamed out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.providers.wire import as_dict, as_list, error_message, lenient_json, raw_text
from pytest_sparrow.recording.blocks import as_text, parse_json_text
from pytest_sparrow.recording.codec import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.eventstream import Frame

__all__ = ["join_frames"]


def join_frames(frames: Iterable[Frame]) -> tuple[dict[str, Json], Failure | None]:
    """The body that says the same, and the error that came inside the stream, or None."""
    blocks: dict[int, _Block] = {}
    body: dict[str, Json] = {}
    failure: Failure | None = None
    for frame in frames:
        event = as_dict(_json(frame.payload))
        kind = frame.headers.get(":event-type", "")
        if frame.headers.get(":message-type", "event") != "event":
            failure = failure or _failure(frame, event)
        elif kind in ("contentBlockStart", "contentBlockDelta", "contentBlockStop"):
            index = event.get("contentBlockIndex")
            block = blocks.setdefault(index if type(index) is int else len(blocks), _Block())
            block.start(as_dict(event.get("start")))
            block.add(as_dict(event.get("delta")))
            block.ended = block.ended or kind == "contentBlockStop"
        elif kind == "messageStop":
            body["stopReason"] = event.get("stopReason")
        elif kind == "metadata":
            body["usage"] = event.get("usage")
    content = [blocks[index].whole() for index in sorted(blocks)]
    return {**body, "output": {"message": {"role": "assistant", "content": content}}}, failure


def _json(payload: bytes) -> Json:
    return lenient_json(payload.decode("utf-8", "replace"))


def _failure(frame: Frame, event: dict[str, Json]) -> Failure:
    name = frame.headers.get(":exception-type") or frame.headers.get(":error-code", "")
    said = error_message(event) or frame.headers.get(":error-message", "")
    return Failure(as_text(said or name) or "an error without a message")


class _Block:
    """One content block under way. Pieces are kept in lists and joined once."""

    def __init__(self) -> None:
        self.ended = False
        self._text: list[str] = []
        self._thought: list[str] = []
        self._input: list[str] = []
        self._call: dict[str, Json] | None = None
        self._result: dict[str, Json] | None = None
        self._found: list[Json] = []

    def start(self, start: dict[str, Json]) -> None:
        """What a block's first event says of it."""
        if isinstance(start.get("toolUse"), dict):
            self._call = start["toolUse"]
        if isinstance(start.get("toolResult"), dict):
            self._result = start["toolResult"]

    def add(self, delta: dict[str, Json]) -> None:
        """A piece of it."""
        self._text.append(raw_text(delta.get("text")))
        self._thought.append(raw_text(as_dict(delta.get("reasoningContent")).get("text")))
        self._input.append(raw_text(as_dict(delta.get("toolUse")).get("input")))
        self._found += as_list(delta.get("toolResult"))

    def whole(self) -> dict[str, Json]:
        """The block as an answer has it that was not streamed; the input of a call under way is text."""
        block: dict[str, Json] = {"text": "".join(self._text)}
        if thought := "".join(self._thought):
            block["reasoningContent"] = {"reasoningText": {"text": thought}}
        if self._call is not None:
            text = "".join(self._input)
            args = text if not self.ended else parse_json_text(text) if text.strip() else {}
            block["toolUse"] = {**self._call, "input": args}
        if self._result is not None:
            block["toolResult"] = {**self._result, "content": self._found}
        return block
