"""Codecs held to the contract: ours, the one that docs/providers.md shows, and broken ones."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pytest_sparrow.providers import (
    AnthropicMessages,
    Bedrock,
    ClaudeAgent,
    Cohere,
    Completions,
    Gemini,
    Ollama,
    OpenAIChat,
    OpenAIResponses,
)
from pytest_sparrow.providers.codec import ModelAnswer, Proposal, Text, Usage
from pytest_sparrow.testing import CodecContract

DOCUMENT = (Path(__file__).parents[2] / "docs" / "providers.md").read_text("utf-8")
ARGS = {"amount": 39.5}


def asked(url, body):
    return {"method": "POST", "url": f"http://host{url}", "headers": {}, "body": {"json": body}}


def talk(url, first, more, answer, **body):
    """Two calls of one conversation: the second one has the first's answer and the tool's output."""
    answered = {"status": 200, "headers": {"content-type": "application/json"}, "body": {"json": answer}}
    [key, messages] = first
    return [(asked(url, {**body, key: said}), answered) for said in (messages, [*messages, *more])]


USER = {"role": "user", "content": "Refund"}
USE = {"type": "tool_use", "id": "c1", "name": "refund", "input": ARGS}
CALL = {"id": "c1", "type": "function", "function": {"name": "refund", "arguments": json.dumps(ARGS)}}
CHAT_SAID = {"role": "assistant", "content": "Yes.", "tool_calls": [CALL]}
SAID = [{"type": "text", "text": "Yes."}, USE]
GEMINI_SAID = [{"text": "Yes."}, {"functionCall": {"id": "c1", "name": "refund", "args": ARGS}}]


class TestChat(CodecContract):
    codec = OpenAIChat()
    exchanges = talk(
        "/chat/completions",
        ("messages", [USER]),
        [CHAT_SAID, {"role": "tool", "tool_call_id": "c1", "content": "done"}],
        {
            "choices": [{"index": 0, "message": CHAT_SAID}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4},
        },
        model="m",
    )


class TestAnthropic(CodecContract):
    codec = AnthropicMessages()
    exchanges = talk(
        "/v1/messages",
        ("messages", [USER]),
        [
            {"role": "assistant", "content": SAID},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "done"}]},
        ],
        {"content": SAID, "usage": {"input_tokens": 3, "output_tokens": 4}},
        model="m",
        max_tokens=9,
    )


RESPONSES_SAID = [
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]},
    {"type": "function_call", "call_id": "c1", "name": "refund", "arguments": json.dumps(ARGS)},
]


class TestResponses(CodecContract):
    codec = OpenAIResponses()
    exchanges = talk(
        "/v1/responses",
        ("input", [USER]),
        [*RESPONSES_SAID, {"type": "function_call_output", "call_id": "c1", "output": "done"}],
        {"object": "response", "output": RESPONSES_SAID, "usage": {"input_tokens": 3, "output_tokens": 4}},
        model="m",
    )


WORDS = ModelAnswer(parts=[Text("Yes.")], usage=Usage(input=3, output=4))
OLLAMA_SAID = {
    "role": "assistant",
    "content": "Yes.",
    "tool_calls": [{"function": {"name": "refund", "arguments": ARGS}}],
}


class TestOllama(CodecContract):
    codec = Ollama()
    says = WORDS  # its calls have no ids
    exchanges = talk(
        "/api/chat",
        ("messages", [USER]),
        [
            OLLAMA_SAID,
            {"role": "tool", "tool_name": "refund", "content": "done"},
        ],
        {
            "message": OLLAMA_SAID,
            "done": True,
            "prompt_eval_count": 3,
            "eval_count": 4,
        },
        model="m",
        stream=False,
    )


class TestGemini(CodecContract):
    codec = Gemini()
    exchanges = talk(
        "/v1beta/models/m:generateContent",
        ("contents", [{"role": "user", "parts": [{"text": "Refund"}]}]),
        [
            {"role": "model", "parts": GEMINI_SAID},
            {
                "role": "user",
                "parts": [{"functionResponse": {"name": "refund", "response": {"output": "done"}}}],
            },
        ],
        {
            "candidates": [
                {"index": 0, "content": {"role": "model", "parts": GEMINI_SAID}, "finishReason": "STOP"}
            ],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7},
        },
    )


BEDROCK_SAID = {
    "role": "assistant",
    "content": [{"text": "Yes."}, {"toolUse": {"toolUseId": "c1", "name": "refund", "input": ARGS}}],
}
BEDROCK_DONE = {"toolResult": {"toolUseId": "c1", "content": [{"text": "done"}]}}


class BedrockContract(CodecContract):
    codec = Bedrock()
    path = "/model/m/converse"

    def __init_subclass__(cls):
        cls.exchanges = talk(
            cls.path,
            ("messages", [{"role": "user", "content": [{"text": "Refund"}]}]),
            [BEDROCK_SAID, {"role": "user", "content": [BEDROCK_DONE]}],
            {
                "output": {"message": BEDROCK_SAID},
                "stopReason": "tool_use",
                "usage": {"inputTokens": 3, "outputTokens": 4},
            },
        )


class TestBedrock(BedrockContract):
    pass


class TestBedrockStreamed(BedrockContract):
    path = "/model/m/converse-stream"


COHERE_SAID = {**CHAT_SAID, "content": [{"type": "text", "text": "Yes."}]}
COHERE_COUNTS = {"tokens": {"input_tokens": 3, "output_tokens": 4}}


class TestCohere(CodecContract):
    codec = Cohere()
    exchanges = talk(
        "/v2/chat",
        ("messages", [USER]),
        [COHERE_SAID, {"role": "tool", "tool_call_id": "c1", "content": "done"}],
        {"message": COHERE_SAID, "finish_reason": "TOOL_CALL", "usage": COHERE_COUNTS},
        model="m",
    )


class TestCohereFirst(CodecContract):
    codec = Cohere()
    says = WORDS  # its calls have no ids
    exchanges = talk(
        "/v1/chat",
        ("chat_history", []),
        [{"role": "USER", "message": "Refund"}, {"role": "CHATBOT", "message": "Yes."}],
        {"text": "Yes.", "finish_reason": "COMPLETE", "meta": COHERE_COUNTS},
        model="m",
        message="Refund",
    )


class TestCompletions(CodecContract):
    codec = Completions()
    says = WORDS  # it has no tools
    exchanges = talk(
        "/v1/completions",
        ("prompt", ["Refund"]),
        [],
        {
            "choices": [{"index": 0, "text": "Yes."}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4},
        },
        model="m",
    )


class TestClaudeAgent(CodecContract):
    """Its conversation is with a process, whose history no message repeats."""

    codec = ClaudeAgent()
    says = ModelAnswer(
        parts=[Text("Yes."), Proposal("call-1", "mcp__shop__refund", ARGS)], usage=Usage(input=3, output=4)
    )
    exchanges = (
        (
            {**asked("", {"type": "user", "message": USER}), "url": "stdio://claude/?servers=shop"},
            ClaudeAgent().compose({}, says),
        ),
    )


space: dict = {}
exec(re.search(r"^`acme\.py`:\n\n```python\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)[1], space)


class TestAcme(CodecContract):
    codec = space["Acme"]()
    exchanges = talk(
        "/talk",
        ("said", [{"who": "user", "text": "Refund"}]),
        [{"who": "model", "call": "c1"}, {"who": "tool", "call": "c1", "result": "done"}],
        {
            "text": "Yes.",
            "calls": [{"id": "c1", "name": "refund", "args": ARGS}],
            "tokens_in": 3,
            "tokens_out": 4,
        },
        acme_model="a-1",
    )
    test_junk_never_raises = None  # the document's codec is short: it trusts its provider


BROKEN = {
    "test_its_requests_are_known": ("request", lambda self, asked: None),
    "test_others_requests_are_left_alone": ("request", lambda self, asked: OpenAIChat().request(CHAT)),
    "test_its_answers_are_read": ("answer", lambda self, asked, answered: ModelAnswer()),
    "test_junk_never_raises": ("answer", lambda self, asked, answered: answered["body"]["json"]["choices"]),
    "test_what_is_built_reads_back": ("compose", lambda self, asked, answer: {"status": 500}),
}
CHAT = TestChat.exchanges[0][0]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_codec_is_red(name):
    """By the test that is about it."""
    method, function = BROKEN[name]

    class Broken(TestChat):
        codec = type("Broken", (OpenAIChat,), {method: function})()

    with pytest.raises((AssertionError, AttributeError, KeyError, TypeError)):
        getattr(Broken(), name)()
