"""An error inside a stream is reported in its place, in every format; what the stream says after it comes after it."""

from __future__ import annotations

import json

import pytest

from pytest_sparrow.providers.composing import event_text
from pytest_sparrow.providers.invoke import chunk_frame
from pytest_sparrow.wire.eventstream import frames_reply, json_frame
from run.making import run_of

SAID = {"role": "user", "content": "Hi"}
CHAT = {"model": "m", "messages": [SAID], "stream": True}
NOVA = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
CLAUDE = {"messages": [SAID], "anthropic_version": "bedrock-2023-05-31", "max_tokens": 1}
MESSAGES = {**CHAT, "max_tokens": 1}
RESPONSES = {"model": "m", "input": "Hi", "stream": True}
PROMPT = {"model": "m", "prompt": "Hi", "stream": True}
COHERE = {"model": "m", "message": "Hi", "stream": True}
ERROR = {"error": {"message": "no more", "code": 429}}


def chat(text):
    return {"choices": [{"index": 0, "delta": {"content": text}}]}


def claude(text):
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


def gemini(text):
    return {"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": text}]}}]}


def response(text):
    where = {"item_id": "i", "output_index": 0, "content_index": 0}
    return {"type": "response.output_text.delta", **where, "delta": text}


def nova(text):
    return {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": text}}}


def completion(text):
    return {"choices": [{"index": 0, "text": text}]}


def cohere(text):
    return {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}}


def first_cohere(text):
    return {"event_type": "text-generation", "text": text}


def ollama(text):
    return {"message": {"role": "assistant", "content": text}}


def sse(say, error, name=""):
    """Server-sent events; an error may be an event's text."""
    texts = [event_text(said, said.get("type", "")) for said in (say("Hel"), say("lo"))]
    return {
        "body": {"sse": [texts[0], error if isinstance(error, str) else event_text(error, name), texts[1]]}
    }


def lines(say, error):
    return {"body": {"lines": [json.dumps(each) for each in (say("Hel"), error, say("lo"))]}}


def frames(say):
    """A binary stream with an exception in it."""
    kinds = {":exception-type": "throttlingException", ":message-type": "exception"}
    return frames_reply([say("Hel"), json_frame(kinds, {"message": "no more"}), say("lo")])


def converse(text):
    kinds = {":event-type": "contentBlockDelta", ":message-type": "event"}
    return json_frame(kinds, nova(text)["contentBlockDelta"])


def invoked(say):
    return lambda text: chunk_frame(json.dumps(say(text)))


STREAMS = {
    "chat": ("/v1/chat/completions", CHAT, sse(chat, ERROR)),
    "chat-in-a-choice": (
        "/v1/chat/completions",
        CHAT,
        sse(chat, {"choices": [{"index": 0, "delta": {}, "finish_reason": "error", **ERROR}]}),
    ),
    "chat-named": ("/v1/chat/completions", CHAT, sse(chat, {"message": "no more"}, "error")),
    "chat-object": ("/v1/chat/completions", CHAT, sse(chat, {"object": "error", "message": "no more"})),
    "chat-detail": ("/v1/chat/completions", CHAT, sse(chat, {"detail": "no more"})),
    "chat-text": (
        "/v1/chat/completions",
        CHAT,
        {"body": {"text": "\n\n".join(sse(chat, ERROR)["body"]["sse"]) + "\n\n"}},
    ),
    "responses": (
        "/v1/responses",
        RESPONSES,
        sse(response, {"type": "error", "message": "no more"}, "error"),
    ),
    "messages": ("/v1/messages", MESSAGES, sse(claude, {"type": "error", **ERROR}, "error")),
    "gemini": ("/v1beta/models/g:streamGenerateContent", GEMINI, sse(gemini, ERROR)),
    "gemini-bare": (
        "/v1beta/models/g:streamGenerateContent",
        GEMINI,
        sse(gemini, json.dumps(ERROR, indent=1)),
    ),
    "gemini-array": (
        "/v1beta/models/g:streamGenerateContent",
        GEMINI,
        {"body": {"json": [gemini("Hel"), ERROR, gemini("lo")]}},
    ),
    "converse": ("/model/m/converse-stream", NOVA, frames(converse)),
    "invoke-claude": ("/model/anthropic.c/invoke-with-response-stream", CLAUDE, frames(invoked(claude))),
    "invoke-nova": ("/model/amazon.nova-x/invoke-with-response-stream", NOVA, frames(invoked(nova))),
    "invoke-llama": (
        "/model/meta.llama3/invoke-with-response-stream",
        PROMPT,
        frames(invoked(lambda text: {"generation": text})),
    ),
    "cohere-2": ("/v2/chat", CHAT, sse(cohere, {"type": "error", "message": "no more"})),
    "cohere-1": ("/v1/chat", COHERE, lines(first_cohere, {"type": "error", "message": "no more"})),
    "ollama": ("/api/chat", CHAT, lines(ollama, {"error": "no more"})),
    "completions": ("/v1/completions", PROMPT, sse(completion, ERROR)),
}


@pytest.mark.parametrize("name", STREAMS)
def test_an_error_is_reported_where_it_stands(name):
    """What an agent read before it, the error, and what a reader that goes on has read after it."""
    path, body, answered = STREAMS[name]
    run = run_of()
    asked = {"method": "POST", "url": f"https://h.test{path}", "headers": {}, "body": {"json": body}}
    run.ask("http", asked).settle({"status": 200, "headers": {}, **answered})
    run.close(failed=False)
    reported = [
        getattr(event, "text", None) or getattr(event, "message", None)
        for event in run.events
        if event.type in ("ThinkingDelta", "Error", "Message")
    ]
    assert reported == ["Hel", "no more", "lo", "Hello"]
