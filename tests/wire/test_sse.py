"""Server-sent events as text."""

from __future__ import annotations

from pytest_sparrow.wire.sse import ServerSentEvent, parse_event_text, split_events


def test_data_lines_are_joined_with_newlines():
    """One event's data lines are one text, each without the one space behind the colon."""
    event = parse_event_text("event: delta\ndata: a\ndata:  b\ndata")
    assert event == ServerSentEvent(event="delta", data="a\n b\n")


def test_an_event_without_data_is_none():
    """Comments and ids keep a connection alive; they say nothing."""
    assert parse_event_text(": keep-alive") is None
    assert parse_event_text("id: 7\nretry: 10") is None


def test_only_newlines_end_a_line():
    """U+2028 and U+0085 stand unescaped inside JSON strings and cut nothing."""
    assert parse_event_text("data: a\u2028b\u0085c").data == "a\u2028b\u0085c"


def test_a_body_is_cut_at_blank_lines_of_any_newline():
    """All three newlines end a line; a torn last event is kept."""
    assert list(split_events("data: 1\r\n\r\ndata: 2\n\n\ndata: 3\r\rdata: torn")) == [
        "data: 1",
        "data: 2",
        "data: 3",
        "data: torn",
    ]
