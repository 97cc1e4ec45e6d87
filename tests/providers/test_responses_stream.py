"""OpenAI responses: what a stream says, whole, broken off, and in the spellings of other hosts."""

from __future__ import annotations

import pytest

from pytest_sparrow.providers.codec import Failure, ModelAnswer, Proposal, Reasoning, Text, Usage

from .responses_halves import CODEC, asked, event, streamed

MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
USAGE = {"input_tokens": 3, "output_tokens": 4}


def answer(*events):
    """What a stream of these events says."""
    return CODEC.answer(asked(stream=True), streamed(*events))


def text(delta, at=0, part=0):
    """A delta of a text."""
    return event("response.output_text.delta", output_index=at, content_index=part, delta=delta)


def added(item, at=0):
    """The beginning of an item."""
    return event("response.output_item.added", output_index=at, item=item)


def completed(*items, **more):
    """The last event."""
    response = {"status": "completed", "output": list(items), "usage": USAGE, **more}
    return event("response.completed", response=response)


def test_deltas_are_joined_by_item_and_part():
    """Interleaved parts of two items are distinguished by their indices."""
    said = answer(added(MESSAGE), text("a"), text("x", 1), text("b", part=1), text("A"), text("X", 1))
    assert said.parts == [Text("aA"), Text("b"), Text("xX")]


def test_the_last_event_has_the_last_word():
    """The output and the usage of the last event count."""
    whole = {**MESSAGE, "content": [{"type": "output_text", "text": "Hello."}]}
    assert answer(added(MESSAGE), text("Hello"), completed(whole)) == ModelAnswer(
        parts=[Text("Hello.")], usage=Usage(3, 4)
    )


def test_a_last_event_without_items_leaves_what_was_said():
    """Some hosts send the items only once."""
    said = answer(added(MESSAGE), text("Hello"), completed())
    assert said == ModelAnswer(parts=[Text("Hello")], usage=Usage(3, 4))


def test_a_call_that_breaks_off_has_the_text_of_its_arguments():
    """Not parsed, and not empty ones: an agent that acts meanwhile must not see a call as whole."""
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": ""}
    assert answer(added(call)).parts == [Proposal("call_1", "f", "")]
    piece = event("response.function_call_arguments.delta", output_index=0, delta='{"a')
    assert answer(added(call), piece).parts == [Proposal("call_1", "f", '{"a')]
    done = event("response.function_call_arguments.done", output_index=0, arguments='{"a": 1}')
    assert answer(added(call), piece, done).parts == [Proposal("call_1", "f", {"a": 1})]


def test_a_hosted_call_under_way_has_no_arguments_yet():
    """The arguments come with the call's end; until then they are an empty text, and there is no output."""
    call = {"type": "web_search_call", "id": "ws_1", "status": "in_progress"}
    assert answer(added(call)).parts == [Proposal("ws_1", "web_search", "", hosted=True)]


def test_reasoning_is_streamed_as_summary_or_as_text():
    """Each summary and each text is one part."""
    summary = event("response.reasoning_summary_text.delta", output_index=0, summary_index=0, delta="a")
    second = event("response.reasoning_summary_text.delta", output_index=0, summary_index=1, delta="b")
    plain = event("response.reasoning_text.delta", output_index=1, content_index=0, delta="c")
    assert answer(summary, second, plain).parts == [Reasoning("a"), Reasoning("b"), Reasoning("c")]


@pytest.mark.parametrize(
    ("last", "failure"),
    [
        (event("error", code="server_error", message="it broke"), "it broke"),
        ('event: error\ndata: {"error": {"message": "it broke"}}', "it broke"),
        (
            event("response.failed", response={"status": "failed", "error": {"message": "it broke"}}),
            "it broke",
        ),
        (event("response.failed", response={"status": "failed"}), "an error without a message"),
        (event("response.incomplete", response={"status": "incomplete"}), None),
        ("data: {torn", None),
        ("data: {torn\n", None),
        ("data: [DONE]", None),
    ],
)
def test_an_end_says_whether_it_failed(last, failure):
    """An error as an event of its own or in the response; what was said before it stays."""
    said = answer(added(MESSAGE), text("Hel"), last)
    assert said == ModelAnswer(parts=[Text("Hel")], failure=Failure(failure) if failure else None)


def test_an_unreadable_event_within_is_an_error():
    """As the SDKs have it; the rest is read all the same."""
    said = answer(added(MESSAGE), "data: {torn", text("Hi"))
    assert said == ModelAnswer(parts=[Text("Hi")], failure=Failure("event 2 of the stream is not JSON"))


def test_items_without_an_index_are_known_by_their_id():
    """Hosts that send none."""
    events = [
        event("response.output_item.added", item={**MESSAGE, "id": name}) for name in ("msg_1", "msg_2")
    ]
    events += [
        event("response.output_text.delta", item_id=name, delta=delta)
        for name, delta in (("msg_2", "b"), ("msg_1", "a"))
    ]
    assert answer(*events).parts == [Text("a"), Text("b")]
