"""Cuts streams of server-sent events and of JSON lines into texts, joins them again, and reads or changes one text.

Format: WHATWG HTML, "Server-sent events", sections 9.2.5 and 9.2.6. No other module knows how an event is spelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sparrow.exchange import Json

MEDIA_TYPE = "text/event-stream"

_BLANK = "\n\n"
_CRLF = "\r\n"
_FIELDS = ("data:", "event:", ":", "id:", "retry:")


def events_of(raw: bytes) -> dict[str, Json] | None:
    r"""A stream of events as ``{"sse": [event, …]}``, plus ``"torn"``: what follows the last blank line.

    An event ends with a blank line (9.2.6). Clients dispatch no event without one, so the rest of a stream must not
    look like an event, nor become one in a replay. ``\r\n`` is written ``\n``, and noted as ``"newline"``.

    Returns:
        None where the bytes could not be given back: no UTF-8, or line endings of several kinds.
    """
    try:
        spelled = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    text = spelled.replace("\r\n", "\n")
    has_crlf = text != spelled
    if "\r" in text or (has_crlf and text.replace("\n", "\r\n") != spelled):
        return None
    *events, torn = text.split(_BLANK)
    body: dict[str, Json] = {"sse": events}
    if torn:
        body["torn"] = torn
    if has_crlf:
        body["newline"] = _CRLF
    return body


def serve(body: dict[str, Json]) -> list[bytes]:
    """The chunks of a recorded stream: one for each event, and the torn rest as it was."""
    chunks = [f"{event}{_BLANK}".encode() for event in body["sse"]]
    if torn := body.get("torn"):
        chunks.append(str(torn).encode())
    if body.get("newline") == _CRLF:
        return [chunk.replace(b"\n", b"\r\n") for chunk in chunks]
    return chunks


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
    """Read one event's lines; None for an event without data (a comment that keeps the line open, a bare id)."""
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


def event_of(data: str, event: str = "") -> str:
    """The text of one event, without its blank line.

    Args:
        data: the event's data; each line of the data becomes a ``data:`` line.
        event: the event's type; none if "".
    """
    lines = [f"event: {event}"] if event else []
    return "\n".join([*lines, *(f"data: {line}" for line in data.split("\n"))])


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


def looks_like_event(text: str) -> bool:
    """Whether a text begins as an event does: with a field's name, or a comment."""
    return text.startswith(_FIELDS)


def holds_data(text: str) -> bool:
    """Whether a text begins as an event does and has data."""
    return text.startswith(_FIELDS) and "data:" in text


def data_of_line(line: str) -> str | None:
    """The value of a ``data:`` line, or None for any other line."""
    return line[5:].removeprefix(" ") if line.startswith("data:") else None


def only_data(event: str) -> str | None:
    """The value of the only ``data:`` line of an event; None where the event has none or several."""
    if "\n" not in event:
        return data_of_line(event)
    found = [line for line in event.split("\n") if line.startswith("data:")]
    return data_of_line(found[0]) if len(found) == 1 else None


def with_data(event: str, change: Callable[[str], str]) -> str:
    """An event with the value of each ``data:`` line replaced by ``change(value)``; all else stays as spelled."""
    lines = event.split("\n")
    for number, line in enumerate(lines):
        value = data_of_line(line)
        if value is not None:
            lines[number] = line[: len(line) - len(value)] + change(value)
    return "\n".join(lines)


def up_to_data(event: str, change: Callable[[str], str | None]) -> str | None:
    """An event that ends with a changed ``data:`` line: the first for whose value ``change`` is not None.

    Returns:
        None where ``change`` is None for every line.
    """
    lines = event.split("\n")
    for number, line in enumerate(lines):
        value = data_of_line(line)
        changed = None if value is None else change(value)
        if changed is not None:
            return "\n".join([*lines[:number], f"data: {changed}"])
    return None


def _lines(text: str) -> list[str]:
    # Not str.splitlines: it also cuts at U+2028 and U+0085, which stand unescaped inside JSON strings.
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")


LINE_TYPES = frozenset(
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


def line_chunks(body: dict[str, Json]) -> list[bytes]:
    """The chunks of a recorded body: one for each line, and the torn rest as it was."""
    chunks = [f"{line}\n".encode() for line in body["lines"]]
    if torn := body.get("torn"):
        chunks.append(str(torn).encode())
    return chunks
