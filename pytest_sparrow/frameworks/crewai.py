"""crewAI: tools of every class, called natively or by the text protocol."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from pytest_sparrow.frameworks.adapter import Seam, ToolSeen, built_in
from pytest_sparrow.frameworks.crossing import with_crossing

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.frameworks.adapter import Across


def _calling(function: str) -> Callable[[Callable[..., Any], Across], Callable[..., Any]]:
    def replace(original: Callable[..., Any], across: Across) -> Callable[..., Any]:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            tool = with_crossing(self, function, across, functools.partial(_seen, self, function))
            try:
                return original(tool, *args, **kwargs)
            finally:
                self.current_usage_count = tool.current_usage_count  # of the limit of a tool's calls

        return call

    return replace


def _seen(tool: Any, function: str, args: dict[str, Any]) -> ToolSeen:
    return ToolSeen(
        name=tool.name, args=args, fn=getattr(tool, "func", None) or getattr(tool, function), kind="tool"
    )


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
