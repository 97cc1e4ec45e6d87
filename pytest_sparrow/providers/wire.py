"""What every codec needs from the two halves of an ``http`` exchange. Nothing here raises on odd content."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_sparrow.providers.sse import ServerSentEvent, parse_event_text, split_events
from pytest_sparrow.recording.blocks import as_text
from pytest_sparrow.recording.codec import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.exchange import Json

__all__ = [
    "as_dict",
    "as_list",
    "error_message",
    "header",
    "http_failure",
    "json_answer",
    "json_request",
    "lenient_json",
    "path_of",
    "raw_text",
    "stream_events",
]

_MAX_MESSAGE = 1_000
"""Characters of an error page that go into an event; the exchange keeps all of it."""


def as_dict(value: Json) -> dict[str, Json]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> list[Json]:
    """The value if it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def raw_text(value: Json) -> str:
    """The value if it is a string, else ""; for fragments that are joined before `as_text` looks at them."""
    return value if isinstance(value, str) else ""


def header(half: dict[str, Json], name: str) -> str:
    """A header's value by lower-case name, from an object or a list of pairs; "" where there is none."""
    headers = half.get("headers")
    pairs = headers.items() if isinstance(headers, dict) else as_list(headers)
    for pair in pairs:
        if isinstance(pair, (list, tuple)) and len(pair) == 2 and as_text(pair[0]).lower() == name:
            return as_text(pair[1])
    return ""


def path_of(asked: dict[str, Json]) -> str:
    """The path of the request's URL without a slash at its end; "" where there is none to read."""
    try:
        return urlsplit(as_text(asked.get("url"))).path.rstrip("/")
    except ValueError:
        return ""


def json_request(asked: dict[str, Json]) -> dict[str, Json] | None:
    """The object that was POSTed, or None where it is something else."""
    if as_text(asked.get("method")).upper() != "POST":
        return None
    body = as_dict(asked.get("body")).get("json")
    return body if isinstance(body, dict) else None


def json_answer(answered: dict[str, Json]) -> Json:
    """The answer's body as JSON, also where it was kept as text; None where it isn't JSON."""
    body = as_dict(answered.get("body"))
    if "json" in body:
        return body["json"]
    return lenient_json(body.get("text"))


def stream_events(answered: dict[str, Json]) -> Iterator[ServerSentEvent] | None:
    """The answer's server-sent events that hold data, or None where it is no stream."""
    body = as_dict(answered.get("body"))
    texts = body.get("sse")
    if isinstance(texts, list):
        return _parsed(as_text(text) for text in texts)
    text = body.get("text")
    if isinstance(text, str) and text.lstrip("\ufeff\r\n").startswith(
        ("data:", "event:", ":", "id:", "retry:")
    ):
        return _parsed(split_events(text))
    return None


def _parsed(texts: Iterator[str]) -> Iterator[ServerSentEvent]:
    return (event for text in texts if (event := parse_event_text(text)) is not None)


def lenient_json(text: Json) -> Json:
    """What ``json.loads`` reads, else None. As the SDKs do: a NaN among log probabilities costs no text."""
    if not isinstance(text, str):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def http_failure(answered: dict[str, Json], inside: Failure | None) -> Failure | None:
    """What went wrong: in the transport, by the status, or ``inside`` an answer that looked well."""
    broken = answered.get("error")
    if isinstance(broken, dict):
        kind, message = as_text(broken.get("type")), as_text(broken.get("message"))
        return Failure(": ".join(part for part in (kind, message) if part) or "the connection broke")
    status = answered.get("status")
    if not isinstance(status, int) or status < 400:
        return inside
    said = inside.message if inside else _error_body(answered)
    if len(said) > _MAX_MESSAGE:
        said = said[:_MAX_MESSAGE] + "…"
    return Failure(f"HTTP {status}: {said}" if said else f"HTTP {status}")


def _error_body(answered: dict[str, Json]) -> str:
    """The message of an error body; where no shape is known, all of it."""
    body = json_answer(answered)
    if message := error_message(body):
        return message
    if not body:
        return as_text(as_dict(answered.get("body")).get("text")).strip()
    try:
        return as_text(json.dumps(body, ensure_ascii=False))
    except (ValueError, TypeError, RecursionError):
        return ""


def error_message(body: Json, *, levels: int = 5) -> str:
    """The readable part of an error body in the shapes that providers and gateways use, or "".

    Looks at most ``levels`` deep.
    """
    if levels == 0:
        return ""
    if isinstance(body, list):  # Gemini's OpenAI-compatible host wraps its errors in an array.
        return error_message(body[0], levels=levels - 1) if body else ""
    if isinstance(body, str):
        return as_text(body)
    for key in ("error", "message", "detail", "msg"):
        if text := error_message(as_dict(body).get(key), levels=levels - 1):
            return text
    return ""
