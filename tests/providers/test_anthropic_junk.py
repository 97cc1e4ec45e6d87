"""Anthropic's messages: whatever comes over the wire, the codec answers, and events can hold what it says."""

from __future__ import annotations

import json
from dataclasses import asdict

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sparrow.events import jsontext
from pytest_sparrow.matching.keys import prefixes
from pytest_sparrow.providers import AnthropicMessages

CODEC = AnthropicMessages()

# Field names of the format over values of any kind: junk that gets past the first look.
_KEYS = st.sampled_from(
    [
        "body", "cache_control", "content", "content_block", "data", "delta", "error", "headers", "id", "index",
        "input", "input_tokens", "is_error", "json", "media_type", "message", "messages", "method", "model", "name",
        "output_tokens", "partial_json", "role", "source", "sse", "status", "status_made_up", "system", "text",
        "thinking", "tool_use_id", "tools", "type", "url", "usage",
    ]
)  # fmt: skip
_WORDS = st.sampled_from(
    [
        "POST", "assistant", "base64", "content_block_delta", "content_block_start", "content_block_stop", "error",
        "image", "mcp_tool_result", "mcp_tool_use", "message_delta", "message_start", "message_stop", "text",
        "thinking", "tool_result", "tool_use", "user", "web_search_tool_result", "\ud83d", '{"a":',
    ]
)  # fmt: skip
_LEAVES = (
    st.none() | st.booleans() | st.integers(-3, 600) | st.floats() | st.text(max_size=8) | _WORDS | _WORDS
)
_JUNK = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=6),
    max_leaves=20,
)
_OBJECTS = st.dictionaries(_KEYS, _JUNK, max_size=5) | st.fixed_dictionaries(
    {"type": _WORDS}, optional={"content": _JUNK, "input": _JUNK, "text": _JUNK, "is_error": _JUNK}
)
_MESSAGES = st.lists(
    st.fixed_dictionaries({"role": _WORDS, "content": st.lists(_OBJECTS | _JUNK, max_size=3)}) | _JUNK,
    max_size=4,
)


def _request(messages, more):
    body = {**more, "model": "m", "messages": messages}
    headers = {"anthropic-version": "2023-06-01"}
    return {"method": "POST", "url": "http://h/v1/messages", "headers": headers, "body": {"json": body}}


def check(asked, answered):
    """Read both halves; what is told of the answer must be writable as JSON."""
    answer = CODEC.answer(asked, answered)
    for part in answer.parts:
        jsontext.encode(asdict(part))
    if answer.failure is not None:
        jsontext.encode(answer.failure.message)
    if answer.usage is not None:
        jsontext.encode(asdict(answer.usage))
    request = CODEC.request(asked)
    for result in request.results if request is not None else ():
        jsontext.encode(list(result.blocks))


@settings(max_examples=100, deadline=None)
@given(_MESSAGES, st.dictionaries(_KEYS, _JUNK, max_size=4), st.lists(_OBJECTS, max_size=4) | _JUNK, _JUNK)
def test_junk_in_whole_bodies_never_raises(messages, more, content, body):
    """Any JSON where the format has its own is read without raising."""
    asked = _request(messages, more)
    check(asked, {"status": 200, "body": {"json": {"content": content, "usage": body}}})
    check(asked, {"status": 500, "body": {"json": body}})
    check(asked, body if isinstance(body, dict) else {"body": body})


@settings(max_examples=100, deadline=None)
@given(st.lists(_OBJECTS | _JUNK, max_size=5), st.lists(st.text(max_size=20), max_size=3))
def test_junk_in_streams_never_raises(events, texts):
    """Any JSON as a block, a delta or an event, and any text as an event, is read without raising."""
    asked = _request([], {})
    chunks = [
        "data: " + json.dumps(event)
        for one in events
        for event in (
            {"type": "message_start", "message": one},
            {"type": "content_block_start", "index": 0, "content_block": one},
            {"type": "content_block_delta", "index": 0, "delta": one},
            {"type": "message_delta", "usage": one},
            one,
        )
    ]
    check(asked, {"status": 200, "body": {"sse": [*chunks, *texts]}})
    check(asked, {"status": 200, "body": {"text": "\n\n".join([*texts, *chunks])}})


@settings(max_examples=100, deadline=None)
@given(_JUNK)
def test_junk_requests_never_raise(asked):
    """Any object in the place of a request is read, or is no call of a model."""
    CODEC.request(asked if isinstance(asked, dict) else {"body": asked})


def test_nesting_without_end_never_raises():
    """A body deeper than Python's own stack is read as far as it goes."""
    deep = "[" * 100_000
    result = {"type": "tool_result", "tool_use_id": "t", "content": deep}
    asked = _request([{"role": "user", "content": [result]}], {})
    check(asked, {"status": 500, "body": {"text": deep}})
    check(asked, {"status": 200, "body": {"sse": ["data: " + deep, "data: {}"]}})
    nested = {}
    for _ in range(900):
        nested = {"content": [nested], "input": nested}
    block = {"type": "web_search_tool_result", "tool_use_id": "t", "content": nested}
    check(_request([{"role": "user", "content": [block]}], {}), {"body": {"json": {"content": [block]}}})


def test_a_deep_message_still_has_a_digest():
    """Leaving cache breakpoints out looks only as deep as the format goes."""
    nested = {}
    for _ in range(80):
        nested = {"content": nested}
    request = CODEC.request(_request([{"role": "user", "content": [nested]}], {}))
    assert len(prefixes(request.conversation)) == 1
