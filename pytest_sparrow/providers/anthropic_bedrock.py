"""Amazon's binary event streams, which Bedrock sends a message's events in: read, and built.

Format: https://smithy.io/2.0/aws/amazon-eventstream.html (frames, headers), and InvokeModelWithResponseStream of
https://docs.aws.amazon.com/bedrock/latest/APIReference/ (a frame's payload is ``{"bytes": base64 of an event}``).
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from typing import TYPE_CHECKING

from pytest_sparrow.providers.replies import json_text
from pytest_sparrow.providers.sse import ServerSentEvent, parse_event_text
from pytest_sparrow.providers.wire import as_dict, error_message, header, lenient_json, path_of
from pytest_sparrow.recording.blocks import as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.exchange import Json

__all__ = ["as_binary", "binary_events", "wants_binary"]

_MEDIA_TYPE = "application/vnd.amazon.eventstream"
_PRELUDE = 12  # the frame's length, its headers' length, and a checksum of both
_STRING = 7


def wants_binary(asked: dict[str, Json]) -> bool:
    """Whether a request asks Bedrock for a stream: by its path, no key of the body says so."""
    return path_of(asked).endswith("/invoke-with-response-stream")


def binary_events(answered: dict[str, Json]) -> Iterator[ServerSentEvent] | None:
    """The events of a binary stream up to where it is torn, or None where the answer is none."""
    body = as_dict(answered.get("body"))
    if not header(answered, "content-type").startswith(_MEDIA_TYPE):
        return None
    try:
        content = base64.b64decode(as_text(body.get("base64")) or b"", validate=True)
    except (binascii.Error, ValueError):
        return None
    return _events(content or as_text(body.get("text")).encode())


def _events(content: bytes) -> Iterator[ServerSentEvent]:
    start = 0
    while start + _PRELUDE <= len(content):
        length, headers = struct.unpack_from(">II", content, start)
        payload = start + _PRELUDE + headers
        end = start + length - 4
        if not payload <= end <= len(content) - 4:
            return
        yield _event(content[start + _PRELUDE : payload], content[payload:end])
        start += length


def _event(headers: bytes, payload: bytes) -> ServerSentEvent:
    fields = lenient_json(payload.decode(errors="replace"))
    if b":exception-type" in headers or b":error-code" in headers:
        return ServerSentEvent(event="error", data=error_message(fields) or payload.decode(errors="replace"))
    try:
        data = base64.b64decode(as_text(as_dict(fields).get("bytes")).encode(), validate=True)
    except (binascii.Error, ValueError):
        data = payload
    return ServerSentEvent(event="", data=data.decode(errors="replace"))


def as_binary(reply: dict[str, Json]) -> dict[str, Json]:
    """A reply whose body is server-sent events as Bedrock would send it; one without a body stays."""
    if "body" not in reply:
        return reply
    events = map(parse_event_text, reply["body"]["sse"])
    content = b"".join(_frame_of(event) for event in events if event is not None)
    encoded = base64.b64encode(content).decode("ascii")
    return {**reply, "headers": {"content-type": _MEDIA_TYPE}, "body": {"base64": encoded}}


def _frame_of(event: ServerSentEvent) -> bytes:
    if event.event == "error":
        message = json_text({"message": error_message(lenient_json(event.data))})
        kind = {":exception-type": "internalServerException", ":message-type": "exception"}
        return _frame(kind, message.encode())
    payload = {"bytes": base64.b64encode(event.data.encode()).decode("ascii")}
    return _frame({":event-type": "chunk", ":message-type": "event"}, json_text(payload).encode())


def _frame(headers: dict[str, str], payload: bytes) -> bytes:
    pairs = {**headers, ":content-type": "application/json"}
    head = b"".join(
        struct.pack(">B", len(name))
        + name.encode()
        + struct.pack(">BH", _STRING, len(value))
        + value.encode()
        for name, value in pairs.items()
    )
    prelude = struct.pack(">II", _PRELUDE + len(head) + len(payload) + 4, len(head))
    frame = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return frame + struct.pack(">I", zlib.crc32(frame))
