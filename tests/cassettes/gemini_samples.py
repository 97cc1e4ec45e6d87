"""Shapes of Gemini's answers that no cassette here holds: written by hand, served like recorded ones."""

from __future__ import annotations

import base64
import json
from typing import Any

from .serving import Cassette, Interaction

__all__ = ["ALL", "ASK", "answer", "streamed", "whole"]

_URL = "https://generativelanguage.googleapis.com/v1beta/models/gemini-test:"
ASK: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
_USAGE = {
    "promptTokenCount": 11,
    "toolUsePromptTokenCount": 4,
    "candidatesTokenCount": 7,
    "thoughtsTokenCount": 2,
}


def answer(*parts: Any, usage: bool = True, **more: Any) -> dict[str, Any]:
    """A response with one candidate of these parts."""
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0, **more}
    return {"candidates": [candidate], **({"usageMetadata": _USAGE} if usage else {})}


def whole(name: str, body: Any, status: int = 200, ask: Any = ASK) -> Cassette:
    """A cassette of one whole answer."""
    return Cassette(
        name=name,
        interactions=[
            Interaction(
                url=_URL + "generateContent", request=ask, status=status, body=json.dumps(body).encode()
            )
        ],
    )


def streamed(name: str, *chunks: Any) -> Cassette:
    """A cassette of one stream."""
    events = ["data: " + json.dumps(chunk, ensure_ascii=False) for chunk in chunks]
    return Cassette(
        name=name,
        interactions=[Interaction(url=_URL + "streamGenerateContent?alt=sse", request=ASK, events=events)],
    )


_PIXEL = base64.b64encode(b"\x89PNG tiny").decode()
_LARGE = base64.b64encode(b"\x89PNG" * 5000).decode()
_CODE = {"executableCode": {"language": "PYTHON", "code": "print(6 * 7)"}}
_RESULT = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "42\n"}}
_FOUND = {
    "webSearchQueries": ["weather paris"],
    "groundingChunks": [{"web": {"uri": "https://example.com/a", "title": "a"}}],
    "searchEntryPoint": {"renderedContent": "<div></div>"},
}
_STOP = {"finishReason": "STOP"}

ALL = [
    whole(
        "thought", answer({"text": "Hm \u2028", "thought": True}, {"text": "Hi"}, {"text": " there"}, **_STOP)
    ),
    whole(
        "calls",
        answer(
            {"functionCall": {"name": "a", "args": {"x": 1}}},
            {"functionCall": {"name": "a", "args": {"x": 2}, "id": "fc-2"}},
            {"functionCall": {"name": "b"}},
            **_STOP,
        ),
    ),
    whole("code", answer({"text": "So:"}, _CODE, _RESULT, {"text": "42"}, **_STOP)),
    whole("failed-code", answer(_CODE, {"codeExecutionResult": {"outcome": "OUTCOME_FAILED"}}, **_STOP)),
    whole("search", answer({"text": "Rain."}, groundingMetadata=_FOUND, **_STOP)),
    whole(
        "url-context",
        answer(
            {"text": "Read."},
            urlContextMetadata={"urlMetadata": [{"retrievedUrl": "https://e.com"}]},
            **_STOP,
        ),
    ),
    whole(
        "images",
        answer(
            {"text": "Here"},
            {"inlineData": {"mimeType": "image/png", "data": _PIXEL}},
            {"inlineData": {"mimeType": "image/png", "data": _LARGE}},
            **_STOP,
        ),
    ),
    whole("blocked-prompt", {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": _USAGE}),
    whole("blocked-answer", {"candidates": [{"finishReason": "SAFETY", "index": 0}]}),
    whole(
        "malformed-call",
        {
            "candidates": [
                {
                    "content": {"role": "model"},
                    "finishReason": "MALFORMED_FUNCTION_CALL",
                    "finishMessage": "Malformed: x(",
                }
            ]
        },
    ),
    whole("cut-off", {"candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}]}),
    whole(
        "error",
        {"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}},
        status=429,
    ),
    whole(
        "error-in-an-array",
        [{"error": {"code": 400, "message": "Bad tool", "status": "INVALID_ARGUMENT"}}],
        status=400,
    ),
    streamed(
        "streamed-thoughts",
        answer({"text": "Let", "thought": True}, usage=False),
        answer({"text": " me", "thought": True}),
        answer({"text": "Hel"}),
        answer({"text": "lo"}),
        answer({"text": "", "thoughtSignature": "AAAA"}, **_STOP),
    ),
    streamed(
        "streamed-code",
        answer({"text": "So:"}),
        answer(_CODE),
        answer(_RESULT),
        answer({"text": "42"}, groundingMetadata=_FOUND),
        answer({"text": "."}, groundingMetadata=_FOUND, **_STOP),
    ),
    streamed(
        "streamed-calls",
        answer({"functionCall": {"name": "a", "args": {"x": 1}}}),
        answer({"functionCall": {"name": "a", "args": {"x": 1}}}, **_STOP),
    ),
    streamed("streamed-cut", answer({"text": "Hel"}), answer({"text": "lo"})),
    streamed(
        "streamed-error",
        answer({"text": "Hel"}),
        {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}},
    ),
]
