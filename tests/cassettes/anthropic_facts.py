"""What Anthropic's traffic says, as the SDK reads it, and what the events say of it."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from pytest_sparrow.events import Error, TokenUsage, ToolOutput, ToolUseProposed
from pytest_sparrow.providers.blocks import slim
from pytest_sparrow.providers.reading import text_block

from .anthropic_driving import drive_anthropic, facts
from .serving import Cassette, serve

if TYPE_CHECKING:
    from .serving import Interaction

__all__ = ["anthropic_compared", "expected_blocks", "results_of", "sdk_facts"]

_JOINED: dict[int, Any] = {}
"""What the SDK made of a stream, by the interaction's id; all of these live as long as this module."""


def sdk_facts(interaction: Interaction) -> Any:
    """What an answer says without our codec: a whole body by itself, a stream as the SDK's helper joins it.

    None for one that the SDK makes no message of: an error, or a stream that was cut.
    """
    if interaction.events is None:
        body = json.loads(interaction.body)
        return facts(body) if interaction.status == 200 else None
    if '"type":"message_stop"' not in interaction.events[-1].replace(" ", ""):
        return None
    if id(interaction) not in _JOINED:
        with serve(Cassette(name="one", interactions=[interaction])) as served:
            _JOINED[id(interaction)] = facts(drive_anthropic(served.root, interaction, "sync-helper")[0])
    return copy.deepcopy(_JOINED[id(interaction)])


def expected_blocks(content: Any) -> list[Any]:
    """A result's content as blocks, spelled out here a second time."""
    if isinstance(content, str):
        return [text_block(content)]
    if isinstance(content, dict):
        return [{"Json": slim(content)}]
    return [
        text_block(part["text"]) if part.get("type") == "text" else {"Json": slim(part)} for part in content
    ]


def anthropic_compared(cassette: Any, _: Any, events: Any) -> Any:
    """What the events tell and what the traffic holds, by kind."""
    expected = [sdk_facts(each) for each in cassette.interactions]
    failed = [each.status >= 400 for each in cassette.interactions]
    if any(one is None and not bad for one, bad in zip(expected, failed, strict=True)):
        return None  # a stream that was cut, or broke by an error inside
    expected = [one for one in expected if one is not None]
    calls = [[each.id, each.name, each.args] for each in events if isinstance(each, ToolUseProposed)]
    usage = [[each.input, each.output] for each in events if isinstance(each, TokenUsage)]
    outputs = [[each.id, list(each.blocks)] for each in events if isinstance(each, ToolOutput)]
    wanted = [[call, blocks] for call, blocks in _outputs(cassette, expected).items()]
    return {
        "texts": (_texts(events, "ThinkingDelta"), [text for one in expected for text in one["texts"]]),
        "thoughts": (
            _texts(events, "ReasoningDelta"),
            [text for one in expected for text in one["thinking"]],
        ),
        "calls": (calls, [call for one in expected for call in one["calls"]]),
        "outputs": (sorted(outputs, key=_id), sorted(wanted, key=_id)),
        "usage": (usage, [one["usage"] for one in expected]),
        "errors": ([sum(isinstance(each, Error) for each in events)], [sum(failed)]),
    }


def _id(output: list[Any]) -> Any:
    return output[0]


def results_of(interaction: Interaction) -> list[Any]:
    """The tool_result blocks of a request."""
    blocks = [
        block
        for message in interaction.request["messages"]
        if isinstance(message["content"], list)
        for block in message["content"]
    ]
    return [block for block in blocks if block["type"] == "tool_result"]


def _texts(events: Any, kind: str) -> list[str]:
    return [event.text for event in events if event.type == kind]


def _outputs(cassette: Cassette, expected: list[Any]) -> dict[str, Any]:
    """Results of the answers, and of the requests as they were last sent, for calls that were proposed."""
    found = {call: expected_blocks(content) for one in expected for call, content in one["outputs"]}
    proposed = {call[0] for one in expected for call in one["calls"]}
    for interaction in cassette.interactions:
        for block in results_of(interaction):
            if block["tool_use_id"] in proposed and block["tool_use_id"] not in found:
                found[block["tool_use_id"]] = expected_blocks(block["content"])
    return found
