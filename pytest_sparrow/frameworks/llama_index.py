"""llama-index: function tools; hand-offs between agents of a workflow run."""

from __future__ import annotations

from typing import Any

from pytest_sparrow.frameworks.adapter import Seam, ToolSeen, built_in
from pytest_sparrow.frameworks.crossing import calling


def _seen(tool: Any, _: str, __: object, args: dict[str, Any]) -> ToolSeen:
    fn = tool.real_fn
    own = getattr(fn, "__module__", "").startswith("llama_index.")
    return ToolSeen(
        name=tool.metadata.get_name(),
        args={name: value for name, value in args.items() if name != tool.ctx_param_name},
        fn=fn,
        kind="handoff" if own else "tool",
    )


_MODULE = "llama_index.core.tools.function_tool"

ADAPTER = built_in(
    "llama-index",
    (
        Seam(module=_MODULE, path="FunctionTool.call", replace=calling("_fn", _seen)),
        Seam(module=_MODULE, path="FunctionTool.acall", replace=calling("_async_fn", _seen)),
    ),
)
