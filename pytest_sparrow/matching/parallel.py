"""Puts the outputs of parallel calls in the order of the calls: agents pass them on as they come, which is chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

_TURNS = ("messages", "input")
"""Keys under which requests to models hold the turns."""

_CALL_IDS = ("tool_call_id", "call_id", "tool_use_id")
"""Keys of an output that name the call: of OpenAI's chat, of its responses, of Anthropic."""

_OUTPUTS = ("function_call_output", "tool_result")


def in_order_of_calls(fields: dict[str, Json]) -> dict[str, Json]:
    """The fields of a request to a model, with outputs that follow each other in the order of their calls."""
    for key in _TURNS:
        turns = fields.get(key)
        if isinstance(turns, list):
            fields = {**fields, key: _sorted(_within(turns), {})}
    return fields


def _sorted(items: list[Json], ranks: dict[str, int]) -> list[Json]:
    """The items, each run of outputs sorted by the rank of its call."""
    found: list[Json] = []
    outputs: list[Json] = []
    for item in items:
        if _output_of(item):
            outputs.append(item)
            continue
        found += sorted(outputs, key=lambda output: ranks.get(_output_of(output), -1))
        outputs.clear()
        for call in _calls_of(item):
            ranks[call] = len(ranks)
        found.append(item)
    return found + sorted(outputs, key=lambda output: ranks.get(_output_of(output), -1))


def _within(turns: list[Json]) -> list[Json]:
    """The turns, with the outputs within one turn in order (Anthropic)."""
    ranks: dict[str, int] = {}
    found: list[Json] = []
    for turn in turns:
        for call in _calls_of(turn):
            ranks[call] = len(ranks)
        blocks = turn.get("content") if isinstance(turn, dict) else None
        if isinstance(blocks, list) and sum(map(bool, map(_output_of, blocks))) > 1:
            found.append({**turn, "content": _sorted(blocks, ranks)})
        else:
            found.append(turn)
    return found


def _output_of(item: Json) -> str:
    """The id of the call whose output an item is; "" for any other item."""
    if not isinstance(item, dict) or not (item.get("role") == "tool" or item.get("type") in _OUTPUTS):
        return ""
    return next((item[key] for key in _CALL_IDS if isinstance(item.get(key), str)), "")


def _calls_of(item: Json) -> list[str]:
    """The ids of the calls that a turn proposes."""
    if not isinstance(item, dict):
        return []
    if item.get("type") == "function_call":
        return [item["call_id"]] if isinstance(item.get("call_id"), str) else []
    calls = item.get("tool_calls")
    blocks = item.get("content")
    made = [*(calls if isinstance(calls, list) else ()), *(blocks if isinstance(blocks, list) else ())]
    return [
        each["id"]
        for each in made
        if isinstance(each, dict) and isinstance(each.get("id"), str) and each.get("type") != "tool_result"
    ]
