"""Reads and builds what Bedrock's ``invoke`` adds to the format of a model's maker: address, counts, frames.

Format: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html
"""

from __future__ import annotations

import base64
import binascii
import functools
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pytest_sparrow.providers.reading import (
    as_dict,
    as_text,
    error_message,
    header,
    lenient_json,
    path_of,
    raw_bytes,
    stream_events,
    usage_from,
)
from pytest_sparrow.wire.eventstream import MEDIA_TYPE, Frame, frames_of, frames_reply, json_frame
from pytest_sparrow.wire.sse import ServerSentEvent, parse_event_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import Usage

_STREAMED = "invoke-with-response-stream"


def model_in_path(asked: dict[str, Json], *verbs: str) -> str:
    """The model of ``/model/<id>/<verb>``, "" elsewhere; an id may be an ARN, whose slashes are quoted."""
    return _model_in(path_of(asked), verbs)


@functools.lru_cache(maxsize=256)
def _model_in(path: str, verbs: tuple[str, ...]) -> str:
    head, _, verb = path.rpartition("/")
    _, found, model = head.rpartition("/model/")
    return as_text(unquote(model)) if found and verb in verbs else ""


def invoked_model(asked: dict[str, Json]) -> str:
    """The model that a request invokes, "" for any other request."""
    return model_in_path(asked, "invoke", _STREAMED)


METRICS = "amazon-bedrock-invocationMetrics"
"""Key of a stream's last chunk, whatever the model, under which the service counts tokens."""


def counts_in_metrics(chunk: dict[str, Json]) -> Usage | None:
    """The tokens that the service counted, of a stream's last chunk."""
    found = as_dict(chunk.get(METRICS))
    return usage_from((found.get("inputTokenCount"),), (found.get("outputTokenCount"),))


def counts_in_headers(answered: dict[str, Json]) -> Usage | None:
    """The tokens that the service counted, of a whole answer."""
    sides = (header(answered, f"x-amzn-bedrock-{side}-token-count") for side in ("input", "output"))
    inputs, outputs = (int(text) if text.isdecimal() else None for text in sides)
    return usage_from((inputs,), (outputs,))


def wants_binary(asked: dict[str, Json]) -> bool:
    """Whether a request asks Bedrock for a stream: by its path, no key of the body says so."""
    return path_of(asked).endswith(f"/{_STREAMED}")


def events_of(answered: dict[str, Json]) -> Iterator[ServerSentEvent] | None:
    """The events of a stream, server-sent or in Bedrock's frames; None for a whole answer."""
    return _binary_events(answered) or stream_events(answered)


def _binary_events(answered: dict[str, Json]) -> Iterator[ServerSentEvent] | None:
    """The events of a binary stream up to where it is torn, or None where the answer is none."""
    content = raw_bytes(answered)
    if content is None or not header(answered, "content-type").startswith(MEDIA_TYPE):
        return None
    return map(_event, frames_of(content))


def _event(frame: Frame) -> ServerSentEvent:
    if ":exception-type" in frame.headers or ":error-code" in frame.headers:
        payload = frame.payload.decode(errors="replace")
        return ServerSentEvent(event="error", data=error_message(lenient_json(payload)) or payload)
    return ServerSentEvent(event="", data=chunk_text(frame))


def chunk_text(frame: Frame) -> str:
    """What a frame holds in the maker's own format."""
    payload = frame.payload.decode(errors="replace")
    try:
        encoded = as_text(as_dict(lenient_json(payload)).get("bytes"))
        return base64.b64decode(encoded, validate=True).decode(errors="replace") or payload
    except (binascii.Error, ValueError):
        return payload


def as_binary(reply: dict[str, Json]) -> dict[str, Json]:
    """A reply of server-sent events as Bedrock would send it; a reply without a body stays as it is."""
    if "body" not in reply:
        return reply
    events = map(parse_event_text, reply["body"]["sse"])
    return {
        **reply,
        **frames_reply(_frame(event) for event in events if event is not None and event.data != "[DONE]"),
    }


def _frame(event: ServerSentEvent) -> Frame:
    if event.event == "error":
        kind = {":exception-type": "internalServerException", ":message-type": "exception"}
        return json_frame(kind, {"message": error_message(lenient_json(event.data))})
    return chunk_frame(event.data)


def chunk_frame(text: str) -> Frame:
    """A frame that holds a text in the maker's own format."""
    payload = {"bytes": base64.b64encode(text.encode()).decode("ascii")}
    return json_frame({":event-type": "chunk", ":message-type": "event"}, payload)
