"""Builds a Gemini answer from the parts of an answer: whole, as server-sent events, or as an array."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from pytest_sparrow.providers.blocks import image_data
from pytest_sparrow.providers.codec import Output, Proposal, Reasoning, Text
from pytest_sparrow.providers.composing import (
    broken_reply,
    event_text,
    fault_of,
    json_reply,
    json_text,
    stream_reply,
    synthetic_reply,
)
from pytest_sparrow.providers.gemini.answer import CODE, INLINE
from pytest_sparrow.providers.reading import as_dict, as_text, path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import ModelAnswer, Part, Usage
    from pytest_sparrow.providers.composing import FailureStatus

__all__ = ["compose_gemini"]

# https://cloud.google.com/apis/design/errors#handling_errors
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_PROMPTS = frozenset(
    {"SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "MODEL_ARMOR", "JAILBREAK"}
)
"""Reasons for which Gemini blocks a prompt."""

_ENDINGS = frozenset(
    {
        "RECITATION",
        "LANGUAGE",
        "SPII",
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "IMAGE_OTHER",
        "NO_IMAGE",
    }
)
"""Reasons for which an answer ends that holds nothing."""

_REASON = re.compile(r"([A-Z_]+)(?:: (.+))?\Z", re.DOTALL)


def compose_gemini(asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
    """The *answered* half that says ``answer``, as the path and ``alt=sse`` want it.

    A failure without a status is a blocked prompt, or an answer of nothing, where it names one of Gemini's reasons
    (``SAFETY``, ``MALFORMED_FUNCTION_CALL: words``) and nothing was said; else an error among a stream's chunks; a
    whole answer makes a status up, and says so in its body.

    What the format can't say: an empty text; texts of one kind that touch, in a stream; arguments that are no
    object (SDKs refuse them); names of hosted tools in capital letters, blocks of a hosted output beyond one
    object or one text, and the bytes of an image of which the event has none; anything beside an error of HTTP, or
    beside an error of a whole answer. A connection that breaks leaves what a stream had said, of a whole answer
    nothing, and no usage.
    """
    fault = None if answer.failure is None else fault_of(answer.failure)
    streamed = "streamGenerateContent" in unquote(path_of(asked)).rpartition("/")[2]
    if fault is not None and fault.status is not None:
        body = {"error": _error(fault)} if fault.message else {}
        return json_reply([body] if streamed and fault.message else body, status=fault.status)
    blocked = _blocked(answer, fault)
    parts = _parts(answer.parts)
    if not streamed:
        if fault is not None and fault.kind:
            return broken_reply(fault)
        if fault is not None and not blocked:
            return synthetic_reply({"error": _error(fault)})
        whole = blocked or {"candidates": [_candidate(parts, ended=True)]}
        return json_reply({**whole, **_usage(answer.usage)})
    chunks: list[Json] = [{"candidates": [_candidate([part])]} for part in parts]
    if fault is None or not fault.kind:
        last = blocked or {"candidates": [_candidate([], ended=True)]}
        chunks.append({**last, **_usage(answer.usage)})
    if fault is not None and not fault.kind and not blocked:
        chunks.append({"error": _error(fault)})
    return _stream(asked, chunks, fault)


def _stream(asked: dict[str, Json], chunks: list[Json], fault: FailureStatus | None) -> dict[str, Json]:
    try:
        sse = "sse" in parse_qs(urlsplit(as_text(asked.get("url"))).query).get("alt", [])
    except ValueError:
        sse = False
    reply = stream_reply(map(event_text, chunks)) if sse else json_reply(chunks)
    if fault is None or not fault.kind:
        return reply
    return broken_reply(fault, reply if chunks else None)


def _blocked(answer: ModelAnswer, fault: FailureStatus | None) -> dict[str, Json]:
    """A refusal as Gemini spells it, where the failure names one of its reasons and nothing was said; else nothing."""
    found = None if fault is None or fault.kind or answer.parts else _REASON.match(fault.message)
    if found is None:
        return {}
    reason, said = found[1], found[2]
    if reason in _PROMPTS:
        feedback = {"blockReason": reason} | ({"blockReasonMessage": said} if said else {})
        return {"promptFeedback": feedback}
    if reason not in _ENDINGS:
        return {}
    ended = {"content": {"role": "model"}, "finishReason": reason, "index": 0}
    return {"candidates": [ended | ({"finishMessage": said} if said else {})]}


def _candidate(parts: list[Json], *, ended: bool = False) -> dict[str, Json]:
    candidate: dict[str, Json] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    return {**candidate, "finishReason": "STOP"} if ended else candidate


def _usage(usage: Usage | None) -> dict[str, Json]:
    if usage is None:
        return {}
    counts = {"promptTokenCount": usage.input, "candidatesTokenCount": usage.output}
    return {"usageMetadata": {**counts, "totalTokenCount": usage.input + usage.output}}


def _error(fault: FailureStatus) -> dict[str, Json]:
    status = fault.status or 500
    name = _STATUSES.get(status, "INTERNAL" if status >= 500 else "FAILED_PRECONDITION")
    return {"code": status, "message": fault.message, "status": name}


def _parts(parts: Sequence[Part]) -> list[Json]:
    names: dict[str, str] = {}
    built: list[Json] = []
    for part in parts:
        built += _part(part, names)
    return built


def _part(part: Part, names: dict[str, str]) -> Iterator[Json]:
    match part:
        case Text(text):
            yield {"text": text}
        case Reasoning(text):
            yield {"text": text, "thought": True}
        case Proposal(call_id, name, args, True):
            names[call_id] = name
            if name == CODE:
                yield {"executableCode": {"language": "PYTHON", **as_dict(args), "id": call_id}}
            elif name != INLINE:
                yield {"toolCall": {"toolType": name.upper(), "id": call_id, "args": args}}
        case Proposal(call_id, name, args):
            yield {"functionCall": {"id": call_id, "name": name, "args": args}}
        case Output(call_id, blocks, is_error):
            yield from _output(names.get(call_id, ""), call_id, blocks, is_error=is_error)


def _output(name: str, call_id: str, blocks: Sequence[Json], *, is_error: bool) -> Iterator[Json]:
    if name == INLINE:
        for block in blocks:
            if image := image_data(block):
                yield {"inlineData": {"mimeType": image[0], "data": image[1]}}
        return
    said = _said(blocks)
    if name == CODE:
        outcome = "OUTCOME_FAILED" if is_error else "OUTCOME_OK"
        yield {"codeExecutionResult": {"outcome": outcome, "output": _text(said), "id": call_id}}
        return
    response = said if isinstance(said, dict) and not is_error else {"error" if is_error else "output": said}
    yield {"toolResponse": {"toolType": name.upper(), "id": call_id, "response": response}}


def _said(blocks: Sequence[Json]) -> Json:
    """The content of blocks: the value of a single block, an array of several."""
    values = [next(iter(as_dict(block).values()), None) for block in blocks]
    return values[0] if len(values) == 1 else values


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json_text(value)
