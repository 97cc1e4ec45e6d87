"""The two halves of an HTTP exchange, read from the wire, and the reply that a client is given.

One HTTP exchange, whatever the library: its two halves from the wire, and the answer back to the wire.

What a client is given instead of the world: a fed answer, a refusal, or nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.errors import ReplayDivergence
from pytest_sparrow.wire.bodies import body_of, chunks_of, media_type
from pytest_sparrow.wire.encodings import uncompressed
from pytest_sparrow.wire.ndjson import MEDIA_TYPES

if TYPE_CHECKING:
    from pytest_sparrow.boundaries.cancellation import CancellationWait
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.crossing import Crossing

__all__ = [
    "EMPTY",
    "Headers",
    "Reply",
    "TransportFailure",
    "answered_of",
    "asked_of",
    "header",
    "refusal",
    "reply_of",
]


Headers = Sequence[tuple[str, str]]
"""Header names and values in order; names may repeat."""

# What describes the bytes on the wire, not the content: a served answer has its own.
_FRAMING = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection", "keep-alive"})

_LONGEST_HONOURED_WAIT = 120.0
"""Seconds. The SDKs give up rather than wait longer (openai 3.54 `MAX_RETRY_AFTER_DELAY`), so a longer wait
decides what the agent does and must be served as it was."""


def asked_of(method: str, url: str, headers: Headers, raw: bytes) -> dict[str, Json]:
    """The *asked* half of a request; headers as pairs, since the run makes the dict."""
    asked: dict[str, Json] = {"method": method.upper(), "url": url, "headers": [[n, v] for n, v in headers]}
    if raw:
        asked["body"] = body_of(raw, header(headers, "content-type"), answered=False)
    return asked


def answered_of(
    status: int,
    headers: Headers,
    raw: bytes,
    *,
    decoded: bool = False,
    failure: TransportFailure | None = None,
) -> dict[str, Json]:
    """The *answered* half of a response.

    Compressed content is kept uncompressed and its ``content-encoding`` left out. Where that fails, the raw
    bytes are kept as base64 beside the header, and the header means: still compressed.

    Args:
        status: the status code.
        headers: as they came.
        raw: the body's bytes as they came, as far as they came.
        decoded: whether ``raw`` is uncompressed already.
        failure: what the transport raised in the middle of the body.
    """
    coding = "" if decoded or not raw else header(headers, "content-encoding")
    content = uncompressed(raw, coding)
    kept = [[name, value] for name, value in headers if content is None or name.lower() != "content-encoding"]
    answered: dict[str, Json] = {"status": status, "headers": kept}
    if content is None:
        answered["body"] = body_of(raw, "application/octet-stream", answered=True)
    elif content:
        answered["body"] = body_of(content, header(headers, "content-type"), answered=True)
    if failure is not None:
        answered["error"] = {"type": failure.type, "message": failure.message}
    return answered


def reply_of(answered: dict[str, Json], *, method: str, crossing: Crossing) -> Reply:
    """What to serve for a recorded answer.

    Raises:
        ValueError: this is no answer that we wrote; the text says why.
    """
    if not answered and crossing.cancellation_wait is not None:
        nothing = TransportFailure(
            type="ReadTimeout", message="the recorded run got no answer to this either"
        )
        return Reply(status=None, failure=nothing, crossing=crossing)
    failure = _failure_of(answered.get("error"))
    status = answered.get("status")
    if status is None and failure is not None:
        return Reply(status=None, failure=failure, crossing=crossing)
    if type(status) is not int or not 100 <= status <= 999:
        raise ValueError(f"its status is {status!r}")
    body = answered.get("body")
    if not isinstance(body, dict | None):
        raise ValueError(f"its body is {type(body).__name__}, not an object")
    chunks = chunks_of(body) if body else []
    recorded = _pairs(answered.get("headers"))
    headers = [pair for pair in recorded if pair[0].lower() not in _FRAMING]
    if not crossing.as_is:
        headers = _without_waiting(status, headers)
    coding = header(recorded, "content-encoding")
    if coding and body and ("base64" in body or "text" in body):
        headers.append(("content-encoding", coding))
    if method.upper() == "HEAD":
        headers += [pair for pair in recorded if pair[0].lower() == "content-length"]
    elif failure is None and not _is_stream(body, recorded) and status >= 200 and status not in (204, 304):
        headers.append(("content-length", str(sum(map(len, chunks)))))
    return Reply(
        status=status,
        headers=tuple(headers),
        chunks=tuple(chunks),
        failure=failure,
        crossing=crossing,
        delay=crossing.delay,
    )


def header(headers: Iterable[tuple[str, str]], name: str) -> str:
    """The values of a header, joined as RFC 9110, 5.3 says; "" where there is none."""
    return ", ".join(value for known, value in headers if known.lower() == name)


def _pairs(headers: Json) -> list[tuple[str, str]]:
    """Recorded headers: an object in a golden, pairs in what this process has just recorded."""
    pairs = list(headers.items()) if isinstance(headers, dict) else headers or []
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs
    ):
        raise ValueError("its headers are neither an object nor pairs")
    return [(str(name), str(value)) for name, value in pairs]


def _failure_of(error: Json) -> TransportFailure | None:
    if not isinstance(error, dict):
        return None
    return TransportFailure(type=str(error.get("type", "")), message=str(error.get("message", "")))


def _is_stream(body: Json, headers: Headers) -> bool:
    if body and ("sse" in body or "lines" in body):
        return True
    kind = media_type(header(headers, "content-type"))[0]
    return kind == "text/event-stream" or kind in MEDIA_TYPES


def _without_waiting(status: int, headers: Headers) -> list[tuple[str, str]]:
    """The headers with the wait for a retry taken out: the SDK would sleep again in every replay.

    ``retry-after-ms: 1``, since "0" makes the SDKs fall back to half a second of their own; ``retry-after``
    becomes "0" rather than nothing, for agents that read it themselves.
    """
    if status not in (408, 409, 429) and status < 500:
        return list(headers)
    waits = [_seconds(name.lower(), value) for name, value in headers]
    if any(wait > _LONGEST_HONOURED_WAIT for wait in waits):
        return list(headers)
    kept = [
        (name, "0" if name.lower() == "retry-after" else value)
        for name, value in headers
        if name.lower() != "retry-after-ms"
    ]
    return [*kept, ("retry-after-ms", "1")]


def _seconds(name: str, value: str) -> float:
    """How long a header asks to wait; 0 for a date, which lies in the past by now."""
    if name not in ("retry-after", "retry-after-ms"):
        return 0.0
    try:
        return float(value) / (1000 if name == "retry-after-ms" else 1)
    except ValueError:
        return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportFailure:
    """An error that the transport raised.

    Attributes:
        type: the name of the client library's exception class, like "ReadTimeout".
        message: its text.
    """

    type: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that doesn't come from the world.

    Attributes:
        status: the status code, or None where nothing came but ``failure``.
        headers: name and value, in order.
        chunks: the body, each piece as the client gets it.
        failure: what to raise: after the chunks, or at once where status is None.
        crossing: the crossing to settle when the client has it all, if there is one.
        delay: seconds that each piece of the body comes late.
        cancellation_wait: what to do with a client that wants more than the recorded one waited for; None: it is whole.
    """

    status: int | None
    headers: tuple[tuple[str, str], ...] = ()
    chunks: tuple[bytes, ...] = ()
    failure: TransportFailure | None = None
    crossing: Crossing | None = None
    delay: float = 0.0
    cancellation_wait: CancellationWait | None = None


EMPTY = Reply(status=204)


def refusal(error: Exception) -> Reply:
    """418, told not to be retried, with a body whose message the SDKs show.

    An exception would be retried by some SDKs and shown as "Connection error." (measured, with nine
    clients). The body suits OpenAI's, Anthropic's and Google's error shapes at once.
    """
    if isinstance(error, ReplayDivergence):
        # One line: SDKs print the body's repr, where a line break would be shown as \n.
        message = "; ".join([error.summary, *error.details])
    else:
        message = " ".join(str(error).split())
    told = {
        "type": "sparrow_replay_divergence",
        "message": message,
        "status": "SPARROW_REPLAY_DIVERGENCE",
        "param": None,
        "code": None,
    }
    content = json.dumps({"type": "error", "error": told}, ensure_ascii=False).encode("utf-8", "replace")
    headers = (
        ("content-type", "application/json"),
        ("x-should-retry", "false"),
        ("content-length", str(len(content))),
    )
    return Reply(status=418, headers=headers, chunks=(content,))
