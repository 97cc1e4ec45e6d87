"""Content of a tool message as the cockpit's blocks: ``{"Text"}``, ``{"Json"}``, ``{"Image"}``."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import overload
from urllib.parse import unquote_to_bytes

from pytest_sparrow.exchange import Json
from pytest_sparrow.recording.blocks import as_text

__all__ = ["LazyBlocks", "image_block"]


class LazyBlocks(Sequence[Json]):
    """Blocks that are worked out when first looked at.

    Each request repeats every tool output of the conversation, and a run looks only at those it hasn't seen:
    parsing all of them each time would cost the square of the conversation's length.
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


def image_block(url: str) -> Json | None:
    """An Image block for a ``data:`` URI (RFC 2397), or None for any other or broken one."""
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
    return {"Image": {"data": list(content), "mime": as_text(mime) or "text/plain"}}
