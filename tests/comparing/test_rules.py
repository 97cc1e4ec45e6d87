"""Rules: they act before events are aligned, and a path from a report works as one."""

from __future__ import annotations

import deepdiff
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sparrow.comparing import Rules, compare
from pytest_sparrow.comparing.units import rounded
from pytest_sparrow.errors import UsageError
from pytest_sparrow.settings import Level

from .making import call, event, finished, proposes, roots, says, skill, told, usage

LINES = {"lines": [{"qty": 1, "sku": "A"}, {"qty": 2, "sku": "B"}], "note": "n"}
OTHER = {"lines": [{"qty": 9, "sku": "A"}, {"qty": 8, "sku": "B"}], "note": "n"}


def test_a_path_copied_from_a_report_settles_the_change():
    """Every path that a comparison prints, given as a rule, makes the runs equal."""
    golden, new = [proposes("c1", args=LINES), finished()], [proposes("c1", args=OTHER), finished("failed")]
    paths = {change.path for change in compare(golden, new).changes}
    assert paths == {"ToolUseProposed[refund].args['lines'][]['qty']", "RunFinished.outcome['status']"}
    assert compare(golden, new, Rules(exclude_paths=tuple(paths))).equal
    assert not compare(golden, new, Rules(exclude_paths=("RunFinished.outcome['status']",))).equal


@pytest.mark.parametrize("more", [{}, {"role": "writer"}], ids=["plain", "with a role"])
def test_a_text_that_is_left_out_may_come_in_any_number_of_pieces(more):
    """The path of a text settles it however a provider cuts it; that something was said still counts."""
    golden = [says("a", **more), says("b", **more), usage()]
    new = [says("x", **more), says("y", **more), says("z", **more), usage()]
    (path,) = {change.path for change in compare(golden, new).changes}
    assert compare(golden, new, Rules(exclude_paths=(path,))).equal
    assert not compare(golden, [usage()], Rules(exclude_paths=(path,))).equal


@pytest.mark.parametrize(
    "path",
    [
        "ToolUseProposed[refund].args['lines']",
        "ToolUseProposed.args",
        "ToolUseProposed[*].args['lines'][]['q*']",
        "*.args",
        "ToolUseProposed[refund]",
        "ToolUseProposed",
    ],
)
def test_a_path_leaves_out_what_lies_at_or_below_it(path):
    """Parents, stars, a root without its label and whole events."""
    assert compare(
        [proposes("c1", args=LINES)], [proposes("c1", args=OTHER)], Rules(exclude_paths=[path])
    ).equal


@pytest.mark.parametrize("names", [["keep", "drop"], ["drop", "keep"], ["drop"]])
def test_an_element_is_left_out_wherever_it_stands(names):
    """The first of a list, the last or the only one; the others stay."""
    golden = [proposes("c1", args={"of": [{"name": name} for name in names]})]
    new = [proposes("c1", args={"of": [{"name": name} for name in names if name != "drop"]})]
    assert not compare(golden, new).equal
    assert compare(golden, new, Rules(exclude_paths=("ToolUseProposed[refund].args['of'][drop]",))).equal
    assert not compare(golden, new, Rules(exclude_paths=("ToolUseProposed[refund].args['of'][keep]",))).equal


def test_a_path_of_another_tool_leaves_nothing_out():
    """The label must agree."""
    rules = Rules(exclude_paths=("ToolUseProposed[pay].args",))
    assert not compare([proposes("c1", args=LINES)], [proposes("c1", args=OTHER)], rules).equal


def test_rules_act_before_fingerprints():
    """Events that differ only in what is left out pair as equal: an insertion among them stays one change."""
    golden = [skill(f"{n}") if n % 2 else usage(n, n) for n in range(40)]
    new = [skill("first"), *[each if n % 2 else usage(n + 1000, n) for n, each in enumerate(golden)]]
    assert told(compare(golden, new, Rules(exclude_paths=("TokenUsage.input",)))) == [
        ("added", "SkillLearned", False)
    ]


def test_whole_types_can_be_left_out():
    """ignore_types takes an event out; its absence on one side is no change."""
    assert compare([usage(), says("x")], [says("x")], Rules(ignore_types=("TokenUsage",))).equal


def test_a_regex_is_searched_in_the_printed_path():
    """exclude_regex_paths leaves out what it finds."""
    rules = Rules(exclude_regex_paths=[r"\['qty'\]$"])
    assert compare([proposes("c1", args=LINES)], [proposes("c1", args=OTHER)], rules).equal


def test_user_functions_rewrite_and_leave_out_before_all_else():
    """An event rule gives the event to compare, or None; the next rule sees what the one before gave."""

    def without_usage(each):
        return None if each.type == "TokenUsage" else each

    def lower(each):
        return each.model_copy(update={"text": each.text.lower()}) if each.type == "ThinkingDelta" else each

    rules = Rules(event_rules=(without_usage, lower))
    assert compare([says("HELLO"), usage(1, 2)], [says("hello")], rules).equal


@settings(max_examples=100)
@given(st.floats(-1e6, 1e6), st.floats(-1e-2, 1e-2), st.integers(0, 4))
def test_significant_digits_mean_what_they_mean_in_deepdiff(number, little, digits):
    """Numbers are equal exactly where DeepDiff, given the same word, finds no difference."""
    other = number + little
    theirs = deepdiff.DeepDiff(number, other, significant_digits=digits) == {}
    assert (rounded(number, digits) == rounded(other, digits)) is theirs
    rules = Rules(significant_digits=digits)
    assert (
        compare([proposes("c", args={"x": number})], [proposes("c", args={"x": other})], rules).equal
        is theirs
    )


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([1, 2, "a", None]), max_size=4),
    st.lists(st.sampled_from([1, 2, "a", None]), max_size=4),
)
def test_ignore_order_means_what_it_means_in_deepdiff(one, other):
    """Lists are equal as multisets (DeepDiff's ignore_order with repetitions reported)."""
    theirs = deepdiff.DeepDiff(one, other, ignore_order=True, report_repetition=True) == {}
    assert (
        compare([proposes("c", args=one)], [proposes("c", args=other)], Rules(ignore_order=True)).equal
        is theirs
    )


def test_ignore_order_may_be_for_some_paths_only():
    """Order still counts everywhere else."""
    golden, new = {"tags": [1, 2], "steps": [1, 2]}, {"tags": [2, 1], "steps": [2, 1]}
    rules = Rules(ignore_order=("ToolUseProposed[refund].args['tags']",))
    comparison = compare([proposes("c", args=golden)], [proposes("c", args=new)], rules)
    assert {change.path for change in comparison.changes} == {"ToolUseProposed[refund].args['steps'][]"}


def test_trajectory_judges_what_was_done_not_what_was_said():
    """Wording, usage, outputs and reasoning may differ; an argument, a decision or a failed call may not."""
    golden = [says("a"), *call("c1", args={"n": 1}, out="x"), usage(), finished()]
    worded = [
        event("ReasoningDelta", text="r"),
        says("b"),
        *call("c1", args={"n": 1}, out="y"),
        usage(5, 5),
        finished(got=99),
    ]
    rules = Rules(level="trajectory")
    assert compare(golden, worded, rules).equal
    assert not compare(golden, [*call("c1", args={"n": 2}), finished()], rules).equal
    assert roots(
        compare(
            golden,
            [
                *call("c1", args={"n": 1})[:2],
                event("ToolOutput", id="c1", blocks=[], is_error=True),
                finished(),
            ],
            rules,
        )
    ) == [("changed", "ToolOutput[refund].is_error")]


def test_outcome_judges_only_the_end():
    """Other calls on the way are fine; another status is not."""
    rules = Rules(level=Level.OUTCOME)
    assert compare([*call("c1"), finished()], [finished()], rules).equal
    assert not compare([finished()], [finished("failed")], rules).equal


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"level": "strict"}, "exact, trajectory, outcome"),
        ({"exclude_paths": ["args[0]['x']", "a["]}, "no path|no indices|can't be read"),
        ({"exclude_paths": "TokenUsage"}, "must be a tuple"),
        ({"exclude_regex_paths": ["("]}, "no regular expression"),
        ({"significant_digits": -1}, "at least 0"),
        ({"significant_digits": True}, "at least 0"),
        ({"ignore_order": "yes"}, "must be a tuple"),
    ],
)
def test_a_wrong_rule_is_refused(wrong, said):
    """A rule that makes no sense is a usage error that says what would."""
    with pytest.raises(UsageError, match=said):
        Rules(**wrong)
