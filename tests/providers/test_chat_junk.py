"""Chat completions: whatever comes over the wire, the codec answers, and events can hold what it says."""

from __future__ import annotations

import json
from dataclasses import asdict

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sparrow.events import jsontext
from pytest_sparrow.providers import OpenAIChat

CODEC = OpenAIChat()

# Field names of the format over values of any kind: junk that gets past the first look.
_KEYS = st.sampled_from(
    [
        "arguments",
        "audio",
        "base64",
        "body",
        "choices",
        "code",
        "content",
        "custom",
        "delta",
        "detail",
        "error",
        "function",
        "function_call",
        "headers",
        "id",
        "image_url",
        "index",
        "input",
        "json",
        "message",
        "messages",
        "method",
        "model",
        "name",
        "prompt_tokens",
        "reasoning",
        "reasoning_details",
        "refusal",
        "role",
        "sse",
        "status",
        "text",
        "thinking",
        "tool_call_id",
        "tool_calls",
        "transcript",
        "type",
        "url",
        "usage",
        "x_groq",
        "completion_tokens",
    ]
)
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 600)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["POST", "tool", "user", "text", "thinking", "image_url", "\ud83d", "data:;base64,A", '{"a":']
    )
)
_JUNK = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=6),
    max_leaves=20,
)
_MESSAGES = st.lists(st.dictionaries(_KEYS, _JUNK, max_size=5) | _JUNK, max_size=4)


def _request(messages, more):
    body = {**more, "model": "m", "messages": messages}
    return {"method": "POST", "url": "http://h/chat/completions", "headers": {}, "body": {"json": body}}


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
        assert isinstance(list(result.blocks), list)


@settings(max_examples=100, deadline=None)
@given(_MESSAGES, st.dictionaries(_KEYS, _JUNK, max_size=4), _JUNK, _JUNK)
def test_junk_in_whole_bodies_never_raises(messages, more, choices, body):
    """Any JSON where the format has its own is read without raising."""
    asked = _request(messages, more)
    check(asked, {"status": 200, "body": {"json": {"choices": choices, "usage": body}}})
    check(asked, {"status": 500, "body": {"json": body}})
    check(asked, body if isinstance(body, dict) else {"body": body})


@settings(max_examples=100, deadline=None)
@given(_MESSAGES, st.lists(_JUNK, max_size=5), st.lists(st.text(max_size=20), max_size=3))
def test_junk_in_streams_never_raises(messages, deltas, texts):
    """Any JSON as a delta, as a chunk, and any text as an event, is read without raising."""
    chunks = ["data: " + json.dumps({"choices": [{"index": 0, "delta": one}]}) for one in deltas]
    chunks += ["data: " + json.dumps(one) for one in deltas]
    check(_request(messages, {}), {"status": 200, "body": {"sse": [*chunks, *texts]}})
    check(_request(messages, {}), {"status": 200, "body": {"text": "\n\n".join([*texts, *chunks])}})


@settings(max_examples=100, deadline=None)
@given(_JUNK)
def test_junk_requests_never_raise(asked):
    """Any object in the place of a request is read, or is no chat."""
    CODEC.request(asked if isinstance(asked, dict) else {"body": asked})


def test_nesting_without_end_never_raises():
    """A body deeper than Python's own stack is read as far as it goes."""
    deep = "[" * 100_000
    asked = _request([{"role": "tool", "tool_call_id": "a", "content": deep}], {})
    check(asked, {"status": 500, "body": {"text": deep}})
    check(asked, {"status": 200, "body": {"sse": ["data: " + deep, "data: {}"]}})
