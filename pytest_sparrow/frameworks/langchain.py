"""LangChain and LangGraph: tools of every class, whoever invokes them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from pytest_sparrow.frameworks.adapter import Framework, Seam, ToolSeen, classes, note
from pytest_sparrow.frameworks.crossing import with_crossing

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.frameworks.adapter import Across

_TOOL, _NODE = "langchain_core.tools.base", "langgraph.prebuilt.tool_node"
_CONTEXT = ("config", "run_manager", "callbacks")


def _calling(method: str) -> Callable[[Callable[..., Any], Across], Callable[..., Any]]:
    def replace(original: Callable[..., Any], across: Across) -> Callable[..., Any]:
        def run(self: Any, *args: Any, tool_call_id: str | None = None, **kwargs: Any) -> Any:
            read = functools.partial(_seen, self, method, tool_call_id)
            return original(
                with_crossing(self, method, across, read), *args, tool_call_id=tool_call_id, **kwargs
            )

        return run

    return replace


def _seen(tool: Any, method: str, call_id: str | None, args: dict[str, Any]) -> ToolSeen:
    fn = getattr(tool, "func", None) or getattr(tool, "coroutine", None)
    own = getattr(tool.args_schema, "model_fields", ())
    given = tool._filter_injected_args(args)  # noqa: SLF001
    return ToolSeen(
        name=tool.name,
        args={name: value for name, value in given.items() if name not in _CONTEXT or name in own},
        call_id=call_id or "",
        fn=fn or getattr(tool, method),
        changes={f"{name}.context": value.context for name, value in args.items() if _is_runtime(value)},
        steers=classes("langgraph.errors", "GraphBubbleUp"),
    )


def _is_runtime(value: Any) -> bool:
    """Whether an argument is LangGraph's `ToolRuntime`, of which a tool may change the context."""
    return isinstance(value, classes(_NODE, "ToolRuntime"))


def _taken_up(_: Any, call: Any, *__: Any, **___: Any) -> ToolSeen:
    return ToolSeen(name=call["name"], call_id=call["id"] or "", kind="pending")


def _output(binding: Any, *_: Any, **__: Any) -> ToolSeen:
    return ToolSeen(name=binding.tool.name, kind="output")


def _answered(original: Callable[..., Any], across: Across) -> Callable[..., Any]:
    """Notes the calls that a middleware answers itself, since a human or a limit turns them down."""

    def after_model(self: Any, *args: Any, **kwargs: Any) -> Any:
        update = original(self, *args, **kwargs)
        for message in (update or {}).get("messages", ()):
            if call_id := getattr(message, "tool_call_id", None):
                note(across, ToolSeen(name=message.name or "", call_id=call_id, kind="pending"))
        return update

    return after_model


_ANSWERING = {
    "human_in_the_loop": "HumanInTheLoopMiddleware",
    "tool_call_limit": "ToolCallLimitMiddleware",
}


def _optional(module: str, path: str, **how: Any) -> Seam:
    """A seam in a module that not every user has: of another distribution, or of a later version."""
    return Seam(module=module, path=path, where=module, **how)


ADAPTER = Framework(
    name="langchain",
    distribution="langchain-core",
    root="langchain_core.tools",
    seams=(
        Seam(
            module=_TOOL,
            path="BaseTool.run",
            parameters=("tool_input", "tool_call_id"),
            replace=_calling("_run"),
        ),
        Seam(
            module=_TOOL,
            path="BaseTool.arun",
            parameters=("tool_input", "tool_call_id"),
            replace=_calling("_arun"),
        ),
        _optional(_NODE, "ToolNode._run_one", parameters=("call",), seen=_taken_up),
        _optional(_NODE, "ToolNode._arun_one", parameters=("call",), seen=_taken_up),
        _optional("langchain.agents.structured_output", "OutputToolBinding.parse", seen=_output),
        *(
            _optional(f"langchain.agents.middleware.{module}", f"{name}.after_model", replace=_answered)
            for module, name in _ANSWERING.items()
        ),
    ),
)
