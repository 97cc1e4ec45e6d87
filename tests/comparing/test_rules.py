"""Rules: they act before events are aligned, and a path from a report works as one."""

from __future__ import annotations

import deepdiff
import pytest
from deepdiff.operator import BaseOperator
from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.comparing import Rules, compare, request_changes
from pytest_sparrow.comparing.identity import rounded
from pytest_sparrow.errors import UsageError
from pytest_sparrow.settings import Level

from .making import call, event, finished, proposes, reported, roots, says, skill, usage

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
    assert reported(compare(golden, new, Rules(exclude_paths=("TokenUsage.input",)))) == [
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


WORDS = st.text("aAbBßİ", max_size=3)


@given(WORDS | st.dictionaries(WORDS, WORDS, max_size=1), WORDS | st.dictionaries(WORDS, WORDS, max_size=1))
def test_ignore_string_case_means_what_it_means_in_deepdiff(one, other):
    """Texts and keys that differ in case alone are equal, and nothing else is."""
    theirs = deepdiff.DeepDiff(one, other, ignore_string_case=True, ignore_private_variables=False) == {}
    rules = Rules(ignore_string_case=True)
    assert compare([proposes("c", args=[one])], [proposes("c", args=[other])], rules).equal is theirs


NUMBERS = (
    st.integers(-3, 3) | st.floats(-3, 3) | st.sampled_from([1.0, 2.0, 1 + 1e-11, 1 + 1e-13, 0.1 + 0.2, 0.3])
)


@given(NUMBERS, NUMBERS, st.none() | st.integers(0, 13))
def test_ignore_numeric_type_changes_means_what_it_means_in_deepdiff(one, other, digits):
    """Numbers are compared to 12 digits, or to as many as significant_digits says, whatever their type."""
    words = {"ignore_numeric_type_changes": True, "significant_digits": digits}
    theirs = deepdiff.DeepDiff(one, other, **words) == {}
    assert compare([proposes("c", args=[one])], [proposes("c", args=[other])], Rules(**words)).equal is theirs


def test_a_bool_is_no_number_whatever_the_rules_say():
    """JSON's true is not 1: DeepDiff, which calls them equal here, sees Python's bool."""
    rules = Rules(ignore_numeric_type_changes=True)
    assert not compare([proposes("c", args=[1])], [proposes("c", args=[True])], rules).equal


def test_case_is_ignored_beside_ids_and_in_names():
    """A text that holds an id, a tool's name, a key and JSON within a text: all without their case."""

    def run(own, name, text, key):
        return [
            *call(own, name, {key: f"{text} {own}"}),
            says(f"{text} {own}"),
            says('{"a": "' + text + '"}'),
        ]

    golden, new = run("call_a1", "Refund", "See", "Note"), run("call_B1", "refund", "see", "NOTE")
    assert not compare(golden, new).equal
    assert compare(golden, new, Rules(ignore_string_case=True)).equal
    other = [*new[:3], says("see call_B2"), *new[4:], *call("call_B2")]
    assert not compare([*golden, *call("call_a2")], other, Rules(ignore_string_case=True)).equal


def test_values_are_reported_as_they_are_though_case_is_ignored():
    """A rule changes what counts, not what is shown."""
    rules = Rules(ignore_string_case=True)
    (change,) = compare([proposes("c", args={"x": "Yes"})], [proposes("c", args={"x": "NO"})], rules).changes
    assert (change.golden, change.new) == ("Yes", "NO")


class Within:
    """Numbers are equal within a tolerance."""

    def __init__(self, tolerance, at=""):
        self.tolerance, self.at, self.paths = tolerance, at, []

    def match(self, level):
        self.paths.append(level.path())
        return level.path().endswith(self.at) and isinstance(level.t1, float) and isinstance(level.t2, float)

    def give_up_diffing(self, level, diff_instance):
        return abs(level.t1 - level.t2) <= self.tolerance


def test_a_custom_operator_settles_what_it_is_asked_of():
    """By the path that a report prints; what it doesn't settle is compared as ever."""
    golden = [proposes("c", args={"price": 1.0, "rate": 1.0, "of": [{"name": "a", "n": 1.0}, 2.5]})]
    new = [proposes("c", args={"price": 1.04, "rate": 1.04, "of": [{"name": "a", "n": 1.04}, 2.54]})]
    everywhere = Within(0.05)
    assert compare(golden, new, Rules(custom_operators=[everywhere])).equal
    assert {
        "ToolUseProposed[refund].args['price']",
        "ToolUseProposed[refund].args['of'][a]['n']",
        "ToolUseProposed[refund].args['of'][]",
    } <= set(everywhere.paths)
    paths = [
        c.path for c in compare(golden, new, Rules(custom_operators=[Within(0.05, "['price']")])).changes
    ]
    assert paths == [
        "ToolUseProposed[refund].args['rate']",
        "ToolUseProposed[refund].args['of'][a]['n']",
        "ToolUseProposed[refund].args['of'][]",
    ]


def test_a_custom_operator_acts_on_requests_and_within_json_text():
    """Wherever values are compared, by the path that is reported."""
    golden, new = ({"name": "t", "args": {"x": n, "text": f'{{"y": {n}}}'}} for n in (1.0, 1.04))
    assert [change.path for change in request_changes(golden, new)] == [
        "request.args.x",
        "request.args.text.y",
    ]
    rules = Rules(custom_operators=[Within(0.05, "request.args.text.y")])
    assert [change.path for change in request_changes(golden, new, rules)] == ["request.args.x"]


def test_a_long_list_that_an_operator_settles_is_equal():
    """However many of its values differ a little, and however many events hold one."""

    def run(n):
        return [proposes(f"call_{i}", args={"vector": [n + i] * 1_200}) for i in range(3)]

    assert compare(run(0.0), run(0.01), Rules(custom_operators=[Within(0.05)])).equal
    many = [skill(f"{n}") for n in range(250)], [skill(f"{n} ") for n in range(250)]
    assert compare(*many, Rules(custom_operators=[Stripped()])).equal


class Stripped:
    """Texts are equal without the space around them."""

    def match(self, level):
        return isinstance(level.t1, str) and isinstance(level.t2, str)

    def give_up_diffing(self, level, diff_instance):
        return level.t1.strip() == level.t2.strip()


def test_deepdiffs_own_operators_work_and_may_report():
    """An operator on DeepDiff's base class matches our paths; what the operator reports is a change at that place."""

    class Report(BaseOperator):
        def give_up_diffing(self, level, diff_instance):
            diff_instance.custom_report_result("price changed", level, {"by": level.t2 - level.t1})
            return True

    rules = Rules(custom_operators=[Report(regex_paths=[r"args\['price'\]$"])])
    golden, new = [proposes("c", args={"price": 1, "n": 1})], [proposes("c", args={"price": 3, "n": 1})]
    (change,) = compare(golden, new, rules).changes
    assert (change.path, change.golden, change.new) == ("ToolUseProposed[refund].args['price']", 1, 3)


@pytest.mark.parametrize("question", ["match", "give_up_diffing"])
def test_an_operator_that_raises_is_named(question):
    """With its class, what it was asked, and the error."""

    class Broken(Stripped):
        pass

    def fail(self, *args, **kwargs):
        raise ZeroDivisionError("no prices")

    setattr(Broken, question, fail)
    with pytest.raises(UsageError, match=rf"Broken\.{question} raised ZeroDivisionError: no prices"):
        compare([says("a")], [says("b")], Rules(custom_operators=[Broken()]))


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
        ({"ignore_string_case": 1}, "True or False"),
        ({"ignore_numeric_type_changes": "yes"}, "True or False"),
        ({"custom_operators": Within(1)}, "must be a tuple"),
        ({"custom_operators": [Within]}, "no operator.*match.level. and give_up_diffing"),
        ({"custom_operators": [len]}, "no operator"),
    ],
)
def test_a_wrong_rule_is_refused(wrong, said):
    """A rule that makes no sense is a usage error that says what would."""
    with pytest.raises(UsageError, match=said):
        Rules(**wrong)
