"""Says which recorded calls must keep their order.

Strictly sequential calls keep their order, whatever their boundary; calls that overlapped when they were recorded may
come and end in any order. That one call came before another for certain is known where the first had ended before the
other began, and where one strand decided it: the strand that made both calls, or from which the strands of both stem.
What that strand did in one order in the golden (ask, or make the strand that asks), it must not do in the other order.

Of a new run, `run.lanes.Lane` knows the calls that came before for certain: what its own strand has asked for, and
what the strands had that were made and had their answers before. Of a golden the labels of lanes and the moments in
which they were made say so. Where they say nothing (a golden of format 2, a thread without context), no order counts.

The level says how much of this counts: at exact all calls, at trajectory what the agent does (calls of tools,
``sparrow.call`` and plain HTTP, not its questions to models), at outcome no order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.exchange import LOOSE_LANES
from pytest_sparrow.settings import Level
from pytest_sparrow.wire.asking import is_look_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.exchange import Exchange


def counts(level: Level, *, of_model: Callable[[], bool]) -> bool:
    """Whether the order of a call counts at a level.

    Args:
        level: the level of the comparison.
        of_model: says whether the call is a request to a model.
    """
    return level is Level.EXACT or (level is Level.TRAJECTORY and not of_model())


def is_chance(exchange: Exchange) -> bool:
    """Whether it is chance how often a client asks for something: its order means nothing either."""
    return exchange.optional or (exchange.kind == "http" and is_look_up(exchange.asked))


def precedes(one: Exchange, other: Exchange) -> bool:
    """Whether one recorded call came before another for certain."""
    if one.ended is None or one.ended > other.began:
        return False
    if one.lane == other.lane:
        return not one.lane.startswith(LOOSE_LANES)
    if one.lane.startswith(LOOSE_LANES) or other.lane.startswith(LOOSE_LANES):
        return False
    ours, theirs, shared = _lines(one, other)
    if shared == len(theirs):
        return True  # the strand of the other call made the strand of the first one before, and asked later
    made = _made(other, shared)
    if made is None:
        return False
    if shared == len(ours):
        return one.began < made
    before = _made(one, shared)
    return before is not None and before < made


def strand_before(one: Exchange, other: Exchange) -> str | None:
    """The strand of a call that had its answer before the strand of another recorded call was made, as a lane's label.

    It is the first of the strands from which the call's own stems, and the other's doesn't. If the other call's strand
    made it, it had its answer before that strand asked. None: neither is known, so it may have been asked for later.
    """
    if not precedes(one, other) or one.ended is None:
        return None
    ours, theirs, shared = _lines(one, other)
    made = _made(other, shared)
    if shared < len(theirs) and (made is None or one.ended > made):
        return None
    return ".".join(ours[: shared + 1])


def _lines(one: Exchange, other: Exchange) -> tuple[list[str], list[str], int]:
    """The lines of both calls' lanes, and how many lanes they share."""
    ours, theirs = _line(one.lane), _line(other.lane)
    shared = next(
        (depth for depth, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]),
        min(len(ours), len(theirs)),
    )
    return ours, theirs, shared


def _line(lane: str) -> list[str]:
    """The lanes that a lane stems from and the lane itself, the main one left out."""
    return lane.split(".") if lane else []


def _made(exchange: Exchange, depth: int) -> float | None:
    """When the lane at this depth of the exchange's line was made."""
    return exchange.lane_began[depth] if depth < len(exchange.lane_began) else None
