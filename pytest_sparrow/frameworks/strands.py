"""strands: tools that are decorated functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_sparrow.frameworks.adapter import Seam, ToolSeen, built_in, classes
from pytest_sparrow.frameworks.crossing import with_crossing

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.frameworks.adapter import Across


def _stream(original: Callable[..., Any], across: Across) -> Callable[..., Any]:
    def stream(self: Any, tool_use: Any, *args: Any, **kwargs: Any) -> Any:
        def seen(args: dict[str, Any]) -> ToolSeen:
            metadata = self._metadata
            return ToolSeen(
                name=self.tool_name,
                args={
                    name: value
                    for name, value in args.items()
                    if not metadata._is_special_parameter(name)  # noqa: SLF001
                },
                call_id=tool_use.get("toolUseId", ""),
                fn=self._tool_func,
                steers=classes("strands.interrupt", "InterruptException"),
            )

        return original(with_crossing(self, "_tool_func", across, seen), tool_use, *args, **kwargs)

    return stream


ADAPTER = built_in(
    "strands",
    (
        Seam(
            module="strands.tools.decorator",
            path="DecoratedFunctionTool.stream",
            parameters=("tool_use",),
            replace=_stream,
        ),
    ),
)
