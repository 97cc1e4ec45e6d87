"""Converts an HTTP exchange between the wire and JSON: asked and answered halves, and the replies a replay gives.

Nothing here depends on an HTTP library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from pytest_sparrow.errors import ReplayDivergence
from pytest_sparrow.exchange import TransportErrorName, TransportFailure
from pytest_sparrow.wire import sse
from pytest_sparrow.wire.bodies import (
    body_of,
    chunks_of,
    compressed,
    media_type,
    stream_form,
    uncompressed,
    with_pieces,
)
from pytest_sparrow.wire.sse import LINE_TYPES

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.arrivals import Arrival
    from pytest_sparrow.run.cancelling import CancellationWait
    from pytest_sparrow.run.crossing import Crossing

Headers = Sequence[tuple[str, str]]
"""Header names and values in order; names may repeat."""

# Headers that describe the bytes on the wire, not the content: a replayed answer has its own.
_FRAMING = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection", "keep-alive"})

_PHRASES = {
    **{status.value: status.phrase for status in HTTPStatus},
    # Python 3.13 has other words for these.
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    416: "Requested Range Not Satisfiable",
    422: "Unprocessable Entity",
}

_LONGEST_HONOURED_DELAY = 120.0
"""Seconds. SDKs give up rather than wait longer (openai 3.54 `MAX_RETRY_AFTER_DELAY`): a longer retry delay decides
what the agent does, so a replay keeps the recorded delay."""


# Not frozen: that would take twice as long to make, and there is one for each answer.
@dataclass(slots=True, kw_only=True)
class Reply:
    """An answer that pytest-sparrow gives in place of the world.

    Attributes:
        status: the status code; None: no answer came, only ``failure``.
        headers: names and values, in order.
        chunks: the body, in the pieces that the client gets.
        failure: the error to raise after the chunks, or at once where ``status`` is None.
        crossing: the crossing to settle when the client has the whole answer; None: no crossing.
        arrival: what the answer waits for as a whole; None: for nothing, or only the last piece of a stream waits.
        delay: the delay of each piece of the body, in seconds.
        reason: the phrase behind the status.
        cancellation_wait: how to treat a client that reads beyond the point where the recorded client cancelled; None:
            the answer is whole.
    """

    status: int | None
    headers: tuple[tuple[str, str], ...] = ()
    chunks: tuple[bytes, ...] = ()
    failure: TransportFailure | None = None
    crossing: Crossing | None = None
    arrival: Arrival | None = None
    delay: float = 0.0
    cancellation_wait: CancellationWait | None = None
    reason: str = ""


def asked_of(method: str, url: str, headers: Headers, raw: bytes) -> dict[str, Json]:
    """The *asked* half of a request; the headers stay pairs, which the run makes an object of."""
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
    pieces: Sequence[bytes] = (),
    reason: str | None = None,
) -> dict[str, Json]:
    """The *answered* half of a response.

    Compressed content is kept uncompressed; its coding stands as ``compressed``, in place of the header
    ``content-encoding``. Content that cannot be uncompressed is kept as base64, with the header, which then means:
    still compressed.

    Args:
        status: the status code.
        headers: names and values, in order.
        raw: the bytes of the body that arrived.
        decoded: whether ``raw`` is uncompressed already.
        failure: the error that the transport raised within the body.
        pieces: the pieces in which the body of a stream came.
        reason: the phrase behind the status; None where the protocol has none (HTTP/2).
    """
    named = header(headers, "content-encoding") if raw else ""
    coding = "" if decoded else named
    # No content of a client that read the first bytes only, or none in it: the bytes say more.
    content = uncompressed(raw, coding) or (None if raw and coding else b"")
    is_cut = failure is not None and not named
    kept = [[name, value] for name, value in headers if _says_more(name.lower(), raw, content, is_cut=is_cut)]
    answered: dict[str, Json] = {"status": status, "headers": kept}
    if reason is not None and reason != _PHRASES.get(status, ""):
        answered["reason"] = reason
    if content is None:
        answered["body"] = body_of(raw, "application/octet-stream", answered=True)
    elif content:
        body = body_of(content, header(headers, "content-type"), answered=True)
        in_pieces = pieces and not coding and not header(headers, "content-length")
        answered["body"] = with_pieces(body, pieces) if in_pieces else body
        if named:
            answered["compressed"] = named
    if failure is not None:
        answered["error"] = failure.to_json()
    return answered


def reply_of(answered: dict[str, Json], *, method: str, crossing: Crossing, user_agent: str = "") -> Reply:
    """The reply that replays a recorded answer.

    Args:
        answered: the recorded half.
        method: the request's method.
        crossing: the crossing.
        user_agent: the request's header of that name.

    Raises:
        ValueError: the recorded answer is malformed; the text says where.
    """
    if not answered and crossing.cancellation_wait is not None:
        nothing = TransportFailure(
            type=TransportErrorName.READ_TIMEOUT, message="the recorded run got no answer to this either"
        )
        return Reply(status=None, failure=nothing, crossing=crossing)
    failure = _failure_of(answered.get("error"))
    status = answered.get("status")
    if status is None and failure is not None:
        return Reply(status=None, failure=failure, crossing=crossing, arrival=crossing.arrival)
    if type(status) is not int or not 100 <= status <= 999:
        raise ValueError(f"its status is {status!r}")
    body = answered.get("body")
    if not isinstance(body, dict | None):
        raise ValueError(f"its body is {type(body).__name__}, not an object")
    chunks = chunks_of(body) if body else []
    recorded = _pairs(answered.get("headers"))
    headers = [pair for pair in recorded if pair[0].lower() not in _FRAMING]
    if not crossing.as_is:
        headers = _without_retry_delay(status, headers, user_agent)
    coding = header(recorded, "content-encoding")
    if coding and body and ("base64" in body or "text" in body):
        headers.append(("content-encoding", coding))
    compression = str(answered.get("compressed") or "")
    packed = compressed(chunks, compression, ends=failure is None) if compression else None
    if packed is not None:
        chunks = packed
        headers.append(("content-encoding", compression))
    whole = method.upper() != "HEAD" and failure is None
    if whole and not _comes_in_pieces(body, recorded) and may_have_body(status):
        headers.append(("content-length", str(sum(map(len, chunks)))))
        chunks = chunks if crossing.delay else _in_parts(chunks)  # each part would be delayed
    elif not whole and not compression:
        headers += _said_of_the_whole(recorded, with_coding=failure is None)
    return Reply(
        status=status,
        headers=tuple(headers),
        chunks=tuple(chunks),
        failure=failure,
        crossing=crossing,
        arrival=None if len(chunks) > 1 and stream_form(body) else crossing.arrival,
        delay=crossing.delay,
        reason=_reason_of(status, answered),
    )


_PART = 1 << 14


def _in_parts(chunks: list[bytes]) -> list[bytes]:
    """Long chunks in parts, as a network brings them: so a client shows how much of the body it reads."""
    return [chunk[at : at + _PART] for chunk in chunks for at in range(0, max(len(chunk), 1), _PART)]


def _said_of_the_whole(recorded: Headers, *, with_coding: bool) -> list[tuple[str, str]]:
    """What the headers say of a body that did not come (HEAD), or not all of it."""
    names = ("content-length", "content-encoding") if with_coding else ("content-length",)
    return [pair for pair in recorded if pair[0].lower() in names]


def _reason_of(status: int, answered: dict[str, Json]) -> str:
    """The phrase behind the status: clients show it in their errors (``404 Client Error: NOT FOUND``)."""
    recorded = answered.get("reason")
    return recorded if isinstance(recorded, str) else _PHRASES.get(status, "")


def header(headers: Iterable[tuple[str, str]], name: str) -> str:
    """The values of a header, joined as RFC 9110, 5.3 says; "" where the header is absent."""
    # A list: to go on with a generator costs as much as to look.
    return ", ".join([value for known, value in headers if known.lower() == name])


def _pairs(headers: Json) -> list[tuple[str, str]]:
    """Recorded headers as pairs; a golden holds an object, a crossing of this process pairs."""
    if isinstance(headers, dict):
        pairs: Json = headers.items()
    else:
        pairs = headers or []
        if not isinstance(pairs, list) or not all(
            isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs
        ):
            raise ValueError("its headers are neither an object nor pairs")
    return [
        (str(name), line)
        for name, value in pairs
        for line in (str(value).split("\n") if str(name).lower() == "set-cookie" else (str(value),))
    ]


def _says_more(name: str, raw: bytes, content: bytes | None, *, is_cut: bool) -> bool:
    """Whether a header says more than the recorded body: a length counts where there is no body (HEAD), or not all."""
    if name == "content-encoding":
        return content is None or not raw
    return name != "content-length" or not raw or is_cut


def _failure_of(error: Json) -> TransportFailure | None:
    if not isinstance(error, dict):
        return None
    return TransportFailure(type=str(error.get("type", "")), message=str(error.get("message", "")))


def _comes_in_pieces(body: Json, headers: Headers) -> bool:
    if stream_form(body) or (isinstance(body, dict) and "pieces" in body):
        return True
    kind = media_type(header(headers, "content-type"))[0]
    return kind == sse.MEDIA_TYPE or kind in LINE_TYPES


_PLAIN_CLIENT = re.compile(r"python-(?:requests|httpx2?|urllib3?)/|Python-urllib/|Python/\S+ aiohttp/")
"""The header ``user-agent`` of libraries that are used without an SDK."""


def _without_retry_delay(status: int, headers: Headers, user_agent: str) -> list[tuple[str, str]]:
    """The headers with the shortest retry delay, so that SDKs do not sleep in every replay.

    ``retry-after-ms`` becomes "1", since SDKs replace "0" by half a second of their own; ``retry-after`` becomes "0"
    and is not removed, for agents that read the header themselves. Without an SDK nothing reads ``retry-after-ms``:
    where the answer had none, there is none.
    """
    if status not in (408, 409, 429) and status < 500:
        return list(headers)
    if any(_delay_of(name.lower(), value) > _LONGEST_HONOURED_DELAY for name, value in headers):
        return list(headers)
    kept = [
        (name, "0" if name.lower() == "retry-after" else value)
        for name, value in headers
        if name.lower() != "retry-after-ms"
    ]
    if len(kept) == len(headers) and _PLAIN_CLIENT.match(user_agent):
        return kept
    return [*kept, ("retry-after-ms", "1")]


def _delay_of(name: str, value: str) -> float:
    """The retry delay in seconds that a header asks for; 0 for a date, which is in the past by now."""
    if name not in ("retry-after", "retry-after-ms"):
        return 0.0
    try:
        return float(value) / (1000 if name == "retry-after-ms" else 1)
    except ValueError:
        return 0.0


EMPTY = Reply(status=204)
"""The reply to ignored hosts in a replay."""


REFUSED = 418
"""The status of the reply to a refused request."""


def refusal(error: Exception) -> Reply:
    """The reply to a refused request: its status, no retry, and a body whose message SDKs show.

    Some SDKs would retry an exception and show only "Connection error." (measured with nine clients). The body fits the
    error shapes of OpenAI, Anthropic and Google at once.
    """
    if isinstance(error, ReplayDivergence):
        # One line: SDKs print the repr of the body, which shows a line break as \n.
        message = "; ".join([error.summary, *error.details])
    else:
        message = " ".join(str(error).split())
    shown = {
        "type": "sparrow_replay_divergence",
        "message": message,
        "status": "SPARROW_REPLAY_DIVERGENCE",
        "param": None,
        "code": None,
    }
    content = json.dumps({"type": "error", "error": shown}, ensure_ascii=False).encode("utf-8", "replace")
    headers = (
        ("content-type", "application/json"),
        ("x-should-retry", "false"),
        ("content-length", str(len(content))),
    )
    return Reply(status=REFUSED, headers=headers, chunks=(content,))


def may_have_body(status: int) -> bool:
    """Whether an answer of this status can have a body (RFC 9112, 6.3)."""
    return status >= 200 and status not in (204, 304)


def head_bytes(reply: Reply, *, chunked: bool, encoding: str) -> bytes:
    """An answer in HTTP/1.1 up to its body, for libraries that parse a replayed answer themselves."""
    lines = [f"HTTP/1.1 {reply.status or 0} {_one_line(reply.reason)}"]
    lines += [f"{name}: {_one_line(value)}" for name, value in reply.headers]
    if chunked:
        lines.append("transfer-encoding: chunked")
    return "\r\n".join([*lines, "\r\n"]).encode(encoding, "replace")


def chunk_bytes(piece: bytes) -> bytes:
    """A piece of a body as one HTTP chunk (RFC 9112, 7.1); the empty piece is the last chunk."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def _one_line(value: str) -> str:
    return " ".join(value.splitlines()) if "\r" in value or "\n" in value else value
