"""pydantic-ai: function tools of any toolset, and output tools; approvals, sub-agents and retries."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pytest_sparrow.frameworks import noting
from pytest_sparrow.frameworks.adapter import Seam, ToolSeen, built_in, classes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from pytest_sparrow.frameworks.adapter import Across

NAME = "pydantic-ai"

_STEERS = ("ModelRetry", "ToolFailed", "CallDeferred", "ApprovalRequired", "SkipToolExecution")


def _call_tool(_: Any, name: str, tool_args: dict[str, Any], ctx: Any, tool: Any) -> ToolSeen:
    known = getattr(tool.toolset, "tools", {}).get(getattr(tool, "original_name", name))
    return ToolSeen(
        name=name,
        args=tool_args,
        call_id=ctx.tool_call_id or "",
        fn=getattr(known, "function", None),
        changes={"deps": ctx.deps} if getattr(known, "takes_ctx", True) else {},
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


def _iter(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
    @asynccontextmanager
    async def iterate(self: Any, *args: Any, model: Any = None, **kwargs: Any) -> AsyncIterator[Any]:
        with noting.agent(NAME, self.name or "", noting.model_name(model or self.model)):
            async with original(self, *args, model=model, **kwargs) as run:
                yield run

    return iterate


def _requests(held: Any) -> Iterator[tuple[str, str, Any]]:
    return ((call.tool_call_id, call.tool_name, call.args) for call in held.approvals)


def _results(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
    def to_tool_call_results(self: Any) -> Any:
        results = original(self)
        for call_id in self.approvals:
            allowed = not isinstance(results[call_id], classes("pydantic_ai.tools", "ToolDenied"))
            noting.approval_resolved(NAME, call_id, allowed=allowed)
        return results

    return to_tool_call_results


def _retried(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
    def build(*args: Any, tool_call_id: str, **kwargs: Any) -> Any:
        noting.failed(NAME, tool_call_id)
        return original(*args, tool_call_id=tool_call_id, **kwargs)

    return build


def _asked(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
    async def request(*args: Any, **kwargs: Any) -> Any:
        response = await original(*args, **kwargs)
        noting.used(NAME, response.usage.input_tokens, response.usage.output_tokens)
        return response

    return request


def _streamed(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
    @asynccontextmanager
    async def request_stream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        async with original(*args, **kwargs) as response:
            yield response
        noting.used(NAME, response.usage.input_tokens, response.usage.output_tokens)

    return request_stream


_WITHOUT_WIRE = (("pydantic_ai.models.test", "TestModel"), ("pydantic_ai.models.function", "FunctionModel"))

_MANAGER, _TOOLS = "pydantic_ai.tool_manager", "pydantic_ai.tools"

ADAPTER = built_in(
    NAME,
    (
        Seam(
            module="pydantic_ai.toolsets.function",
            path="FunctionToolset.call_tool",
            parameters=("name", "tool_args", "ctx", "tool"),
            seen=_call_tool,
        ),
        Seam(
            module=_MANAGER,
            path="ToolManager.validate_tool_call",
            parameters=("call",),
            seen=_pending,
        ),
        Seam(
            module=_MANAGER,
            path="ToolManager.validate_output_tool_call",
            parameters=("call",),
            seen=_output,
        ),
        Seam(module="pydantic_ai.agent", path="Agent.iter", replace=_iter, about=noting.AGENTS),
        Seam(
            module=_TOOLS,
            path="DeferredToolRequests.__init__",
            replace=noting.requests(NAME, _requests),
            about=noting.APPROVALS,
        ),
        Seam(
            module=_TOOLS,
            path="DeferredToolResults.to_tool_call_results",
            replace=_results,
            about=noting.APPROVALS,
        ),
        Seam(
            module=_MANAGER,
            path="build_retried_tool_return",
            parameters=("tool_call_id",),
            replace=_retried,
            about=noting.FAILURES,
        ),
        *(
            Seam(module=module, path=f"{model}.{method}", replace=replace, about=noting.USAGE)
            for module, model in _WITHOUT_WIRE
            for method, replace in (("request", _asked), ("request_stream", _streamed))
        ),
    ),
)
