"""Reads the contents of Gemini requests (the conversation, outputs of tools), and the grounding of answers.

Format: https://ai.google.dev/api/caching#Content (Content, Part, FunctionCall, FunctionResponse) and
https://ai.google.dev/api/generate-content (GroundingMetadata, UrlContextMetadata). Keys may be camelCase or
snake_case, since that is how protobuf reads JSON (https://protobuf.dev/programming-guides/json).
"""

from __future__ import annotations

import functools
import re
from functools import partial
from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import canonical
from pytest_sparrow.providers.blocks import CallIds, LazyBlocks, OpenCalls, encoded_image, json_block
from pytest_sparrow.providers.codec import Output, Part, Proposal
from pytest_sparrow.providers.reading import as_dict, as_list, as_text, holdable, raw_text, spoken_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from pytest_sparrow.exchange import Json

_Fields = dict[str, "Json"]

# Clients invent ids where the provider sent none, and send them: pydantic-ai "pyd_ai_<32 hex digits>", others a
# UUID behind a word of theirs. Gemini's own are short ("yot5i3fn") or numbers ("function-call-1234").
_SYNTHETIC = re.compile(r"(?:[a-z_]+[-_])?(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\Z")

SIGNATURES = frozenset({"thoughtSignature", "thought_signature"})
"""Keys of parts whose values are new in every answer, and which later requests repeat."""

_WITH_IDS = frozenset(
    {
        "functionCall",
        "functionResponse",
        "toolCall",
        "toolResponse",
        "executableCode",
        "codeExecutionResult",
    }
)


@functools.cache
def _snake(name: str) -> str:
    return re.sub("[A-Z]", lambda upper: "_" + upper[0].lower(), name)


_WITH_IDS_ANYHOW = _WITH_IDS | {_snake(name) for name in _WITH_IDS}


def field_of(fields: _Fields, name: str) -> Json:
    """A field by its camelCase name, however it is spelled; None where it is absent."""
    value = fields.get(name)
    return fields.get(_snake(name)) if value is None else value


def contents_of(body: _Fields) -> list[_Fields]:
    """The contents of a request; protobuf also reads a single content without its array."""
    contents = body.get("contents")
    return [as_dict(each) for each in ([contents] if isinstance(contents, dict) else as_list(contents))]


def parts_of(content: _Fields) -> list[_Fields]:
    """The parts of a content."""
    parts = content.get("parts")
    return [as_dict(part) for part in ([parts] if isinstance(parts, dict) else as_list(parts))]


def conversation_of(contents: list[_Fields]) -> list[Json]:
    """The contents without signatures and ids of calls, which change from run to run."""
    return [
        {**content, "parts": [_stable(part) for part in parts_of(content)]}
        for content in contents
        if content.get("role") != "system"
    ]


def _stable(part: _Fields) -> _Fields:
    return {key: _without_id(key, value) for key, value in part.items() if key not in SIGNATURES}


def _without_id(key: str, value: Json) -> Json:
    if key not in _WITH_IDS_ANYHOW or not isinstance(value, dict):
        return value
    return {name: item for name, item in value.items() if name != "id"}


def first_text(contents: list[_Fields]) -> str:
    """The first text of the user's, or ""."""
    for content in contents:
        if content.get("role") in (None, "", "user") and (text := spoken_text(parts_of(content))):
            return as_text(text)
    return ""


def call_id_of(call: _Fields) -> str:
    """The provider's id of a call; "" where the provider sent none, or a client invented it."""
    own = as_text(call.get("id"))
    return "" if _SYNTHETIC.match(own) else own


def ask_ids(contents: list[_Fields]) -> tuple[CallIds, CallIds]:
    """The ids that an answer to this conversation goes on with: of calls, and of the provider's own tools."""
    calls = 0
    for content in contents:
        for part in parts_of(content):
            call = field_of(part, "functionCall")
            calls += isinstance(call, dict) and not call_id_of(call)
    # Clients don't repeat all that the provider's own tools did: the turn is counted, not they.
    turn = 1 + sum(content.get("role") == "model" for content in contents)
    return CallIds(calls), CallIds(prefix=f"hosted-{turn}")


def tool_results(contents: list[_Fields]) -> list[Output]:
    """Every function's output that the conversation holds, oldest first."""
    return list(_results(contents))


def _results(contents: list[_Fields]) -> Iterator[Output]:
    ids, calls = CallIds(), OpenCalls()
    for content in contents:
        outputs: list[_Fields] = []
        for part in parts_of(content):
            call = field_of(part, "functionCall")
            if isinstance(call, dict):
                call_id = ids.fill(call_id_of(call))
                calls.proposed(call_id, wire=as_text(call.get("id")), name=as_text(call.get("name")))
            output = field_of(part, "functionResponse")
            if isinstance(output, dict):
                outputs.append(output)
        for output, call_id in zip(outputs, _answered(outputs, calls), strict=True):
            if call_id:
                failed = set(as_dict(output.get("response"))) == {"error"}
                yield Output(id=call_id, blocks=LazyBlocks(partial(_blocks, output)), is_error=failed)


def _answered(outputs: list[_Fields], calls: OpenCalls) -> list[str]:
    """Which call each output of a content answers, "" for none.

    Where the conversation holds no such call (it was cut short), the provider's own id still says which. One without an
    id and under another name (a client's wrapper, say) answers the oldest call that the others leave.
    """
    found = [
        calls.answered(wire=as_text(output.get("id")), name=as_text(output.get("name"))) or call_id_of(output)
        for output in outputs
    ]
    return [call_id or calls.answered(wire="", name="") for call_id in found]


def _blocks(output: _Fields) -> list[Json]:
    """The whole ``response``, whose keys are the client's own choice, then images and files beside it."""
    response = output.get("response")
    blocks: list[Json] = [] if response is None else [json_block(response)]
    return blocks + [inline_block(part) for part in parts_of(output)]


def inline_block(part: _Fields) -> Json:
    """A part's bytes as an Image block; a part that holds none is kept as Json."""
    blob = as_dict(field_of(part, "inlineData"))
    data, mime = raw_text(blob.get("data")), raw_text(field_of(blob, "mimeType"))
    image = encoded_image(data, mime or "application/octet-stream") if data else None
    return image or json_block(part)


_QUERIES = ("webSearchQueries", "imageSearchQueries", "retrievalQueries")
_SEARCHES = {
    "web": "google_search",
    "image": "google_search",
    "retrievedContext": "file_search",
    "maps": "google_maps",
}


def searched(
    grounding: list[_Fields],
    urls: list[Json],
    *,
    empty: Iterable[str],
    waiting: Iterable[str],
    called: Collection[str],
    ids: CallIds,
) -> Iterator[Part]:
    """The calls of hosted tools, and their outputs, that the grounding of one candidate shows.

    Args:
        grounding: the ``groundingMetadata`` of its pieces, as they came.
        urls: the entries of its ``urlContextMetadata``.
        empty: ids of hosted calls that were answered with nothing: the first gets what was found.
        waiting: ids of those that were not answered: the first gets what was found, if nobody else did.
        called: names of the hosted tools whose calls the answer held: queries alone are then nothing new.
        ids: numbers the calls that only the grounding shows.
    """
    chunks = _distinct(grounding, ("groundingChunks",))
    for call_id in empty:
        yield Output(call_id, _found_blocks(chunks))
        chunks = []
    for call_id in waiting:
        if chunks:
            yield Output(call_id, _found_blocks(chunks))
            chunks = []
    queries = _distinct(grounding, _QUERIES)
    if chunks or (queries and not called):
        yield from _search(ids, _search_name(chunks, grounding), {"queries": queries}, chunks)
    if urls and "url_context" not in called:
        asked = [field_of(as_dict(url), "retrievedUrl") for url in urls]
        yield from _search(ids, "url_context", {"urls": asked}, urls)


def _search(ids: CallIds, name: str, args: Json, found: list[Json]) -> Iterator[Part]:
    call_id = ids.fill("")
    yield Proposal(call_id, name, holdable(args), hosted=True)
    yield Output(call_id, _found_blocks(found))


def _found_blocks(found: list[Json]) -> list[Json]:
    return [json_block(each) for each in found]


def _distinct(grounding: list[_Fields], names: tuple[str, ...]) -> list[Json]:
    """The items of these lists, each once: later chunks of a stream may repeat items."""
    found: dict[bytes, Json] = {}
    for each in grounding:
        for name in names:
            for item in as_list(field_of(each, name)):
                found.setdefault(canonical(holdable(item)), item)
    return list(found.values())


def _search_name(chunks: list[Json], grounding: list[_Fields]) -> str:
    for chunk in map(as_dict, chunks):
        for kind, name in _SEARCHES.items():
            if field_of(chunk, kind) is not None:
                return name
    retrieved = any(field_of(each, "retrievalQueries") for each in grounding)
    return "file_search" if retrieved else "google_search"
