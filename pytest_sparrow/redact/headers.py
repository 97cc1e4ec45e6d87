"""The headers that a transcript keeps: by allow-list, so that a header nobody thought of is left out."""

from __future__ import annotations

__all__ = ["ANSWER_HEADERS", "PART_HEADERS", "REQUEST_HEADERS", "STAND_INS"]

_BODY = frozenset({"content-type", "content-encoding", "content-disposition", "content-language"})

REQUEST_HEADERS = _BODY | {
    "accept",
    "anthropic-beta",
    "anthropic-version",
    "content-range",
    "last-event-id",
    "mcp-protocol-version",
    "openai-beta",
    "prefer",
    "range",
    "x-amz-target",
    "x-goog-upload-command",
    "x-goog-upload-protocol",
    "x-http-method-override",
}
"""What shapes a request and is not this machine's, this moment's or a secret."""

ANSWER_HEADERS = _BODY | {
    "accept-ranges",
    "allow",
    "content-range",
    "etag",
    "last-modified",
    "link",
    "location",
    "mcp-protocol-version",
    "mcp-session-id",
    "operation-location",
    "retry-after",
    "retry-after-ms",
    "www-authenticate",
    "x-amzn-errortype",
    "x-goog-upload-status",
    "x-goog-upload-url",
    "x-ms-error-code",
    "x-next-page",
    "x-page",
    "x-per-page",
    "x-prev-page",
    "x-should-retry",
    "x-total",
    "x-total-count",
    "x-total-pages",
}
"""What clients act on: the body's type, where to go next, whether to try again."""

PART_HEADERS = _BODY | {"content-id", "content-transfer-encoding"}
"""What a part of a multipart body is."""

STAND_INS = {"mcp-session-id": "recorded-session"}
"""What is kept of a header of which only the presence matters: a client of MCP that got a session ends it."""
