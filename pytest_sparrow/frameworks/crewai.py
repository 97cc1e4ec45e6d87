"""crewAI: tools of every class, called natively or by the text protocol."""

from __future__ import annotations

import functools
from typing import Any

from pytest_sparrow.frameworks.adapter import Seam, ToolSeen, built_in
from pytest_sparrow.frameworks.crossing import calling


def _seen(tool: Any, function: str, _: object, args: dict[str, Any]) -> ToolSeen:
    return ToolSeen(
        name=tool.name, args=args, fn=getattr(tool, "func", None) or getattr(tool, function), kind="tool"
    )


def _count(tool: Any, called: Any) -> None:
    tool.current_usage_count = called.current_usage_count  # of the limit of a tool's calls


_calling = functools.partial(calling, seen=_seen, after=_count)

_BASE, _STRUCTURED = "crewai.tools.base_tool", "crewai.tools.structured_tool"

ADAPTER = built_in(
    "crewai",
    (
        Seam(module=_BASE, path="BaseTool.run", replace=_calling("_run")),
        Seam(module=_BASE, path="BaseTool.arun", replace=_calling("_arun")),
        Seam(module=_BASE, path="Tool.run", replace=_calling("func")),
        Seam(module=_BASE, path="Tool.arun", replace=_calling("_arun")),
        Seam(module=_STRUCTURED, path="CrewStructuredTool.invoke", replace=_calling("func")),
        Seam(module=_STRUCTURED, path="CrewStructuredTool.ainvoke", replace=_calling("func")),
    ),
)
