"""Server-sent events as texts: split without loss, joined to the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["events_of", "is_done", "serve"]

_BLANK = "\n\n"


def events_of(raw: bytes) -> dict[str, Json] | None:
    r"""A stream of events as ``{"sse": [event, …]}``, plus ``"torn"``: what follows the last blank line.

    An event ends with a blank line (WHATWG HTML, 9.2.6); what has none was never dispatched by any client,
    so it must not look like an event, nor become one in a replay. ``\r\n`` becomes ``\n``, which the
    standard makes equal.

    Returns:
        None where the bytes could not be given back: no UTF-8, or a lone ``\r`` as a line ending.
    """
    try:
        text = raw.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None
    if "\r" in text:
        return None
    *events, torn = text.split(_BLANK)
    body: dict[str, Json] = {"sse": events}
    if torn:
        body["torn"] = torn
    return body


def serve(body: dict[str, Json]) -> list[bytes]:
    """The chunks of a recorded stream: one an event, and the torn rest as it was."""
    chunks = [f"{event}{_BLANK}".encode() for event in body["sse"]]
    if torn := body.get("torn"):
        chunks.append(str(torn).encode())
    return chunks


def is_done(raw: bytes) -> bool:
    """Whether a stream ends with OpenAI's ``data: [DONE]``, after which its SDK closes without reading on."""
    last = raw.rstrip().rpartition(b"\n")[2]
    return last.startswith(b"data:") and last.removeprefix(b"data:").strip() == b"[DONE]"
