"""Reads and builds Amazon's binary event stream (``application/vnd.amazon.eventstream``): frames with headers.

Format: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html (the same in every service): a
prelude of total length, headers' length and their CRC-32, the headers, the payload, and the CRC-32 of all of it;
numbers are big-endian.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_sparrow.exchange import Json

MEDIA_TYPE = "application/vnd.amazon.eventstream"

_PRELUDE = struct.Struct(">III")
_TEXT = 7
# Bytes of the values of other header types: true, false, 1, 2, 4 and 8 bytes, a time, a UUID.
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_WITH_LENGTH = (6, _TEXT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message of a stream.

    Attributes:
        headers: those that are texts, by name.
        payload: what it holds.
    """

    headers: Mapping[str, str]
    payload: bytes


def frames_of(raw: bytes) -> Iterator[Frame]:
    """The whole frames of a stream, up to its end, to a torn frame, or to damage."""
    place = 0
    while len(raw) - place >= _PRELUDE.size + 4:
        total, headers, check = _PRELUDE.unpack_from(raw, place)
        end = place + total
        if zlib.crc32(raw[place : place + 8]) != check or not headers + _PRELUDE.size + 4 <= total:
            return
        if end > len(raw) or zlib.crc32(raw[place : end - 4]) != int.from_bytes(raw[end - 4 : end], "big"):
            return
        start = place + _PRELUDE.size
        found = _headers(raw[start : start + headers])
        if found is None:
            return
        yield Frame(headers=found, payload=raw[start + headers : end - 4])
        place = end


def frame_bytes(frame: Frame) -> bytes:
    """A frame's bytes."""
    headers = b"".join(_header(name, value) for name, value in frame.headers.items())
    lengths = struct.pack(">II", _PRELUDE.size + len(headers) + len(frame.payload) + 4, len(headers))
    message = b"".join((lengths, _crc(lengths), headers, frame.payload))
    return message + _crc(message)


def json_frame(headers: Mapping[str, str], value: Json) -> Frame:
    """A frame whose payload is JSON."""
    payload = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Frame(headers={**headers, ":content-type": "application/json"}, payload=payload)


def frames_reply(frames: Iterable[Frame]) -> dict[str, Json]:
    """The *answered* half that is a stream of these frames."""
    content = base64.b64encode(b"".join(map(frame_bytes, frames))).decode("ascii")
    return {"status": 200, "headers": {"content-type": MEDIA_TYPE}, "body": {"base64": content}}


def _crc(data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data))


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return struct.pack(">B", len(key)) + key + struct.pack(">BH", _TEXT, len(text)) + text


def _headers(raw: bytes) -> dict[str, str] | None:
    """The headers that are texts; None where they can't be read."""
    found: dict[str, str] = {}
    place = 0
    try:
        while place < len(raw):
            name = raw[place + 1 : place + 1 + raw[place]]
            place += 1 + raw[place]
            kind, place = raw[place], place + 1
            size = _FIXED.get(kind)
            if kind in _WITH_LENGTH:
                (size,) = struct.unpack_from(">H", raw, place)
                place += 2
            if size is None or place + size > len(raw):
                return None
            if kind == _TEXT:
                found[name.decode()] = raw[place : place + size].decode()
            place += size
    except (IndexError, struct.error, UnicodeDecodeError):
        return None
    return found
