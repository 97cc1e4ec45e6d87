"""Reads the entries of an HTTP archive (HAR, of browsers and proxies) as interactions of a cassette.

Format: http://www.softwareishard.com/blog/har-12-spec/. Contents stand there uncompressed, whatever the headers say.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode


def entries_of(found: dict[str, Any]) -> list[Any] | None:
    """The entries of an archive as interactions; None for any other file. A part that can't be read stays as it is."""
    log = found.get("log")
    entries = log.get("entries") if isinstance(log, dict) else None
    return [_interaction(entry) for entry in entries] if isinstance(entries, list) else None


def _interaction(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    request, response = entry.get("request"), entry.get("response")
    return {
        "request": _half(request, _sent) if isinstance(request, dict) else request,
        "response": _half(response, _content) if isinstance(response, dict) else response,
        "recorded_at": entry.get("startedDateTime"),
    }


def _half(half: dict[str, Any], body_of: Any) -> dict[str, Any]:
    return {**half, "headers": _headers(half.get("headers")), "body": body_of(half)}


def _headers(pairs: Any) -> Any:
    if not isinstance(pairs, list) or not all(isinstance(pair, dict) for pair in pairs):
        return pairs
    headers: dict[str, list[Any]] = {}
    for pair in pairs:
        name = str(pair.get("name", ""))
        if not name.startswith(":"):  # HTTP/2's method and path
            headers.setdefault(name, []).append(pair.get("value", ""))
    return headers


def _sent(request: dict[str, Any]) -> Any:
    sent = request.get("postData")
    if not isinstance(sent, dict):
        return sent
    fields = sent.get("params")
    if "text" not in sent and isinstance(fields, list) and all(isinstance(field, dict) for field in fields):
        return urlencode([(str(field.get("name", "")), str(field.get("value", ""))) for field in fields])
    return {"string": sent.get("text", "")}


def _content(response: dict[str, Any]) -> Any:
    content = response.get("content")
    if not isinstance(content, dict):
        return content
    text, size = content.get("text"), content.get("size")
    if text is None:
        # Archives are also saved without contents: then nothing can be replayed.
        return {"encoding": None} if isinstance(size, int) and size > 0 else ""
    return {"base64_string": text} if content.get("encoding") == "base64" else {"string": text}
