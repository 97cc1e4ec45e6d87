"""Reads vcrpy files as bytes, and the JSON of streams in them, without the readers that we test.

A stream's JSON stands in server-sent events, in lines, or in the frames of AWS's binary streams.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Traffic", "events_of", "parsed", "read_file", "traffic_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """One exchange as its bytes.

    Attributes:
        method: the HTTP method.
        url: the URL.
        asked: the request's body, parsed where it is JSON, else None.
        status: the answer's status.
        headers: the answer's headers, lower-case.
        answered: the answer's content, uncompressed.
    """

    method: str
    url: str
    asked: Any
    status: int
    headers: dict[str, str]
    answered: bytes


def read_file(path: Path) -> list[Traffic]:
    """The exchanges of a vcrpy file."""
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    content = yaml.load(raw, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return [traffic_of(each) for each in content["interactions"]]


def traffic_of(raw: Any) -> Traffic:
    """One interaction of a vcrpy file."""
    request, response = raw["request"], raw["response"]
    headers = {
        str(name).lower(): values[0] if isinstance(values, list) and values else str(values)
        for name, values in (response.get("headers") or {}).items()
    }
    status = response.get("status", response.get("status_code"))
    return Traffic(
        method=request["method"],
        url=request["uri"],
        asked=parsed(_content(request)),
        status=status["code"] if isinstance(status, dict) else status,
        headers=headers,
        answered=_content(response),
    )


def _content(half: Any) -> bytes:
    if half.get("parsed_body") is not None:
        return json.dumps(half["parsed_body"]).encode()
    body = half.get("body", half.get("content"))
    if isinstance(body, dict) and ("string" in body or "base64_string" in body):
        encoded = body.get("base64_string")
        body = base64.b64decode(encoded) if encoded else body["string"]
    if isinstance(body, dict | list):
        return json.dumps(body).encode()
    content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body or b""
    if content[:2] == b"\x1f\x8b":
        return zlib.decompressobj(31).decompress(content)
    return content


def parsed(content: bytes | str) -> Any:
    """The value of JSON; None of anything else."""
    try:
        return json.loads(content)
    except ValueError:
        return None


def events_of(traffic: Traffic) -> list[Any] | None:
    """The JSON of each ``data:`` of a stream (or of each line, or frame); None where the answer is one JSON value."""
    if "eventstream" in traffic.headers.get("content-type", "") or traffic.answered[:2] == b"\0\0":
        return list(_frames(traffic.answered))
    if parsed(traffic.answered) is not None:
        return None
    text = traffic.answered.decode("utf-8", "replace")
    found = []
    for block in re.split(r"(?:\r\n|\n|\r){2}", text):
        lines = block.splitlines() if "\u2028" not in block else re.split(r"\r\n|\n|\r", block)
        data = [line[5:].removeprefix(" ") for line in lines if line.startswith("data:")]
        if data:
            value = parsed("\n".join(data))
            named = next((line[6:].strip() for line in lines if line.startswith("event:")), "")
            found.append({"error": value} if named == "error" and isinstance(value, str) else value)
    if not found:
        found = [parsed(line) for line in text.splitlines()]
    return [each for each in found if isinstance(each, dict)]


def _frames(content: bytes) -> Iterator[Any]:
    """Payloads of AWS's binary stream, each under its kind; ``invoke`` wraps the maker's own events."""
    at = 0
    while len(content) - at >= 16:
        size, heads = struct.unpack_from(">II", content, at)
        head = content[at + 12 : at + 12 + heads]
        payload = parsed(content[at + 12 + heads : at + size - 4])
        at += size
        names, place = {}, 0
        while place < len(head):
            length = head[place]
            name = head[place + 1 : place + 1 + length].decode()
            (width,) = struct.unpack_from(">H", head, place + 2 + length)
            names[name] = head[place + 4 + length : place + 4 + length + width].decode()
            place += 4 + length + width
        if ":exception-type" in names:
            yield {"error": payload}
        elif isinstance(payload, dict) and "bytes" in payload:
            yield parsed(base64.b64decode(payload["bytes"]))
        else:
            yield {names.get(":event-type", ""): payload}
