"""Builds what every codec needs for the *answered* half of an HTTP exchange: bodies, streams, errors, ids."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import canonical
from pytest_sparrow.exchange import TransportErrorName, TransportFailure
from pytest_sparrow.providers.reading import SYNTHETIC_STATUS, parse_json_text
from pytest_sparrow.wire import sse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import Failure, Usage

_STATUS = re.compile(r"HTTP ([45]\d\d)(?:: (.*))?\Z", re.DOTALL)
_TRANSPORT = re.compile(rf"({'|'.join(TransportErrorName)})(?:: (.*))?\Z", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureStatus:
    """A `Failure` as the wire has it: the reverse of `pytest_sparrow.providers.reading.http_failure`.

    Attributes:
        status: the HTTP status; None where the failure is not in the status.
        kind: the name of the transport's exception; "" where the transport did not fail.
        message: what the provider, or the exception, said.
    """

    status: int | None = None
    kind: str = ""
    message: str = ""


def fault_of(failure: Failure) -> FailureStatus:
    """Read a failure's message: ``HTTP 429: slow down``, ``ReadTimeout: …``, else the provider's own words."""
    if found := _STATUS.match(failure.message):
        return FailureStatus(status=int(found[1]), message=found[2] or "")
    if found := _TRANSPORT.match(failure.message):
        return FailureStatus(kind=found[1], message=found[2] or "")
    return FailureStatus(message=failure.message)


def json_reply(body: Json, *, status: int = 200) -> dict[str, Json]:
    """A whole answer of JSON."""
    return {"status": status, "headers": {"content-type": "application/json"}, "body": {"json": body}}


def stream_reply(events: Iterable[str]) -> dict[str, Json]:
    """A stream of events, each a text as `event_text` returns."""
    headers = {"content-type": f"{sse.MEDIA_TYPE}; charset=utf-8"}
    return {"status": 200, "headers": headers, "body": {"sse": list(events)}}


def broken_reply(fault: FailureStatus, so_far: dict[str, Json] | None = None) -> dict[str, Json]:
    """An answer that the transport broke off after ``so_far``; None where nothing had come."""
    return {**(so_far or {}), "error": TransportFailure(type=fault.kind, message=fault.message).to_json()}


def event_text(data: Json, event: str = "") -> str:
    """One server-sent event without its blank line; ``data`` is a JSON value, or a str that goes as it is."""
    return sse.event_of(data if isinstance(data, str) else json_text(data), event)


def json_text(value: Json) -> str:
    """Compact JSON, in the order that it has."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def arguments_text(args: Json) -> str:
    """A proposal's arguments as the text that reads back as them; raw text goes as it is where that does."""
    if isinstance(args, str) and args.strip() and parse_json_text(args) == args:
        return args
    return json_text(args)


_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def error_object(fault: FailureStatus) -> dict[str, Json]:
    """The ``error`` of an error body (https://platform.openai.com/docs/guides/error-codes)."""
    status = fault.status or 500
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"message": fault.message, "type": kind, "param": None, "code": None}


def request_digest(asked: dict[str, Json]) -> str:
    """24 hex digits that depend on the request's body alone, for the ids of an answer to it."""
    return hashlib.blake2b(canonical(asked.get("body")), digest_size=12).hexdigest()


def synthetic_reply(body: dict[str, Json], *, status: int = 500) -> dict[str, Json]:
    """The error body of a provider with a synthetic status, which the body marks.

    ``x-should-retry: false`` keeps SDKs from retrying: a failure without a status was inside an answer, and no SDK
    asks for an answer again.
    """
    reply = json_reply({**body, SYNTHETIC_STATUS: True}, status=status)
    return {**reply, "headers": {**reply["headers"], "x-should-retry": "false"}}


def counted_tokens(usage: Usage) -> dict[str, Json]:
    """The tokens of a chat completion or a text completion, as OpenAI counts them."""
    total = usage.input + usage.output
    return {"prompt_tokens": usage.input, "completion_tokens": usage.output, "total_tokens": total}
