"""Chat completions, the other way round: an answer is built, whole or streamed, and reads back the same."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from cassettes.chat_driving import drive_chat
from cassettes.serving import Cassette, Interaction, serve
from cassettes.test_codec_against_sdk import codec_facts, sdk_facts
from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.providers import OpenAIChat
from pytest_sparrow.providers.codec import Failure, ModelAnswer, Output, Proposal, Reasoning, Text, Usage
from pytest_sparrow.providers.composing import fault_of
from pytest_sparrow.providers.reading import parse_json_text

from .halves import asked
from .turns import FAILURES, TEXTS, hosted, proposals, turns

CODEC = OpenAIChat()

TOOLS = [
    {"type": "function", "function": {"name": "refund"}},
    {"type": "custom", "custom": {"name": "shell"}},
]
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
CALLS = (proposals("refund", "lookup"), proposals("shell", args=TEXTS))


def request(**more):
    """A chat request that declares a tool of arguments and one of free text."""
    return asked([{"role": "user", "content": "Hello"}], **{"tools": TOOLS, **more})


def sayable(answer, *, streamed):
    """What the format can say of an answer: reasoning, text, calls; nothing beside an error of HTTP."""
    fault = answer.failure and fault_of(answer.failure)
    said = answer.failure and Failure(_shortened(answer.failure.message))
    if fault and (fault.status is not None or (fault.kind and not streamed)):
        return ModelAnswer(parts=[], failure=said)
    parts = [joined for kind in (Reasoning, Text) for joined in _joined(kind, answer.parts)]
    parts += [part for part in answer.parts if isinstance(part, Proposal) and not part.hosted]
    return replace(answer, parts=parts, usage=None if fault and fault.kind else answer.usage, failure=said)


def _joined(kind, parts):
    text = "".join(part.text for part in parts if isinstance(part, kind))
    return [kind(text)] if text else []


def _shortened(message):
    status = message.startswith("HTTP ")
    return message[:1000] + "…" if status and len(message) > 1000 else message


@pytest.mark.parametrize("more", [{}, STREAMED], ids=["whole", "streamed"])
@given(answer=turns(*CALLS, hosted()))
def test_what_is_built_reads_back_the_same(more, answer):
    """Reading what was built gives the answer, as far as the format can say it."""
    half = request(**more)
    built = CODEC.compose(half, answer)
    assert CODEC.answer(half, built) == sayable(answer, streamed=bool(more))
    assert CODEC.compose(half, answer) == built
    json.dumps(built, ensure_ascii=False).encode()


@pytest.mark.parametrize("more", [{}, STREAMED], ids=["whole", "streamed"])
@given(answer=turns(*CALLS, failures=st.nothing()))
def test_the_sdk_reads_what_was_built(more, answer):
    """Texts, calls and usage that the real openai SDK returns are those of the answer."""
    half = request(**more)
    results = drive(half, CODEC.compose(half, answer))
    answer = sayable(answer, streamed=bool(more))
    facts = sdk_facts(results)
    facts["calls"] = [
        (name, text if name == "shell" else parse_json_text(text)) for name, text in facts["calls"]
    ]
    assert facts == codec_facts(answer)
    said = [result["choices"][0] for result in results if result["choices"]]
    thoughts = [(one.get("message") or one["delta"]).get("reasoning_content") or "" for one in said]
    assert "".join(thoughts) == "".join(part.text for part in answer.parts if isinstance(part, Reasoning))
    calls = any(isinstance(part, Proposal) for part in answer.parts)
    assert said[-1]["finish_reason"] == ("tool_calls" if calls else "stop")


def drive(half, built):
    """Serve what was built on a loopback port; gives what the SDK returns."""
    body = built["body"]
    interaction = Interaction(
        request=half["body"]["json"],
        status=built["status"],
        headers=built["headers"],
        events=body.get("sse"),
        body=json.dumps(body.get("json")).encode(),
    )
    with serve(Cassette(name="built", interactions=[interaction])) as server:
        return drive_chat(server.root, interaction)


@pytest.mark.parametrize("more", [{}, STREAMED], ids=["whole", "streamed"])
def test_an_error_of_http_has_the_status_and_the_body_of_openai(more):
    """The SDK raises the exception of that status, with the message."""
    half = request(**more)
    (result,) = drive(half, CODEC.compose(half, ModelAnswer(failure=Failure("HTTP 429: slow down"))))
    assert result["sdk_error"] == "RateLimitError"
    assert result["body"] == {
        "message": "slow down",
        "type": "rate_limit_error",
        "param": None,
        "code": None,
    }


def test_an_error_in_a_stream_is_raised_by_the_sdk():
    """An error without a status stands in the stream, behind what was said before it."""
    import openai

    half = request(stream=True)
    built = CODEC.compose(half, ModelAnswer(parts=[Text("Hel")], failure=Failure("overloaded")))
    with pytest.raises(openai.APIError, match="overloaded"):
        drive(half, built)
    assert CODEC.answer(half, built) == ModelAnswer(parts=[Text("Hel")], failure=Failure("overloaded"))


def test_a_broken_connection_comes_after_what_was_said():
    """The transport's error is the exchange's own; a stream keeps what had come, without its end."""
    half = request(stream=True)
    built = CODEC.compose(half, ModelAnswer(parts=[Text("Hel")], failure=Failure("ReadError: gone")))
    assert built["error"] == {"type": "ReadError", "message": "gone"}
    assert len(built["body"]["sse"]) == 1
    assert CODEC.compose(half, ModelAnswer(failure=Failure("ReadError: gone"))) == {"error": built["error"]}


def test_usage_is_streamed_only_where_it_is_asked_for():
    """As the provider does: a client that doesn't ask may trip over a chunk without choices."""
    answer = ModelAnswer(parts=[Text("Hi")], usage=Usage(3, 4))
    assert CODEC.answer(request(stream=True), CODEC.compose(request(stream=True), answer)).usage is None
    half = request(**STREAMED)
    assert CODEC.answer(half, CODEC.compose(half, answer)).usage == Usage(3, 4)


@pytest.mark.parametrize("more", [{}, {"stream": True}], ids=["whole", "streamed"])
def test_a_request_of_the_legacy_kind_gets_a_function_call(more):
    """`functions` knows one call and no ids: the call's id is the one that the codec gives it."""
    half = asked([{"role": "user", "content": "Hi"}], functions=[{"name": "refund"}], **more)
    built = CODEC.compose(half, ModelAnswer(parts=[Proposal("call_9", "refund", {"a": 1})]))
    assert CODEC.answer(half, built).parts == [Proposal("call-1", "refund", {"a": 1})]
    assert "tool_calls" not in json.dumps(built)
    assert "function_call" in json.dumps(built)


def test_what_a_custom_tool_takes_is_text():
    """Free text goes as it is, other arguments as JSON text."""
    half = request()
    parts = [Proposal("call_1", "shell", '{"ls": 1}'), Proposal("call_2", "shell", {"ls": 1})]
    read = CODEC.answer(half, CODEC.compose(half, ModelAnswer(parts=parts)))
    assert [part.args for part in read.parts] == ['{"ls": 1}', '{"ls":1}']


@given(failure=FAILURES, stream=st.booleans())
def test_every_failure_reads_back(failure, stream):
    """Whatever went wrong is said such that reading it gives the same words."""
    half = request(stream=stream)
    read = CODEC.answer(half, CODEC.compose(half, ModelAnswer(failure=failure)))
    assert read == ModelAnswer(parts=[], failure=failure)


def test_ids_depend_on_the_request_alone():
    """The same request gets the same synthetic id, another one another."""
    answer = ModelAnswer(parts=[Output("x", []), Text("Hi")])
    ids = [CODEC.compose(request(seed=seed), answer)["body"]["json"]["id"] for seed in (1, 1, 2)]
    assert ids[0] == ids[1] != ids[2]
