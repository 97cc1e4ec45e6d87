"""Anthropic's messages: whole answers, streams and errors, and whatever else comes over the wire."""

from __future__ import annotations

import json

import pytest
from cassettes.anthropic_samples import event, message, stream_of

from pytest_sparrow.providers import AnthropicMessages
from pytest_sparrow.providers.codec import Failure, Output, Proposal, Reasoning, Text, Usage

from .halves import asked, streamed

CODEC = AnthropicMessages()
ASKED = asked([{"role": "user", "content": "Hello"}], url="https://api.anthropic.com/v1/messages")


def whole(*content, status=200, **more):
    return {"status": status, "headers": {}, "body": {"json": message(*content, **more)}}


def read(*content, **more):
    return CODEC.answer(ASKED, whole(*content, **more))


def joined(*events):
    return CODEC.answer(ASKED, streamed(*events))


def call(kind="tool_use", **more):
    return {"type": kind, "id": "t", "name": "f", "input": {"a": 1}, **more}


def result(kind, content, **more):
    return {"type": kind, "tool_use_id": "t", "content": content, **more}


def test_blocks_are_parts_in_their_order():
    """Thinking, text and calls as they stand; what has no text, or an empty one, is no part."""
    thinking = {"type": "thinking", "thinking": "Hm", "signature": "s"}
    hidden = {"type": "thinking", "thinking": "", "signature": "s"}
    redacted = {"type": "redacted_thinking", "data": "x"}
    text, empty = {"type": "text", "text": "Yes"}, {"type": "text", "text": ""}
    upload = {"type": "container_upload", "file_id": "f"}
    answer = read(hidden, thinking, redacted, text, empty, upload, call(), text)
    assert answer.parts == [Reasoning("Hm"), Text("Yes"), Proposal("t", "f", {"a": 1}), Text("Yes")]


@pytest.mark.parametrize("kind", ["server_tool_use", "mcp_tool_use", "some_new_tool_use"])
def test_a_hosted_call_is_distinguished(kind):
    """The provider ran it: no agent will."""
    assert read(call(kind)).parts == [Proposal("t", "f", {"a": 1}, hosted=True)]


@pytest.mark.parametrize(
    ("kind", "content", "blocks", "is_error"),
    [
        ("web_search_tool_result", [{"type": "web_search_result", "url": "u"}], None, False),
        (
            "web_search_tool_result",
            {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"},
            None,
            True,
        ),
        ("web_fetch_tool_result", {"type": "web_fetch_result", "content": {"type": "document"}}, None, False),
        ("code_execution_tool_result", {"type": "code_execution_result", "return_code": 1}, None, False),
        ("bash_code_execution_tool_result", {"type": "bash_code_execution_tool_result_error"}, None, True),
        ("some_new_tool_result", "{}", [{"Json": {}}], False),
        ("mcp_tool_result", [{"type": "text", "text": "a"}], [{"Text": "a"}], False),
    ],
)
def test_a_hosted_tools_result_is_its_output(kind, content, blocks, is_error):
    """Any *_tool_result; an error is what the content's type calls one, and a failing program isn't."""
    if blocks is None:
        blocks = [{"Json": part} for part in (content if isinstance(content, list) else [content])]
    assert read(result(kind, content)).parts == [Output("t", blocks, is_error)]


@pytest.mark.parametrize("flag", [True, False])
def test_a_results_own_flag_decides(flag):
    """MCP results have is_error, whatever their content."""
    assert read(result("mcp_tool_result", "x", is_error=flag)).parts == [Output("t", [{"Text": "x"}], flag)]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 3, "output_tokens": 5}, Usage(3, 5)),
        (
            {
                "input_tokens": 3,
                "cache_creation_input_tokens": 10,
                "cache_read_input_tokens": 100,
                "output_tokens": 5,
            },
            Usage(113, 5),
        ),
        ({"input_tokens": 3, "cache_read_input_tokens": None}, Usage(3, 0)),
        ({"input_tokens": True, "output_tokens": -1}, None),
        ({"input_tokens": 0, "output_tokens": 0}, None),
        ({}, None),
        (None, None),
    ],
)
def test_input_counts_what_was_cached_too(usage, expected):
    """A warm cache and a cold one cost the same tokens."""
    assert read(usage=usage).usage == expected


def test_a_stream_says_what_the_whole_answer_does():
    """Fragments are joined by block, also where blocks take turns."""
    events = [
        event("message_start", message=message(usage={"input_tokens": 3, "output_tokens": 1})),
        event("content_block_start", index=0, content_block={"type": "text", "text": "He"}),
        event("content_block_start", index=1, content_block=call(input={})),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": "llo"}),
        event("content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": '{"a"'}),
        event("content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": ": 1}"}),
        event("content_block_stop", index=0),
        event("content_block_stop", index=1),
        event("message_delta", delta={}, usage={"output_tokens": 5}),
        event("message_stop"),
    ]
    answer = joined(*events)
    assert (answer.parts, answer.usage) == ([Text("Hello"), Proposal("t", "f", {"a": 1})], Usage(3, 5))
    assert answer.failure is None


def test_a_stream_without_event_lines_is_read_too():
    """Some gateways send the data alone: the type stands in it."""
    events = [one.partition("\n")[2] for one in stream_of(({"type": "text", "text": "Hi"}, []))]
    assert joined(*events).parts == [Text("Hi")]


def test_a_gateway_may_send_blocks_at_once_and_number_them_all_0():
    """A beginning that holds everything is enough, and each begins a block of its own."""
    events = [
        event("content_block_start", index=0, content_block={"type": "text", "text": "Hi"}),
        event("content_block_start", index=0, content_block=call()),
        event("content_block_delta", index=7, delta={"type": "text_delta", "text": "lost"}),
    ]
    assert joined(*events).parts == [Text("Hi"), Proposal("t", "f", {"a": 1}), Text("lost")]


@pytest.mark.parametrize(
    ("pieces", "ended", "args"),
    [
        ([], [], ""),
        (['{"a": '], [], '{"a": '),
        (['{"a": 1}'], [], {"a": 1}),
        ([], [event("content_block_stop", index=0)], {}),
        ([], [event("message_stop")], {}),
    ],
)
def test_a_torn_call_shows_what_came(pieces, ended, args):
    """Arguments that were cut stay text: only an ended block without any says that there are none."""
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    events = [
        event("content_block_start", index=0, content_block=call(input={})),
        *(event("content_block_delta", index=0, delta=delta) for delta in deltas),
        *ended,
    ]
    assert joined(*events).parts == [Proposal("t", "f", args)]


def test_a_torn_stream_gives_what_came():
    """Text so far, the counts of its beginning, and the transport's words."""
    events = stream_of(({"type": "text", "text": ""}, [{"type": "text_delta", "text": "Hel"}]))[:4]
    answered = {**streamed(*events, 'data: {"type": "conte'), "error": {"type": "ReadError", "message": "x"}}
    answer = CODEC.answer(ASKED, answered)
    assert answer.parts == [Text("Hel")]
    assert answer.usage == Usage(11, 1)
    assert answer.failure == Failure("ReadError: x")
    assert joined(*events, 'data: {"type": "conte').failure is None


def test_an_unreadable_event_in_the_middle_is_an_error():
    """The SDK raises there, so the run has to say why."""
    assert joined("data: {", event("ping")).failure == Failure("event 1 of the stream is not JSON")


def test_an_error_inside_a_stream_is_the_providers_words():
    """What came before it stays."""
    error = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    text = stream_of(({"type": "text", "text": "Hi"}, []))
    answer = joined(*text[:3], error)
    assert (answer.parts, answer.failure) == ([Text("Hi")], Failure("Overloaded"))
    assert joined("event: error\ndata: gone").failure == Failure("gone")
    assert joined("event: error\ndata: {}").failure == Failure("{}")


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            529,
            {"json": {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}},
            "HTTP 529: Busy",
        ),
        (404, {"json": {"message": "no route"}}, "HTTP 404: no route"),
        (502, {"text": "<html>Bad gateway</html>"}, "HTTP 502: <html>Bad gateway</html>"),
        (500, {"json": {}}, "HTTP 500"),
        (200, {"json": {"type": "error", "error": {"message": "late"}}}, "late"),
        (200, {"json": {"type": "error"}}, "an error without a message"),
    ],
)
def test_an_error_is_a_failure(status, body, words):
    """With its status where that says it, in the provider's words."""
    answer = CODEC.answer(ASKED, {"status": status, "headers": {}, "body": body})
    assert answer.failure is not None
    assert answer.failure.message == words
    assert list(answer.parts) == []


def test_an_answer_kept_as_text_is_read():
    """A body whose content type lied is JSON, or a stream, all the same."""
    body = {"text": json.dumps(message({"type": "text", "text": "Hi"}))}
    assert CODEC.answer(ASKED, {"status": 200, "body": body}).parts == [Text("Hi")]
    text = "\n\n".join(stream_of(({"type": "text", "text": "Hi"}, [])))
    assert CODEC.answer(ASKED, {"status": 200, "body": {"text": text}}).parts == [Text("Hi")]
