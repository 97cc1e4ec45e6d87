"""Anthropic's messages, the other way round: an answer is built, whole or streamed, and reads back the same."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import chain

import anthropic
import pytest
from cassettes.anthropic_driving import facts
from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.providers import AnthropicMessages
from pytest_sparrow.providers.codec import Failure, ModelAnswer, Output, Proposal, Reasoning, Text, Usage
from pytest_sparrow.providers.composing import fault_of
from pytest_sparrow.providers.reading import text_block
from pytest_sparrow.testing.loopback import loopback

from .halves import asked
from .turns import FAILURES, TEXTS, proposals, turns

CODEC = AnthropicMessages()
HOSTED = ("web_search", "web_fetch", "bash_code_execution", "tool_search_tool_bm25", "find_in_crm")
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])

_PLAIN = TEXTS.filter(lambda text: text_block(text) == {"Text": text}).map(lambda text: {"Text": text})
_ARGS = st.dictionaries(TEXTS, TEXTS | st.integers() | st.none() | st.lists(st.booleans()), max_size=3)
_HIT = {"type": "web_search_result", "url": "https://x", "title": "X", "encrypted_content": "e"}
_ERROR = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
_TYPES = [
    "web_search_result",
    "web_fetch_result",
    "bash_code_execution_result",
    "tool_search_tool_search_result",
]
_OBJECTS = _ARGS | st.sampled_from([_HIT, _ERROR, *({"type": kind} for kind in _TYPES)])
_BLOCKS = st.lists(_PLAIN | _OBJECTS.map(lambda value: {"Json": value}), max_size=3)


@st.composite
def hosted(draw, number):
    """A call that the provider ran, and what it gave."""
    call = Proposal(f"srv_{number}", draw(st.sampled_from(HOSTED)), draw(_ARGS), hosted=True)
    return [call, Output(call.id, draw(_BLOCKS), draw(st.booleans()))]


def answers(**more):
    """Turns of texts, reasoning, calls and hosted calls with their outputs, in any order."""
    return st.builds(
        lambda answer, *ran: replace(answer, parts=[*answer.parts[:2], *chain(*ran), *answer.parts[2:]]),
        turns(proposals("refund", "lookup", args=_ARGS), **more),
        hosted(1) | st.just([]),
        hosted(2) | st.just([]),
    )


def request(**more):
    """A request for a message."""
    return asked([{"role": "user", "content": "Hello"}], url="http://h/v1/messages", max_tokens=9, **more)


def sayable(answer, *, stream):
    """What the format can say: nothing beside an error of HTTP, or beside any failure of a whole answer."""
    fault = answer.failure and fault_of(answer.failure)
    if fault and (fault.status is not None or not stream):
        return ModelAnswer(parts=[], failure=answer.failure)
    return replace(answer, usage=None if answer.usage == Usage(0, 0) else answer.usage)


@BOTH
@given(answer=answers())
def test_what_is_built_reads_back_the_same(stream, answer):
    """Reading what was built gives the answer, as far as the format can say it."""
    half = request(stream=stream)
    built = CODEC.compose(half, answer)
    assert CODEC.answer(half, built) == sayable(answer, stream=stream)
    assert CODEC.compose(half, answer) == built
    json.dumps(built, ensure_ascii=False).encode()


@BOTH
@given(call=proposals("refund"))
def test_arguments_of_any_kind_read_back(stream, call):
    """Arguments that are no object read back, and so does the raw text of broken arguments."""
    half = request(stream=stream)
    assert CODEC.answer(half, CODEC.compose(half, ModelAnswer(parts=[call]))).parts == [call]


@pytest.fixture(scope="module")
def sdk():
    """Send what was built over a real connection to the real SDK: gives the message that it makes of it."""
    current = []

    def answer(call):
        [built] = current
        call.start(status=built["status"], **built["headers"])
        body = built["body"]
        for text in body.get("sse", ()):
            call.chunk(f"{text}\n\n".encode())
        if "json" in body:
            call.chunk(json.dumps(body["json"]).encode())
        call.end()

    with (
        loopback(**{"v1/messages": answer}) as server,
        anthropic.Anthropic(base_url=server.url, api_key="test", max_retries=0) as client,
    ):

        def returned(built, *, stream, beta):
            current[:] = [built]
            messages = client.beta.messages if beta else client.messages
            call = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
            if not stream:
                return messages.create(**call).to_dict(mode="json", warnings=False)
            with messages.stream(**call) as events:
                return events.get_final_message().to_dict(mode="json", warnings=False)

        yield returned


@pytest.mark.parametrize("beta", [False, True], ids=["plain", "beta"])
@BOTH
@given(answer=answers(failures=st.nothing()))
def test_the_sdk_returns_the_turn(sdk, stream, beta, answer):
    """Texts, thinking, calls with ids, hosted tools with results, usage and stop_reason: whole and streamed."""
    half = request(stream=stream)
    message = sdk(CODEC.compose(half, answer), stream=stream, beta=beta)
    found = facts(message)
    assert found["texts"] == [part.text for part in answer.parts if isinstance(part, Text)]
    assert found["thinking"] == [part.text for part in answer.parts if isinstance(part, Reasoning)]
    calls = [part for part in answer.parts if isinstance(part, Proposal)]
    assert found["calls"] == [[part.id, part.name, part.args] for part in calls]
    outputs = [part.id for part in answer.parts if isinstance(part, Output)]
    assert [call for call, _ in found["outputs"]] == outputs
    assert found["usage"] == ([answer.usage.input, answer.usage.output] if answer.usage else [0, 0])
    acts = any(not part.hosted for part in calls)
    assert message["stop_reason"] == ("tool_use" if acts else "end_turn")
    read = CODEC.answer(half, {"status": 200, "headers": {}, "body": {"json": message}})
    assert read == sayable(answer, stream=stream)


@BOTH
@pytest.mark.parametrize(
    ("failure", "kind", "body"),
    [
        ("HTTP 429: slow down", "RateLimitError", {"type": "rate_limit_error", "message": "slow down"}),
        ("HTTP 529: busy", "OverloadedError", {"type": "overloaded_error", "message": "busy"}),
        ("HTTP 418: tea", "APIStatusError", {"type": "invalid_request_error", "message": "tea"}),
    ],
)
def test_an_error_of_http_has_the_status_and_the_body_of_anthropic(sdk, stream, failure, kind, body):
    """The SDK raises the exception of that status, with the message."""
    built = CODEC.compose(request(stream=stream), ModelAnswer(failure=Failure(failure)))
    with pytest.raises(anthropic.APIStatusError) as caught:
        sdk(built, stream=stream, beta=False)
    assert type(caught.value).__name__ == kind
    assert caught.value.body == {"type": "error", "error": body}


@BOTH
def test_a_failure_without_a_status_is_raised_by_the_sdk(sdk, stream):
    """In a stream it stands behind what was said; a whole answer makes a status up, which nobody tries again."""
    built = CODEC.compose(
        request(stream=stream), ModelAnswer(parts=[Text("Hel")], failure=Failure("overloaded"))
    )
    with pytest.raises(anthropic.APIStatusError, match="overloaded") as caught:
        sdk(built, stream=stream, beta=False)
    assert built["status"] == caught.value.status_code == (200 if stream else 500)
    assert built["headers"].get("x-should-retry") == (None if stream else "false")


def test_a_broken_connection_comes_after_what_was_said():
    """The transport's error is the exchange's own; a stream keeps what had come, without its end."""
    half = request(stream=True)
    failure = Failure("ReadError: gone")
    built = CODEC.compose(half, ModelAnswer(parts=[Text("Hel")], failure=failure))
    assert built["error"] == {"type": "ReadError", "message": "gone"}
    assert "message_stop" not in str(built["body"])
    assert CODEC.compose(half, ModelAnswer(failure=failure)) == {"error": built["error"]}
    assert CODEC.compose(request(), ModelAnswer(parts=[Text("Hel")], failure=failure)) == {
        "error": built["error"]
    }


@BOTH
@given(failure=FAILURES)
def test_every_failure_reads_back(stream, failure):
    """Whatever went wrong is said such that reading it gives the same words."""
    half = request(stream=stream)
    read = CODEC.answer(half, CODEC.compose(half, ModelAnswer(failure=failure)))
    assert read == ModelAnswer(parts=[], failure=failure)


@pytest.mark.parametrize(
    ("name", "blocks", "use", "result", "content"),
    [
        (
            "web_search",
            [{"Json": _HIT}],
            "server_tool_use",
            "web_search_tool_result",
            [_HIT],
        ),
        ("web_search", [], "server_tool_use", "web_search_tool_result", []),
        (
            "web_search",
            [{"Json": _ERROR}],
            "server_tool_use",
            "web_search_tool_result",
            _ERROR,
        ),
        (
            "tool_search_tool_regex",
            [{"Json": {"type": "tool_search_tool_search_result"}}],
            "server_tool_use",
            "tool_search_tool_result",
            {"type": "tool_search_tool_search_result"},
        ),
        (
            "code_execution",
            [{"Text": "42"}],
            "mcp_tool_use",
            "mcp_tool_result",
            [{"type": "text", "text": "42"}],
        ),
        (
            "file_search",
            [{"Json": {"a": 1}}],
            "mcp_tool_use",
            "mcp_tool_result",
            [{"type": "text", "text": '{"a":1}'}],
        ),
    ],
)
def test_a_hosted_tools_name_gives_the_types_of_its_blocks(name, blocks, use, result, content):
    """The provider's own tools have results of their own shape; any other is a tool of an MCP server."""
    parts = [Proposal("srv", name, {}, hosted=True), Output("srv", blocks)]
    call, output = CODEC.compose(request(), ModelAnswer(parts=parts))["body"]["json"]["content"]
    assert (call["type"], output["type"], output["content"]) == (use, result, content)


@BOTH
def test_an_output_reads_back_with_its_image(stream):
    """Small ones are in the events whole."""
    image = {"Image": {"data": [0, 255], "mime": "image/png"}}
    parts = [Proposal("srv", "draw", {}, hosted=True), Output("srv", [image, {"Text": "done"}])]
    half = request(stream=stream)
    assert CODEC.answer(half, CODEC.compose(half, ModelAnswer(parts=parts))).parts == parts


def test_a_large_image_that_no_event_held_is_an_empty_one():
    """A golden's events keep its digest only: there is nothing to send."""
    image = {"Image": {"data": [], "mime": "image/png", "sha256": "0" * 64, "bytes": 9_000}}
    parts = [Proposal("a", "web_search", {}, hosted=True), Output("a", [image])]
    half = request()
    [_, output] = CODEC.answer(half, CODEC.compose(half, ModelAnswer(parts=parts))).parts
    assert output.blocks == [{"Image": {"data": [], "mime": "image/png"}}]


def test_ids_depend_on_the_request_alone():
    """The same request gets the same synthetic ids, another one others."""
    answer = ModelAnswer(parts=[Proposal("", "refund", {}), Text("Hi")])
    bodies = [CODEC.compose(request(temperature=t), answer)["body"]["json"] for t in (0, 0, 1)]
    ids = [(body["id"], body["content"][0]["id"]) for body in bodies]
    assert ids[0] == ids[1] != ids[2]
    assert all(call.startswith("toolu_") for _, call in ids)
