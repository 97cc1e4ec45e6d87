"""What every codec needs to build the *answered* half of an exchange."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.exchange import TransportErrorName, TransportFailure
from pytest_sparrow.wire import sse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import Failure

__all__ = [
    "FailureStatus",
    "broken_reply",
    "event_text",
    "fault_of",
    "json_reply",
    "json_text",
    "stream_reply",
]

_STATUS = re.compile(r"HTTP ([45]\d\d)(?:: (.*))?\Z", re.DOTALL)
_TRANSPORT = re.compile(rf"({'|'.join(TransportErrorName)})(?:: (.*))?\Z", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureStatus:
    """A `Failure`, as the wire has it: the reverse of `pytest_sparrow.providers.reading.http_failure`.

    Attributes:
        status: the HTTP status, or None: the failure is not told by the status.
        kind: the name of the transport's exception, or "": the transport did not fail.
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
    """A stream of events, each as `event_text` gives it."""
    headers = {"content-type": f"{sse.MEDIA_TYPE}; charset=utf-8"}
    return {"status": 200, "headers": headers, "body": {"sse": list(events)}}


def broken_reply(fault: FailureStatus, so_far: dict[str, Json] | None = None) -> dict[str, Json]:
    """An answer that the transport broke off, after what had come ``so_far``; None: before anything had."""
    return {**(so_far or {}), "error": TransportFailure(type=fault.kind, message=fault.message).to_json()}


def event_text(data: Json, event: str = "") -> str:
    """One server-sent event without its blank line; ``data`` is a JSON value, or a str that goes as it is."""
    return sse.event_of(data if isinstance(data, str) else json_text(data), event)


def json_text(value: Json) -> str:
    """Compact JSON, in the order that it has."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
