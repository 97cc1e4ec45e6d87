"""agent-framework: function tools."""

from __future__ import annotations

from typing import Any

from pytest_sparrow.frameworks.adapter import Seam, ToolSeen, built_in


def _invoke(tool: Any, call_kwargs: dict[str, Any]) -> ToolSeen:
    context = tool._context_parameter_name  # noqa: SLF001
    return ToolSeen(
        name=tool.name,
        args={name: value for name, value in call_kwargs.items() if name != context},
        fn=tool.func,
    )


ADAPTER = built_in(
    "agent-framework",
    (
        Seam(
            module="agent_framework._tools",
            path="FunctionTool._invoke_function",
            parameters=("call_kwargs",),
            seen=_invoke,
        ),
    ),
)
