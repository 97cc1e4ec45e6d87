"""Turns the content of a tool's output into blocks of events, and numbers calls that a provider left without an id.

Blocks are the cockpit's: ``{"Text"}``, ``{"Json"}``, ``{"Image"}``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections import deque
from collections.abc import Callable, Sequence
from operator import is_
from typing import overload
from urllib.parse import unquote_to_bytes

from pytest_sparrow.exchange import Json
from pytest_sparrow.providers.reading import as_dict, as_list, as_text, holdable, text_block


class LazyBlocks(Sequence[Json]):
    """Blocks that are parsed at the first access.

    Each request repeats every tool output of the conversation, and a run looks only at the new outputs: to parse
    all of them each time would cost the square of the conversation's length.
    """

    __slots__ = ("_blocks", "_read")
    __hash__ = None  # type: ignore[assignment]  # they hold lists

    def __init__(self, read: Callable[[], list[Json]]) -> None:
        self._read = read
        self._blocks: list[Json] | None = None

    def _all(self) -> list[Json]:
        if self._blocks is None:
            self._blocks = self._read()
        return self._blocks

    @overload
    def __getitem__(self, index: int) -> Json: ...
    @overload
    def __getitem__(self, index: slice) -> list[Json]: ...
    def __getitem__(self, index: int | slice) -> Json:
        return self._all()[index]

    def __len__(self) -> int:
        return len(self._all())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._all() == list(other)

    def __repr__(self) -> str:
        return f"LazyBlocks({self._all()!r})"


def content_blocks(content: Json, known: Callable[[dict[str, Json]], Json | None]) -> list[Json]:
    """The content of a tool's output as blocks: one of a text or an object, one for each part of a list.

    Args:
        content: what the wire has; None is nothing.
        known: the block of a part that the format knows, else None: such a part is kept as Json, slim.
    """
    parts = [] if content is None else content if isinstance(content, list) else [content]
    return [
        text_block(part) if isinstance(part, str) else known(as_dict(part)) or json_block(part)
        for part in parts
    ]


def json_block(value: Json) -> Json:
    """A Json block that an event can hold, without files in it; see `slim`."""
    return {"Json": slim(holdable(value))}


MAX_IMAGE = 1024
"""Bytes of an image that an event holds; of a larger image an event holds size and SHA-256."""

_MAX_BASE64 = 1368
"""Characters of base64 that are at most `MAX_IMAGE` bytes."""

# Possessive: a run of line ends is no reason to try again from each of them.
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/\r\n]++|[A-Za-z0-9_\r\n-]++)={0,2}[\r\n]*+\Z")
_URL_SAFE = str.maketrans("-_", "+/")
_DATA_URI = re.compile(r"data:([^,;]*)[^,]{0,200},", re.IGNORECASE)


def image_block(url: str) -> Json | None:
    """An Image block for a ``data:`` URI (RFC 2397), or None for any other or a broken URI."""
    if url[:5].lower() != "data:":
        return None
    kind, comma, data = url[5:].partition(",")
    mime, *parameters = kind.split(";")
    if not comma:
        return None
    try:
        if "base64" in (parameter.strip().lower() for parameter in parameters):
            content = base64.b64decode(unquote_to_bytes(data), validate=True)
        else:
            content = unquote_to_bytes(data)
    except (binascii.Error, ValueError):
        return None
    return image_block_of(content, mime)


def encoded_image(data: str, mime: str) -> Json | None:
    """An Image block for base64 (RFC 4648, plain or for URLs), or None where it is none."""
    try:
        return image_block_of(base64.b64decode(data.translate(_URL_SAFE), validate=True), mime)
    except (binascii.Error, ValueError):
        return None


def image_data(block: Json) -> tuple[str, str] | None:
    """MIME type and base64 of an Image block; None for any other, and where the event left the bytes out."""
    image = as_dict(as_dict(block).get("Image"))
    data = as_list(image.get("data"))
    return (as_text(image.get("mime")), base64.b64encode(bytes(data)).decode("ascii")) if data else None


def image_block_of(content: bytes, mime: str) -> Json:
    """An Image block: of up to `MAX_IMAGE` bytes whole, of a larger image without its bytes.

    The cockpit writes each byte as a number of its own, 3.6 bytes on the disk. A larger one is
    ``{"data": [], "mime", "sha256": 64 hex digits, "bytes": how many}``; the cockpit ignores the last two.
    """
    image: dict[str, Json] = {"data": [], "mime": as_text(mime) or "text/plain"}
    if len(content) <= MAX_IMAGE:
        image["data"] = list(content)
    else:
        image |= _fingerprint(content)
    return {"Image": image}


def slim(value: Json) -> Json:
    """A content part of a file, a document or audio, with the SHA-256 and size in place of each big base64 text.

    A text of more than `MAX_IMAGE` bytes that is base64 (RFC 4648, plain or for URLs) becomes
    ``{"sha256", "bytes"}``, a ``data:`` URI of one ``{"mime", "sha256", "bytes"}``. Anything else stays, and a
    value without such a text is returned as it is. The exchange keeps the content.
    """
    if isinstance(value, str):
        return value if len(value) <= _MAX_BASE64 else _slim_text(value)
    if isinstance(value, list):
        items = [slim(item) for item in value]
        return value if all(map(is_, items, value)) else items
    if isinstance(value, dict):
        fields = {key: slim(item) for key, item in value.items()}
        return value if all(map(is_, fields.values(), value.values())) else fields
    return value


def _slim_text(text: str) -> Json:
    uri = _DATA_URI.match(text)
    mime: dict[str, Json] = {}
    data = text
    if uri is not None:
        if ";base64" not in uri[0].lower():
            return text
        mime, data = {"mime": uri[1]}, text[uri.end() :]
    if _BASE64.match(data) is None:
        return text
    data = re.sub(r"[\r\n]", "", data).rstrip("=").translate(_URL_SAFE)
    try:
        content = base64.b64decode(data + "=" * (-len(data) % 4), validate=True)
    except binascii.Error:
        return text
    return text if len(content) <= MAX_IMAGE else {**mime, **_fingerprint(content)}


def _fingerprint(content: bytes) -> dict[str, Json]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


class CallIds:
    """Numbers calls without an id: the n-th of a conversation is ``call-n``.

    Args:
        count: how many of them came before.
        prefix: what stands before the number.
    """

    def __init__(self, count: int = 0, prefix: str = "call") -> None:
        self._count = count
        self._prefix = prefix

    def fill(self, own: str) -> str:
        """The call's own id, or the next number."""
        if own:
            return own
        self._count += 1
        return f"{self._prefix}-{self._count}"


class OpenCalls:
    """The calls of one request's conversation, to find which of them an output answers."""

    def __init__(self) -> None:
        self._by_wire: dict[str, str] = {}
        self._waiting: dict[str, deque[str]] = {}
        self._answered: set[str] = set()

    def proposed(self, call_id: str, *, wire: str, name: str) -> None:
        """A call stands in the conversation.

        Args:
            call_id: the id that events have.
            wire: the id that this request has for it, or "".
            name: the function's name, or "".
        """
        if wire:
            self._by_wire[wire] = call_id
        for known in {name, ""}:
            self._waiting.setdefault(known, deque()).append(call_id)
        self._answered.discard(call_id)  # some hosts count from 0 each turn

    def answered(self, *, wire: str, name: str) -> str:
        """The id of the call that an output answers: by this request's id, else the oldest of its name; or "".

        An output that names none answers the oldest of all.
        """
        call_id = self._by_wire.get(wire, "") if wire else ""
        waiting = self._waiting.get(name, deque())
        while not call_id and waiting:
            oldest = waiting.popleft()
            call_id = "" if oldest in self._answered else oldest
        self._answered.add(call_id)
        return call_id
