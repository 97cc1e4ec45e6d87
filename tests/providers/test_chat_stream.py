"""Chat completions: streamed answers, from tidy hosts and from others."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.providers import OpenAIChat
from pytest_sparrow.providers.codec import Failure, Proposal, Reasoning, Text, Usage

from .halves import asked, delta, piece, streamed, whole

CODEC = OpenAIChat()
ASKED = asked([{"role": "user", "content": "Hello"}], stream=True)
DONE = "data: [DONE]"


def answer(*chunks):
    return CODEC.answer(ASKED, streamed(*chunks))


def calls(*pieces):
    """The proposals of a stream whose chunks hold one entry of tool_calls each."""
    return list(answer(*(delta(tool_calls=[one]) for one in pieces), DONE).parts)


def test_chunks_are_joined():
    """Reasoning, text and usage of a stream are those of the same answer unstreamed."""
    joined = answer(
        delta(role="assistant", content=""),
        delta(reasoning_content="H"),
        delta(reasoning_content="m"),
        delta(content="Hel"),
        ": keep-alive",
        delta(content="lo"),
        {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 7}},
        DONE,
    )
    assert list(joined.parts) == [Reasoning("Hm"), Text("Hello")]
    assert (joined.usage, joined.failure) == (Usage(5, 7), None)


def test_groq_hides_usage_elsewhere():
    """Usage in ``x_groq`` counts; the last usage of a stream wins, and a null one hides none."""
    usages = ({"prompt_tokens": 5, "completion_tokens": n} for n in (1, 7))
    chunks = [{"choices": [], "x_groq": {"usage": usage}} for usage in usages]
    assert answer(*chunks, {"choices": [], "usage": None}, DONE).usage == Usage(5, 7)


def test_choices_are_kept_apart():
    """Interleaved choices are read one after the other, by index."""
    chunks = [delta(1, content="b"), delta(0, content="a"), delta(1, content="B"), delta(0, content="A")]
    assert list(answer(*chunks).parts) == [Text("aA"), Text("bB")]


def test_streamed_content_parts_are_joined_by_kind():
    """Mistral streams lists of parts: thinking pieces are one Reasoning, text pieces one Text."""

    def thinking(text):
        return [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]

    chunks = [
        delta(content=thinking("H")),
        delta(content=thinking("m")),
        delta(content="Y"),
        delta(content="es"),
    ]
    assert list(answer(*chunks).parts) == [Reasoning("Hm"), Text("Yes")]


def test_calls_are_distinguished_by_index():
    """Fragments of parallel calls are joined by index and parsed once whole."""
    assert calls(
        piece("f", "", index=0, id="1"),
        piece("g", '{"b"', index=1, id="2"),
        piece(arguments='{"a":', index=0),
        piece(arguments=":2}", index=1),
        piece(arguments="1}", index=0),
    ) == [Proposal("1", "f", {"a": 1}), Proposal("2", "g", {"b": 2})]


@pytest.mark.parametrize("index", [{"index": 0}, {}], ids=["index-0", "no-index"])
@pytest.mark.parametrize("ids", [("1", "2"), ("", "")], ids=["ids", "no-ids"])
def test_whole_calls_with_one_index_are_several(index, ids):
    """Hosts that send every call whole, with index 0 or none, with ids or without, propose each of them."""
    found = calls(*(piece("f", f'{{"n":{n}}}', id=call_id, **index) for n, call_id in enumerate(ids)))
    assert [(part.name, part.args) for part in found] == [("f", {"n": 0}), ("f", {"n": 1})]
    assert len({part.id for part in found}) == 2


def test_fragments_without_an_index_belong_to_the_last_call():
    """A fragment that names nothing continues what came before."""
    found = calls(
        piece("f", '{"a"', id="1"), piece(arguments=":1}"), piece("g", "", id="2"), piece(arguments="{}")
    )
    assert found == [Proposal("1", "f", {"a": 1}), Proposal("2", "g", {})]


def test_repeated_ids_and_names_are_one_call():
    """Some hosts repeat id and name in every fragment."""
    pieces = (piece("f", text, index=0, id="1") for text in ('{"a":', "1", "}"))
    assert calls(*pieces) == [Proposal("1", "f", {"a": 1})]


def test_arguments_may_come_as_an_object():
    """A host that sends parsed arguments is understood."""
    assert calls(piece("f", {"a": 1}, index=0, id="1")) == [Proposal("1", "f", {"a": 1})]


def test_arguments_that_no_event_could_hold_stay_text():
    """NaN is no JSON number: it is kept as its text."""
    found = calls(piece("f", {"a": float("nan")}, index=0, id="1"))
    assert found == [Proposal("1", "f", '{"a": NaN}')]


def test_custom_and_legacy_calls_are_joined():
    """Custom tools' input and the legacy ``function_call`` arrive in fragments too."""
    custom = [{"index": 0, "id": "1", "custom": {"name": "sh", "input": text}} for text in ("ls", " -l")]
    assert calls(*custom) == [Proposal("1", "sh", "ls -l")]
    legacy = [
        delta(function_call={"name": "f", "arguments": '{"a"'}),
        delta(function_call={"arguments": ":1}"}),
    ]
    assert list(answer(*legacy).parts) == [Proposal("call-1", "f", {"a": 1})]


def test_fields_that_are_there_and_empty_say_nothing():
    """Gateways written in Go send every field: an empty custom tool beside a function, an empty legacy call."""
    empty = {"custom": {"name": "", "input": ""}, "type": "function", "id": "a"}
    legacy = {"name": "", "arguments": ""}
    call = {**empty, "function": {"name": "refund", "arguments": '{"a": 1}'}}
    message = {"content": "", "function_call": legacy, "tool_calls": [call]}
    expected = [Proposal("a", "refund", {"a": 1})]
    assert list(CODEC.answer(ASKED, whole(message)).parts) == expected
    begun = {**empty, "index": 0, "function": {"name": "refund", "arguments": ""}}
    more = {**empty, "index": 0, "function": {"name": "", "arguments": '{"a": 1}'}}
    deltas = [delta(tool_calls=[each], function_call=legacy) for each in (begun, more)]
    assert list(answer(*deltas, DONE).parts) == expected


def test_refusals_and_transcripts_are_joined():
    """What was said is text, whichever field it came in."""
    assert list(answer(delta(refusal="N"), delta(refusal="o")).parts) == [Text("No")]
    spoken = [delta(audio={"id": "a", "transcript": text}) for text in ("H", "i")]
    assert list(answer(*spoken).parts) == [Text("Hi")]


def test_a_message_stands_in_for_deltas():
    """A host that had the answer whole sends a message; one that repeats the deltas in it adds nothing."""
    message = {"choices": [{"index": 0, "message": {"content": "Hello"}}]}
    assert list(answer(message).parts) == [Text("Hello")]
    assert list(answer(delta(content="Hello"), message).parts) == [Text("Hello")]


def test_what_came_of_a_torn_stream_is_kept():
    """A stream that ends without [DONE], in the middle of an event, has no failure of its own."""
    torn = answer(delta(content="Hel"), delta(content="lo"), 'data: {"choices": [{"ind')
    assert (list(torn.parts), torn.failure) == ([Text("Hello")], None)


def test_an_unreadable_event_is_a_failure():
    """An error in the middle of a stream makes the SDK raise, so it is a failure."""
    broken = answer(delta(content="a"), "data: {broken", delta(content="b"))
    assert (list(broken.parts), broken.failure) == (
        [Text("ab")],
        Failure("event 2 of the stream is not JSON"),
    )


@pytest.mark.parametrize(
    "event",
    [
        'data: {"error": {"message": "died", "type": "server_error"}}',
        'event: error\ndata: {"message": "died"}',
        "event: error\ndata: died",
        'data: {"choices": [{"index": 0, "delta": {"content": ""}, "error": {"message": "died"}}]}',
    ],
)
def test_an_error_inside_the_stream_is_a_failure(event):
    """Whatever came before it is kept."""
    failed = answer(delta(content="Hel"), event)
    assert (list(failed.parts), failed.failure) == ([Text("Hel")], Failure("died"))


def test_nothing_after_done_is_read():
    """[DONE] ends a stream; SDKs stop there."""
    assert list(answer(delta(content="a"), DONE, delta(content="b")).parts) == [Text("a")]


def test_a_surrogate_pair_cut_between_chunks_is_joined():
    """Halves of an escaped pair make one character; a lone half becomes U+FFFD, which an event can hold."""
    assert list(answer(delta(content="\ud83d"), delta(content="\ude00")).parts) == [Text("😀")]
    assert list(answer(delta(content="a\ud83d")).parts) == [Text("a\ufffd")]


def test_a_stream_kept_as_text_is_read():
    """A body that could not be split exactly is kept as text and means the same."""
    text = (
        ": hello\r\n\r\n"
        + 'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\r\n\r\ndata: [DONE]\r\n\r\n'
    )
    assert list(CODEC.answer(ASKED, {"status": 200, "body": {"text": text}}).parts) == [Text("Hi")]


words = st.text(max_size=30)
cuts = st.lists(st.integers(0, 60), max_size=4)


def fragments(text, places):
    """A text cut at some places."""
    edges = sorted({0, len(text), *(place for place in places if place < len(text))})
    return [text[start:end] for start, end in pairwise(edges)]


@given(words, words, st.lists(st.tuples(words, cuts), max_size=3), cuts)
def test_streamed_or_whole_is_the_same_answer(reasoning, content, arguments, places):
    """However an answer is cut into chunks, its parts are those of the whole answer."""
    entries = [
        {"id": f"id{n}", "function": {"name": "f", "arguments": text}}
        for n, (text, _) in enumerate(arguments)
    ]
    chunks = [delta(reasoning=text) for text in fragments(reasoning, places)]
    chunks += [delta(content=text) for text in fragments(content, places)]
    for n, (text, where) in enumerate(arguments):
        chunks.append(delta(tool_calls=[piece("f", "", index=n, id=f"id{n}")]))
        chunks += [delta(tool_calls=[piece(arguments=one, index=n)]) for one in fragments(text, where)]
    message = {"reasoning": reasoning, "content": content, "tool_calls": entries}
    assert list(answer(*chunks, DONE).parts) == list(CODEC.answer(ASKED, whole(message)).parts)
