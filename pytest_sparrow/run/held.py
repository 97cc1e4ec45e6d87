"""Holds back what the code of a tool asks for in a replay, until it is known whether the replay must run the tool.

The recorded answer of most tools is enough: then what their code asks for is no part of the run.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.registry import Wire
    from pytest_sparrow.run.crossing import Crossing

ASKS_MODEL = "it asks a model itself, whose answers are replayed"
CALLS_WRAPPED = "it calls {0}, which is recorded"
"""Why a replay runs a tool."""


def why_run(
    tool: Crossing, kind: str, asked: dict[str, Json], *, wire: Wire, wrapped: Callable[[str], bool]
) -> str:
    """Why a replay must run a tool whose code asks for something; "" where the tool's answer is enough."""
    if kind == "http":
        model = wire.read(asked)
        return ASKS_MODEL if model is not None and model.conversation is not None else ""
    calls_wrapped = kind == "tool" and wrapped(asked["name"]) and not wrapped(tool.asked["name"])
    return CALLS_WRAPPED.format(asked["name"]) if calls_wrapped else ""


def hold(tool: Crossing, crossing: Crossing, begin: Callable[[Crossing], object]) -> Crossing:
    """Hold a crossing of a tool's code back; ``begin`` begins it once a replay must run the tool."""
    crossing.outer, crossing.is_held = tool, True
    tool.held.append(functools.partial(_begin, crossing, begin))
    return crossing


def _begin(crossing: Crossing, begin: Callable[[Crossing], object]) -> None:
    crossing.is_held = False
    begin(crossing)


def holds_answer(crossing: Crossing, answered: dict[str, Json] | None, *, complete: bool) -> bool:
    """Whether an answer is kept for later, since that of the tool whose code has asked may be enough."""
    if crossing.is_held and crossing.outer is not None:
        crossing.outer.held.append(functools.partial(crossing.settle, answered, complete=complete))
    return crossing.is_held


def let_go(tool: Crossing, why: str) -> None:
    """A replay must run a tool: what its code has asked for belongs to the run, from its beginning."""
    if tool.is_held and tool.outer is not None:
        let_go(tool.outer, why)
    tool.runs = tool.runs or why
    held, tool.held = tool.held, []
    for step in held:
        step()
