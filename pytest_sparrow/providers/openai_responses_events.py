"""One item of a responses answer, as the events that stream it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.exchange import Json

__all__ = ["item_events"]

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
