"""multipart/form-data by its parts: the boundary is new in every request and says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["parts_of"]

_CRLF = b"\r\n"


def parts_of(raw: bytes, boundary: str) -> list[tuple[dict[str, str], bytes]] | None:
    """The headers (names in lower case) and the content of each part (RFC 2046, 5.1; RFC 7578).

    Returns:
        None where the bytes aren't such a body, or not a whole one.
    """
    fence = b"--" + boundary.encode("utf-8", "replace")
    pieces = (_CRLF + raw).split(_CRLF + fence)
    if len(pieces) < 3:
        return None
    preamble, *parts, end = pieces
    if preamble or end.rstrip() != b"--":
        return None
    found = [_part(piece) for piece in parts]
    whole = [part for part in found if part is not None]
    return whole if len(whole) == len(found) else None


def _part(piece: bytes) -> tuple[dict[str, str], bytes] | None:
    # A piece starts with the line break after its boundary; a part without headers starts with two.
    head, blank, content = piece.partition(_CRLF + _CRLF)
    if not blank or (head and not head.startswith(_CRLF)):
        return None
    headers: dict[str, str] = {}
    for name, value in _header_lines(head):
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers, content


def _header_lines(head: bytes) -> Iterator[tuple[str, str]]:
    for line in head.split(_CRLF):
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if colon:
            yield name.strip().lower(), value.strip()
