"""Cohere's chat, versions 1 and 2: requests, answers whole and streamed, and the way back."""

import json

import pytest
from hypothesis import given, settings

from pytest_sparrow.providers import Cohere, builtin_codecs
from pytest_sparrow.providers.codec import Failure, ModelAnswer, Proposal, Reasoning, Text, Usage

from .turns import turns

CODEC = Cohere()
SECOND = "https://api.cohere.com/v2/chat"
FIRST = "https://api.cohere.com/v1/chat"
COMMAND_R = "https://bedrock-runtime.us-east-1.amazonaws.com/model/cohere.command-r-v1%3A0/"


def asked(url=SECOND, **body):
    """The asked half of a request."""
    given = {"messages": [{"role": "user", "content": "Hello"}]} if url == SECOND else {"message": "Hello"}
    model = {} if "bedrock" in url else {"model": "command-x"}
    return {"method": "POST", "url": url, "headers": {}, "body": {"json": {**model, **given, **body}}}


def answered(body=None, *, status=200, **kinds):
    """The answered half: JSON, or ``sse`` or ``lines``, each an object."""
    return {"status": status, "headers": {}, "body": kinds or {"json": body}}


def events(*values):
    """A stream of version 2."""
    return answered(sse=[f"event: {each['type']}\ndata: {json.dumps(each)}" for each in values])


def lines(*values, torn=""):
    """A stream of version 1."""
    return answered(lines=[json.dumps(each) for each in values], torn=torn)


def delta(kind, index=0, **message):
    """An event of version 2."""
    return {"type": kind, "index": index, "delta": {"message": message}}


@pytest.mark.parametrize(
    "half", [asked(), asked(FIRST), asked(COMMAND_R + "invoke"), asked("https://gateway.test/cohere/v1/chat")]
)
def test_one_codec_reads_a_chat(half):
    """By path and shape; the chat format of others leaves it alone."""
    assert [codec.name for codec in builtin_codecs() if codec.request(half)] == ["cohere"]
    request = CODEC.request(half)
    assert request.task == "Hello"
    assert len(request.conversation) == 1


@pytest.mark.parametrize(
    "half",
    [
        asked("https://api.cohere.com/v2/rerank"),
        asked("https://api.openai.com/v1/chat/completions", messages=[]),
        {**asked(FIRST), "method": "GET"},
        asked("https://app.test/chat", message=None),
        asked("https://app.test/chat", messages=[]),
    ],
)
def test_other_requests_are_left_alone(half):
    """Other endpoints, and somebody's own chat."""
    assert CODEC.request(half) is None


def test_a_whole_answer_of_version_2():
    """Plan and thoughts are reasoning, texts and calls keep their order."""
    message = {
        "role": "assistant",
        "tool_plan": "I look.",
        "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Good day"}],
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}
        ],
    }
    usage = {
        "billed_units": {"input_tokens": 1, "output_tokens": 1},
        "tokens": {"input_tokens": 30, "output_tokens": 2},
    }
    body = {"id": "1", "message": message, "finish_reason": "TOOL_CALL", "usage": usage}
    assert CODEC.answer(asked(), answered(body)) == ModelAnswer(
        parts=[Reasoning("I look."), Reasoning("Hm."), Text("Good day"), Proposal("c1", "look", {"a": 1})],
        usage=Usage(30, 2),
    )


def test_a_stream_of_version_2():
    """Pieces are joined by their index; an error at the end is a failure."""
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}}
    stream = [
        delta("message-start", role="assistant", content=[], tool_plan="", tool_calls=[]),
        delta("tool-plan-delta", tool_plan="I "),
        delta("tool-plan-delta", tool_plan="look."),
        delta("content-start", content={"type": "text", "text": ""}),
        delta("content-delta", content={"text": "Good"}),
        delta("content-delta", content={"text": " day"}),
        delta("tool-call-start", 1, tool_calls=call),
        delta("tool-call-delta", 1, tool_calls={"function": {"arguments": '{"a"'}}),
        delta("tool-call-delta", 1, tool_calls={"function": {"arguments": ": 1}"}}),
        {"type": "tool-call-end", "index": 1},
    ]
    end = {"type": "message-end", "delta": {"usage": {"tokens": {"input_tokens": 3, "output_tokens": 2}}}}
    parts = [Reasoning("I look."), Text("Good day"), Proposal("c1", "look", {"a": 1})]
    assert CODEC.answer(asked(stream=True), events(*stream, end)) == ModelAnswer(
        parts=parts, usage=Usage(3, 2)
    )
    broken = {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "no more"}}
    assert CODEC.answer(asked(stream=True), events(*stream, broken)) == ModelAnswer(
        parts=parts, failure=Failure("no more")
    )


def test_outputs_of_version_2():
    """A message of role tool answers the call of its id."""
    messages = [
        {"role": "system", "content": "Be kind"},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": '{"left": 3}'}]},
    ]
    request = CODEC.request(asked(messages=messages))
    assert [(output.id, list(output.blocks)) for output in request.results] == [
        ("c1", [{"Json": {"left": 3}}])
    ]
    assert len(request.conversation) == 3


CALLS = [{"name": "look", "parameters": {"a": 1}}, {"name": "buy", "parameters": {}}]
META = {"billed_units": {"input_tokens": 3, "output_tokens": 2}}


def test_version_1_whole_and_streamed():
    """The same answer as an object, as lines, and where the end of the stream is missing."""
    body = {
        "text": "I look.",
        "generation_id": "g",
        "finish_reason": "COMPLETE",
        "tool_calls": CALLS,
        "meta": META,
    }
    parts = [Text("I look."), Proposal("call-1", "look", {"a": 1}), Proposal("call-2", "buy", {})]
    expected = ModelAnswer(parts=parts, usage=Usage(3, 2))
    assert CODEC.answer(asked(FIRST), answered(body)) == expected
    stream = [
        {"event_type": "stream-start", "generation_id": "g"},
        {"event_type": "text-generation", "text": "I "},
        {"event_type": "text-generation", "text": "look."},
        {"event_type": "tool-calls-generation", "tool_calls": CALLS},
    ]
    end = {"event_type": "stream-end", "finish_reason": "COMPLETE", "response": body}
    assert CODEC.answer(asked(FIRST, stream=True), lines(*stream, end)) == expected
    assert CODEC.answer(asked(FIRST, stream=True), lines(*stream, torn='{"ev')) == ModelAnswer(parts=parts)
    text = "\n".join(json.dumps(each) for each in (*stream, end))
    assert CODEC.answer(asked(FIRST, stream=True), answered(text=text)) == expected


def test_outputs_of_version_1_find_their_calls_by_name():
    """In the history, or sent with the message that the model answers to."""
    results = [
        {"call": {"name": "buy", "parameters": {}}, "outputs": [{"ok": True}]},
        {"call": {"name": "look", "parameters": {"a": 1}}, "outputs": [{"left": 3}, {"left": 4}]},
    ]
    history = [{"role": "USER", "message": "Hello"}, {"role": "CHATBOT", "message": "", "tool_calls": CALLS}]
    later = asked(FIRST, message="", chat_history=history, tool_results=results)
    assert [(output.id, list(output.blocks)) for output in CODEC.request(later).results] == [
        ("call-2", [{"Json": {"ok": True}}]),
        ("call-1", [{"Json": {"left": 3}}, {"Json": {"left": 4}}]),
    ]
    alone = CODEC.request(asked(FIRST, tool_results=results))
    assert [output.id for output in alone.results] == ["call-1", "call-2"]
    (part,) = CODEC.answer(later, answered({"text": "", "tool_calls": CALLS[:1]})).parts
    assert part.id == "call-3"


def test_errors():
    """By the status, and by the reason to stop."""
    assert CODEC.answer(asked(), answered({"message": "slow down"}, status=429)).failure == Failure(
        "HTTP 429: slow down"
    )
    body = {"message": {"role": "assistant", "content": []}, "finish_reason": "ERROR"}
    assert CODEC.answer(asked(), answered(body)).failure == Failure("ERROR")


def expressible(answer, first):
    """The answer as the format can say it: calls last, texts of version 1 joined."""
    said = [part for part in answer.parts if isinstance(part, Text | Reasoning) and part.text]
    calls = [part for part in answer.parts if isinstance(part, Proposal) and not part.hosted]
    if first:
        text = "".join(part.text for part in said if isinstance(part, Text))
        said = [Text(text)] if text else []
        calls = [Proposal(f"call-{n}", call.name, call.args) for n, call in enumerate(calls, start=1)]
    return [*said, *calls]


@pytest.mark.parametrize(
    "half",
    [
        asked(),
        asked(stream=True),
        asked(FIRST),
        asked(FIRST, stream=True),
        asked(COMMAND_R + "invoke"),
        asked(COMMAND_R + "invoke-with-response-stream"),
    ],
    ids=["2", "2-stream", "1", "1-stream", "bedrock", "bedrock-stream"],
)
@settings(max_examples=20)
@given(answer=turns())
def test_what_is_composed_reads_back(half, answer):
    """Whole and streamed: the parts, the usage where nothing failed, and the failure."""
    read = CODEC.answer(half, CODEC.compose(half, answer))
    if answer.failure is None:
        assert list(read.parts) == expressible(answer, first="/v2/" not in half["url"])
        usage = answer.usage if answer.usage != Usage(0, 0) else read.usage
        assert read.usage == usage
    else:
        assert read.failure == answer.failure
