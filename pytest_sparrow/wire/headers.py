"""Says what a request's header is: of the content, of the transport, of the moment, of an SDK; what an answer's is.

Only headers of the content count: everything that is not named here decides what a server does. Credentials are
known by the names of fields (`pytest_sparrow.redact.names`), what one provider's SDK sends by the facts of its codec.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from pytest_sparrow.wire.bodies import media_type

if TYPE_CHECKING:
    from collections.abc import Mapping


def _names(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


_TRANSPORT = _names(
    "accept-encoding alt-used connection content-length expect forwarded host http2-settings keep-alive",
    "max-forwards proxy-connection sec-websocket-key te trailer transfer-encoding upgrade via",
    "x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-real-ip",
)
"""How a request travels; the host is part of the URL."""

_OF_THE_BODY = _names(
    "content-digest content-md5 digest repr-digest x-amz-content-sha256 x-amz-decoded-content-length",
    "x-amz-sdk-checksum-algorithm x-amz-trailer",
)
"""What follows from the body, which counts itself."""

_VOLATILE = _names(
    "b3 baggage client-request-id correlation-id date dpop elastic-apm-traceparent grpc-trace-bin",
    "newrelic request-id retry-attempt sentry-trace timestamp traceparent tracestate uber-trace-id",
    "x-amz-date x-amzn-trace-id x-client-request-id x-client-trace-id x-cloud-trace-context",
    "x-correlation-id x-date x-goog-date x-ms-client-request-id x-ms-date x-nonce x-request-id",
    "x-request-start x-retry-attempt x-retry-count x-span-id x-timestamp x-trace-id",
)
"""What is new in each request: times, traces, ids of requests, counts of retries."""

_SDK = frozenset(["user-agent", "x-client-info", "x-client-name", "x-client-version", "x-ms-useragent"])
"""What sends the request, and in which version."""

_PATTERNS = re.compile(
    r"x-amz-checksum-.+|amz-sdk-.+"
    r"|x-b3-.+|x-datadog-.+|ot-tracer-.+|.+-(?:timestamp|nonce)|(?:.+-)?signature(?:-.+)?"
    r"|.+-user-agent|x-stainless-.+|x-fern-.+|(?:.+-)?sdk(?:-.+)?|x-.+-api-client|x-.+-client-(?:info|name|version)"
)

NOT_OF_THE_CONTENT = _TRANSPORT | _OF_THE_BODY | _VOLATILE | _SDK
"""Names of headers that do not count, in lower case; `is_of_content` also knows families of names."""


_OF_NO_ANSWER = _names(
    "alt-svc connection content-digest content-md5 content-security-policy content-security-policy-report-only",
    "digest keep-alive nel permissions-policy proxy-connection report-to reporting-endpoints repr-digest",
    "strict-transport-security te trailer transfer-encoding upgrade x-amz-crc32 x-goog-hash x-ms-blob-content-md5",
    "x-ms-content-crc64",
)
"""Of the connection, for browsers, and digests of bytes, which a placeholder or another spelling would belie."""

PART_HEADERS = _names(
    "content-type content-encoding content-disposition content-language content-id content-transfer-encoding"
)
"""What a part of a multipart body is."""


def is_of_answer(name: str) -> bool:
    """Whether a header of an answer, by its name in lower case, stands in a recording."""
    return name not in _OF_NO_ANSWER and not name.startswith("x-amz-checksum-")


@functools.lru_cache(maxsize=1024)
def is_of_content(name: str) -> bool:
    """Whether a header, by its name in lower case, says what is asked."""
    return name not in NOT_OF_THE_CONTENT and _PATTERNS.fullmatch(name) is None


_DRAWN = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9a-fA-F]{16,}")
_LOOPBACK_PORT = re.compile(r"(://(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])):\d+", re.IGNORECASE)
_ANY_TYPE = "*/*"


def content_headers(headers: Mapping[str, str], *, has_body: bool) -> dict[str, str]:
    """The headers of the content, in lower case and by name, with values as they count.

    The content type counts where there is content, without a boundary and without UTF-8, which is the default; to
    accept anything is to say nothing. What was drawn in an idempotency key does not count, nor a loopback port.

    Args:
        headers: names and values, as an asked half holds them.
        has_body: whether the request has a body.
    """
    kept = tuple([pair for pair in headers.items() if is_of_content(pair[0].lower())])
    return dict(_counted(kept, has_body))


# A client sends the same headers a thousand times, but for those that do not count.
@functools.lru_cache(maxsize=256)
def _counted(headers: tuple[tuple[str, str], ...], has_body: bool) -> dict[str, str]:  # noqa: FBT001 - cached
    found: dict[str, str] = {}
    for cased, value in headers:
        name = cased.lower()
        counted = None if name == "content-type" and not has_body else _value(name, value)
        if counted is not None:
            found[name] = counted
    return dict(sorted(found.items()))


def _value(name: str, value: str) -> str | None:
    if name == "content-type":
        kind, parameters = media_type(value)
        kept = {key: each for key, each in parameters.items() if key and key != "boundary"}
        if kept.get("charset", "").lower() in ("utf-8", "utf8"):
            del kept["charset"]
        return "; ".join([kind, *(f"{key}={each}" for key, each in sorted(kept.items()))])
    if name == "accept" and value.strip() == _ANY_TYPE:
        return None
    if "idempotency" in name:
        return _DRAWN.sub("…", value)
    return _LOOPBACK_PORT.sub(r"\1", value) if "://" in value else value
