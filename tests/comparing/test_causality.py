"""What follows from what: counted, never dropped, and no independent change among it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sparrow.comparing import Change, compare, follow

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
    """That true became false twice, or 1 became 2, is chance."""
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
    """A turn that was added is one change, told by its call; a text added elsewhere is another."""
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


@settings(max_examples=60)
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
