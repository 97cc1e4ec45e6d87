"""Text completions, and what Bedrock's ``invoke`` carries: every maker's names, whole and streamed, and back."""

import json

import pytest
from hypothesis import given, settings

from pytest_sparrow.providers import Bedrock, Completions, OpenAIChat, builtin_codecs
from pytest_sparrow.providers.codec import Failure, ModelAnswer, Proposal, Text, Usage
from pytest_sparrow.providers.composing import event_text, stream_reply
from pytest_sparrow.providers.invoke import as_binary

from .turns import turns

CODEC = Completions()
HOST = "https://bedrock-runtime.us-east-1.amazonaws.com/model/"
COUNTED = [["X-Amzn-Bedrock-Input-Token-Count", "3"], ["X-Amzn-Bedrock-Output-Token-Count", "2"]]
METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 3, "outputTokenCount": 2}}


def completion(prompt="Hello", url="https://api.openai.com/v1/completions", **more):
    """The asked half of a legacy completion."""
    body = {"model": "g-1", "prompt": prompt, **more}
    return {"method": "POST", "url": url, "headers": {}, "body": {"json": body}}


def invoked(model, body, verb="invoke"):
    """The asked half of a model that Bedrock invokes."""
    return {"method": "POST", "url": f"{HOST}{model}/{verb}", "headers": {}, "body": {"json": body}}


def answered(body, headers=()):
    """A whole answer."""
    return {"status": 200, "headers": list(headers), "body": {"json": body}}


def chunks(*values):
    """A stream of frames, as Bedrock sends it."""
    return as_binary(stream_reply(map(event_text, values)))


PROMPT, TITAN = {"prompt": "Hello"}, {"inputText": "Hello"}
FAMILIES = {
    "amazon.titan-text-express-v1": (
        TITAN,
        {"inputTextTokenCount": 3, "results": [{"tokenCount": 2, "outputText": "Good day"}]},
        [
            {"outputText": "Good", "index": 0, "totalOutputTextTokenCount": None, "inputTextTokenCount": 3},
            {"outputText": " day", "index": 0, "totalOutputTextTokenCount": 2, "inputTextTokenCount": None},
        ],
    ),
    "meta.llama3-8b-instruct-v1%3A0": (
        PROMPT,
        {"generation": "Good day", "prompt_token_count": 3, "generation_token_count": 2},
        [
            {"generation": "Good", "prompt_token_count": 3, "generation_token_count": 1},
            {"generation": " day", "prompt_token_count": None, "generation_token_count": 2},
        ],
    ),
    "mistral.mistral-7b-instruct-v0%3A2": (
        PROMPT,
        {"outputs": [{"text": "Good day", "stop_reason": "stop"}]},
        [{"outputs": [{"text": "Good"}]}, {"outputs": [{"text": " day"}], **METRICS}],
    ),
    "cohere.command-text-v14": (
        PROMPT,
        {"generations": [{"text": "Good day", "finish_reason": "COMPLETE"}], "prompt": "Hello"},
        [{"text": "Good", "is_finished": False}, {"text": " day", "is_finished": False}, METRICS],
    ),
    "ai21.j2-mid-v1": (
        PROMPT,
        {"completions": [{"data": {"text": "Good day"}}]},
        [{"completions": [{"data": {"text": "Good day"}}], **METRICS}],
    ),
    "deepseek.r1-v1%3A0": (
        PROMPT,
        {"choices": [{"text": "Good day", "stop_reason": "stop"}]},
        [{"choices": [{"text": "Good"}]}, {"choices": [{"text": " day"}], **METRICS}],
    ),
    "anthropic.claude-v2%3A1": (
        PROMPT,
        {"completion": "Good day", "stop_reason": "stop_sequence"},
        [{"completion": "Good"}, {"completion": " day", **METRICS}],
    ),
}


@pytest.mark.parametrize("model", FAMILIES)
def test_every_family_that_bedrock_invokes(model):
    """One codec reads it: text and counts, whole and streamed."""
    body, whole, stream = FAMILIES[model]
    half = invoked(model, body)
    assert [codec.name for codec in builtin_codecs() if codec.request(half)] == ["completions"]
    request = CODEC.request(half)
    assert (request.task, request.model) == ("Hello", model.replace("%3A", ":"))
    expected = ModelAnswer(parts=[Text("Good day")], usage=Usage(3, 2))
    assert CODEC.answer(half, answered(whole, COUNTED)) == expected
    streamed = invoked(model, body, "invoke-with-response-stream")
    assert CODEC.answer(streamed, chunks(*stream)) == expected


def test_legacy_completions_whole_and_streamed():
    """Each choice is a text of its own; a list of prompts, and tokens in place of a prompt, are read as well."""
    half = completion(["Hello", "Bye"], n=2)
    assert [codec.name for codec in builtin_codecs() if codec.request(half)] == ["completions"]
    assert CODEC.request(half).task == "Hello"
    assert CODEC.request(completion([1, 2])).task == ""
    choices = [{"index": 0, "text": "Good day"}, {"index": 1, "text": "So long"}]
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    expected = ModelAnswer(parts=[Text("Good day"), Text("So long")], usage=Usage(3, 2))
    assert CODEC.answer(half, answered({"choices": choices, "usage": usage})) == expected
    pieces = [(0, "Good"), (1, "So"), (0, " day"), (1, " long")]
    events = [event_text({"choices": [{"index": index, "text": text}]}) for index, text in pieces]
    ending = [event_text({"choices": [], "usage": usage}), event_text("[DONE]")]
    assert CODEC.answer(completion(stream=True), stream_reply([*events, *ending])) == expected
    failing = CODEC.answer(
        completion(stream=True), stream_reply([*events, event_text({"error": {"message": "no"}})])
    )
    assert failing.failure == Failure("no")


@pytest.mark.parametrize(
    ("url", "prompt", "whole"),
    [
        (
            "https://api.cohere.com/v1/generate",
            "Hello",
            {
                "generations": [{"text": "Good day"}],
                "meta": {"billed_units": {"input_tokens": 3, "output_tokens": 2}},
            },
        ),
        (
            "https://api.aleph-alpha.com/complete",
            [{"type": "text", "data": "Hello"}],
            {
                "completions": [{"completion": "Good day"}],
                "num_tokens_prompt_total": 3,
                "num_tokens_generated": 2,
            },
        ),
    ],
    ids=["cohere", "aleph-alpha"],
)
def test_other_makers_completions(url, prompt, whole):
    """Cohere's before its chat, and Aleph Alpha's."""
    half = completion(prompt, url)
    assert [codec.name for codec in builtin_codecs() if codec.request(half)] == ["completions"]
    assert CODEC.answer(half, answered(whole)) == ModelAnswer(parts=[Text("Good day")], usage=Usage(3, 2))


@pytest.mark.parametrize(
    "half",
    [
        completion(url="https://api.openai.com/v1/chat/completions"),
        completion(url="https://app.test/v1/render"),
        invoked("amazon.titan-embed-text-v2%3A0", TITAN),
        invoked("stability.sd3-large-v1%3A0", PROMPT),
        invoked("amazon.nova-canvas-v1%3A0", PROMPT),
        invoked("meta.llama3-8b-instruct-v1%3A0", {"text": "Hello"}),
    ],
)
def test_other_requests_are_left_alone(half):
    """Chats, a prompt of an application, embeddings and pictures."""
    assert CODEC.request(half) is None


def test_nova_is_invoked_in_the_format_of_converse():
    """Whole, and in frames of chunks that name their kind; with a system prompt, which Anthropic's format has, too."""
    body = {"messages": [{"role": "user", "content": [{"text": "Hello"}]}], "system": [{"text": "Be kind"}]}
    half = invoked("us.amazon.nova-lite-v1%3A0", body)
    codec = next(codec for codec in builtin_codecs() if codec.request(half))
    assert isinstance(codec, Bedrock)
    assert codec.request(half).task == "Hello"
    call = {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"a": 1}}}
    usage = {"inputTokens": 3, "outputTokens": 2}
    whole = {
        "output": {"message": {"content": [{"text": "Good day"}, call]}},
        "stopReason": "tool_use",
        "usage": usage,
    }
    expected = ModelAnswer(parts=[Text("Good day"), Proposal("t1", "look", {"a": 1})], usage=Usage(3, 2))
    assert codec.answer(half, answered(whole)) == expected
    begun = {"toolUse": {"toolUseId": "t1", "name": "look"}}
    stream = chunks(
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Good"}}},
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": " day"}}},
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"contentBlockStart": {"contentBlockIndex": 1, "start": begun}},
        {"contentBlockDelta": {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"a": 1}'}}}},
        {"contentBlockStop": {"contentBlockIndex": 1}},
        {"messageStop": {"stopReason": "tool_use"}},
        {"metadata": {"usage": usage}, **METRICS},
    )
    assert codec.answer(half, stream) == expected
    streamed = invoked("us.amazon.nova-lite-v1%3A0", body, "invoke-with-response-stream")
    for each in (half, streamed):
        assert codec.answer(each, codec.compose(each, expected)) == expected
    first = json.loads(json.dumps(codec.compose(streamed, expected)["body"]))
    assert set(first) == {"base64"}


def test_chats_in_openais_format_are_invoked_too():
    """Mistral's, Jamba and open weights: the model is named in the path alone."""
    half = invoked("mistral.mistral-large-2407-v1%3A0", {"messages": [{"role": "user", "content": "Hello"}]})
    (codec,) = [codec for codec in builtin_codecs() if codec.request(half)]
    assert isinstance(codec, OpenAIChat)
    assert codec.request(half).model == "mistral.mistral-large-2407-v1:0"
    expected = ModelAnswer(parts=[Text("Good day")])
    whole = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Good day"}}]}
    assert codec.answer(half, answered(whole)) == expected
    stream = chunks(*({"choices": [{"index": 0, "delta": {"content": text}}]} for text in ("Good", " day")))
    assert codec.answer(half, stream) == expected
    streamed = {**half, "url": half["url"] + "-with-response-stream"}
    composed = codec.compose(streamed, expected)
    assert set(composed["body"]) == {"base64"}
    assert codec.answer(streamed, composed) == expected


HALVES = [completion(), completion(stream=True)] + [
    invoked(model, body, verb)
    for model, (body, _, _) in FAMILIES.items()
    for verb in ("invoke", "invoke-with-response-stream")
]


@pytest.mark.parametrize("half", HALVES, ids=[half["url"].rpartition("/model/")[2] for half in HALVES])
@settings(max_examples=8)
@given(answer=turns())
def test_what_is_composed_reads_back(half, answer):
    """The joined text, the usage where nothing failed, and the failure."""
    read = CODEC.answer(half, CODEC.compose(half, answer))
    if answer.failure is not None:
        assert read.failure == answer.failure
        return
    text = "".join(part.text for part in answer.parts if isinstance(part, Text))
    assert list(read.parts) == ([Text(text)] if text else [])
    assert read.usage == answer.usage
