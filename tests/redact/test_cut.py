"""A secret that a stream cuts into pieces."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sparrow.redact import Redactor
from pytest_sparrow.redact.streams import cuts_between
from tests.redact.synthetic import SECRETS
from tests.redact.test_pieces import chat, said

KEY = SECRETS[1][1]


def hidden(events: list[str], redactor: Redactor | None = None) -> list[str]:
    half = {"status": 200, "headers": {}, "body": {"sse": events}}
    found: list[str] = (redactor or Redactor({})).answered("http", half)["body"]["sse"]
    return found


@given(st.sampled_from(SECRETS), st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_however_it_is_cut(secret: tuple[str, str], lengths: list[int]) -> None:
    """Put together, the pieces say what the whole text says without its secret; there are as many as before."""
    text, pieces, at = f"it is {secret[1]}, ok", [], 0
    while at < len(text):
        length = lengths[len(pieces) % len(lengths)]
        pieces.append(text[at : at + length])
        at += length
    clean = hidden(chat(pieces))
    assert len(clean) == len(pieces)
    assert said(clean) == Redactor({}).value(text)


def test_boundaries_are_kept() -> None:
    """Only the pieces that spelled the secret change, and the events around them stay to the byte."""
    events = chat(["one ", "key ", KEY[:9], KEY[9:20], KEY[20:] + " th", "en ", "more"])
    clean = hidden(events)
    assert [said([event]) for event in clean] == [
        "one ",
        "key ",
        "<secret:openai-key:1>",
        "",
        " th",
        "en ",
        "more",
    ]
    assert [clean[n] for n in (0, 1, 5, 6)] == [events[n] for n in (0, 1, 5, 6)]


def test_arguments_are_read_as_the_json_they_make() -> None:
    """A field's name in one piece and its value in the next: hidden by the name, and spelled as before."""
    arguments = json.dumps({"api_key": "q9w8e7r6t5y4", "n": [1, 2.0]})
    pieces = [arguments[at : at + 4] for at in range(0, len(arguments), 4)]
    redactor = Redactor({})
    assert said(hidden(chat(pieces, call=0), redactor)) == arguments.replace(
        "q9w8e7r6t5y4", "<secret:api-key:1>"
    )
    assert redactor.value("again q9w8e7r6t5y4") == "again <secret:api-key:1>"


def test_lines_of_json_are_read_alike() -> None:
    """Newline-delimited JSON, as Ollama streams it."""
    lines = [json.dumps({"message": {"content": part}}) for part in ("a sk-pr", KEY[5:30], KEY[30:])]
    clean = Redactor({}).answered("http", {"status": 200, "headers": {}, "body": {"lines": lines}})
    assert "".join(json.loads(line)["message"]["content"] for line in clean["body"]["lines"]) == (
        "a <secret:openai-key:1>"
    )


def test_texts_in_pieces_beside_it_stay() -> None:
    """Another text of the same stream that holds no secret stays to the byte, and so does a placeholder in it."""
    pieces = ["a <secret:token:9> ", KEY[:9], KEY[9:], " b"]
    events = [
        event.replace('{"choices"', f'{{"obfuscation": "x{number}", "choices"', 1)
        for number, event in enumerate(chat(pieces))
    ]
    clean = hidden(events)
    assert [said([event]) for event in clean] == ["a <secret:token:9> ", "<secret:openai-key:1>", "", " b"]
    assert [clean[n] for n in (0, 3)] == [events[n] for n in (0, 3)]
    assert [json.loads(event[6:])["obfuscation"] for event in clean] == ["x0", "x1", "x2", "x3"]


@pytest.mark.parametrize(
    "spelled",
    [
        "data: {}",
        "data:{}",
        "data:  {} ",
        "data: {}\nid: 7",
        "id: 7\ndata: {}",
        ": ping\nevent: e\ndata: {}\nretry: 9",
        "{}",
    ],
)
def test_however_an_event_is_spelled(spelled: str) -> None:
    """The event's one line of data is read, and everything around the line stays."""
    pieces = ["key ", KEY[:9], KEY[9:], " and"]
    events = [spelled.replace("{}", event.removeprefix("data: ")) for event in chat(pieces)]
    clean = hidden(events)
    payloads = [event[event.index("{") : event.rindex("}") + 1] for event in clean]
    assert [said([payload]) for payload in payloads] == ["key ", "<secret:openai-key:1>", "", " and"]
    assert [clean[n] for n in (0, 3)] == [events[n] for n in (0, 3)]
    around = spelled if spelled == "{}" else spelled.replace("  {} ", " {}")
    assert [event.replace(payload, "{}") for event, payload in zip(clean, payloads, strict=True)][1] == around


def test_events_that_can_not_be_read_hide_nothing() -> None:
    """Events without JSON, with several lines, or with a list for a number don't keep others from being read."""
    pieces = chat([KEY[:9], KEY[9:]])
    odd = [
        'data: {"broken',
        "data: [DONE]",
        'data: {"a":\ndata: "b"}',
        "",
        ": ping",
        'data: {"index": [1], "delta": {"text": "x"}}',
        'data: {"type": {}, "delta": ["x", {"index": 1, "t": "y"}]}',
        "data: 7",
    ]
    for between in ([one] for one in odd):
        clean = hidden([pieces[0], *between, pieces[1]])
        assert said([clean[0], clean[-1]]) == "<secret:openai-key:1>", between
        assert clean[1:-1] == between


def test_what_every_event_repeats_is_no_text_in_pieces() -> None:
    """A secret that stands whole in each event is replaced in each."""
    other = SECRETS[2][1]
    events = ["data: " + json.dumps({"user": KEY, "t": part}) for part in ("is ", other[:9], other[9:])]
    clean = [json.loads(event[6:]) for event in hidden(events)]
    assert [event["user"] for event in clean] == [clean[0]["user"]] * 3
    assert "".join(event["t"] for event in clean).startswith("is <secret:openai-key:")
    assert KEY[8:20] not in str(clean)


@pytest.mark.parametrize("number", ["index", "output_index", "content_index", "summary_index"])
def test_parts_that_are_numbered_apart_are_read_apart(number: str) -> None:
    """Pieces of two texts come in turns: each text is put together alone, whatever numbers its parts."""
    texts = [("0", KEY[:9]), ("1", "one, "), ("0", KEY[9:]), ("1", "two")]
    events = [
        "data: " + json.dumps({"type": "t", number: int(at), "delta": {"t": text}}) for at, text in texts
    ]
    clean = [json.loads(event[6:])["delta"]["t"] for event in hidden(events)]
    assert clean == ["<secret:openai-key:1>", "one, ", "", "two"]


@pytest.mark.parametrize("numbers", [("a", "b"), ([1], [2]), ({}, None), (0.5, "1"), (None, {"n": 1})])
def test_what_is_no_number_tells_no_parts_apart(numbers: tuple[object, object]) -> None:
    """A name or an object where a part's number is expected differs from event to event, and the text goes on."""
    events = [
        "data: " + json.dumps({"index": number, "t": text})
        for number, text in zip(numbers, (KEY[:9], KEY[9:]), strict=True)
    ]
    clean = [json.loads(event[6:])["t"] for event in hidden(events)]
    assert clean == ["<secret:openai-key:1>", ""]


def test_texts_of_lists_and_of_other_names_are_read_apart() -> None:
    """Where a text stands says whose piece it is: its field, and its place in a list, or its number there."""
    payloads = [
        {"l": [KEY[:9], "one, "], "a": "x", "m": [{"index": 1, "t": KEY[:7]}]},
        {"l": [KEY[9:], "two"], "a": "y", "m": [{"index": 0, "t": "z"}, {"index": 1, "t": KEY[7:]}]},
    ]
    clean = [json.loads(event[6:]) for event in hidden([f"data: {json.dumps(one)}" for one in payloads])]
    key = "<secret:openai-key:1>"
    assert clean == [
        {"l": [key, "one, "], "a": "x", "m": [{"index": 1, "t": key}]},
        {"l": ["", "two"], "a": "y", "m": [{"index": 0, "t": "z"}, {"index": 1, "t": ""}]},
    ]


def test_secrets_with_little_between() -> None:
    """What stands between secrets may stand in one of them, too: each goes where it began."""
    redactor = Redactor({"A_TOKEN": "wq83-hfk2", "B_TOKEN": "vm20-xk9s", "C_TOKEN": "pz51-jd7q"})
    clean = hidden(chat(["wq8", "3-hf", "k2-vm", "20-xk9s", ", p", "z51-jd7q"]), redactor)
    assert [said([event]) for event in clean] == [
        "<secret:a-token:1>",
        "",
        "-<secret:b-token:1>",
        "",
        ", <secret:c-token:1>",
        "",
    ]


def test_a_clean_form_that_is_spelled_anew_is_one_cut() -> None:
    """Where it can't be traced back placeholder by placeholder: from the first difference to the last."""
    cuts = cuts_between("ab 12 cd", "ab <secret:x:1>  <secret:x:2> cd", lambda *_: False)
    assert [tuple(cut) for cut in cuts] == [(3, 5, "<secret:x:1>  <secret:x:2>")]


_parts = st.lists(st.sampled_from(["a", "b", "ab", " ", "<secret:x:1>", "<secret:x:2>"]), max_size=8).map(
    "".join
)


@settings(max_examples=300)
@given(_parts, _parts, st.booleans())
def test_cuts_give_the_clean_form(text: str, clean: str, traced: bool) -> None:
    """Whatever the two texts are: the cuts lie in order and apart, and applied they turn the one into the other."""
    shown, done = "", 0
    for cut in cuts_between(text, clean, lambda *_: traced):
        assert done <= cut.start <= cut.stop <= len(text)
        shown += text[done : cut.start] + cut.instead
        done = cut.stop
    assert shown + text[done:] == clean


def test_json_that_is_repeated_is_spelled_as_it_was_recorded():
    """A stream's pieces keep their blanks; what an agent sends of them in a replay has the recorded spelling."""
    said = json.dumps({"headers": [{"value": f"Bearer {SECRETS[2][1]}"}]})
    recorded = Redactor({}).asked("tool", {"args": {"note": said}})
    events = ["data: " + json.dumps({"t": piece}) for piece in (said[:9], said[9:20], said[20:])]
    served = "".join(json.loads(event[6:])["t"] for event in hidden(events))
    assert ": " in served
    assert SECRETS[2][1] not in served
    assert Redactor({}).asked("tool", {"args": {"note": served}}) == recorded
    line = json.dumps({"note": served}).encode()
    assert json.loads(Redactor({}).line(line))["note"] == recorded["args"]["note"]
