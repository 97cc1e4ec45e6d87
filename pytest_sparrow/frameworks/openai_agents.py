"""openai-agents: function tools, agents as tools, and hand-offs."""

from __future__ import annotations

import copy
import functools
import json
from typing import TYPE_CHECKING, Any

from pytest_sparrow.frameworks.adapter import Framework, Seam, ToolSeen, note

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.frameworks.adapter import Across

_IMPLEMENTATION = "_invoke_tool_impl"


def _invoke(original: Callable[..., Any], across: Across) -> Callable[..., Any]:
    """Calls the tool as the framework does, but for its innermost function.

    The framework turns a tool's exception into a text, around that function: the user's own may do so.
    """

    async def invoke(*, function_tool: Any, context: Any, arguments: str) -> Any:
        tool = copy.copy(function_tool)
        invoker = tool.on_invoke_tool
        if hasattr(invoker, _IMPLEMENTATION):
            tool.on_invoke_tool = copy.copy(invoker)
            real = getattr(invoker, _IMPLEMENTATION)
            setattr(tool.on_invoke_tool, _IMPLEMENTATION, _crossing(function_tool, context, real, across))
        else:
            tool.on_invoke_tool = _crossing(function_tool, context, invoker, across)
        return await original(function_tool=tool, context=context, arguments=arguments)

    return invoke


def _crossing(tool: Any, context: Any, real: Callable[..., Any], across: Across) -> Callable[..., Any]:
    @functools.wraps(real)
    async def cross(ctx: Any, arguments: str) -> Any:
        async def invoke() -> Any:
            return await real(ctx, arguments)

        return await across(_seen(tool, context, arguments), invoke)

    return cross


def _seen(tool: Any, context: Any, arguments: str) -> ToolSeen:
    try:
        args = json.loads(arguments or "{}")
    except ValueError:
        args = arguments
    return ToolSeen(
        name=tool.name,
        args=args if isinstance(args, dict) else {"input": args},
        call_id=context.tool_call_id,
        fn=getattr(tool, "__wrapped__", None),
        kind="agent" if getattr(tool, "_is_agent_tool", False) else "tool",
        changes={"context": context.context},
    )


def _take_up(original: Callable[..., Any], across: Across) -> Callable[..., Any]:
    """Notes the calls of an answer when the framework takes them up: not each of them runs a tool."""

    def process_model_response(*args: Any, **kwargs: Any) -> Any:
        processed = original(*args, **kwargs)
        for each in processed.functions:
            name = each.function_tool.name
            note(across, ToolSeen(name=name, call_id=each.tool_call.call_id, kind="pending"))
        for each in processed.handoffs:
            name = each.handoff.tool_name
            note(across, ToolSeen(name=name, call_id=each.tool_call.call_id, kind="handoff"))
        return processed

    return process_model_response


ADAPTER = Framework(
    name="openai-agents",
    distribution="openai-agents",
    root="agents",
    seams=(
        Seam(
            module="agents.run_internal.tool_execution",
            path="_invoke_function_tool_with_metadata",
            parameters=("function_tool", "context", "arguments"),
            replace=_invoke,
        ),
        Seam(
            module="agents.run_internal.turn_resolution",
            path="process_model_response",
            replace=_take_up,
        ),
    ),
)
