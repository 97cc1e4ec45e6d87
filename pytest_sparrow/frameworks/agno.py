"""agno: functions of agents, teams and toolkits."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from pytest_sparrow.frameworks.adapter import Seam, ToolSeen, built_in, classes
from pytest_sparrow.frameworks.crossing import with_crossing

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.frameworks.adapter import Across


def _execute(original: Callable[..., Any], across: Across) -> Callable[..., Any]:
    def execute(self: Any) -> Any:
        function = self.function
        if function.entrypoint is None:
            return original(self)
        # The call belongs to one thread; its function is shared.
        self.function = with_crossing(
            function, "entrypoint", across, lambda args: _seen(self, function, args)
        )
        return original(self)

    return execute


def _seen(call: Any, function: Any, args: dict[str, Any]) -> ToolSeen:
    proposed = call.arguments or {}
    return ToolSeen(
        name=function.name,
        args={name: value for name, value in args.items() if name in proposed},
        call_id=call.call_id or "",
        fn=inspect.unwrap(function.entrypoint),
        changes={
            f"{name}.session_state": value.session_state
            for name, value in args.items()
            if name not in proposed and getattr(value, "session_state", None) is not None
        },
        steers=classes("agno.exceptions", "AgentRunException"),
    )


ADAPTER = built_in(
    "agno",
    (
        Seam(module="agno.tools.function", path="FunctionCall.execute", replace=_execute),
        Seam(module="agno.tools.function", path="FunctionCall.aexecute", replace=_execute),
    ),
)
