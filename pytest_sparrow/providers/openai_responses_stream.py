"""A streamed response, joined: events in, the items of the same answer unstreamed out.

Events: https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_sparrow.providers.openai_responses_items import OutputItem
from pytest_sparrow.providers.wire import StreamReader, as_dict, as_list, failure_of, raw_text
from pytest_sparrow.recording.blocks import as_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.sse import ServerSentEvent
    from pytest_sparrow.recording.codec import Failure

__all__ = ["JoinedResponse", "join_response"]

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
    """Join events up to the last one, an error, or wherever the stream broke.

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
        """The item as its end said, else what the fragments said so far."""
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
    """The items of one answer, told apart by index, else by id."""

    def __init__(self) -> None:
        self._items: dict[int, _Item] = {}
        self._by_id: dict[str, int] = {}

    def add(self, kind: str, data: dict[str, Json]) -> None:
        """Take one event; most say nothing that another one doesn't."""
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
        told = as_dict(data.get("part")) or data
        pieces = item.pieces.setdefault((place, number if type(number) is int else 0), [])
        if not whole:
            pieces.append(raw_text(data.get("delta")))
        elif text := next((raw_text(told[key]) for key in _WHOLE_TEXT if told.get(key)), ""):
            pieces[:] = [text]

    def joined(self, *, ended: bool) -> list[OutputItem]:
        """The items by their index; after the answer's end all of them are whole."""
        items = (self._items[index] for index in sorted(self._items))
        return [OutputItem(item.joined(), ended or item.done) for item in items]
