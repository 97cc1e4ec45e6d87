"""Builds a responses answer from the parts of an answer: whole, or as the events of a stream."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from pytest_sparrow.providers.blocks import image_data
from pytest_sparrow.providers.codec import Output, Part, Proposal, Reasoning, Text
from pytest_sparrow.providers.composing import (
    arguments_text,
    broken_reply,
    error_object,
    event_text,
    fault_of,
    json_reply,
    json_text,
    request_digest,
    stream_reply,
)
from pytest_sparrow.providers.reading import as_dict, as_list, as_text, json_request, path_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import ModelAnswer, Usage
    from pytest_sparrow.providers.composing import FailureStatus

_CLIENTS = frozenset({"apply_patch", "computer", "local_shell", "shell", "tool_search"})
_SERVERS = frozenset({"code_interpreter", "file_search", "image_generation", "web_search"})
_ALIASES = {"computer_use_preview": "computer", "computer-preview": "computer"}


def output_items(request: dict[str, Json], parts: Sequence[Part], digest: str) -> list[dict[str, Json]]:
    """The items that say ``parts`` to this request; missing ids are made of ``digest``.

    Reasoning side by side is one item of several parts, and so is text. A hosted call and its output become what
    the provider has for them, side by side: an item of the tool's type, else of MCP. An output without its call
    is left out.
    """
    declared = _Declared(request)
    outputs = {part.id: part for part in parts if isinstance(part, Output)}
    items: list[dict[str, Json]] = []
    spoken = (part for part in parts if not isinstance(part, Text | Reasoning) or part.text)
    for kind, group in groupby(spoken, type):
        synthetic = f"{digest}{len(items):04x}"
        if kind is Reasoning:
            summary = [{"type": "summary_text", "text": text} for text in _texts(group)]
            items.append({"id": f"rs_{synthetic}", "type": "reasoning", "summary": summary})
        elif kind is Text:
            items.append(_message(f"msg_{synthetic}", _texts(group)))
        else:
            for part in group:
                if isinstance(part, Proposal):
                    items.extend(declared.call(part, f"{digest}{len(items):04x}", outputs.get(part.id)))
    return items


def _texts(parts: Iterable[Part]) -> Iterator[str]:
    return (part.text for part in parts if isinstance(part, Text | Reasoning))


def _message(item_id: str, texts: Iterable[str]) -> dict[str, Json]:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []} for text in texts]
    return {
        "id": item_id,
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": content,
    }


class _Declared:
    """The tools that a request declares, which say how a call of each is written."""

    def __init__(self, request: dict[str, Json]) -> None:
        tools = [as_dict(tool) for tool in as_list(request.get("tools"))]
        named = [(tool.get("type"), as_text(tool.get("name"))) for tool in tools]
        self._custom = {name for kind, name in named if kind == "custom"}
        functions = {name for kind, name in named if kind == "function"}
        kinds = {as_text(kind) for kind, _ in named}
        self._clients = ({_ALIASES.get(kind, kind) for kind in kinds} & _CLIENTS) - functions

    def call(self, call: Proposal, synthetic: str, output: Output | None) -> list[dict[str, Json]]:
        """The item of a call; with the output of a hosted call, which may be an item of its own."""
        if call.hosted:
            return _hosted(call, synthetic, output)
        if call.name in self._custom:
            text = call.args if isinstance(call.args, str) else arguments_text(call.args)
            item = {"type": "custom_tool_call", "id": f"ctc_{synthetic}", "name": call.name, "input": text}
        elif call.name in self._clients and isinstance(call.args, dict):
            item = _client_item(call, synthetic)
        else:
            item = {"type": "function_call", "id": f"fc_{synthetic}", "name": call.name}
            item["arguments"] = arguments_text(call.args)
        return [{**item, "call_id": call.id, "status": "completed"}]


def _client_item(call: Proposal, synthetic: str) -> dict[str, Json]:
    item = {"type": f"{call.name}_call", "id": f"item_{synthetic}"}
    if call.name == "tool_search":
        return {**item, "arguments": call.args, "execution": "client"}
    checks: dict[str, Json] = {"pending_safety_checks": []} if call.name == "computer" else {}
    return {**checks, **call.args, **item}


def _hosted(call: Proposal, synthetic: str, output: Output | None) -> list[dict[str, Json]]:
    if call.name in ("shell", "tool_search") and isinstance(call.args, dict):
        return _with_own_output(call, synthetic, output)
    status = "failed" if output is not None and output.is_error else "completed"
    if call.name == "mcp_approval_request" and isinstance(call.args, dict):
        arguments = arguments_text(call.args.get("arguments", {}))
        return [{**call.args, "id": call.id, "type": call.name, "arguments": arguments}]
    item: dict[str, Json] = {"id": call.id, "status": "in_progress" if output is None else status}
    if call.name in _SERVERS and isinstance(call.args, dict):
        held = {} if output is None else _held(call.name, output.blocks)
        return [{**call.args, **held, "type": f"{call.name}_call", **item}]
    if call.name == "mcp_list_tools" and isinstance(call.args, dict):
        tools = [] if output is None else [_entry(block) for block in output.blocks]
        return [{**call.args, "tools": tools, "type": call.name, **item}]
    text = None if output is None else "\n".join(map(_text, output.blocks))
    said = (
        {"output": None, "error": _mcp_error(text)} if status == "failed" else {"output": text, "error": None}
    )
    named = {"name": call.name, "server_label": "", "arguments": arguments_text(call.args), **said}
    return [{**named, "type": "mcp_call", **item}]


def _mcp_error(text: str | None) -> dict[str, Json]:
    return {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": text or ""}]}


def _with_own_output(call: Proposal, synthetic: str, output: Output | None) -> list[dict[str, Json]]:
    server: dict[str, Json] = {"call_id": call.id, "status": "completed", "execution": "server"}
    item: dict[str, Json] = {"id": f"item_{synthetic}", "type": f"{call.name}_call", **server}
    item |= {"arguments": call.args} if call.name == "tool_search" else call.args
    if output is None:
        return [item]
    kind, key = (
        ("tool_search_output", "tools") if call.name == "tool_search" else ("shell_call_output", "output")
    )
    values = [_entry(block) for block in output.blocks]
    return [item, {"id": f"item_{synthetic}o", "type": kind, **server, key: values}]


def _held(name: str, blocks: Iterable[Json]) -> dict[str, Json]:
    if name == "image_generation":
        return {"result": next((image[1] for block in blocks if (image := image_data(block))), None)}
    if name == "code_interpreter":
        return {"container_id": "", "outputs": [_interpreted(block) for block in blocks]}
    return {"results": [_entry(block) for block in blocks]}


def _interpreted(block: Json) -> Json:
    image = image_data(block)
    if image is None:
        return {"type": "logs", "logs": _text(block)}
    return {"type": "image", "url": f"data:{image[0]};base64,{image[1]}"}


def _entry(block: Json) -> Json:
    """A block as an object, as lists of results need it."""
    value = _held_in(block)
    return value if isinstance(value, dict) else {"type": "text", "text": _text(block)}


def _held_in(block: Json) -> Json:
    return next(iter(as_dict(block).values()), None)


def _text(block: Json) -> str:
    value = _held_in(block)
    return value if isinstance(value, str) else json_text(value)


_Event = dict[str, "Json"]

# What is streamed within an item that is not made of parts, and what is not there before it is over.
_ARGUMENTS = {
    "function_call": ("response.function_call_arguments", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input", "input"),
    "mcp_call": ("response.mcp_call_arguments", "arguments"),
}
_AT_THE_END = ("error", "output", "outputs", "result", "results", "tools")


def item_events(item: dict[str, Json], index: int) -> Iterator[_Event]:
    """From ``response.output_item.added`` to ``.done``, a delta for each text; not numbered yet."""
    kind = item["type"]
    at = {"item_id": item["id"], "output_index": index}
    yield {"type": "response.output_item.added", "output_index": index, "item": _begun(item)}
    if kind == "message":
        for number, part in enumerate(item["content"]):
            yield from _text_events({**at, "content_index": number}, part)
    elif kind == "reasoning":
        for number, part in enumerate(item["summary"]):
            yield from _summary_events({**at, "summary_index": number}, part)
    elif kind in _ARGUMENTS:
        name, key = _ARGUMENTS[kind]
        if item[key]:
            yield {"type": f"{name}.delta", **at, "delta": item[key]}
        yield {"type": f"{name}.done", **at, key: item[key]}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _begun(item: dict[str, Json]) -> dict[str, Json]:
    """The item before anything of it was said."""
    begun = {key: value for key, value in item.items() if key not in _AT_THE_END}
    if "status" in begun:
        begun["status"] = "in_progress"
    for key in ("content", "summary"):
        if key in begun:
            begun[key] = []
    if item["type"] in _ARGUMENTS:
        begun[_ARGUMENTS[item["type"]][1]] = ""
    return begun


def _text_events(at: _Event, part: _Event) -> Iterator[_Event]:
    text = part["text"]
    yield {"type": "response.content_part.added", **at, "part": {**part, "text": ""}}
    yield {"type": "response.output_text.delta", **at, "delta": text, "logprobs": []}
    yield {"type": "response.output_text.done", **at, "text": text, "logprobs": []}
    yield {"type": "response.content_part.done", **at, "part": part}


def _summary_events(at: _Event, part: _Event) -> Iterator[_Event]:
    text = part["text"]
    yield {"type": "response.reasoning_summary_part.added", **at, "part": {**part, "text": ""}}
    yield {"type": "response.reasoning_summary_text.delta", **at, "delta": text}
    yield {"type": "response.reasoning_summary_text.done", **at, "text": text}
    yield {"type": "response.reasoning_summary_part.done", **at, "part": part}


def compose_response(asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
    """The *answered* half that says ``answer``, as the request wants it: whole, or streamed.

    What the format can't say: hosted calls apart from their outputs; an MCP tool's output but as one text; a large
    image, whose bytes no event holds; that a hosted shell or tool search failed; a custom tool's input that is no
    text (it becomes JSON text); anything but usage in an answer to ``compact``. An HTTP error holds nothing but the
    error; a connection that breaks leaves what a stream had said, of a whole answer nothing, and no usage. A
    response that was to run in the background is finished at once.
    """
    fault = None if answer.failure is None else fault_of(answer.failure)
    if fault is not None and fault.status is not None:
        return json_reply({"error": error_object(fault)} if fault.message else {}, status=fault.status)
    request = json_request(asked) or {}
    compacts = path_of(asked).endswith("/compact")
    items = [] if compacts else output_items(request, answer.parts, request_digest(asked))
    response = _response(asked, request, fault)
    final = {**response, "output": items, "usage": _usage(answer.usage) if answer.usage else None}
    streamed = not compacts and _is_streamed(asked, request)
    if fault is not None and fault.kind:
        so_far = stream_reply(_events(response, items)) if items and streamed else None
        return broken_reply(fault, so_far)
    if not streamed:
        return json_reply(final)
    last = {"type": f"response.{final['status']}", "response": final}
    return stream_reply(_events(response, items, last))


def _is_streamed(asked: dict[str, Json], request: dict[str, Json]) -> bool:
    query = parse_qs(urlsplit(as_text(asked.get("url"))).query)
    return request.get("stream") is True or query.get("stream") == ["true"]


def _response(
    asked: dict[str, Json], request: dict[str, Json], fault: FailureStatus | None
) -> dict[str, Json]:
    """The response without its output."""
    path = path_of(asked)
    _, found, fetched = path.removesuffix("/cancel").rpartition("/responses/")
    compacts = path.endswith("/compact")
    error = None if fault is None else {"code": "server_error", "message": error_object(fault)["message"]}
    return {
        "id": fetched if found and not compacts else f"resp_{request_digest(asked)}",
        "object": "response.compaction" if compacts else "response",
        "created_at": 0,
        "status": "completed" if fault is None else "failed",
        "background": request.get("background") is True,
        "error": error,
        "incomplete_details": None,
        "instructions": request.get("instructions"),
        "metadata": request.get("metadata") or {},
        "model": as_text(request.get("model")),
        "parallel_tool_calls": request.get("parallel_tool_calls") is not False,
        "previous_response_id": request.get("previous_response_id"),
        "temperature": request.get("temperature"),
        "text": request.get("text") or {"format": {"type": "text"}},
        "tool_choice": request.get("tool_choice") or "auto",
        "tools": as_list(request.get("tools")),
        "top_p": request.get("top_p"),
        "truncation": request.get("truncation") or "disabled",
    }


def _usage(usage: Usage) -> dict[str, Json]:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input + usage.output,
    }


def _events(
    response: dict[str, Json], items: list[dict[str, Json]], last: dict[str, Json] | None = None
) -> list[str]:
    """The events of a stream, numbered; without ``last`` where the connection breaks."""
    begun = {**response, "status": "in_progress", "error": None, "output": [], "usage": None}
    events = [{"type": f"response.{kind}", "response": begun} for kind in ("created", "in_progress")]
    for index, item in enumerate(items):
        events.extend(item_events(item, index))
    events.extend([last] if last is not None else [])
    return [
        event_text({**event, "sequence_number": number}, event=as_text(event["type"]))
        for number, event in enumerate(events)
    ]
