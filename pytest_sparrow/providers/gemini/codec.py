"""The codec of Gemini's ``generateContent`` and ``streamGenerateContent``: Gemini API, Vertex AI, and proxies.

Format: https://ai.google.dev/api/generate-content; Vertex:
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pytest_sparrow.providers.codec import ModelAnswer, ModelRequest
from pytest_sparrow.providers.facts import KeyShape, ProviderFacts, RetryClock
from pytest_sparrow.providers.gemini.answer import read_chunks
from pytest_sparrow.providers.gemini.compose import compose_gemini
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
    from collections.abc import Iterator

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import Failure

__all__ = ["Gemini"]

_VERBS = ("generateContent", "streamGenerateContent")
_ROLES = frozenset({"", "user", "model", "function", "tool", "system"})
_NO_CALLS = ("/cachedContents", "/batches", "/countTokens", "/embedContent", "/batchGenerateContent")
# What only a request to keep contents, or to count them, holds.
_FOREIGN_KEYS = frozenset({"ttl", "expireTime", "expire_time", "displayName", "display_name", "messages"})


_FACTS = ProviderFacts(
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
    # Its own waits, for aiohttp and uploads; those of its retry_options are tenacity's.
    retry_clocks=(
        RetryClock(module="google.genai._api_client", has="BaseApiClient", clocks=("time", "asyncio")),
    ),
    request_headers=frozenset({"x-goog-upload-command", "x-goog-upload-protocol"}),
    answer_headers=frozenset({"x-goog-upload-status", "x-goog-upload-url"}),
    volatile_answer_keys=frozenset({"createTime", "responseId", "thoughtSignature"}),
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
