"""smolagents: tools, also those that a CodeAgent's code calls; managed agents run."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from pytest_sparrow.frameworks.adapter import Seam, ToolSeen, built_in
from pytest_sparrow.frameworks.crossing import crossing

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.frameworks.adapter import Across, Kind


def _call(original: Callable[..., Any], across: Across) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        def forward(*args: Any, **kwargs: Any) -> Any:
            if not self.is_initialized:
                self.setup()  # of a large model, say: where the tool runs
            return self.forward(*args, **kwargs)

        def seen(args: dict[str, Any]) -> ToolSeen:
            names = dict(zip(self.inputs, args.pop("args", ()), strict=False))
            # The answer of an agent to its user: a tool in form only.
            kind: Kind = "output" if self.name == "final_answer" else "tool"
            return ToolSeen(name=self.name, args=names | args, fn=self.forward, kind=kind)

        tool = copy.copy(self)
        tool.is_initialized, tool.forward = True, crossing(forward, across, seen)
        return original(tool, *args, **kwargs)

    return call


def _agent(agent: Any, *_: Any, **__: Any) -> ToolSeen:
    return ToolSeen(name=agent.name or "", kind="agent")


ADAPTER = built_in(
    "smolagents",
    (
        Seam(module="smolagents.tools", path="Tool.__call__", replace=_call),
        Seam(module="smolagents.agents", path="MultiStepAgent.__call__", seen=_agent),
    ),
)
