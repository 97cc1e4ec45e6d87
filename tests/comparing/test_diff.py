"""DeepDiff as the engine: loaded at the first difference, bounded in what it walks, gone from what is returned."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_sparrow.comparing import DiffBudget, Rules, compare, json_changes, request_changes

from .making import call, event


def test_deepdiff_is_loaded_at_the_first_difference_only():
    """Importing the room, equal runs, and an added or missing event load no engine; a changed value loads it."""
    code = """
import sys
from pytest_sparrow.comparing import compare, request_changes
from pytest_sparrow.events import parse_event
one, same, other = (parse_event({"type": "SkillLearned", "run": "r", "name": n}) for n in "aab")
assert compare([one], [same]).equal and not compare([one], [one, other]).equal
assert not request_changes({"name": "t", "args": {}, "id": "1"}, {"name": "t", "args": {}, "id": "2"})
assert "deepdiff" not in sys.modules
assert not compare([one], [other]).equal
assert "deepdiff" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_beyond_two_hundred_pairs_fields_are_reported_whole():
    """Each field that differs is one change, at a path that settles it as a rule; what follows still follows."""

    def run(more):
        return [
            each for n in range(250) for each in call(f"c{n}", f"tool_{n}", {"n": 1000 * n + more, "of": 1})
        ]

    comparison = compare(run(0), run(500))
    paths = [change.path.partition("]")[2] for change in comparison.changes]
    assert paths == [".args['n']"] * 200 + [".args"] * 300
    assert (comparison.changes[-1].golden, comparison.changes[-1].new) == (
        {"n": 249_000, "of": 1},
        {"n": 249_500, "of": 1},
    )
    assert len(comparison.roots) == 250
    assert compare(run(0), run(500), Rules(exclude_paths=("ToolUse*.args",))).equal


def test_requests_may_share_one_budget():
    """What many drifted requests cost is bounded as well."""
    budget = DiffBudget(pairs=1)
    sides = [{"name": "t", "args": {"n": n}} for n in (1, 2)]
    assert [change.path for change in request_changes(*sides, budget=budget)] == ["request.args.n"]
    assert [change.path for change in request_changes(*sides, budget=budget)] == ["request.args"]


@pytest.mark.parametrize(
    ("golden", "new"),
    [
        ({f"k{n}": n for n in range(10_000)}, {f"k{n}": n + 1 for n in range(10_000)}),
        ([{"n": n} for n in range(8_000)], [{"n": -n - 1} for n in range(8_000)]),
        ({"data": list(range(10_000))}, {"data": list(range(1, 20_000, 2))}),
    ],
    ids=["keys", "objects", "numbers"],
)
def test_what_differs_in_thousands_of_places_is_reported_as_one_change(golden, new):
    """A value is walked as far as a reader could follow."""
    assert len(json_changes(golden, new, root="request")) == 1


def test_many_values_within_many_events_are_bounded_together():
    """The levels that are walked are counted over the whole comparison."""

    def run(more):
        return [*(event("Teleported", **{f"k{n}": n + more for n in range(600)}) for _ in range(20))]

    comparison = compare(run(0), run(1))
    assert 4_500 <= len(comparison.changes) <= 5_100


def test_values_that_only_count_as_equal_are_no_change_however_many():
    """Thousands of elements that differ in renamed ids alone are still the same elements."""

    def messages(own):
        return {
            "messages": [
                {"role": "tool", "tool_call_id": f"call_{own}{n}", "content": f"said call_{own}{n}"}
                for n in range(2_000)
            ]
        }

    sides = [{"method": "POST", "url": "http://h/", "body": {"json": messages(own)}} for own in "ab"]
    assert not request_changes(*sides, of_model=True)


def test_a_deep_value_is_walked():
    """As deep as an event may be."""

    def deep(value):
        for _ in range(90):
            value = {"a": [value]}
        return value

    (change,) = json_changes(deep(1), deep(2), root="request")
    assert (change.golden, change.new, len(change.steps)) == (1, 2, 181)


def test_double_underscores_and_unlike_objects_are_compared():
    """Where DeepDiff by itself would skip a key, or tell two objects as one change, ours goes on."""
    changes = json_changes({"__a": 1, "b": 1}, {"__a": 2, "c": 1, "d": 2, "e": 3}, root="request")
    assert [change.path for change in changes] == [
        "request.__a",
        "request.b",
        "request.c",
        "request.d",
        "request.e",
    ]


def test_results_hold_nothing_of_deepdiff():
    """A change is ours, down to the steps of its path."""
    comparison = compare(call("c1", args={"a": [1, {"b": 2}]}), call("c1", args={"a": [1, {"b": 3}], "n": 1}))
    for change in comparison.changes:
        assert {type(step) for step in change.steps} == {str}
        for value in (change.golden, change.new):
            assert type(value).__module__ in ("builtins", "pytest_sparrow.comparing.result")
