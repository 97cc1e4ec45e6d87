"""The codec of Gemini's ``generateContent`` and ``streamGenerateContent``: Gemini API, Vertex AI, and proxies.

Format: https://ai.google.dev/api/generate-content; Vertex:
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from pytest_sparrow.providers.blocks import image_data
from pytest_sparrow.providers.codec import ModelAnswer, ModelRequest, Output, Proposal, Reasoning, Text
from pytest_sparrow.providers.composing import (
    broken_reply,
    event_text,
    fault_of,
    json_reply,
    json_text,
    stream_reply,
    synthetic_reply,
)
from pytest_sparrow.providers.facts import KeyShape, ProviderFacts, RetryClock
from pytest_sparrow.providers.gemini.answer import CODE, INLINE, read_chunks
from pytest_sparrow.providers.gemini.content import (
    SIGNATURES,
    ask_ids,
    contents_of,
    conversation_of,
    first_text,
    parts_of,
    tool_results,
)
from pytest_sparrow.providers.reading import (
    StreamReader,
    as_dict,
    as_list,
    as_text,
    http_failure,
    json_answer,
    json_request,
    path_of,
    stream_events,
    synthetic_failure,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import Failure, Part, Usage
    from pytest_sparrow.providers.composing import FailureStatus

_VERBS = ("generateContent", "streamGenerateContent")
_ROLES = frozenset({"", "user", "model", "function", "tool", "system"})
_NO_CALLS = ("/cachedContents", "/batches", "/countTokens", "/embedContent", "/batchGenerateContent")
# What only a request to keep contents, or to count them, holds.
_FOREIGN_KEYS = frozenset({"ttl", "expireTime", "expire_time", "displayName", "display_name", "messages"})


_FACTS = ProviderFacts(
    model_paths=frozenset({r":(?:stream)?[gG]enerateContent"}),
    answer_keys=frozenset({"candidates", "promptFeedback", "usageMetadata"}),
    # google-genai warns where both are set and they weren't before.
    key_variables=(("GOOGLE_API_KEY", "GEMINI_API_KEY"),),
    services=frozenset({"gemini"}),
    key_kinds={"GEMINI_API_KEY": "google-key", "GOOGLE_GENERATIVE_AI_API_KEY": "google-key"},
    key_shapes=(
        KeyShape(kind="google-key", prefixes=("AIza",), rest="[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
        KeyShape(kind="google-key", prefixes=("AQ.A",), rest="[A-Za-z0-9_-]{30,}"),
        KeyShape(kind="google-token", prefixes=("ya29.",), rest=r"[A-Za-z0-9_-]{20,}(?:\.[A-Za-z0-9_-]+)*"),
        KeyShape(kind="google-client-secret", prefixes=("GOCSPX-",), rest="[A-Za-z0-9_-]{20,}"),
    ),
    sure_keys=(
        KeyShape(kind="google-key", prefixes=("AIza",), rest="[A-Za-z0-9_-]{35}(?!_|-)"),
        KeyShape(kind="google-client-secret", prefixes=("GOCSPX-",), rest="[A-Za-z0-9_-]{28}"),
    ),
    packages={"google.genai": "google-genai"},
    service_variables=dict.fromkeys(
        (
            "GOOGLE_GEMINI_BASE_URL",
            "GOOGLE_VERTEX_BASE_URL",
            "GOOGLE_GENAI_USE_VERTEXAI",
            "GOOGLE_CLOUD_LOCATION",
            "GOOGLE_CLOUD_PROJECT",
        ),
        "google-genai",
    ),
    # Its own waits, for aiohttp and uploads; those of its retry_options are tenacity's.
    retry_clocks=(
        RetryClock(module="google.genai._api_client", has="BaseApiClient", clocks=("time", "asyncio")),
    ),
    volatile_headers=frozenset({"x-server-timeout"}),
    account_headers=frozenset({"x-goog-user-project"}),
    answer_headers=frozenset({"x-goog-upload-status", "x-goog-upload-url"}),
    volatile_answer_keys=frozenset(
        {"createTime", "responseId", "thoughtSignature", "cachedContentTokenCount"}
    ),
    server_state_keys=frozenset({"cachedContent"}),
    volatile_request_keys=SIGNATURES,
    # Clients invent ids for these, from randomness that no seed reaches.
    call_keys=frozenset({"functionCall", "functionResponse", "function_call", "function_response"}),
)


class Gemini:
    """Gemini's own format, recognised by the path, or by ``contents`` of its shape on any other; see `Codec`.

    Counting tokens, embedding, batches and caches of contents are no calls to a model, though they hold contents.

    Calls keep Gemini's ids. Where Gemini sent none, or a client invented one (a UUID behind a word), the n-th such
    call of the conversation is ``call-n``. What Gemini's own tools did (code, searches) becomes hosted calls with
    their outputs; grounding without a call of its own as one ``google_search``, ``file_search``
    or ``google_maps`` at the candidate's end; an image in an answer as one ``inline_data``. A function's output is
    its whole ``response``; one that holds nothing but ``error`` is an error.
    """

    name: str = "gemini"
    facts = _FACTS

    def request(self, asked: dict[str, Json]) -> ModelRequest | None:
        """Read a request; None for a request of another format."""
        body = json_request(asked)
        if body is None or not _is_generation(asked, body):
            return None
        contents = contents_of(body)
        return ModelRequest(
            model=_model(asked, body),
            conversation=conversation_of(contents),
            task=first_text(contents),
            results=tool_results(contents),
            forced=_forced(body),
        )

    def answer(self, asked: dict[str, Json], answered: dict[str, Json]) -> ModelAnswer:
        """Read a whole answer, or a stream: server-sent events, or an array that grew."""
        if failure := synthetic_failure(answered):
            return ModelAnswer(parts=[], failure=failure)
        ids = ask_ids(contents_of(json_request(asked) or {}))
        chunks, failure, streamed = _chunks(answered)
        read = read_chunks(chunks, ids, streamed=streamed)
        return ModelAnswer(
            parts=read.parts, usage=read.usage, failure=http_failure(answered, read.failure or failure)
        )

    def compose(self, asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
        """Build the answer: whole, or as the stream that the path asks for; see `compose_gemini`."""
        return compose_gemini(asked, answer)


def _is_generation(asked: dict[str, Json], body: dict[str, Json]) -> bool:
    contents = body.get("contents")
    if not isinstance(contents, list | dict):
        return False
    verb = _verb(asked)
    if verb:
        return verb in _VERBS
    path = path_of(asked)
    if path.endswith(_NO_CALLS) or not _FOREIGN_KEYS.isdisjoint(body):
        return False
    if path.endswith(tuple(f"/{verb}" for verb in _VERBS)):
        return True
    shaped = [_is_content(content) for content in as_list(contents)]
    return bool(shaped) and all(shaped)


def _is_content(content: Json) -> bool:
    fields = as_dict(content)
    role = fields.get("role", "")
    if not isinstance(role, str) or role not in _ROLES or not isinstance(fields.get("parts"), list | dict):
        return False
    return all(parts_of(fields))


def _verb(asked: dict[str, Json]) -> str:
    """What stands behind the colon of the path's last part, as Google's custom methods do; "" where nothing does."""
    return unquote(path_of(asked)).rpartition("/")[2].partition(":")[2]


def _forced(body: dict[str, Json]) -> str:
    choice = as_dict(as_dict(body.get("toolConfig")).get("functionCallingConfig"))
    names = as_list(choice.get("allowedFunctionNames"))
    return as_text(names[0]) if len(names) == 1 else ""


def _model(asked: dict[str, Json], body: dict[str, Json]) -> str:
    """The model of the path (``…/models/<name>:generateContent``), else the model that a proxy reads in the body."""
    path = unquote(path_of(asked))
    if not _verb(asked):
        _, found, rest = path.partition("/models/")
        return rest.split("/")[0] if found else as_text(body.get("model")).rpartition("/")[2]
    return as_text(path.rpartition("/")[2].partition(":")[0])


def _chunks(answered: dict[str, Json]) -> tuple[list[Json], Failure | None, bool]:
    """The objects of an answer, the failure to read one, and whether they came as a stream."""
    events = stream_events(answered)
    if events is None:
        body = json_answer(answered)
        if body is None:
            body = list(_torn_array(as_text(as_dict(answered.get("body")).get("text"))))
        if isinstance(body, list):
            return body, None, True
        return [body], None, False
    chunks: list[Json] = []
    stream = StreamReader(events)
    for _, chunk in stream:
        chunks += chunk if isinstance(chunk, list) else [chunk]
    return chunks, stream.failure, True


def _torn_array(text: str) -> Iterator[Json]:
    """The whole objects of an array that broke off: a stream without ``alt=sse`` is one array."""
    decoder = json.JSONDecoder()
    place = len(text) - len(text.lstrip()) + 1
    if text[place - 1 : place] != "[":
        return
    while True:
        while text[place : place + 1].isspace() or text[place : place + 1] == ",":
            place += 1
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            return
        yield value


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
