"""Responses: whatever comes over the wire, the codec answers, and events can hold what it says."""

from __future__ import annotations

import json
from dataclasses import asdict

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sparrow.events import jsontext

from .responses_halves import CODEC, URL

# Field names of the format over values of any kind: junk that gets past the first look.
_KEYS = st.sampled_from(
    [
        "action",
        "annotations",
        "approval_request_id",
        "approve",
        "arguments",
        "body",
        "call_id",
        "code",
        "content",
        "content_index",
        "conversation",
        "delta",
        "encrypted_content",
        "environment",
        "error",
        "execution",
        "headers",
        "id",
        "image_url",
        "input",
        "input_tokens",
        "item",
        "item_id",
        "json",
        "logs",
        "message",
        "method",
        "model",
        "name",
        "operation",
        "output",
        "output_format",
        "output_index",
        "output_tokens",
        "outputs",
        "parsed",
        "part",
        "previous_response_id",
        "prompt",
        "queries",
        "reason",
        "refusal",
        "response",
        "result",
        "results",
        "role",
        "sources",
        "sse",
        "status",
        "summary",
        "summary_index",
        "text",
        "tools",
        "type",
        "url",
        "usage",
    ]
)
_KINDS = [
    "apply_patch_call",
    "code_interpreter_call",
    "computer_call_output",
    "custom_tool_call",
    "function_call",
    "function_call_output",
    "image_generation_call",
    "input_image",
    "input_text",
    "item_reference",
    "local_shell_call_output",
    "logs",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "mcp_list_tools",
    "message",
    "new_call",
    "new_output",
    "output_text",
    "program",
    "reasoning",
    "refusal",
    "shell_call",
    "shell_call_output",
    "tool_search_call",
    "tool_search_output",
    "web_search_call",
]
_STREAMED = [
    "completed",
    "failed",
    "output_item.added",
    "output_item.done",
    "content_part.done",
    "output_text.delta",
    "output_text.done",
    "refusal.delta",
    "reasoning_text.delta",
    "reasoning_summary_text.delta",
    "function_call_arguments.delta",
    "function_call_arguments.done",
    "custom_tool_call_input.delta",
    "mcp_call_arguments.delta",
    "code_interpreter_call_code.delta",
]
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 600)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(_KINDS)
    | st.sampled_from(["POST", "user", "failed", "server", "\ud83d", "data:;base64,A", '{"a":'])
)
_JUNK = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=6),
    max_leaves=20,
)
_FIELDS = st.dictionaries(_KEYS, _JUNK, max_size=5)
_ITEMS = st.lists(
    _JUNK | st.builds(lambda fields, kind: {**fields, "type": kind}, _FIELDS, st.sampled_from(_KINDS)),
    max_size=5,
)
_EVENTS = st.lists(
    st.builds(
        lambda fields, kind: {**fields, "type": f"response.{kind}"}, _FIELDS, st.sampled_from(_STREAMED)
    ),
    max_size=6,
)


def _request(items, more):
    body = {**more, "model": "m", "input": items}
    return {"method": "POST", "url": URL, "headers": {}, "body": {"json": body}}


def check(asked, answered):
    """Read both halves; what is told of them must be writable as JSON."""
    answer = CODEC.answer(asked, answered)
    for part in answer.parts:
        jsontext.encode(asdict(part))
    if answer.failure is not None:
        jsontext.encode(answer.failure.message)
    if answer.usage is not None:
        jsontext.encode(asdict(answer.usage))
    request = CODEC.request(asked)
    for result in request.results if request is not None else ():
        jsontext.encode(result.id)
        assert isinstance(list(result.blocks), list)


@settings(max_examples=100, deadline=None)
@given(_ITEMS, _FIELDS, _ITEMS, _JUNK)
def test_junk_in_whole_bodies_never_raises(items, more, output, body):
    """Any JSON where the format has its own is read without raising."""
    asked = _request(items, more)
    check(asked, {"status": 200, "body": {"json": {"output": output, "usage": body, "error": body}}})
    check(asked, {"status": 500, "body": {"json": body}})
    check(asked, body if isinstance(body, dict) else {"body": body})


@settings(max_examples=100, deadline=None)
@given(_ITEMS, _EVENTS, st.lists(st.text(max_size=20), max_size=3), _JUNK)
def test_junk_in_streams_never_raises(items, events, texts, response):
    """Any JSON as an event, and any text in the place of one, is read without raising."""
    texts = ["data: " + json.dumps(one) for one in [*events, response]] + texts
    check(_request(items, {}), {"status": 200, "body": {"sse": texts}})
    check(_request(items, {}), {"status": 200, "body": {"text": "\n\n".join(texts)}})


@settings(max_examples=100, deadline=None)
@given(_JUNK)
def test_junk_requests_never_raise(asked):
    """Any object in the place of a request is read, or is no response."""
    CODEC.request(asked if isinstance(asked, dict) else {"body": asked})


def test_nesting_without_end_never_raises():
    """A body deeper than Python's own stack is read as far as it goes."""
    deep = "[" * 100_000
    asked = _request([{"type": "function_call_output", "call_id": "a", "output": deep}], {})
    check(asked, {"status": 500, "body": {"text": deep}})
    check(asked, {"status": 200, "body": {"sse": ["data: " + deep, "data: {}"]}})
