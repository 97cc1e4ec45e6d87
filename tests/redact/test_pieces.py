"""Paths that a stream spells piece by piece."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.redact import Places, Redactor
from pytest_sparrow.redact.streams import hide_across

PLACES = {"tmp": "/tmp/pytest-7", "home": "C:\\Users\\Me"}


def chat(pieces: list[str], *, call: int | None = None) -> list[str]:
    """Events of OpenAI's chat stream whose texts, or a call's arguments, are the pieces."""
    events = []
    for piece in pieces:
        delta = (
            {"content": piece}
            if call is None
            else {"tool_calls": [{"index": call, "function": {"arguments": piece}}]}
        )
        events.append("data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}))
    return events


def said(events: list[str]) -> str:
    """The text, or the arguments, of such events."""
    deltas = [json.loads(event.removeprefix("data: "))["choices"][0]["delta"] for event in events]
    return "".join(
        delta["content"] if "content" in delta else delta["tool_calls"][0]["function"]["arguments"]
        for delta in deltas
    )


def test_the_placeholder_stands_where_the_path_began() -> None:
    """As many events as before; the pieces in between lose what belonged to the path, and nothing else."""
    hidden = hide_across(chat(["see /tm", "p/py", "test-7/a", " now"]), Places(PLACES).across)
    assert [said([event]) for event in hidden] == ["see <dir:tmp>", "", "/a", " now"]


def test_however_little_of_it_lies_in_another_piece() -> None:
    """One character is enough; what lies in one piece before it is no reason to look no further."""
    for pieces, expected in (
        (["in /tmp/pytest-", "7"], "in <dir:tmp>"),
        (["in /", "tmp/pytest-7"], "in <dir:tmp>"),
        (["/tmp/pytest-7 or /tmp/pyt", "est-7"], "/tmp/pytest-7 or <dir:tmp>"),
    ):
        assert said(hide_across(chat(pieces), Places(PLACES).across)) == expected


def test_events_without_a_path_stay_to_the_byte() -> None:
    """Only an event that changes is spelled anew; a path within one event is found without that."""
    events = [
        'data: {"d":  "in /tmp/pytest-7"}',
        'data: {"d":  " and on"}',
        'data:  {"choices" : [{"delta":{"content":"hi"}}]}',
        "data: [DONE]",
        ": ping",
        "event: x\ndata: {}",
    ]
    assert hide_across(events, Places(PLACES).across) == events


def test_calls_side_by_side_are_not_mixed() -> None:
    """Pieces of two calls come in turns; each call's are put together alone."""
    one, two = chat(["/tmp/py", "test-7/a"], call=0), chat(["/tmp", "/pytest-7/b"], call=1)
    hidden = hide_across([one[0], two[0], one[1], two[1]], Places(PLACES).across)
    assert said([hidden[0], hidden[2]]) == "<dir:tmp>/a"
    assert said([hidden[1], hidden[3]]) == "<dir:tmp>/b"


def test_anthropic_and_responses_events_are_read() -> None:
    """Other providers number their parts otherwise: by index, or output_index, beside the type."""
    for kind in (
        lambda text: {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "text_delta", "text": text},
        },
        lambda text: {"type": "response.output_text.delta", "output_index": 0, "delta": text},
    ):
        events = [f"event: e\ndata: {json.dumps(kind(piece))}" for piece in ("/tmp/pyt", "est-7")]
        hidden = "".join(hide_across(events, Places(PLACES).across))
        assert "<dir:tmp>" in hidden
        assert "pyt" not in hidden


def test_a_redactor_looks_across_once_a_path_was_met() -> None:
    """A model can only repeat a path of its requests: before that a stream costs nothing."""
    answered = {"status": 200, "headers": {}, "body": {"sse": chat(["/tmp/py", "test-7/a"])}}
    redactor = Redactor({}, places=Places(PLACES))
    assert redactor.answered("http", answered)["body"] == answered["body"]
    redactor.asked(
        "http", {"method": "GET", "url": "http://x/", "headers": {}, "body": {"text": "in /tmp/pytest-7"}}
    )
    assert said(redactor.answered("http", answered)["body"]["sse"]) == "<dir:tmp>/a"


@given(
    st.lists(st.sampled_from(["/tmp/pytest-7", "/a", " ", "x", "/tmp", '"', "<"]), max_size=6).map("".join),
    st.lists(st.integers(1, 5), min_size=30, max_size=30),
)
def test_however_it_is_cut(text: str, lengths: list[int]) -> None:
    """Put together, the pieces say what the whole text says with placeholders, and put back what it said before."""
    pieces, rest = [], text
    for length in lengths:
        pieces.append(rest[:length])
        rest = rest[length:]
    pieces.append(rest)
    places = Places(PLACES)
    hidden = hide_across(chat(pieces), places.across)
    assert len(hidden) == len(pieces)
    assert places.text(said(hidden)) == places.text(text)
    assert said(places.put_back(hidden)) == text


def test_backslashes_stay_with_their_path() -> None:
    """Backslashes show how deep the path is quoted: in arguments, which are JSON, the path comes back with two."""
    arguments = json.dumps({"path": "C:\\Users\\Me\\a.txt"})
    pieces = [arguments[n : n + 3] for n in range(0, len(arguments), 3)]
    places = Places(PLACES)
    hidden = hide_across(chat(pieces, call=0), places.across)
    assert said(hidden) == '{"path": "<dir:home>\\\\a.txt"}'
    assert said(places.put_back(hidden)) == arguments
