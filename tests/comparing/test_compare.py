"""Whole comparisons: what counts as equal, and what as one change."""

from __future__ import annotations

import itertools
import pickle

import pytest
from full import FULL
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_sparrow.comparing import MISSING, Position, Rules, compare
from pytest_sparrow.events import dump_event, parse_event

from .making import (
    RUN,
    all_transcripts,
    call,
    event,
    finished,
    gives,
    load,
    proposes,
    renamed,
    reported,
    roots,
    runs,
    says,
    skill,
    usage,
)

CALLS = 7_000 if FULL else 1_500

REFUND = [
    event("RunStarted", task="refund 1234", agent="support"),
    says("let me see"),
    proposes("call_a1", "refund", {"amount": 39.99, "id": "1234"}),
    usage(),
    runs("call_a1", "refund", {"amount": 39.99, "id": "1234"}),
    gives("call_a1", {"ticket": "T-1"}),
    says("Refunded 39.99."),
    event("Message", role="assistant", text="Refunded 39.99."),
    usage(20, 7),
    finished(given=30, got=12),
]


def afresh(events):
    """The same events as other objects."""
    return [parse_event(dump_event(each)) for each in events]


@pytest.mark.parametrize("run", all_transcripts())
def test_a_run_equals_itself(run):
    """Every committed transcript is equal to itself, read again, at every level."""
    events = load(run)
    for level in ("exact", "trajectory", "outcome"):
        comparison = compare(events, afresh(events), Rules(level=level))
        assert comparison.equal
        assert comparison


@pytest.mark.parametrize("run", all_transcripts())
def test_one_inserted_event_is_one_change_wherever_it_stands(run):
    """An event of its own put in anywhere is exactly one insertion, and taken out exactly one removal."""
    events = load(run)
    for at in range(0, len(events), max(len(events) // (25 if FULL else 8), 1)):
        # Between two deltas it would rightly cut a text in two.
        if at and events[at - 1].type == events[at].type:
            continue
        longer = [*events[:at], skill("a new one"), *events[at:]]
        added = compare(events, longer)
        assert [(change.kind, change.path, change.new_at.event) for change in added.changes] == [
            ("added", "SkillLearned", at + 1)
        ]
        assert (added.inserted, added.removed) == (1, 0)
        taken = compare(longer, events)
        assert (taken.inserted, taken.removed, len(taken.changes)) == (0, 1, 1)


def test_one_event_in_front_of_three_thousand_is_one_insertion():
    """The issue's own measure."""
    events = [says(f"text {n}") if n % 2 else skill(f"skill {n}") for n in range(3_000)]
    comparison = compare(events, [skill("first"), *events])
    assert reported(comparison) == [("added", "SkillLearned", False)]


def test_a_thousand_events_that_all_differ_are_paired_one_by_one():
    """Nothing in common: each event is a change of its own kind, none is removed and added."""
    golden = [says(f"text {n}") if n % 2 else skill(f"skill {n}") for n in range(1_000)]
    new = [says(f"other {n}") if n % 2 else skill(f"other {n}") for n in range(1_000)]
    comparison = compare(golden, new)
    assert {change.kind for change in comparison.changes} == {"changed"}
    assert len(comparison.changes) == 1_000


def test_a_hundred_changes_in_thousands_of_events_are_a_hundred():
    """A big run with few changes is reported exactly."""
    golden = list(
        itertools.chain.from_iterable(
            call(f"call_{n:05}", args={"n": n}, out=f"out {n}") for n in range(CALLS)
        )
    )
    new = list(golden)
    for n in range(0, CALLS, CALLS // 100):
        new[3 * n + 2] = gives(f"call_{n:05}", f"changed {n}")
    comparison = compare(golden, new)
    assert roots(comparison) == [("changed", "ToolOutput[refund].blocks[]['Text']")] * 100


PARTS = st.sampled_from(["say", "call", "pair", "usage", "skill", "approve"])


@st.composite
def some_run(draw, least=0):
    """A run of answers, calls (some in parallel) and the rest, with ids of its own."""
    events = [event("RunStarted", task="t", agent="a")]
    for n, part in enumerate(draw(st.lists(PARTS, min_size=least, max_size=8))):
        own, other = f"call_{n}_a", f"call_{n}_b"
        args = {"n": draw(st.integers(0, 2))}
        match part:
            case "say":
                known = [each.id for each in events if each.type == "ToolUseProposed"]
                events += [says(f"I think {n}, see {known[-1:]}"), usage()]
            case "call":
                events += call(own, "look", args, f"found by {own}")
            case "pair":
                events += [
                    proposes(own, "look", args),
                    proposes(other, "look", {"n": n}),
                    runs(other, "look", {"n": n}),
                ]
                events += [runs(own, "look", args), gives(other, "x"), gives(own, f"y {own}")]
            case "approve":
                events += [
                    proposes(own, "pay", args),
                    event("ApprovalRequested", id=own, summary=f"pay {own}?"),
                ]
                events += [event("ApprovalResolved", id=own, decision="Allow"), gives(own, "paid")]
            case "usage":
                events.append(usage(n, n))
            case "skill":
                events.append(skill(f"s{n}"))
    return [*events, finished()]


@given(some_run())
def test_other_ids_change_nothing(events):
    """Ids are new in every run: renamed one to one, also inside texts, a run is the same run."""
    other = renamed(events, **{"call_": "toolu_x", "run-0001": "run-0002"})
    comparison = compare(events, other)
    assert comparison.equal, reported(comparison)


@given(some_run(least=1), some_run(least=1))
def test_what_differs_one_way_differs_the_other_way(one, other):
    """Equal is symmetric; wherever something differs, something is reported that follows from nothing."""
    there, back = compare(one, other), compare(other, one)
    assert there.equal is back.equal
    assert there.equal or (there.roots and back.roots)
    assert bool(there) is there.equal


@given(some_run(least=1), st.data())
def test_a_missing_event_is_missing_whole(events, data):
    """Taking out one event with its call's others leaves one change that follows from nothing."""
    at = data.draw(st.integers(0, len(events) - 1))
    gone = events[at]
    # Two texts that nothing parts any more are one text.
    assume(gone.type != "TokenUsage" or {events[at - 1].type, events[at + 1].type} != {"ThinkingDelta"})
    own_id = getattr(gone, "id", None)
    kept = [
        each
        for n, each in enumerate(events)
        if n != at and (own_id is None or getattr(each, "id", None) != own_id)
    ]
    comparison = compare(events, kept)
    assert len(comparison.roots) == 1, reported(comparison)
    assert comparison.roots[0].kind == "removed"
    assert comparison.inserted == 0


def test_the_same_event_once_more_has_not_moved():
    """An event that both runs hold stays where it is; one more of its kind is added, one less removed."""
    once, twice = [skill("a"), usage()], [skill("a"), usage(), skill("a")]
    assert reported(compare(once, twice)) == [("added", "SkillLearned", False)]
    assert reported(compare(twice, once)) == [("removed", "SkillLearned", False)]


def test_changes_are_reported_in_the_order_of_the_run():
    """What is new stands behind what came before it in its lane, or in the run where its lane begins with it."""
    golden = [skill("a"), says("b"), usage(), event("Error", message="c")]
    new = [
        event("Teleported", at=1),
        skill("a!"),
        event("Teleported", at=2),
        event("Teleported", at=3),
        says("b!"),
        skill("new", lane="task-1"),
        usage(),
        event("Teleported", at=4, lane="task-1"),
        skill("other", lane="task-2"),
        event("Error", message="c!"),
    ]
    changes = compare(golden, new).changes
    assert [change.new_at.event for change in changes] == [1, 2, 3, 4, 5, 6, 8, 9, 10]


def test_parallel_calls_may_finish_in_any_order():
    """Order of completion is chance: only the order of proposal counts."""
    proposed = [proposes("c1", args={"n": 1}), proposes("c2", args={"n": 2})]
    events = [runs("c1", args={"n": 1}), runs("c2", args={"n": 2}), gives("c1", "one"), gives("c2", "two")]
    for order in itertools.permutations(events):
        # A call starts before it gives its output.
        if order.index(events[0]) < order.index(events[2]) and order.index(events[1]) < order.index(
            events[3]
        ):
            assert compare([*proposed, *events], [*proposed, *order]).equal


def test_outputs_of_parallel_calls_that_are_swapped_are_two_changes():
    """What one call returned is never taken for the other's."""
    proposed = [proposes("c1", args={"n": 1}), proposes("c2", args={"n": 2})]
    comparison = compare(
        [*proposed, gives("c1", "one"), gives("c2", "two")],
        [*proposed, gives("c1", "two"), gives("c2", "one")],
    )
    path = "ToolOutput[refund].blocks[]['Text']"
    assert [(c.path, c.golden, c.new) for c in comparison.changes] == [
        (path, "one", "two"),
        (path, "two", "one"),
    ]


def test_calls_proposed_in_another_order_have_moved():
    """The same calls in another order: one of them moved, nothing is removed or added."""
    one, other = call("c1", "look"), call("c2", "pay")
    comparison = compare([*one, *other], [*other, *one])
    assert [change.kind for change in comparison.changes] == ["moved"]
    assert (comparison.inserted, comparison.removed) == (0, 0)


def test_chunks_of_a_text_do_not_count():
    """How a text was cut into deltas means nothing."""
    assert compare(
        [says("Hello "), says("world"), usage()], [says("Hel"), says("lo wor"), says("ld"), usage()]
    ).equal


def test_another_argument_is_reported_once_with_both_values():
    """The refund: one change with its path, its values and its places; the rest follows from it."""
    new = [
        *REFUND[:4],
        runs("call_a1", "refund", {"amount": 139.99, "id": "1234"}),
        gives("call_a1", "no recorded answer", is_error=True),
        says("Refunded 139.99."),
        event("Message", role="assistant", text="Refunded 139.99."),
        usage(21, 7),
        finished("failed", given=31, got=12),
    ]
    comparison = compare(REFUND, new)
    (root,) = comparison.roots
    assert root.path == "ToolUseStarted[refund].args['amount']"
    assert (root.golden, root.new) == (39.99, 139.99)
    assert root.golden_at == root.new_at == Position(5, 1)
    assert (comparison.golden_count, comparison.golden_turns) == (10, 2)
    assert {change.subject for change in comparison.followers} == {
        "ToolOutput", "ThinkingDelta", "Message", "TokenUsage", "RunFinished",
    }  # fmt: skip


def test_a_call_left_out_takes_its_events_along():
    """A skipped call is one change; what was said around it and its own events follow."""
    comparison = compare(REFUND, [REFUND[0], *REFUND[6:]])
    assert roots(comparison) == [("removed", "ToolUseProposed[refund]")]
    assert comparison.roots[0].new is MISSING


def test_a_call_that_answers_to_another_id_in_a_text_is_a_change():
    """A text that names one call and now names another has changed, though ids are masked."""
    golden = [*call("call_a1", "look"), *call("call_a2", "pay"), says("as call_a1 said")]
    same = [*call("call_b1", "look"), *call("call_b2", "pay"), says("as call_b1 said")]
    other = [*same[:-1], says("as call_b2 said")]
    assert compare(golden, same).equal
    assert [(c.path, c.new) for c in compare(golden, other).changes] == [
        ("ThinkingDelta.text", "as call_b2 said")
    ]
    otherwise = [*same[:-1], says("as call_b1 reported")]
    assert [(c.path, c.new) for c in compare(golden, otherwise).changes] == [
        ("ThinkingDelta.text", "as call_b1 reported")
    ]


@pytest.mark.parametrize(("gone", "kind"), [(1, "ToolUseStarted"), (2, "ToolOutput")])
def test_an_event_of_a_call_that_is_missing_is_a_change(gone, kind):
    """A call that never started, or gave nothing, is not the same call, though all else of it is equal."""
    whole = call("c1")
    part = [each for place, each in enumerate(whole) if place != gone]
    assert reported(compare(whole, part)) == [("removed", f"{kind}[refund]", False)]
    assert reported(compare(part, whole)) == [("added", f"{kind}[refund]", False)]


def test_a_text_that_names_another_id_than_the_run_s_has_changed():
    """A run's id means the new run's, wherever it stands."""
    golden = [says(f"wrote {RUN}.txt"), *call("call_a1")]
    new = renamed(golden, **{RUN: "run-0002", "call_a1": "call_b1"})
    assert compare(golden, new).equal
    other = renamed(golden[:1], **{f"wrote {RUN}": "wrote call_b1", f'"{RUN}"': '"run-0002"'})
    assert reported(compare(golden, [*other, *new[1:]])) == [("changed", "ThinkingDelta.text", False)]


def test_ids_are_no_change_beside_one():
    """Where something of an event has changed, the ids in its other texts, keys and lists are still the same."""

    def run(own, n):
        return [*call(own, "look"), gives("other", {"said": f"as {own} said", own: [own, "x"], "n": n})]

    comparison = compare(run("call_a1", 1), run("call_b1", 2))
    assert reported(comparison) == [("changed", "ToolOutput.blocks[]['Json']['n']", False)]


def test_a_text_put_in_front_of_a_list_is_one_change():
    """Texts of a list are paired by their words, in an event as in a request."""
    texts = [f"text {n}" for n in range(5)]
    comparison = compare([gives("call_a1", texts)], [gives("call_b1", ["first", *texts])])
    assert [(c.kind, c.new) for c in comparison.changes] == [("added", "first")]


def test_values_differ_by_json_identity():
    """True is not 1, 1 is 1.0."""
    assert compare(call("c1", args={"n": 1}), call("c1", args={"n": 1.0})).equal
    assert not compare(call("c1", args={"n": 1}), call("c1", args={"n": True})).equal


def test_unknown_events_are_compared_too():
    """An event of a type from the future counts like any other; its run and lane are masked."""
    golden = parse_event({"type": "Teleported", "run": "r", "to": {"x": 1}})
    other = parse_event({"type": "Teleported", "run": "q", "to": {"x": 2}})
    assert compare([golden], [parse_event({"type": "Teleported", "run": "q", "to": {"x": 1}})]).equal
    assert reported(compare([golden], [other])) == [("changed", "Teleported.to['x']", False)]


def test_a_comparison_survives_pickling():
    """Results travel between the processes of pytest-xdist; MISSING stays MISSING."""
    comparison = compare(REFUND, REFUND[:5])
    again = pickle.loads(pickle.dumps(comparison))
    assert again == comparison
    assert again.changes[0].new is MISSING


def test_an_independent_change_is_never_called_a_follower():
    """Two arguments of two calls that change by values of their own are two changes."""
    golden = [*call("c1", "look", {"n": 1}), *call("c2", "pay", {"sum": 10.5, "now": True})]
    new = [*call("c1", "look", {"n": 2}), *call("c2", "pay", {"sum": 11.5, "now": False})]
    assert roots(compare(golden, new)) == [
        ("changed", "ToolUseProposed[look].args['n']"),
        ("changed", "ToolUseProposed[pay].args['sum']"),
        ("changed", "ToolUseProposed[pay].args['now']"),
    ]


def test_an_image_that_differs_is_one_change():
    """A list of plain values that differs in many places is reported as one change."""

    def image(seed):
        return event(
            "ToolOutput",
            id="c1",
            blocks=[{"Image": {"mime": "image/png", "data": [(n * seed) % 251 for n in range(500)]}}],
        )

    assert reported(compare([image(3)], [image(7)])) == [
        ("changed", "ToolOutput.blocks[]['Image']['data']", False)
    ]


def message(text):
    return [event("Message", role="assistant", text=text)]


@pytest.mark.parametrize(
    ("former", "other", "later"),
    [
        (call("c1", args={"a": 1, "n": 1}), call("c2", args={"b": 2}), call("c3", args={"a": 1, "n": 2})),
        (call("c1", args=[[1, 2], 3]), call("c2", args=[[4, 5], 6]), call("c3", args=[[1, 2], 6])),
        (
            call("c1", args={"x": {"y": "a b c"}}),
            call("c2", args={"x": {"y": "d e"}}),
            call("c3", args={"x": {"y": "a b d"}}),
        ),
        (call("c1", args=1, out="it"), call("c2", args=2, out="none"), call("c3", args=3, out="it")),
        (message("a b c d"), message("a b c d " + "and so on for ever and ever, amen"), message("a b c e")),
    ],
    ids=["arguments", "lists", "words", "output", "words in proportion"],
)
def test_the_unit_that_shares_most_with_a_former_one_is_that_one_changed(former, other, later):
    """Of two units of one kind the less similar is the added one, though it comes first."""
    comparison = compare(former, [*other, *later])
    added = [change for change in comparison.changes if change.kind == "added" and change.whole]
    assert [change.new for change in added] == [change.new for change in compare([], other).changes]


@pytest.mark.parametrize(
    ("golden", "new"),
    [
        ([*message("a"), *message("b")], message("ab")),
        ([says("a", mood="calm"), says("b", mood="calm")], [says("a", mood="angry"), says("b", mood="calm")]),
        ([says("a"), says("b", mood="calm")], [says("a"), says("b", mood="angry")]),
        (
            [event("ThinkingDelta", text=1), event("ThinkingDelta", text=2)],
            [event("ThinkingDelta", text=1)] * 2,
        ),
    ],
    ids=["messages", "a field of the first", "a field of the last", "no text"],
)
def test_merging_hides_nothing(golden, new):
    """Only texts that come in pieces are put together: whole messages and fields beside a text still count."""
    assert not compare(golden, new).equal
    assert compare(golden, afresh(golden)).equal
