"""MCP over HTTP: a ``tools/call`` and its result, both ways."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.providers import MCP, builtin_codecs
from pytest_sparrow.providers.codec import Failure, ModelAnswer, Output, ToolRequest

CODEC = MCP()


def asked(*, accept="application/json, text/event-stream", **message):
    return {
        "method": "POST",
        "url": "http://localhost/mcp",
        "headers": {"accept": accept},
        "body": {"json": {"jsonrpc": "2.0", "id": 7, **message}},
    }


def call(name="refund", **arguments):
    return asked(method="tools/call", params={"name": name, "arguments": arguments})


def answered(**message):
    return {"status": 200, "headers": {}, "body": {"json": {"jsonrpc": "2.0", "id": 7, **message}}}


def test_a_tools_call_is_read_and_nothing_else_is():
    """Other methods, other shapes and other envelopes are plain HTTP."""
    assert CODEC.request(call(amount=39.99)) == ToolRequest(name="refund", args={"amount": 39.99})
    assert CODEC.request(asked(method="tools/call", params={"name": "ping"})) == ToolRequest(
        name="ping", args={}
    )
    assert CODEC.request(asked(method="tools/list")) is None
    assert CODEC.request(asked(method="tools/call", params=[1])) is None
    assert CODEC.request({**call(), "method": "GET"}) is None
    assert (
        CODEC.request({**call(), "body": {"json": {"method": "tools/call", "params": {"name": "x"}}}}) is None
    )


def test_no_other_codec_takes_it():
    """The first of the built-in codecs that knows a call is this one."""
    assert next(codec.name for codec in builtin_codecs() if codec.request(call()) is not None) == "mcp"


def test_a_result_becomes_blocks():
    """Text, JSON text, an image, and what has no block of its own."""
    content = [
        {"type": "text", "text": "done"},
        {"type": "text", "text": '{"refunded": 39.99}'},
        {"type": "image", "data": "AAEC", "mimeType": "image/png"},
        {"type": "resource_link", "uri": "file:///a"},
    ]
    answer = CODEC.answer(call(), answered(result={"content": content, "isError": True}))
    (output,) = answer.parts
    assert output.is_error
    assert list(output.blocks) == [
        {"Text": "done"},
        {"Json": {"refunded": 39.99}},
        {"Image": {"data": [0, 1, 2], "mime": "image/png"}},
        {"Json": {"type": "resource_link", "uri": "file:///a"}},
    ]


def test_a_structured_result_without_content_is_json():
    """``structuredContent`` alone is the output."""
    (output,) = CODEC.answer(call(), answered(result={"structuredContent": {"a": 1}})).parts
    assert list(output.blocks) == [{"Json": {"a": 1}}]


def test_the_result_is_found_in_a_stream_with_other_messages():
    """Progress and answers to others pass by; the message with the call's own id counts."""
    messages = [
        {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}},
        {"jsonrpc": "2.0", "id": 6, "result": {"content": [{"type": "text", "text": "another's"}]}},
        {"jsonrpc": "2.0", "id": 7, "result": {"content": [{"type": "text", "text": "mine"}]}},
    ]
    body = {"sse": [f"event: message\ndata: {json.dumps(each)}" for each in messages]}
    (output,) = CODEC.answer(call(), {"status": 200, "headers": {}, "body": body}).parts
    assert list(output.blocks) == [{"Text": "mine"}]


def test_errors_are_failures():
    """A JSON-RPC error, and a status."""
    answer = CODEC.answer(call(), answered(error={"code": -32602, "message": "Unknown tool"}))
    assert answer == ModelAnswer(failure=Failure("Unknown tool"))
    answer = CODEC.answer(call(), {"status": 404, "headers": {}, "body": {"text": "Session not found"}})
    assert answer.failure == Failure("HTTP 404: Session not found")


BLOCKS = st.lists(
    st.one_of(
        st.text(min_size=1)
        .filter(lambda text: text.lstrip()[:1] not in ("{", "["))
        .map(lambda text: {"Text": text}),
        st.dictionaries(st.text(), st.integers(-9, 9)).map(lambda value: {"Json": value}),
        st.binary(min_size=1, max_size=20).map(
            lambda data: {"Image": {"data": list(data), "mime": "image/png"}}
        ),
    ),
    min_size=1,
)


@pytest.mark.parametrize("accept", ["application/json, text/event-stream", "text/event-stream"])
@given(blocks=BLOCKS, is_error=st.booleans())
def test_what_is_composed_is_read_back(accept, blocks, is_error):
    """Outputs of every kind of block, as JSON and as a stream."""
    request = {**call(), "headers": {"accept": accept}}
    answer = ModelAnswer(parts=(Output("", blocks, is_error),))
    assert CODEC.answer(request, CODEC.compose(request, answer)) == answer


@pytest.mark.parametrize("message", ["Unknown tool", "HTTP 500: down", "ReadTimeout: too slow"])
def test_a_failure_is_composed_and_read_back(message):
    """In the envelope, by the status, and in the transport."""
    answer = ModelAnswer(failure=Failure(message))
    assert CODEC.answer(call(), CODEC.compose(call(), answer)) == answer


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "result", "content", "error", "type", "text", "data"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(JUNK, JUNK)
def test_junk_never_raises(params, body):
    """Whatever stands where a call or its result should."""
    request = asked(method="tools/call", params=params)
    read = CODEC.request(request)
    answer = CODEC.answer(request, {"status": 200, "headers": {}, "body": {"json": body}})
    for part in answer.parts:
        list(part.blocks)
    assert read is None or isinstance(read, ToolRequest)
