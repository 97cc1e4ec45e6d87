"""Chat completions: whole answers and errors."""

from __future__ import annotations

import json

import pytest

from pytest_sparrow.providers import OpenAIChat
from pytest_sparrow.providers.codec import Failure, Proposal, Reasoning, Text, Usage

from .halves import asked, whole

CODEC = OpenAIChat()
ASKED = asked([{"role": "user", "content": "Hello"}])


def parts(*messages):
    """The parts of a whole answer."""
    return list(CODEC.answer(ASKED, whole(*messages)).parts)


def call(name, arguments, **more):
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


def test_reasoning_then_text_then_calls():
    """The parts of an answer stand in one order, whatever the order of the message's keys."""
    message = {"tool_calls": [call("f", "{}", id="1")], "content": "Yes", "reasoning_content": "Hm"}
    assert parts(message) == [Reasoning("Hm"), Text("Yes"), Proposal("1", "f", {})]


@pytest.mark.parametrize("content", [None, "", [], [{"type": "text", "text": ""}]])
def test_empty_content_is_no_text(content):
    """No text is said where the content is empty."""
    assert parts({"content": content}) == []


def test_parts_of_a_list_are_blocks_of_their_own():
    """Each text part is a Text; Mistral's thinking part is Reasoning."""
    thinking = {
        "type": "thinking",
        "thinking": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
    }
    refusal = {"type": "refusal", "refusal": "No"}
    content = [thinking, {"type": "text", "text": "x"}, {"type": "text", "text": "y"}, refusal]
    assert parts({"content": content}) == [Reasoning("ab"), Text("x"), Text("y"), Text("No")]


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning_content": "Hm"},
        {"reasoning": "Hm"},
        {
            "reasoning": "Hm",
            "reasoning_content": "Hm",
            "reasoning_details": [{"type": "reasoning.text", "text": "Hm"}],
        },
        {
            "reasoning_details": [
                {"type": "reasoning.text", "text": "H"},
                {"type": "reasoning.summary", "summary": "m"},
            ]
        },
    ],
)
def test_reasoning_is_read_once(message):
    """Hosts spell it differently, some twice; it is one Reasoning."""
    assert parts(message) == [Reasoning("Hm")]


def test_a_refusal_and_a_transcript_are_text():
    """What the model said is text, whichever field it stands in."""
    assert parts({"content": None, "refusal": "No"}) == [Text("No")]
    assert parts({"content": None, "audio": {"id": "a", "transcript": "Hi", "data": "AAAA"}}) == [Text("Hi")]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"amount": 39.99}', {"amount": 39.99}),
        ({"amount": 39.99}, {"amount": 39.99}),
        ('{"amount": ', '{"amount": '),
        ('{"a": 1, "a": 2}', '{"a": 1, "a": 2}'),
        ("just words", "just words"),
        ("[1]", [1]),
        ("", {}),
        (" ", {}),
        (None, {}),
    ],
)
def test_arguments_are_parsed_where_they_are_json(arguments, expected):
    """Parsed JSON, else the raw text; an empty text means no arguments."""
    assert parts({"tool_calls": [call("f", arguments, id="1")]}) == [Proposal("1", "f", expected)]


def test_a_custom_tool_takes_text():
    """The input of a custom tool stays text even where it looks like JSON."""
    custom = {"id": "1", "type": "custom", "custom": {"name": "sh", "input": '{"a": 1}'}}
    assert parts({"tool_calls": [custom]}) == [Proposal("1", "sh", '{"a": 1}')]


def test_choices_follow_one_another():
    """Several choices are read one after the other."""
    assert parts({"content": "one"}, {"content": "two"}) == [Text("one"), Text("two")]


def test_calls_without_ids_meet_their_outputs():
    """The n-th id-less call of a conversation has the same id in its answer and in every later request."""
    user = {"role": "user", "content": "Go"}
    first, second = (
        {"function_call": {"name": "f", "arguments": "{}"}},
        {"tool_calls": [call("g", "{}"), call("h", "{}")]},
    )
    after_first = [user, {"role": "assistant", **first}, {"role": "function", "name": "f", "content": "1"}]
    outputs = [{"role": "tool", "tool_call_id": "", "content": text} for text in ("2", "3")]
    after_second = [*after_first, {"role": "assistant", **second}, *outputs]
    proposed = [
        part.id
        for messages, answer in (([user], first), (after_first, second))
        for part in CODEC.answer(asked(messages), whole(answer)).parts
    ]
    assert len(set(proposed)) == 3
    assert [(one.id, list(one.blocks)) for one in CODEC.request(asked(after_second)).results] == [
        (proposed[0], [{"Text": "1"}]),
        (proposed[1], [{"Text": "2"}]),
        (proposed[2], [{"Text": "3"}]),
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"usage": {"prompt_tokens": 5, "completion_tokens": 7}}, Usage(5, 7)),
        ({"usage": {"prompt_tokens": 5}}, Usage(5, 0)),
        ({"x_groq": {"usage": {"prompt_tokens": 5, "completion_tokens": 7}}}, Usage(5, 7)),
        ({"usage": None}, None),
        ({"usage": {}}, None),
        ({"usage": {"prompt_tokens": True, "completion_tokens": -1}}, None),
        ({"usage": {"prompt_tokens": 2**64, "completion_tokens": 1.5}}, None),
        ({}, None),
    ],
)
def test_usage_is_what_the_provider_counts(fields, expected):
    """Counts that no event could hold are no usage."""
    assert CODEC.answer(ASKED, whole(**fields)).usage == expected


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"json": {"error": {"message": "Too many", "code": 429}}}, ": Too many"),
        ({"json": {"error": "Too many"}}, ": Too many"),
        ({"json": {"message": "Too many"}}, ": Too many"),
        ({"json": {"detail": [{"msg": "Too many"}]}}, ": Too many"),
        ({"json": [{"error": {"message": "Too many"}}]}, ": Too many"),
        ({"json": {"status": "overloaded"}}, ': {"status": "overloaded"}'),
        ({"text": "Too many\n"}, ": Too many"),
        ({"text": '{"error": {"message": "Too many"}}'}, ": Too many"),
        ({"sse": ['data: {"error": {"message": "Too many"}}']}, ": Too many"),
        ({"base64": "AAAA"}, ""),
        ({}, ""),
    ],
)
def test_an_error_status_is_a_failure(body, said):
    """The status, and the readable part of whatever body came with it."""
    answer = CODEC.answer(ASKED, {"status": 429, "headers": {}, "body": body})
    assert answer.failure == Failure("HTTP 429" + said)


def test_a_long_error_page_is_cut():
    """An event holds the beginning; the exchange keeps all of it."""
    answer = CODEC.answer(ASKED, {"status": 502, "body": {"text": "x" * 5_000}})
    assert answer.failure.message == "HTTP 502: " + "x" * 1_000 + "…"


def test_an_error_inside_a_good_status_is_a_failure():
    """Gateways report errors with status 200, for the answer or for a choice; what came is kept."""
    failed = whole({"content": "par"}, error={"message": "upstream died"})
    assert CODEC.answer(ASKED, failed).failure == Failure("upstream died")
    assert CODEC.answer(ASKED, failed).parts == [Text("par")]
    choice = {
        "status": 200,
        "body": {"json": {"choices": [{"error": {"code": 502}, "message": {"content": "x"}}]}},
    }
    assert CODEC.answer(ASKED, choice).failure == Failure("an error without a message")


def test_a_broken_transport_is_a_failure():
    """Where nothing came, the transport's error is the failure; where something came it is kept beside it."""
    error = {"error": {"type": "ConnectTimeout", "message": "timed out"}}
    assert CODEC.answer(ASKED, error).failure == Failure("ConnectTimeout: timed out")
    both = CODEC.answer(ASKED, {**whole({"content": "Hi"}), **error})
    assert (both.parts, both.failure) == ([Text("Hi")], Failure("ConnectTimeout: timed out"))


def test_text_that_is_json_is_read():
    """A body kept as text (a duplicate key, a NaN) is read as the SDK reads it."""
    text = json.dumps({"choices": [{"logprobs": float("nan"), "message": {"content": "Hi"}}]})
    assert CODEC.answer(ASKED, {"status": 200, "body": {"text": text}}).parts == [Text("Hi")]
