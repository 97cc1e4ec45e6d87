"""llama-index: function tools; hand-offs between agents of a workflow run."""

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
            return original(
                with_crossing(self, function, across, functools.partial(_seen, self)), *args, **kwargs
            )

        return call

    return replace


def _seen(tool: Any, args: dict[str, Any]) -> ToolSeen:
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
        Seam(module=_MODULE, path="FunctionTool.call", replace=_calling("_fn")),
        Seam(module=_MODULE, path="FunctionTool.acall", replace=_calling("_async_fn")),
    ),
)
