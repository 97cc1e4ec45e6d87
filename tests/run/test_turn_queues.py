"""Which lane gets which turn: by its name, else by the order in which lanes come."""

from __future__ import annotations

from pytest_sparrow.providers.codec import ModelAnswer
from pytest_sparrow.run.whatif.replayer import TurnQueues
from pytest_sparrow.run.whatif.script import ScriptedTurn, read_script
from run.making import propose, think


def turns(*lanes):
    """A turn in each of these lanes."""
    return [
        ScriptedTurn(number=number, lane=lane, at=number, answer=ModelAnswer())
        for number, lane in enumerate(lanes, start=1)
    ]


def taken(queues, *lanes):
    """The numbers of the turns that these lanes take, one after the other; None where there is none."""
    numbers = []
    for lane in lanes:
        turn = queues.next(lane)
        numbers.append(turn and turn.number)
        if turn is not None:
            queues.take(lane)
    return numbers


def test_lanes_keep_to_themselves():
    """However they interleave, each gets its own turns in their order."""
    queues = TurnQueues(turns("", "work-1", "work-2", "work-1", ""))
    assert taken(queues, "work-2", "work-1", "", "work-1", "", "") == [3, 2, 1, 4, 5, None]


def test_a_script_without_lanes_is_taken_in_its_order():
    """The cockpit's sub-agents: whoever asks."""
    queues = TurnQueues(turns("", "", ""))
    assert taken(queues, "", "work-1", "task-2", "") == [1, 2, 3, None]


def test_a_lane_of_another_name_takes_one_that_nobody_has():
    """Numbers of lanes are chance; the first free one, and it stays so."""
    queues = TurnQueues(turns("", "task-1", "task-2", "task-1"))
    assert taken(queues, "task-7", "task-2", "task-7", "", "task-9") == [2, 3, 4, 1, None]


def test_what_nobody_took_is_left_in_order():
    """For the findings at the end."""
    queues = TurnQueues(turns("", "b", "a", ""))
    taken(queues, "a")
    assert [turn.number for turn in queues.left()] == [1, 2, 4]


def test_lanes_are_read_from_the_events():
    """Our own goldens name the lane on each event."""
    script = read_script([think("a", lane="work-1"), propose("1", lane="work-2"), think("b")])
    assert [turn.lane for turn in script.turns] == ["work-1", "work-2", ""]
