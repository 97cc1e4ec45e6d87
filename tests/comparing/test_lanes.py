"""Lanes: paired by what happened in them, never by their number."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.comparing import compare

from .making import call, event, proposes, reported, roots, runs, says, skill, usage


def route(**more):
    return event("RouteSelected", chain=["m"], context_window=0, **more)


def strand(number, lane):
    """What one task does: two calls of its own and an answer."""
    own = f"call_{number}x"
    return [
        *call(f"{own}1", "look", {"n": number}, f"saw {number}", lane=lane),
        *call(f"{own}2", "pay", {"n": number}, "ok", lane=lane),
        says(f"done {number}", lane=lane),
    ]


def mixed(strands, rng):
    """The strands woven together at random, each in its own order."""
    left = [list(each) for each in strands if each]
    woven = []
    while left:
        each = rng.choice(left)
        woven.append(each.pop(0))
        left = [each for each in left if each]
    return woven


@given(st.randoms(use_true_random=False), st.integers(2, 6))
def test_tasks_may_run_in_any_order(rng, count):
    """Whatever number a task's lane got and however tasks were interleaved, the run is the same."""
    names = rng.sample(range(1, count + 1), count)
    golden = mixed([strand(n, f"task-{n}") for n in range(count)], rng)
    new = mixed([strand(n, f"task-{names[n]}") for n in range(count)], rng)
    comparison = compare(golden, new)
    assert comparison.equal, reported(comparison)


def test_a_change_in_one_task_stays_in_it():
    """One task of many does something else: that is reported, the others pair as before."""
    golden = mixed([strand(n, f"task-{n}") for n in range(6)], random.Random(1))
    changed = [*strand(3, "task-9")[:-1], says("done otherwise", lane="task-9")]
    new = mixed([changed, *(strand(n, f"task-{8 - n}") for n in range(6) if n != 3)], random.Random(2))
    comparison = compare(golden, new)
    assert [(c.path, c.golden, c.new) for c in comparison.changes] == [
        ("ThinkingDelta.text", "done 3", "done otherwise")
    ]


def in_lanes(*lanes, last="two"):
    """Two questions to one model, each in a lane."""
    first, second = lanes
    more = [] if first == second or not first else [route(lane=second)]
    return [route(lane=first), says("one", lane=first), *more, says(last, lane=second)]


@pytest.mark.parametrize("new", [("task-1", "task-1"), ("task-1", "task-2"), ("work-1", "task-1.1")])
def test_the_same_in_other_strands_is_the_same(new):
    """``asyncio.run(ask())`` or ``to_thread(ask)`` for ``ask()``: what is done in one order is the same behaviour."""
    assert reported(compare(in_lanes("", ""), in_lanes(*new))) == []
    assert reported(compare(in_lanes(*new), in_lanes("", ""))) == []
    changes = compare(in_lanes("", ""), in_lanes(*new, last="three")).changes
    assert [change.path for change in changes] == ["ThinkingDelta.text"]


def test_order_within_a_task_counts():
    """A lane is sequential: two calls of one task in another order are a change."""
    one, other = call("c1", "look", lane="task-1"), call("c2", "pay", lane="task-1")
    assert reported(compare([*one, *other], [*other, *one])) == [("moved", "ToolUseProposed[look]", False)]


@given(st.randoms(use_true_random=False), st.integers(2, 8), st.integers(1, 4), st.integers(1, 4))
def test_threads_of_an_executor_may_share_calls_in_any_way(rng, calls, golden_threads, new_threads):
    """Which thread of a pool takes which call, and how many threads it used, is chance."""

    def pooled(threads):
        lanes = {}
        for n in rng.sample(range(calls), calls):
            lane = f"thread-{rng.randrange(threads) + 1}"
            turn = [says(f"answer {n}", lane=lane), usage(n, n, lane=lane)]
            lanes.setdefault(lane, [route(lane=lane)]).extend(
                [*call(f"call_{n}y", "look", {"n": n}, lane=lane), *turn]
            )
        return mixed(lanes.values(), rng)

    comparison = compare(pooled(golden_threads), pooled(new_threads))
    assert comparison.equal, reported(comparison)


def test_a_changed_call_in_a_pool_is_one_change():
    """Among the calls of a pool, shared otherwise, the one that changed pairs with its former self."""
    golden = [
        each
        for n in range(6)
        for each in call(f"c{n}", "look", {"n": n, "of": "x"}, lane=f"thread-{n % 2 + 1}")
    ]
    new = [
        each
        for n in reversed(range(6))
        for each in call(f"c{n}", "look", {"n": 77 if n == 4 else n, "of": "x"}, lane=f"thread-{n % 3 + 1}")
    ]
    (root,) = compare(golden, new).roots
    assert (root.path, root.golden, root.new) == ("ToolUseProposed[look].args['n']", 4, 77)


def test_a_tool_that_ran_in_another_thread_belongs_to_its_proposal():
    """Proposed in the main lane, run in a pool: which thread it was, or whether it was one, doesn't count."""
    golden = [proposes("c1"), runs("c1", lane="thread-1"), says("x")]
    assert compare(golden, [proposes("c1"), says("x"), runs("c1", lane="thread-7")]).equal
    assert compare(golden, [proposes("c1"), runs("c1"), says("x")]).equal


def test_a_lane_that_is_missing_is_reported_event_by_event():
    """A task that no longer runs is missing whole, and nothing else changed."""
    golden = [*strand(1, "task-1"), *strand(2, "task-2")]
    comparison = compare(golden, strand(2, "task-1"))
    assert comparison.removed == len(strand(1, ""))
    assert comparison.inserted == 0
    assert all(change.whole for change in comparison.changes)


def test_another_route_in_a_pool_is_a_change():
    """How many threads tell their route is chance; which routes they tell is not."""

    def pool(chain, *lanes):
        return [
            says("go"),
            *[event("RouteSelected", chain=chain, context_window=0, lane=lane) for lane in lanes],
        ]

    assert compare(pool(["m"], "thread-1", "thread-2"), pool(["m"], "thread-1")).equal
    assert reported(compare(pool(["m"], "thread-1"), pool(["other"], "thread-1"))) != []


@pytest.mark.parametrize("lanes", [("thread-1", "thread-2"), ("task-1", "task-2")])
def test_a_text_that_names_the_call_of_another_lane_has_changed(lanes):
    """Calls of equal lanes still say which id means which: a text elsewhere is held to it."""
    one, other = lanes

    def run(look, pay, named):
        calls = [*call(look, "look", lane=one), *call(pay, "pay", lane=other)]
        return [*calls, says(f"as {named} said")]

    golden = run("call_a1", "call_a2", "call_a1")
    assert compare(golden, run("call_b1", "call_b2", "call_b1")).equal
    assert roots(compare(golden, run("call_b1", "call_b2", "call_b2"))) == [("changed", "ThinkingDelta.text")]


def test_a_change_in_one_thread_is_reported_beside_threads_that_are_equal():
    """Threads that did the same are settled; the others are compared all the same, wherever they stand."""
    equal = [skill("a", lane="thread-1"), skill("c", lane="thread-3")]
    golden, new = ([equal[0], skill(name, lane="thread-2"), equal[1]] for name in ("b", "b!"))
    assert [(change.golden, change.new) for change in compare(golden, new).changes] == [("b", "b!")]


def test_what_stands_outside_a_turn_may_be_shared_in_any_way():
    """Events of a pool that belong to no answer of a model: which thread tells which is chance."""

    def pool(*threads):
        return [skill(f"s{n}", lane=f"thread-{thread}") for n, thread in enumerate(threads)]

    assert compare(pool(1, 1, 2, 2), pool(1, 2, 1, 2)).equal


def test_order_within_a_turn_of_a_pool_counts():
    """Turns of a pool come in any order; what one answer proposed has an order."""

    def answer(*names):
        return [proposes(f"c_{name}", name, lane="thread-1") for name in names]

    comparison = compare(answer("look", "pay"), answer("pay", "look"))
    assert {change.kind for change in comparison.changes} == {"moved"}


@pytest.mark.parametrize(
    ("golden", "new"),
    [
        (
            [says("ann", lane="ann"), says("bob", lane="bob")],
            [says("bob!", lane="bob"), says("ann!", lane="ann")],
        ),
        (
            [
                *call("c1", args={"n": 1}, out="one", lane="task-1"),
                *call("c2", args={"n": 2}, out="two", lane="task-2"),
            ],
            [
                *call("c3", args={"n": 2}, out="two!", lane="task-1"),
                *call("c4", args={"n": 1}, out="one!", lane="task-2"),
            ],
        ),
        (
            [says("said", lane="task-1"), skill("learned", lane="task-2")],
            [skill("learned!", lane="task-1"), says("said!", lane="task-2")],
        ),
    ],
    ids=["a name that someone gave", "the same calls", "events of the same kind"],
)
def test_lanes_that_changed_are_paired_by_what_they_still_share(golden, new):
    """Each change is reported against the lane's former self, not as one lane gone and another one new."""
    changes = compare(golden, new).changes
    assert [change.kind for change in changes] == ["changed"] * 2
    assert all(change.new == f"{change.golden}!" for change in changes)
