"""Compares what real traffic says, by a reading of its own, with the events that a recording or an import holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .wire_files import parsed
from .wire_reading import said_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_sparrow.events import Event

    from .wire_files import Traffic
    from .wire_reading import Said

__all__ = ["differences"]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _outputs(asked: Any) -> Iterator[tuple[Any, Any]]:
    """Id and content of each tool output that a request holds, in the formats whose outputs have ids."""
    for message in map(_dict, _list(asked.get("messages"))):
        if message.get("role") == "tool":
            yield message.get("tool_call_id"), message.get("content")
        for block in map(_dict, _list(message.get("content"))):
            if block.get("type") == "tool_result":
                yield block["tool_use_id"], block.get("content")
            elif "toolResult" in block and message.get("role") == "user":
                yield block["toolResult"]["toolUseId"], block["toolResult"]["content"]
    yield from _other_outputs(asked)


def _other_outputs(asked: Any) -> Iterator[tuple[Any, Any]]:
    for item in map(_dict, _list(asked.get("input"))):
        if str(item.get("type")).endswith("_output"):
            yield item.get("call_id"), item.get("output")
    for content in map(_dict, _list(asked.get("contents"))):
        for sent in (_dict(part).get("functionResponse") for part in _list(content.get("parts"))):
            if sent:
                yield sent.get("id"), [{"json": sent.get("response")}]


def _plain(content: Any) -> list[str]:
    """The texts and objects of an output; JSON in one spelling. Files and pictures are left out."""
    parts = content if isinstance(content, list) else [content]
    found = (each.get("text", each.get("json")) if isinstance(each, dict) else each for each in parts)
    return [_canonical(each) for each in found if each is not None]


def _canonical(value: Any) -> str:
    if isinstance(value, str):
        read = parsed(value) if value.lstrip()[:1] in ("{", "[") else None
        return value if read is None else _canonical(read)
    return json.dumps(value, sort_keys=True)


def differences(traffic: Iterable[Traffic], events: Sequence[Event]) -> dict[str, tuple[Any, Any]]:
    """What traffic says and events don't, or the other way round: by kind, both sides; empty where all is equal."""
    said: list[Said] = []
    ids: set[str] = set()
    outputs: dict[str, list[str]] = {}
    for each in traffic:
        found = said_by(each)
        if found is not None:
            for call_id, content in _outputs(_dict(each.asked)):
                if call_id in ids and (plain := _plain(content)):
                    outputs.setdefault(call_id, plain)
            ids |= found.ids
            said.append(found)
    of: dict[str, list[Any]] = {}
    for event in events:
        of.setdefault(event.type, []).append(event)
    started = {each.id for each in of.get("ToolUseStarted", ())}
    blocks = {each.id: each.blocks for each in of.get("ToolOutput", ())}
    sides = {
        "text": ("".join(each.text for each in said), _joined(of, "ThinkingDelta")),
        "thought": ("".join(each.thought for each in said), _joined(of, "ReasoningDelta")),
        "calls": (
            [[name, _canonical(arguments)] for each in said for name, arguments in each.calls],
            [[e.name, _canonical(e.args)] for e in of.get("ToolUseProposed", ()) if e.id not in started],
        ),
        "outputs": (
            outputs,
            {
                key: [_canonical(*each.values()) for each in found]
                for key, found in blocks.items()
                if key in outputs
            },
        ),
        "usage": (
            [each.usage for each in said if each.usage not in (None, (0, 0))],
            [(e.input, e.output) for e in of.get("TokenUsage", ()) if e.input or e.output],
        ),
        "errors": (sum(each.failed for each in said), len(of.get("Error", ()))),
    }
    return {kind: both for kind, both in sides.items() if _canonical(both[0]) != _canonical(both[1])}


def _joined(of: dict[str, list[Any]], kind: str) -> str:
    return "".join(each.text for each in of.get(kind, ()))
