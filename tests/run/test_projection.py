"""What is compared of a scripted replay: what both sides can hold."""

from __future__ import annotations

from pytest_sparrow.comparing import Rules, compare
from pytest_sparrow.providers.codec import ModelAnswer
from pytest_sparrow.run.whatif.replayer import LEFT_OUT, EventReplayer, both_sides
from pytest_sparrow.run.whatif.script import read_script
from run.making import approve, error, event, gave, propose, reason, said, start, think, used

TURN = [propose("1", "add", {"a": 1}), start("1"), gave("1", {"Json": 2})]
NEW_TURN = [propose("1", "add", {"a": 1}), start("1", name="add", args={"a": 1}), gave("1", {"Json": 2})]


def changes(golden, new, *, wraps=("add",), sent=None):
    """What a comparison finds, as paths."""
    replayer = EventReplayer(read_script(golden), lambda _: None, None)
    replayer.sent.update(sent or {})
    theirs, mine = both_sides(replayer, new, lambda name: name in wraps)
    found = compare(theirs, mine, Rules(ignore_types=LEFT_OUT))
    return [change.path for change in (*found.roots, *found.followers)]


def test_what_only_the_cockpit_knows_is_left_out():
    """Routes, status, cost, approvals, risks, usage, the end; and names and arguments that its events lack."""
    cockpit = [
        event("RunStarted", task="t", agent="coder"),
        event("RouteSelected", chain=["a", "b"], context_window=9),
        event("AgentStatus", role="coder", status="Working", note=""),
        TURN[0],
        approve("1", "AllowOnce"),
        *TURN[1:],
        used(1, 2),
        event("CostUpdate", usd=0.1),
        think("o"),
        think("k"),
        said("ok"),
    ]
    ours = [event("RunStarted", task="u", agent="pytest"), *NEW_TURN, think("ok"), said("ok"), used(3, 4)]
    assert changes(cockpit, ours) == []


def test_a_type_that_the_test_records_itself_is_compared():
    """From then on both runs can hold such events."""
    golden = [event("TestResult", passed=1, failed=0, detail=""), *TURN]
    assert changes(golden, NEW_TURN) == []
    assert changes(golden, [event("TestResult", passed=2, failed=0, detail=""), *NEW_TURN]) == [
        "TestResult.passed"
    ]


def test_a_call_that_gave_something_was_made():
    """Files written by hand leave the start out; the proposal's arguments are expected."""
    golden = [TURN[0], TURN[2]]
    assert changes(golden, NEW_TURN) == []
    other = [NEW_TURN[0], start("1", name="add", args={"a": 7}), NEW_TURN[2]]
    assert changes(golden, other) == ["ToolUseStarted[add].args['a']"]
    assert "ToolUseStarted[add]" in changes(golden, [NEW_TURN[0], NEW_TURN[2]])


def test_our_own_events_name_the_arguments():
    """If our own events name a call's arguments, these are expected, not the proposed ones."""
    golden = [TURN[0], start("1", name="add", args={"a": 5}), TURN[2]]
    assert changes(golden, NEW_TURN) == ["ToolUseStarted[add].args['a']"]


def test_a_denied_call_must_not_be_made():
    """The output is the agent's own text; not every format can mark an output as an error."""
    golden = [TURN[0], approve("1", "Deny"), gave("1", {"Text": "no"}, is_error=True)]
    assert changes(golden, [TURN[0], gave("1", {"Text": "no"})]) == []
    assert "ToolUseStarted[add]" in changes(golden, [*NEW_TURN[:2], gave("1", {"Text": "no"})])


def test_of_a_tool_that_is_not_wrapped_only_the_output_counts():
    """As the next request holds the output: numbers are text there, and text of JSON is JSON."""
    golden = [*TURN[:2], gave("1", {"Json": 2}, {"Text": '{"b":1}'})]
    sent = [TURN[0], gave("1", {"Text": "2"}, {"Json": {"b": 1}})]
    assert changes(golden, sent, wraps=()) == []
    assert changes(golden, [TURN[0], gave("1", {"Text": "3"}, {"Json": {"b": 1}})], wraps=()) != []


def test_a_call_that_says_nothing_of_its_output_leaves_it_open():
    """The call itself is expected all the same."""
    assert changes(TURN[:2], NEW_TURN) == []
    assert changes(TURN[:2], NEW_TURN[:1]) == ["ToolUseStarted[add]"]


def test_what_was_sent_counts_as_the_format_could_say_it():
    """Reasoning that no wire holds, or text that a broken answer swallows, is nobody's change."""
    golden = [reason("hm"), think("a"), error("ReadTimeout: late")]
    replayed = ModelAnswer(failure=read_script([error("ReadTimeout: late")]).turns[0].answer.failure)
    assert changes(golden, [error("ReadTimeout: late")], sent={1: replayed}) == []
    assert changes(golden, [error("ReadTimeout: late")]) != []


def test_lanes_count_only_where_the_script_has_them():
    """The cockpit's sub-agents have no lanes."""
    new = [propose("1", "add", {"a": 1}, lane="work-1"), *NEW_TURN[1:]]
    assert changes(TURN, new) == []
