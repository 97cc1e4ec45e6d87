"""google-adk: function tools; agents as tools and transfers run."""

from __future__ import annotations

import inspect
from typing import Any

from pytest_sparrow.frameworks.adapter import Seam, ToolSeen, built_in, classes


def _invoke(tool: Any, target: Any, args_to_call: dict[str, Any]) -> ToolSeen:
    contexts = classes("google.adk.agents.context", "Context") + classes(
        "google.adk.tools.tool_context", "ToolContext"
    )
    context = next((each for each in args_to_call.values() if isinstance(each, contexts)), None)
    own = getattr(inspect.unwrap(target), "__module__", "").startswith("google.adk.")
    changes = {} if context is None else {"state": context.state._value, "actions": context.actions}  # noqa: SLF001
    return ToolSeen(
        name=tool.name,
        args={name: value for name, value in args_to_call.items() if not isinstance(value, contexts)},
        call_id=getattr(context, "function_call_id", None) or "",
        fn=target,
        kind="handoff" if own else "tool",
        changes=changes,
    )


def _agent(tool: Any, **_: Any) -> ToolSeen:
    return ToolSeen(name=tool.name, kind="agent")


ADAPTER = built_in(
    "google-adk",
    (
        Seam(
            module="google.adk.tools.function_tool",
            path="FunctionTool._invoke_callable",
            parameters=("target", "args_to_call"),
            seen=_invoke,
        ),
        Seam(module="google.adk.tools.agent_tool", path="AgentTool.run_async", seen=_agent),
    ),
)
