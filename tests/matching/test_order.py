"""Which recorded calls must keep their order."""

from __future__ import annotations

import pytest

from pytest_sparrow.exchange import Exchange
from pytest_sparrow.matching.order import precedes


def call(lane, began, ended, *lane_began):
    """A recorded call."""
    return Exchange(
        kind="call",
        asked={"name": "x", "args": [], "kwargs": {}},
        answered={"returned": None},
        lane=lane,
        lane_began=list(lane_began),
        began=began,
        ended=ended,
    )


BEFORE = {
    "one strand": (call("", 1, 2), call("", 3, 4)),
    "one strand of an older golden": (call("task-1", 1, 2), call("task-1", 3, 4)),
    "a strand's, then its parent's": (call("task-1", 1, 2, 0.5), call("", 3, 4)),
    "a strand's, then one made later": (call("", 1, 2), call("work-1", 3, 4, 2.5)),
    "one task after another": (call("task-1.1", 1, 2, 0.1, 0.5), call("task-1.2", 3, 4, 0.1, 2.5)),
    "a thread of one task, then another task": (
        call("task-1.1.1", 1, 2, 0.1, 0.5, 0.6),
        call("task-1.2", 3, 4, 0.1, 2.5),
    ),
}
SIDE_BY_SIDE = {
    "they overlapped": (call("", 1, 3), call("", 2, 4)),
    "no end is known": (call("", 1, None), call("", 3, 4)),
    "the strand was there before": (call("", 1, 2), call("work-1", 3, 4, 0.5)),
    "made the other way round": (call("task-1.2", 1, 2, 0.1, 0.6), call("task-1.1", 3, 4, 0.1, 0.5)),
    "an older golden, two tasks": (call("task-1", 1, 2), call("task-2", 3, 4)),
    "a thread without context": (call("thread-1", 1, 2), call("thread-1", 3, 4)),
    "a thread without context, then the main one": (call("thread-1", 1, 2), call("", 3, 4)),
}


@pytest.mark.parametrize(("one", "other"), BEFORE.values(), ids=BEFORE)
def test_sequential_calls_have_an_order(one, other):
    """One strand decided it, and the first had ended."""
    assert precedes(one, other)
    assert not precedes(other, one)


@pytest.mark.parametrize(("one", "other"), SIDE_BY_SIDE.values(), ids=SIDE_BY_SIDE)
def test_what_was_side_by_side_has_none(one, other):
    """Nobody decided it, or nobody knows who did."""
    assert not precedes(one, other)
    assert not precedes(other, one)
