"""Builds a message of Anthropic's from the parts of an answer: whole, or as the events of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.providers.anthropic.content import as_binary, says_error, wants_binary
from pytest_sparrow.providers.blocks import image_data
from pytest_sparrow.providers.codec import ModelAnswer, Output, Part, Proposal, Reasoning, Text
from pytest_sparrow.providers.composing import (
    arguments_text,
    broken_reply,
    event_text,
    fault_of,
    json_reply,
    json_text,
    request_digest,
    stream_reply,
    synthetic_reply,
)
from pytest_sparrow.providers.reading import as_dict, as_text, json_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.composing import FailureStatus

__all__ = ["call_block", "compose_message", "is_own", "mcp_result", "own_result"]


# The provider's own tools, by the type of their results.
_RESULTS = {
    "advisor": "advisor_tool_result",
    "bash_code_execution": "bash_code_execution_tool_result",
    "code_execution": "code_execution_tool_result",
    "text_editor_code_execution": "text_editor_code_execution_tool_result",
    "tool_search_tool_bm25": "tool_search_tool_result",
    "tool_search_tool_regex": "tool_search_tool_result",
    "web_fetch": "web_fetch_tool_result",
    "web_search": "web_search_tool_result",
}

_HIT = frozenset({"url", "title", "encrypted_content"})


def is_own(name: str, output: Output | None) -> bool:
    """Whether a hosted call is one of the provider's own tools, and its output (if any) in that tool's shape.

    Any other can only be an MCP server's: its name is free, and its results are texts. The SDK warns of a text
    where an own tool's object should be.
    """
    if name not in _RESULTS:
        return False
    if output is None:
        return True
    values = [as_dict(as_dict(block).get("Json")) for block in output.blocks]
    if name == "web_search" and all(map(_is_hit, values)):
        return True
    kind = as_text(values[0].get("type")) if len(values) == 1 else ""
    # web_fetch_result, web_fetch_tool_result_error: an own tool's objects have its name in their type.
    return _RESULTS[name].removesuffix("_tool_result") in kind and (
        name != "web_search" or kind.endswith("_error")
    )


def _is_hit(value: dict[str, Json]) -> bool:
    return value.get("type") == "web_search_result" and value.keys() >= _HIT


def call_block(call: Proposal, *, own: bool, synthetic: str) -> dict[str, Json]:
    """The block of a proposed call; without an id of its own the call gets a synthetic one."""
    kind, prefix = "tool_use", "toolu"
    if call.hosted:
        kind, prefix = ("server_tool_use", "srvtoolu") if own else ("mcp_tool_use", "mcptoolu")
    block = {"type": kind, "id": call.id or f"{prefix}_{synthetic}", "name": call.name, "input": call.args}
    return block if own or not call.hosted else {**block, "server_name": "sparrow"}


def own_result(output: Output, name: str) -> dict[str, Json]:
    """The result of the provider's own tool: one object, or a list of what a search found."""
    values = [block["Json"] for block in output.blocks]
    listed = name == "web_search" and not any(map(_is_error_object, values))
    content = values if listed else values[0]
    block = {"type": _RESULTS[name], "tool_use_id": output.id, "content": content}
    # These tools have objects for their errors; anything else that was one needs the flag.
    return block if says_error(block) == output.is_error else {**block, "is_error": output.is_error}


def mcp_result(output: Output) -> dict[str, Json]:
    """The result of any other hosted tool, as a list of texts."""
    return {
        "type": "mcp_tool_result",
        "tool_use_id": output.id,
        "is_error": output.is_error,
        "content": [_entry(as_dict(block)) for block in output.blocks],
    }


def _is_error_object(value: dict[str, Json]) -> bool:
    return says_error({"content": value})


def _entry(block: dict[str, Json]) -> Json:
    if "Text" in block:
        return {"type": "text", "text": as_text(block["Text"])}
    if "Image" in block:
        # One whose bytes the event left out is an empty image.
        mime, data = image_data(block) or (block["Image"]["mime"], "")
        return {"type": "image", "source": {"type": "base64", "media_type": mime, "data": data}}
    return {"type": "text", "text": json_text(block.get("Json", block))}


# The API signs its thinking, and clients send the signature back. This one is for nobody to check.
_SIGNATURE = "c3BhcnJvdw=="

# https://docs.claude.com/en/api/errors
_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def compose_message(asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
    """The *answered* half that says ``answer``, as the request wants it: whole, or streamed.

    What the format can't say: an empty text; a usage of nothing (0 and 0 reads as None, which SDKs could not
    hold); anything beside an error of HTTP, or beside any failure of a whole answer; blocks of an output that look
    the same on the wire (a Json block of a scalar, a Text block of JSON). A failure without a status is an event of a
    stream; a whole answer gets a synthetic 500 that the SDK doesn't try again, and says so in its body. A connection
    that breaks leaves what a stream had said.
    """
    fault = None if answer.failure is None else fault_of(answer.failure)
    if fault is not None and fault.status is not None:
        return json_reply(_error_body(fault) if fault.message else {}, status=fault.status)
    request = json_request(asked) or {}
    message = _message(asked, request, answer)
    if wants_binary(asked):
        return as_binary(_streamed(message, answer, fault))
    if request.get("stream") is True:
        return _streamed(message, answer, fault)
    if fault is None:
        return json_reply(message)
    return broken_reply(fault) if fault.kind else synthetic_reply(_error_body(fault))


def _error_body(fault: FailureStatus) -> dict[str, Json]:
    status = fault.status or 500
    kind = _ERRORS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": fault.message}}


def _message(asked: dict[str, Json], request: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
    digest = request_digest(asked)
    calls = any(isinstance(part, Proposal) and not part.hosted for part in answer.parts)
    usage = answer.usage
    return {
        "id": f"msg_{digest}",
        "type": "message",
        "role": "assistant",
        "model": as_text(request.get("model")),
        "content": list(_content(answer.parts, digest)),
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": usage.input if usage else 0,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": usage.output if usage else 0,
        },
    }


def _content(parts: Sequence[Part], digest: str) -> Iterator[dict[str, Json]]:
    outputs = {part.id: part for part in parts if isinstance(part, Output)}
    own: dict[str, str] = {}
    for number, part in enumerate(parts, start=1):
        match part:
            case Text(text) if text:
                yield {"type": "text", "text": text}
            case Reasoning(text) if text:
                yield {"type": "thinking", "thinking": text, "signature": _SIGNATURE}
            case Proposal(call_id, name, _, hosted):
                if hosted and is_own(name, outputs.get(call_id)):
                    own[call_id] = name
                yield call_block(part, own=call_id in own, synthetic=f"{digest}_{number}")
            case Output(call_id):
                yield own_result(part, own[call_id]) if call_id in own else mcp_result(part)
            case _:  # an empty text is no block
                pass


def _streamed(message: dict[str, Json], answer: ModelAnswer, fault: FailureStatus | None) -> dict[str, Json]:
    usage = message["usage"]
    # The counts of an output come with the message's end. Of one that has none, all there is comes first.
    first = usage if fault is not None else {**usage, "output_tokens": 0}
    begun = {**message, "content": [], "stop_reason": None, "usage": first}
    events = [_event({"type": "message_start", "message": begun})]
    for index, block in enumerate(message["content"]):
        events.extend(_event({**event, "index": index}) for event in _block_events(block))
    if fault is None:
        delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
        counts = {"output_tokens": usage["output_tokens"]}
        events.append(_event({"type": "message_delta", "delta": delta, "usage": counts}))
        events.append(_event({"type": "message_stop"}))
    elif fault.kind:
        said = message["content"] or answer.usage is not None
        return broken_reply(fault, stream_reply(events) if said else None)
    else:
        events.append(_event(_error_body(fault)))
    return stream_reply(events)


def _event(data: dict[str, Json]) -> str:
    return event_text(data, data["type"])


def _block_events(block: dict[str, Json]) -> Iterator[dict[str, Json]]:
    """The events of a block: its start, its content, and its end."""
    deltas: list[dict[str, Json]] = []
    match block["type"]:
        case "text":
            deltas = [{"type": "text_delta", "text": block["text"]}]
            block = {**block, "text": ""}
        case "thinking":
            deltas = [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
            block = {**block, "thinking": "", "signature": ""}
        case "tool_use" | "server_tool_use":
            deltas = [{"type": "input_json_delta", "partial_json": arguments_text(block["input"])}]
            block = {**block, "input": {}}
        # A result comes whole, and an MCP server's call so too: the SDK joins its pieces for beta requests only.
    yield {"type": "content_block_start", "content_block": block}
    for delta in deltas:
        yield {"type": "content_block_delta", "delta": delta}
    yield {"type": "content_block_stop"}
