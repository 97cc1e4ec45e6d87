"""What a corpus must hold: one predicate for each shape of ``docs/format.md``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["SHAPES", "Shape", "lines_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A shape by name, and how to know it.

    Attributes:
        name: what it is called in a test's id.
        file: "exchanges.jsonl" or "events.jsonl".
        fits: whether a parsed line has it.
    """

    name: str
    file: str
    fits: Callable[[Any], bool]


def lines_of(golden: Path, file: str) -> Iterator[Any]:
    """The parsed lines of one file."""
    return (json.loads(line) for line in (golden / file).read_bytes().split(b"\n")[:-1])


def _exchange(name: str, fits: Callable[[dict[str, Any], dict[str, Any]], bool]) -> Shape:
    return Shape(name=name, file="exchanges.jsonl", fits=lambda line: fits(line, line["answered"] or {}))


def _body(half: str, kind: str) -> Shape:
    return _exchange(f"{half}-{kind}", lambda line, _: kind in (line[half] or {}).get("body", {}))


def _kind(kind: str) -> Shape:
    return _exchange(kind, lambda line, _: line["kind"] == kind)


def _tool(key: str) -> Shape:
    return _exchange(f"tool-{key}", lambda line, said: line["kind"] == "tool" and key in said)


def _lane(name: str, prefix: str) -> Shape:
    return _exchange(name, lambda line, _: line.get("lane", "").startswith(prefix))


def _event(kind: str) -> Shape:
    return Shape(name=kind, file="events.jsonl", fits=lambda line: line["type"] == kind)


def _same(line: dict[str, Any]) -> Any:
    return line["asked"].get("body", {}).get("same", {})


def _keys(value: Any) -> Any:
    return value if isinstance(value, dict) else {}


_REPORTED = (
    "RunStarted RouteSelected ThinkingDelta ReasoningDelta Message ToolUseProposed ToolUseStarted ToolOutput "
    "TokenUsage Error RunFinished CheckpointCreated ApprovalRequested ApprovalResolved DiffProposed"
)

SHAPES = [
    *(_body("asked", kind) for kind in ("json", "text", "base64", "multipart")),
    *(_body("answered", kind) for kind in ("json", "text", "base64", "sse", "torn")),
    *map(_kind, ("http", "tool", "call")),
    *map(_tool, ("returned", "yielded", "raised", "broken_off", "awaited", "changed", "same_as", "types")),
    *(_body("answered", kind) for kind in ("spelled", "numbers", "exact")),
    _exchange("compressed", lambda line, said: "compressed" in said),
    _exchange("receiver", lambda line, _: "on" in line["asked"]),
    _exchange("types-of-arguments", lambda line, _: "types" in line["asked"]),
    _exchange("returned-null", lambda line, said: said.get("returned", 0) is None),
    _exchange("raised-attributes", lambda line, said: "attributes" in said.get("raised", {})),
    _exchange("raised-after-yielded", lambda line, said: "raised" in said and "yielded" in said),
    _exchange("error", lambda line, said: "error" in said and "status" not in said),
    _exchange("error-in-a-body", lambda line, said: "error" in said and "status" in said),
    _exchange("shared-whole", lambda line, _: isinstance(_same(line), int)),
    _exchange("shared-items", lambda line, _: "messages" in _keys(_same(line))),
    _exchange("no-body", lambda line, said: "status" in said and "body" not in said),
    _exchange(
        "broken-off-stream",
        lambda line, said: line.get("complete") is False and "sse" in said.get("body", {}),
    ),
    _exchange("proposed", lambda line, said: line.get("proposed") is True),
    _exchange("unproposed", lambda line, said: line["asked"].get("id") == "unproposed_1"),
    _lane("lane-task", "task-"),
    _lane("lane-work", "work-"),
    _lane("lane-within-a-lane", "work-1."),
    _lane("lane-thread", "thread-"),
    _exchange("placeholder", lambda line, _: "<secret:" in json.dumps(line)),
    *map(_event, _REPORTED.split()),
]
