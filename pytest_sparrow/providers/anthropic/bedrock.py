"""Reads and builds Anthropic's events in the binary stream of Bedrock's ``invoke-with-response-stream``.

Format: InvokeModelWithResponseStream of https://docs.aws.amazon.com/bedrock/latest/APIReference/ (a frame's payload is
``{"bytes": base64 of an event}``); for the frames see `pytest_sparrow.wire.eventstream`.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from pytest_sparrow.providers.reading import (
    as_dict,
    as_text,
    error_message,
    header,
    lenient_json,
    path_of,
    raw_bytes,
)
from pytest_sparrow.wire.eventstream import MEDIA_TYPE, Frame, frames_of, frames_reply, json_frame
from pytest_sparrow.wire.sse import ServerSentEvent, parse_event_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.exchange import Json

__all__ = ["as_binary", "binary_events", "wants_binary"]


def wants_binary(asked: dict[str, Json]) -> bool:
    """Whether a request asks Bedrock for a stream: by its path, no key of the body says so."""
    return path_of(asked).endswith("/invoke-with-response-stream")


def binary_events(answered: dict[str, Json]) -> Iterator[ServerSentEvent] | None:
    """The events of a binary stream up to where it is torn, or None where the answer is none."""
    content = raw_bytes(answered)
    if content is None or not header(answered, "content-type").startswith(MEDIA_TYPE):
        return None
    return map(_event, frames_of(content))


def _event(frame: Frame) -> ServerSentEvent:
    payload = frame.payload.decode(errors="replace")
    fields = lenient_json(payload)
    if ":exception-type" in frame.headers or ":error-code" in frame.headers:
        return ServerSentEvent(event="error", data=error_message(fields) or payload)
    try:
        data = base64.b64decode(as_text(as_dict(fields).get("bytes")), validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        data = payload
    return ServerSentEvent(event="", data=data)


def as_binary(reply: dict[str, Json]) -> dict[str, Json]:
    """A reply of server-sent events as Bedrock would send it; a reply without a body stays as it is."""
    if "body" not in reply:
        return reply
    events = map(parse_event_text, reply["body"]["sse"])
    return {**reply, **frames_reply(_frame(event) for event in events if event is not None)}


def _frame(event: ServerSentEvent) -> Frame:
    if event.event == "error":
        kind = {":exception-type": "internalServerException", ":message-type": "exception"}
        return json_frame(kind, {"message": error_message(lenient_json(event.data))})
    payload = {"bytes": base64.b64encode(event.data.encode()).decode("ascii")}
    return json_frame({":event-type": "chunk", ":message-type": "event"}, payload)
