"""openai-agents: function tools, agents as tools, hand-offs and approvals."""

from __future__ import annotations

import copy
import functools
import inspect
import json
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.tools.objects import takes_context
from pytest_sparrow.frameworks import noting
from pytest_sparrow.frameworks.adapter import Seam, ToolSeen, built_in, note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sparrow.frameworks.adapter import Across

NAME = "openai-agents"

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

        return await across(_seen(tool, context, real, arguments), invoke)

    return cross


def _seen(tool: Any, context: Any, real: Callable[..., Any], arguments: str) -> ToolSeen:
    try:
        args = json.loads(arguments or "{}")
    except ValueError:
        args = arguments
    wrapped = getattr(tool, "__wrapped__", None)
    return ToolSeen(
        name=tool.name,
        args=args if isinstance(args, dict) else {"input": args},
        call_id=context.tool_call_id,
        fn=real if wrapped is None and inspect.isfunction(real) else wrapped,  # or a hand-made one's
        kind="agent" if getattr(tool, "_is_agent_tool", False) else "tool",
        changes=_given(context, arguments) if wrapped is None or takes_context(wrapped) else {},
    )


def _given(context: Any, arguments: str) -> dict[str, Any]:
    said = getattr(context, "tool_arguments", arguments)  # a hook may set them, beside those of the call
    return {"context": context.context, **({} if said == arguments else {"tool_arguments": said})}


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


def _run(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
    async def run(self: Any, starting_agent: Any, *args: Any, **kwargs: Any) -> Any:
        with noting.agent(NAME, starting_agent.name, noting.model_name(starting_agent.model)):
            return await original(self, starting_agent, *args, **kwargs)

    return run


def _stream(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
    async def stream(*args: Any, starting_agent: Any, **kwargs: Any) -> Any:
        with noting.agent(NAME, starting_agent.name, noting.model_name(starting_agent.model)):
            return await original(*args, starting_agent=starting_agent, **kwargs)

    return stream


def _hand_off(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
    async def execute_handoffs(*, public_agent: Any, **kwargs: Any) -> Any:
        result = await original(public_agent=public_agent, **kwargs)
        new = getattr(result.next_step, "new_agent", None)
        if new is not None:
            noting.agent_ended(NAME, public_agent.name, "Done", note=f"hands over to {new.name}")
            noting.agent_began(NAME, new.name, noting.model_name(new.model))
        return result

    return execute_handoffs


def _interruptions(result: Any) -> Iterator[tuple[str, str, Any]]:
    for item in result.interruptions:
        yield _call_id(item), item.tool_name or _said(item, "name"), _said(item, "arguments")


def _decided(*, allowed: bool) -> Callable[..., Callable[..., Any]]:
    always = "always_approve" if allowed else "always_reject"

    def replace(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
        def decide(self: Any, approval_item: Any, *args: Any, **kwargs: Any) -> None:
            original(self, approval_item, *args, **kwargs)
            for_good = bool(args[0] if args else kwargs.get(always))
            noting.approval_resolved(NAME, _call_id(approval_item), allowed=allowed, always=for_good)

        return decide

    return replace


def _call_id(item: Any) -> str:
    return _said(item, "call_id") or _said(item, "id")


def _said(item: Any, name: str) -> str:
    raw = item.raw_item
    found = raw.get(name) if isinstance(raw, dict) else getattr(raw, name, None)
    return found if isinstance(found, str) else ""


_TURN, _CONTEXT = "agents.run_internal.turn_resolution", "agents.run_context"

ADAPTER = built_in(
    NAME,
    (
        Seam(
            module="agents.run_internal.tool_execution",
            path="_invoke_function_tool_with_metadata",
            older="invoke_function_tool",  # before 0.19
            parameters=("function_tool", "context", "arguments"),
            replace=_invoke,
        ),
        Seam(module=_TURN, path="process_model_response", replace=_take_up),
        Seam(module="agents.run", path="AgentRunner.run", replace=_run, about=noting.AGENTS),
        Seam(
            module="agents.run",
            path="start_streaming",
            parameters=("starting_agent",),
            replace=_stream,
            about=noting.AGENTS,
        ),
        Seam(
            module=_TURN,
            path="execute_handoffs",
            parameters=("public_agent",),
            replace=_hand_off,
            about=noting.AGENTS,
        ),
        Seam(
            module="agents.run_internal.run_steps",
            path="NextStepInterruption.__init__",
            replace=noting.requests(NAME, _interruptions),
            about=noting.APPROVALS,
        ),
        Seam(
            module=_CONTEXT,
            path="RunContextWrapper.approve_tool",
            replace=_decided(allowed=True),
            about=noting.APPROVALS,
        ),
        Seam(
            module=_CONTEXT,
            path="RunContextWrapper.reject_tool",
            replace=_decided(allowed=False),
            about=noting.APPROVALS,
        ),
    ),
)
