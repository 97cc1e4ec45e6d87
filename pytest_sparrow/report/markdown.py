"""Renders a run as Markdown: a document for a pull request or a page, turn by turn."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from pytest_sparrow.report.run import ended, turns_of
from pytest_sparrow.text import counted, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.comparing.units import Group, NumberedEvent
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.transcript import Transcript


def markdown_of(run: Transcript) -> Iterator[str]:
    """The lines of a document: what the run was given, then each turn with its texts, calls and outputs."""
    inputs = run.inputs
    yield f"# {_inline(run.meta.nodeid or run.run_id)}"
    yield ""
    for name, value in (
        ("task", inputs.task),
        ("agent", inputs.agent),
        ("model", inputs.model_id),
        ("recorded", inputs.timestamp),
        ("holds", f"{counted(len(run.events), 'event')}, {counted(len(run.exchanges), 'exchange')}"),
    ):
        if value:
            yield f"- **{name}**: {_inline(value)}"
    for turn, lane, groups in turns_of(run):
        yield ""
        place = f", lane {_inline(lane)}" if lane else ""
        yield f"## {f'Turn {turn}' if turn else 'Before the first turn'}{place}"
        for group in groups:
            yield ""
            yield from _unit(group)


def _unit(group: Group) -> Iterator[str]:
    head = group.head
    body = head.body
    match head.type:
        case "ThinkingDelta" | "Message":
            who = head.label or "assistant"
            yield f"**{_inline(who)}**"
            yield ""
            yield from _quoted(body.get("text"))
        case "ReasoningDelta":
            yield "*reasoning*"
            yield ""
            yield from _quoted(body.get("text"))
        case "ToolUseProposed":
            yield f"**call** `{_code(head.label)}`"
            yield ""
            yield from _block(body.get("args"))
            for entry in group.entries[1:]:
                yield from _within(entry)
        case "TokenUsage":
            yield f"*{body.get('input')} tokens in, {body.get('output')} out*"
        case "RouteSelected" if isinstance(body.get("chain"), list):
            yield f"*model {_inline(', '.join(map(str, body['chain'])))}*"
        case "RunFinished" if ended(body):
            yield f"*{_inline(ended(body))}*"
        case "Error" if isinstance(body.get("message"), str):
            yield "**error**"
            yield ""
            yield from _quoted(body["message"])
        case _:
            yield f"*{_inline(head.type)}*"
            yield ""
            yield from _block(body)


def _within(entry: NumberedEvent) -> Iterator[str]:
    if entry.type != "ToolOutput":
        return
    yield ""
    yield "**error**" if entry.body.get("is_error") is True else "**output**"
    yield ""
    blocks = entry.body.get("blocks")
    for block in blocks if isinstance(blocks, list) else [blocks]:
        yield from _block(
            next(iter(block.values())) if isinstance(block, dict) and len(block) == 1 else block
        )


def _quoted(text: Json) -> Iterator[str]:
    for line in str(text).split("\n"):
        yield f"> {_inline(line)}".rstrip()


def _block(value: Json) -> Iterator[str]:
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
    yield fence if isinstance(value, str) else f"{fence}json"
    yield from (one_line(line) for line in text.split("\n"))
    yield fence


def _inline(text: str) -> str:
    """A text in a paragraph: its own signs mean nothing, and HTML is none."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", one_line(text))


def _code(text: str) -> str:
    return one_line(text).replace("`", "'")
