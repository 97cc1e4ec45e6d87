"""What follows from what: counted, never dropped, and no independent change among it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.comparing import Change, compare, follow
from pytest_sparrow.comparing.result import MISSING

from .making import call, event, finished, gives, proposes, runs, says, usage


def change(path="Message.text", golden=1000, new=2000):
    subject, *keys = path.split(".")
    return Change(kind="changed", steps=(subject, *(f".{key}" for key in keys)), golden=golden, new=new)


def follows(*changes):
    return [each.follows for each in follow(changes)]


def test_the_same_two_values_again_follow():
    """A value that changed and is met again elsewhere changed once."""
    assert follows(change(), change("Error.message"), change("Error.message", new=3000)) == [
        False,
        True,
        False,
    ]


def test_values_that_are_common_do_not_explain_each_other():
    """If true became false twice, or 1 became 2, the two changes are independent."""
    for golden, new in [(True, False), (1, 2), (None, True), ("", "x")]:
        assert follows(change(golden=golden, new=new), change("Error.message", golden, new)) == [False, False]


def test_a_text_that_quotes_a_changed_value_follows():
    """The sentence that names the new amount follows; one that says more than that does not."""
    amount = change(golden=39.99, new=139.99)
    assert follows(amount, change("Error.message", "paid 39.99 now", "paid 139.99 now")) == [False, True]
    assert follows(amount, change("Error.message", "paid 39.99 now", "paid 139.99 never")) == [False, False]
    assert follows(amount, change("Error.message", "paid 239.99 now", "paid 2139.99 now")) == [False, False]


def test_totals_follow_only_where_something_came_before():
    """Usage and the outcome count what happened; where nothing else did, they are the news."""
    assert follows(change("TokenUsage.input"), change("RunFinished.outcome.status", "a", "b")) == [
        False,
        True,
    ]
    assert follows(change("RunFinished.outcome.status", "completed", "failed")) == [False]


def test_the_output_of_a_call_with_other_arguments_follows():
    """Another question, another answer; the output of a call beside it is a change of its own."""
    golden = [proposes("c1"), proposes("c2"), runs("c1", args={"n": 1}), gives("c1", "aa"), gives("c2", "bb")]
    new = [proposes("c1"), proposes("c2"), runs("c1", args={"n": 2}), gives("c1", "cc"), gives("c2", "dd")]
    comparison = compare(golden, new)
    assert [(c.subject, c.golden) for c in comparison.roots] == [("ToolUseStarted", 1), ("ToolOutput", "bb")]
    assert [(c.subject, c.golden) for c in comparison.followers] == [("ToolOutput", "aa")]


def test_a_text_beside_a_call_that_did_not_change_is_a_change_of_its_own():
    """Only what was added or removed together with a call follows it."""
    comparison = compare([*call("c1"), says("yes")], [*call("c1"), says("no")])
    assert [(c.golden, c.new) for c in comparison.roots] == [("yes", "no")]


def test_what_was_said_around_an_added_call_follows_it_but_not_far_from_it():
    """A turn that was added is one change, reported by its call; a text added elsewhere is another."""
    golden = [event("RunStarted", task="t", agent="a"), *call("c1", "look"), says("fine"), finished()]
    new = [
        golden[0],
        says("oh"),
        *call("c1", "look"),
        says("wait"),
        *call("c2", "pay"),
        usage(),
        says("fine"),
        finished(),
    ]
    comparison = compare(golden, new)
    assert [(c.subject, c.label or c.new["text"]) for c in comparison.roots] == [
        ("ThinkingDelta", "oh"),
        ("ToolUseProposed", "pay"),
    ]


def test_what_was_added_without_a_call_are_changes_of_their_own():
    """Side by side, none of them is the cause of the other; nor of what was removed there or changed behind them."""
    added = [event("SkillLearned", name="s"), event("Error", message="e")]
    assert len(compare([finished()], [*added, finished()]).roots) == 2
    replaced = compare([says("a"), says("x", role="r"), finished()], [*added, finished()])
    assert len(replaced.roots) == 4
    beside = compare([*call("c1", "look"), says("a")], [*added, says("b")])
    assert [(c.kind, c.subject) for c in beside.roots] == [
        ("removed", "ToolUseProposed"),
        ("added", "SkillLearned"),
        ("added", "Error"),
        ("changed", "ThinkingDelta"),
    ]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Message.text", "TokenUsage.input", "Error.message"]),
            st.integers(0, 999),
            st.integers(0, 999),
        )
    )
)
def test_nothing_is_dropped_and_the_first_never_follows(parts):
    """Marking only marks: the same changes in the same order, the first of them a cause."""
    changes = [change(path, golden, new) for path, golden, new in parts]
    marked = follow(changes)
    assert [(c.path, c.golden, c.new) for c in marked] == [(c.path, c.golden, c.new) for c in changes]
    assert not marked or not marked[0].follows


@pytest.mark.parametrize(
    ("golden", "new", "common"),
    [
        (1, 2, True),
        (-99, 99.0, True),
        (99, 100, False),
        (100, 1, False),
        (0.5, 1, False),
        (True, False, True),
        (None, True, True),
        ("a", "", True),
        ("a", "bc", False),
        ([], [1], True),
        ([1], [1, 2], False),
    ],
)
def test_how_common_a_value_is(golden, new, common):
    """Met at another place it is chance if both sides are common; met at the same place again it is no news."""
    first = change("Message.text", golden, new)
    assert follows(first, change("Error.message", golden, new)) == [False, not common]
    assert follows(first, change("Message.text", golden, new)) == [False, True]


def test_common_values_of_one_tool_explain_each_other():
    """A flag that turned in a call and in its output is one change; in another tool's call it is another change."""
    first, later, other = (
        Change(kind="changed", steps=steps, golden=True, new=False)
        for steps in (
            ("ToolUseStarted", "[pay", ".args", ".dry"),
            ("ToolOutput", "[pay", ".blocks"),
            ("ToolOutput", "[look", ".blocks"),
        )
    )
    assert follows(first, later, other) == [False, True, False]


def test_what_is_there_whole_follows_nothing_but_totals():
    """An added or removed event is news, whatever values it holds; of usage and the outcome a total."""
    first = change("Message.text", "one", "two")
    added = Change(kind="added", steps=("Message",), golden=MISSING, new={"text": "two"}, whole=True)
    usage_added = Change(kind="added", steps=("TokenUsage",), golden=MISSING, new={"input": 1}, whole=True)
    assert follows(first, added, replace(added, new={"text": "three"})) == [False, False, False]
    assert follows(first, usage_added) == [False, True]
    assert follows(usage_added, change("Message.text", "one", "two")) == [False, False]


def test_only_a_cause_has_followers():
    """What is marked already explains nothing by itself, and stays marked."""
    marked = replace(change("Message.text", "one", "two"), follows=True)
    assert follows(marked, change("Error.message", "one", "two")) == [True, False]
    assert follows(marked, change("Error.message", "it is one", "it is two")) == [True, False]
    quoted = change("Error.message", "it is one", "it is two")
    assert follows(change("Error.message", 300, 400), marked, quoted) == [False, True, False]


def test_only_a_changed_text_or_number_is_looked_for_in_texts():
    """Added and removed values, flags and lists explain no text: a text that holds them is a change of its own."""
    said = change("Error.message", "it is [500, 600] or True", "it is [700] or False")
    for golden, new in (([500, 600], [700]), (True, False), (MISSING, "it"), ("it", MISSING)):
        assert follows(change("Message.text", golden, new), said) == [False, False]
    gone = Change(kind="removed", steps=("Message", ".text"), golden="word", new=MISSING)
    assert follows(gone, change("Error.message", "a word", "a ")) == [False, False]
