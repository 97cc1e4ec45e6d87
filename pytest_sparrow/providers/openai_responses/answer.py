"""Reads the items of a responses answer, whole or joined from a stream, as parts.

Items: https://platform.openai.com/docs/api-reference/responses/object (``output``). An item of a type that is not
known here is read by the rule that all types follow: ``<tool>_call`` is a call that the provider ran itself,
``<tool>_output`` its output. Events: https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_sparrow.providers.blocks import content_blocks, encoded_image, image_block, json_block, slim
from pytest_sparrow.providers.codec import Output, Part, Proposal, Reasoning, Text
from pytest_sparrow.providers.reading import (
    StreamReader,
    as_dict,
    as_list,
    as_text,
    failure_of,
    holdable,
    parse_json_text,
    raw_text,
    text_block,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import Failure
    from pytest_sparrow.wire.sse import ServerSentEvent


@dataclass(frozen=True, slots=True)
class OutputItem:
    """One item of an answer; ``whole`` is False while a stream has not said its end."""

    fields: dict[str, Json]
    whole: bool = True


# Run by the agent, unless the answer itself holds the output or names a server.
_CLIENTS = frozenset(
    {"apply_patch_call", "computer_call", "local_shell_call", "shell_call", "tool_search_call"}
)

_UNDER_WAY = frozenset({"calling", "generating", "in_progress", "interpreting", "queued", "searching"})

# No arguments of the tool: the provider's own ids, and the tool's output.
_NO_ARGUMENTS = frozenset(
    {
        "caller",
        "call_id",
        "container_id",
        "created_by",
        "encrypted_content",
        "error",
        "execution",
        "fingerprint",
        "id",
        "output",
        "outputs",
        "partial_image_b64",
        "result",
        "results",
        "status",
        "svg_usage",
        "tools",
        "type",
    }
)
_RESULTS = ("results", "outputs", "output", "result", "tools")


def item_parts(items: Sequence[OutputItem]) -> Iterator[Part]:
    """The parts of an answer's items, in their order; empty text is no part."""
    answered = {as_text(item.fields.get("call_id")) for item in items if _is_output(item.fields)}
    unnamed: list[str] = []  # calls without a call_id, whose output has none either
    for position, item in enumerate(items, start=1):
        fields = item.fields
        kind = as_text(fields.get("type")) or ("message" if "content" in fields else "")
        own_id = as_text(fields.get("call_id")) or as_text(fields.get("id")) or f"call-{position}"
        if kind == "message":
            yield from _message_parts(fields)
        elif kind == "reasoning":
            yield from _reasoning_parts(fields)
        elif kind in ("function_call", "custom_tool_call"):
            yield _own_call(item, own_id, hosted=as_text(fields.get("call_id")) in answered)
        elif _is_output(fields):
            call_id = as_text(fields.get("call_id")) or (unnamed.pop(0) if unnamed else own_id)
            yield Output(call_id, _outputs(fields), _is_error(fields))
        elif kind.endswith("_call") or kind in ("mcp_list_tools", "mcp_approval_request", "program"):
            if kind in _CLIENTS and not fields.get("call_id"):
                unnamed.append(own_id)
            yield from _tool_parts(item, kind, own_id, answered)


def _is_output(fields: dict[str, Json]) -> bool:
    return as_text(fields.get("type")).endswith("_output")


def _message_parts(message: dict[str, Json]) -> Iterator[Part]:
    if message.get("role", "assistant") != "assistant":
        return
    content = message.get("content")
    for part in [content] if isinstance(content, str) else as_list(content):
        fields = as_dict(part)
        said = part if isinstance(part, str) else fields.get("text") or fields.get("refusal")
        if text := as_text(said) or as_text(fields.get("transcript")):
            yield Text(text)


def _reasoning_parts(item: dict[str, Json]) -> Iterator[Part]:
    for part in (*as_list(item.get("summary")), *as_list(item.get("content"))):
        if text := as_text(as_dict(part).get("text")):
            yield Reasoning(text)


def _own_call(item: OutputItem, call_id: str, *, hosted: bool) -> Proposal:
    fields = item.fields
    # The input of a custom tool is free text by definition: text that looks like JSON stays text.
    custom = fields.get("type") == "custom_tool_call"
    args = holdable(fields.get("input")) if custom else _arguments(item)
    return Proposal(call_id, as_text(fields.get("name")), args, hosted)


def _arguments(item: OutputItem) -> Json:
    """Parsed arguments: ``{}`` where a whole item has none, the text so far where a stream has not said the end."""
    given = item.fields.get("arguments")
    if isinstance(given, str) and given.strip():
        return parse_json_text(given)
    if given and not isinstance(given, str):
        return slim(holdable(given))
    return {} if item.whole else ""


def _tool_parts(item: OutputItem, kind: str, own_id: str, answered: set[str]) -> Iterator[Part]:
    """A call that is no function's, and its output where the provider ran it to its end."""
    fields = item.fields
    hosted = kind not in _CLIENTS or _ran_there(fields) or as_text(fields.get("call_id")) in answered
    yield Proposal(own_id, _tool_name(kind, fields), _tool_arguments(item, kind), hosted)
    if kind in _CLIENTS or kind in ("mcp_approval_request", "program"):
        return  # their outputs are items of their own
    blocks, is_error = _outputs(fields), _is_error(fields)
    if blocks or is_error or (item.whole and as_text(fields.get("status")) not in _UNDER_WAY):
        yield Output(own_id, blocks, is_error)


def _ran_there(fields: dict[str, Json]) -> bool:
    """Whether the item says that a server runs this: a tool search, a shell in a container."""
    place = as_dict(fields.get("environment")).get("type", "local")
    return fields.get("execution") == "server" or place != "local"


def _tool_name(kind: str, fields: dict[str, Json]) -> str:
    """The tool's type as a request declares it; of MCP the tool's own name."""
    return as_text(fields.get("name")) if kind == "mcp_call" else kind.removesuffix("_call")


def _tool_arguments(item: OutputItem, kind: str) -> Json:
    fields = item.fields
    if kind in ("mcp_call", "tool_search_call"):
        return _arguments(item)
    asked = {key: value for key, value in fields.items() if key not in _NO_ARGUMENTS and value is not None}
    if not asked.get("pending_safety_checks", True):
        del asked["pending_safety_checks"]
    if kind == "mcp_approval_request":
        asked["arguments"] = _arguments(item)
    if isinstance(asked.get("action"), dict) and kind == "web_search_call":
        asked["action"] = {key: value for key, value in asked["action"].items() if key != "sources"}
    return slim(holdable(asked)) if asked or item.whole else ""


def _outputs(fields: dict[str, Json]) -> list[Json]:
    """The output of a hosted tool: sources, results, logs, an image; its error comes last."""
    found: list[Json] = []
    if fields.get("type") == "image_generation_call":
        found.extend(_image(fields))
    else:
        sources = as_dict(fields.get("action")).get("sources")
        found.extend(block for value in (sources, *_values(fields)) for block in blocks_of(value))
    return [*found, *_error_blocks(fields.get("error"))]


def _error_blocks(error: Json) -> list[Json]:
    """Why a tool failed; of a server's tool its own words, which come as content."""
    said = as_dict(error).get("content")
    return blocks_of(said if isinstance(said, list) else error) if error else []


def _values(fields: dict[str, Json]) -> Iterable[Json]:
    return (fields.get(key) for key in _RESULTS)


def _image(fields: dict[str, Json]) -> list[Json]:
    result = as_text(fields.get("result"))
    kind = as_text(fields.get("output_format")) or "png"
    mime = "image/svg+xml" if kind == "svg" else f"image/{kind}"
    if not result:
        return []
    return [encoded_image(result, mime) or json_block(result)]


def _is_error(fields: dict[str, Json]) -> bool:
    return bool(fields.get("error")) or fields.get("status") == "failed"


_LAST = frozenset(f"response.{end}" for end in ("completed", "incomplete", "failed", "cancelled", "done"))


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedResponse:
    """What a stream said.

    Attributes:
        items: the items, by their index.
        response: the newest ``response`` that an event held, for its status, usage and error.
        failure: the error that came as an event of its own, or None.
    """

    items: list[OutputItem]
    response: dict[str, Json]
    failure: Failure | None


def join_response(events: Iterable[ServerSentEvent]) -> JoinedResponse:
    """Join events up to the end, an error, or the place where the stream broke.

    Where the last event holds the items, these count; a host that sends them empty has said them before.
    """
    items = _Items()
    response: dict[str, Json] = {}
    last: list[Json] = []
    ended = False
    stream = StreamReader(events)
    for event, value in stream:
        data = as_dict(value)
        kind = as_text(data.get("type")) or event.event
        if kind == "error" or data.get("error"):
            stream.fail(failure_of(data, as_text(data.get("code"))))
        response = as_dict(data.get("response")) or response
        if kind in _LAST:
            ended, last = True, as_list(response.get("output"))
        items.add(kind, data)
    whole = [OutputItem(as_dict(item)) for item in last]
    return JoinedResponse(items=whole or items.joined(ended=ended), response=response, failure=stream.failure)


@dataclass(slots=True)
class _Item:
    """One item under way. Fragments are kept in lists and joined once: ``+=`` would be quadratic."""

    fields: dict[str, Json] = field(default_factory=dict)
    done: bool = False
    pieces: dict[tuple[str, int], list[str]] = field(default_factory=dict)

    def joined(self) -> dict[str, Json]:
        """The item as its last event has it, else as the fragments so far have it."""
        if self.done:
            return self.fields
        fields = dict(self.fields)
        parts: dict[str, list[Json]] = {}
        for (place, _), pieces in sorted(self.pieces.items()):
            text = "".join(pieces)
            if place in ("content", "summary"):
                parts.setdefault(place, []).append({"text": text})
            else:
                fields[place] = text
        return {**fields, **parts}


# Which event speaks of which field of which item: a fragment, and the whole of it.
_PIECES: dict[str, tuple[str, str]] = {
    "response.output_text": ("message", "content"),
    "response.refusal": ("message", "content"),
    "response.content_part": ("message", "content"),
    "response.reasoning_text": ("reasoning", "content"),
    "response.reasoning_summary_text": ("reasoning", "summary"),
    "response.reasoning_summary_part": ("reasoning", "summary"),
    "response.function_call_arguments": ("function_call", "arguments"),
    "response.custom_tool_call_input": ("custom_tool_call", "input"),
    "response.mcp_call_arguments": ("mcp_call", "arguments"),
    "response.mcp_call.arguments": ("mcp_call", "arguments"),
    "response.code_interpreter_call_code": ("code_interpreter_call", "code"),
    "response.code_interpreter_call.code": ("code_interpreter_call", "code"),
}
_WHOLE_TEXT = ("text", "refusal", "arguments", "input", "code")


class _Items:
    """The items of one answer, by index, else by id."""

    def __init__(self) -> None:
        self._items: dict[int, _Item] = {}
        self._by_id: dict[str, int] = {}

    def add(self, kind: str, data: dict[str, Json]) -> None:
        """Add one event; most events repeat what other events say."""
        if kind in ("response.output_item.added", "response.output_item.done"):
            fields = as_dict(data.get("item"))
            if fields:
                item = self._at(data, as_text(fields.get("id")))
                item.fields, item.done = fields, kind.endswith(".done")
            return
        name, _, end = kind.rpartition(".")
        known = _PIECES.get(name)
        if known is not None:
            self._piece(data, *known, whole=end == "done")

    def _at(self, data: dict[str, Json], item_id: str) -> _Item:
        index = data.get("output_index")
        if type(index) is not int:
            index = self._by_id.get(item_id, len(self._items))
        if item_id:
            self._by_id[item_id] = index
        return self._items.setdefault(index, _Item())

    def _piece(self, data: dict[str, Json], kind: str, place: str, *, whole: bool) -> None:
        item = self._at(data, as_text(data.get("item_id")))
        item.fields = item.fields or {"type": kind, "id": as_text(data.get("item_id"))}
        number = data.get("summary_index" if place == "summary" else "content_index")
        whole_part = as_dict(data.get("part")) or data
        pieces = item.pieces.setdefault((place, number if type(number) is int else 0), [])
        if not whole:
            pieces.append(raw_text(data.get("delta")))
        elif text := next((raw_text(whole_part[key]) for key in _WHOLE_TEXT if whole_part.get(key)), ""):
            pieces[:] = [text]

    def joined(self, *, ended: bool) -> list[OutputItem]:
        """The items by their index; after the answer's end all of them are whole."""
        items = (self._items[index] for index in sorted(self._items))
        return [OutputItem(item.joined(), ended or item.done) for item in items]


def blocks_of(content: Json) -> list[Json]:
    """An item's output as blocks: one for a text or an object, one for each part of a list."""
    return content_blocks(content, _known)


def _known(part: dict[str, Json]) -> Json | None:
    """A text, logs or an image as a block; a URL, a file and an exit code have none."""
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text") and isinstance(part.get("text"), str):
        return text_block(part["text"])
    if kind == "logs" and isinstance(part.get("logs"), str):  # of a code interpreter
        return text_block(part["logs"])
    return image_block(
        as_text(part.get("image_url")) or (as_text(part.get("url")) if kind == "image" else "")
    )
