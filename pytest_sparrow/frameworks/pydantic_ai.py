"""pydantic-ai: function tools of any toolset, and output tools."""

from __future__ import annotations

from typing import Any

from pytest_sparrow.frameworks.adapter import Framework, Seam, ToolSeen, classes

_STEERS = ("ModelRetry", "ToolFailed", "CallDeferred", "ApprovalRequired", "SkipToolExecution")


def _call_tool(_: Any, name: str, tool_args: dict[str, Any], ctx: Any, tool: Any) -> ToolSeen:
    known = getattr(tool.toolset, "tools", {}).get(getattr(tool, "original_name", name))
    return ToolSeen(
        name=name,
        args=tool_args,
        call_id=ctx.tool_call_id or "",
        fn=getattr(known, "function", None),
        changes={"deps": ctx.deps},
        steers=classes("pydantic_ai.exceptions", *_STEERS),
    )


def _pending(manager: Any, call: Any, **_: Any) -> ToolSeen | None:
    tool = manager.tools.get(call.tool_name)
    while hasattr(tool, "source_tool"):
        tool = tool.source_tool
    if not hasattr(tool, "call_func"):  # of a server, say
        return None
    return ToolSeen(name=call.tool_name, call_id=call.tool_call_id or "", kind="pending")


def _output(_: Any, call: Any, *__: Any, **___: Any) -> ToolSeen:
    return ToolSeen(name=call.tool_name, call_id=call.tool_call_id or "", kind="output")


ADAPTER = Framework(
    name="pydantic-ai",
    distribution="pydantic-ai-slim",
    root="pydantic_ai",
    seams=(
        Seam(
            module="pydantic_ai.toolsets.function",
            path="FunctionToolset.call_tool",
            parameters=("name", "tool_args", "ctx", "tool"),
            seen=_call_tool,
        ),
        Seam(
            module="pydantic_ai.tool_manager",
            path="ToolManager.validate_tool_call",
            parameters=("call",),
            seen=_pending,
        ),
        Seam(
            module="pydantic_ai.tool_manager",
            path="ToolManager.validate_output_tool_call",
            parameters=("call",),
            seen=_output,
        ),
    ),
)
