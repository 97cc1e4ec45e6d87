"""Server-sent events: cut into texts without loss, joined to the same bytes, and read field by field.

Server-sent events as texts: split without loss, joined to the same bytes.

Server-sent events as text: which field says what (WHATWG HTML, "Server-sent events", section 9.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.exchange import Json

__all__ = ["ServerSentEvent", "data_of_line", "events_of", "parse_event_text", "serve", "split_events"]


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


def data_of_line(line: str) -> str | None:
    """The value of a ``data:`` line, or None for any other line."""
    name, colon, value = line.partition(":")
    return value.removeprefix(" ") if name == "data" and colon else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSentEvent:
    """One event of a stream.

    Attributes:
        event: the value of its ``event:`` line, or "".
        data: its ``data:`` lines joined with newlines.
    """

    event: str
    data: str


def parse_event_text(text: str) -> ServerSentEvent | None:
    """Read one event's lines; None for one without data (a comment that keeps the line open, a bare id)."""
    event = ""
    data: list[str] = []
    for line in _lines(text):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            event = value
    return ServerSentEvent(event=event, data="\n".join(data)) if data else None


def split_events(text: str) -> Iterator[str]:
    """Cut a whole body at its blank lines, for a stream that was kept as text; a torn end comes last."""
    lines: list[str] = []
    for line in _lines(text):
        if line:
            lines.append(line)
        elif lines:
            yield "\n".join(lines)
            lines = []
    if lines:
        yield "\n".join(lines)


def _lines(text: str) -> list[str]:
    # Not str.splitlines: it also cuts at U+2028 and U+0085, which stand unescaped inside JSON strings.
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
