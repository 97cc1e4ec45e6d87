"""Which proposal a call answers."""

from __future__ import annotations

import pytest

from pytest_sparrow.providers.codec import Output
from pytest_sparrow.run.lanes import Lane
from pytest_sparrow.run.proposals import Proposals

MAIN = Lane("")


@pytest.fixture
def proposals():
    return Proposals()


def test_exact_arguments_find_their_proposal_in_any_order(proposals):
    """Arguments tell parallel calls of one name apart."""
    for number in "123":
        proposals.add(f"call_{number}", "look", {"order": number}, MAIN)
    assert [proposals.start("look", {"order": n}, MAIN) for n in "312"] == ["call_3", "call_1", "call_2"]


def test_a_changed_argument_still_answers_the_proposal_most_like_it(proposals):
    """An agent that changes the amount of one of two refunds changes that one."""
    proposals.add("call_1", "refund", {"order": "1", "amount": 10}, MAIN)
    proposals.add("call_2", "refund", {"order": "2", "amount": 20}, MAIN)
    assert proposals.start("refund", {"order": "2", "amount": 120}, MAIN) == "call_2"
    assert proposals.start("refund", {"order": "1", "amount": 10}, MAIN) == "call_1"


def test_defaults_that_the_call_adds_do_not_count(proposals):
    """All that was proposed agrees: the rest are the function's own defaults."""
    proposals.add("call_1", "look", {"order": "1", "deep": True}, MAIN)
    proposals.add("call_2", "look", {"order": "1"}, MAIN)
    assert proposals.start("look", {"order": "1", "deep": False}, MAIN) == "call_2"


def test_each_proposal_is_answered_once(proposals):
    """A further call was proposed by nobody, and another name never answers it."""
    proposals.add("call_1", "look", {}, MAIN)
    assert proposals.start("peek", {}, MAIN) is None
    assert proposals.start("look", {}, MAIN) == "call_1"
    assert proposals.start("look", {}, MAIN) is None


def test_the_own_lane_and_those_it_stems_from_come_first(proposals):
    """Agents side by side ask for the same things: each call answers its own agent's proposal."""
    one, two = Lane("work-1", MAIN), Lane("work-2", MAIN)
    proposals.add("call_1", "policy", {"topic": "refund"}, one)
    proposals.add("call_2", "policy", {"topic": "refund"}, two)
    assert proposals.start("policy", {"topic": "refund"}, Lane("work-2.1", two)) == "call_2"
    assert proposals.start("policy", {"topic": "refund"}, one) == "call_1"


def test_a_thread_without_a_line_may_answer_any(proposals):
    """Where no lane up the line proposed anything, all proposals are open to it."""
    proposals.add("call_1", "policy", {}, Lane("work-1", MAIN))
    assert proposals.start("policy", {}, Lane("thread-1")) == "call_1"


def test_an_output_on_the_wire_is_news_once(proposals):
    """A tool that nobody wrapped shows only in the next request, and is counted."""
    proposals.add("call_1", "look", {}, MAIN)
    assert proposals.answered_on_wire(Output("call_1", []), MAIN)
    assert not proposals.answered_on_wire(Output("call_1", []), MAIN)
    assert proposals.unwrapped == {"look": 1}
    assert proposals.start("look", {}, MAIN) is None


def test_the_output_of_a_wrapped_call_is_no_news(proposals):
    """The wrapper's event holds the output already."""
    proposals.add("call_1", "look", {}, MAIN)
    proposals.start("look", {}, MAIN)
    proposals.finished("call_1", MAIN)
    assert not proposals.answered_on_wire(Output("call_1", []), MAIN)
    assert proposals.unwrapped == {}


def test_an_id_that_comes_again_is_a_new_call(proposals):
    """Some hosts count their calls from 0 in every answer."""
    for _ in range(2):
        proposals.add("call_0", "look", {}, MAIN)
        assert proposals.answered_on_wire(Output("call_0", []), MAIN)
    assert proposals.unwrapped == {"look": 2}


def test_one_id_in_two_lanes_is_two_calls(proposals):
    """Some hosts give agents side by side the same ids: the result of one agent's call is not the other's."""
    one, two = Lane("work-1", MAIN), Lane("work-2", MAIN)
    proposals.add("call_0", "look", {"who": 1}, one)
    assert proposals.start("look", {"who": 1}, one) == "call_0"
    proposals.finished("call_0", one)
    proposals.add("call_0", "look", {"who": 2}, two)
    assert not proposals.answered_on_wire(Output("call_0", []), one)
    assert proposals.start("look", {"who": 2}, two) == "call_0"
    assert proposals.unwrapped == {}


def test_outputs_of_before_the_run_are_emitted_once(proposals):
    """A conversation that was restored brings the outputs of calls that this run never saw."""
    assert [proposals.answered_on_wire(Output("old", []), MAIN) for _ in range(3)] == [True, False, False]


@pytest.mark.parametrize(
    ("name", "block", "counts"),
    [
        ("transfer_to_support", {"Json": {"assistant": "support"}}, False),
        ("transfer_to_support", {"Text": "Successfully transferred to support"}, False),
        ("transfer_to_agent", {"Json": {"result": None}}, False),
        ("transfer_to_savings", {"Json": {"booked": 40}}, True),
        ("support", {"Json": {"assistant": "support"}}, True),
    ],
)
def test_a_hand_off_is_no_tool_that_ran(proposals, name, block, counts):
    """Frameworks offer other agents as tools; a tool of the agent's own may have such a name."""
    proposals.add("call_1", name, {}, MAIN)
    assert proposals.answered_on_wire(Output("call_1", [block]), MAIN)
    assert proposals.unwrapped == ({name: 1} if counts else {})


def test_what_was_proposed_and_never_answered_is_counted(proposals):
    """It may have run. Not so what answers the model's question in a shape, nor what was called or answered."""
    for number, name in enumerate(("refund", "final_result", "person", "look", "peek", "refund")):
        proposals.add(f"call_{number}", name, {}, MAIN)
    proposals.forced.add("person")
    proposals.start("look", {}, MAIN)
    proposals.answered_on_wire(Output("call_4", []), MAIN)
    assert proposals.unanswered() == {"refund": 2}


def test_many_agents_with_one_name_cost_no_search(proposals):
    """20,000 pending proposals in as many lanes: each call finds its own without looking at the others."""
    lanes = [Lane(f"work-{number}", MAIN) for number in range(20_000)]
    for number, lane in enumerate(lanes):
        proposals.add(f"call_{number}", "look", {"n": 0}, lane)
    assert all(proposals.start("look", {"n": 0}, lane) == f"call_{n}" for n, lane in enumerate(lanes))
