"""Cuts newline-delimited JSON into texts without loss, and joins them to the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["MEDIA_TYPES", "lines_of", "serve"]

MEDIA_TYPES = frozenset(
    {"application/x-ndjson", "application/jsonl", "application/stream+json", "application/json-lines"}
)
"""Media types that servers use, none of them registered; format: https://github.com/ndjson/ndjson-spec."""


def lines_of(raw: bytes) -> dict[str, Json] | None:
    r"""A body as ``{"lines": [line, …]}``, plus ``"torn"``: what follows the last ``\n``.

    A line ends with ``\n`` and nothing else: a ``\r`` before it stays in the text, and so does any other
    character that some readers regard as the end of a line.

    Returns:
        None where the bytes are no UTF-8 text.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if "\0" in text:
        return None
    *whole, torn = text.split("\n")
    body: dict[str, Json] = {"lines": whole}
    if torn:
        body["torn"] = torn
    return body


def serve(body: dict[str, Json]) -> list[bytes]:
    """The chunks of a recorded body: one for each line, and the torn rest as it was."""
    chunks = [f"{line}\n".encode() for line in body["lines"]]
    if torn := body.get("torn"):
        chunks.append(str(torn).encode())
    return chunks
