"""Server-sent events as text: which field says what (WHATWG HTML, "Server-sent events", section 9.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ServerSentEvent", "parse_event_text", "split_events"]


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
