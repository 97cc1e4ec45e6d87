"""What of two runs lies before the call at which one leaves the other."""

import pytest

from pytest_sparrow.events import ToolUseStarted
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.run.whatif.fork import DivergencePoint, before_fork


def started(name, lane):
    return ToolUseStarted.model_validate({"run": "r", "id": name, "name": name, "args": {}, "lane": lane})


def call(name, lane):
    return Exchange(
        kind="tool",
        asked={"name": name, "args": {}, "id": name},
        answered={},
        lane=lane,
        began=0.0,
        ended=1.0,
    )


GOLDEN = [
    started("first", "task-4"),
    started("second", "task-5"),
    started("fork", "task-7"),
    started("late", "task-4"),
]


@pytest.mark.parametrize(
    "lanes",
    [
        {"first": "task-4", "second": "task-5", "fork": "task-7"},
        {"first": "task-5", "second": "task-4", "fork": "task-7"},
        {"first": "task-3", "second": "task-7", "fork": "task-4"},
        {"first": "task-2", "second": "task-3", "fork": "task-4"},
    ],
)
def test_tasks_are_known_by_what_they_follow(lanes):
    """Whatever number chance gave a task, its events count for the golden's task that it follows."""
    new = [started(name, lane) for name, lane in lanes.items()]
    left = DivergencePoint(
        kind="tool",
        lane=lanes["fork"],
        emitted=3,
        exchange=call("fork", "task-7"),
        lanes={lanes["first"]: "task-4", lanes["second"]: "task-5", lanes["fork"]: "task-7"},
    )
    theirs, mine = before_fork(left, GOLDEN, [*new, started("more", "task-9")])
    assert [event.name for event in theirs] == ["first", "second", "fork"]
    assert mine == new


def test_a_lane_with_fewer_events_is_compared_that_far():
    """What runs side by side with the call is compared as far as its events were emitted by then."""
    new = [started("second", "task-2"), started("fork", "task-3")]
    left = DivergencePoint(
        kind="tool",
        lane="task-3",
        emitted=2,
        exchange=call("fork", "task-7"),
        lanes={"task-2": "task-5", "task-3": "task-7"},
    )
    theirs, _ = before_fork(left, GOLDEN, new)
    assert [event.name for event in theirs] == ["second", "fork"]
