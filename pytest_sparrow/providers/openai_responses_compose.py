"""A responses answer, built from what it is to say: whole, or as the events of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from pytest_sparrow.providers.made_up import request_digest
from pytest_sparrow.providers.openai_error import error_object
from pytest_sparrow.providers.openai_responses_events import item_events
from pytest_sparrow.providers.openai_responses_output import output_items
from pytest_sparrow.providers.replies import broken_reply, event_text, fault_of, json_reply, stream_reply
from pytest_sparrow.providers.wire import as_list, json_request, path_of
from pytest_sparrow.recording.blocks import as_text

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.replies import Fault
    from pytest_sparrow.recording.codec import ModelAnswer, Usage

__all__ = ["compose_response"]


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


def _response(asked: dict[str, Json], request: dict[str, Json], fault: Fault | None) -> dict[str, Json]:
    """The response without what it says."""
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
    """The events of a stream, numbered; without a ``last`` one where the connection breaks."""
    begun = {**response, "status": "in_progress", "error": None, "output": [], "usage": None}
    events = [{"type": f"response.{kind}", "response": begun} for kind in ("created", "in_progress")]
    for index, item in enumerate(items):
        events.extend(item_events(item, index))
    events.extend([last] if last is not None else [])
    return [
        event_text({**event, "sequence_number": number}, event=as_text(event["type"]))
        for number, event in enumerate(events)
    ]
