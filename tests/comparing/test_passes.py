"""The passes of the comparison, one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.comparing.identity import Bijection, CanonicalKeys, Ids
from pytest_sparrow.comparing.pipeline import at_level
from pytest_sparrow.comparing.units import entries, group_calls, ids_of, merge_deltas
from pytest_sparrow.events.jsontext import equal
from pytest_sparrow.settings import Level

from .making import call, event, finished, gives, proposes, runs, says, usage

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.0, -0.0, 1.0, 2.5, 1e16])
    | st.sampled_from("ab"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xy"), inner, max_size=2),
    max_leaves=6,
)


def entries_of(events):
    return list(entries(enumerate(events, start=1)))


@given(JSON, JSON)
def test_keys_are_equal_exactly_where_json_is(a, b):
    """Fingerprints follow JSON identity: true is not 1, 1 is 1.0, -0 is 0."""
    key = CanonicalKeys().key
    assert (key(a) == key(b)) is equal(a, b)
    assert (repr(key(a)) == repr(key(b))) is equal(a, b)


def test_masking_takes_what_says_when_and_where():
    """Run, lane, times and durations of an event go; the same words inside the data stay."""
    one, end = entries_of(
        [proposes("c1", args={"run": 1, "duration_ms": 2}, lane="task-1", ts=5), finished(duration_ms=9)]
    )
    assert one.body == {"name": "refund", "args": {"run": 1, "duration_ms": 2}, "risk": "Mutating"}
    assert (one.lane, one.id) == ("task-1", "c1")
    assert "duration_ms" not in end.body["outcome"]


def test_turns_begin_with_an_answer():
    """Text and proposals of one answer share a turn, and so do the events of its calls."""
    events = [
        says("a"),
        proposes("c1"),
        proposes("c2"),
        usage(),
        runs("c1"),
        gives("c2", "x"),
        gives("c1", "x"),
        says("b"),
        usage(),
    ]
    assert [entry.at.turn for entry in entries_of(events)] == [1, 1, 1, 1, 1, 1, 1, 2, 2]


def test_a_call_takes_its_events_along_into_the_lane_of_its_proposal():
    """Starts and outputs stand behind the proposal whatever lane they came from and when."""
    events = [
        proposes("c1"),
        proposes("c2"),
        says("x"),
        gives("c2", "2", lane="thread-2"),
        gives("c1", "1", lane="thread-1"),
    ]
    lanes = group_calls(entries_of(events))
    assert list(lanes) == [""]
    assert [[entry.at.event for entry in group.entries] for group in lanes[""]] == [[1, 5], [2, 4], [3]]


def test_an_id_that_is_used_again_belongs_to_the_call_that_is_still_open():
    """Providers that name every first call call_0: each output goes to its own turn's call."""
    events = [*call("call_0", args={"n": 1}), *call("call_0", args={"n": 2})]
    groups = group_calls(entries_of(events))[""]
    assert [[entry.at.event for entry in group.entries] for group in groups] == [[1, 2, 3], [4, 5, 6]]


def test_an_id_that_is_used_again_is_open_for_other_threads_too():
    """The same where the tool runs in a pool's thread: its second call_0 belongs to the second proposal."""
    turn = [
        proposes("call_0"),
        runs("call_0", lane="thread-1"),
        gives("call_0", "x", lane="thread-1"),
        usage(),
    ]
    groups = group_calls(entries_of([*turn, *turn]))[""]
    assert [len(group.entries) for group in groups] == [3, 1, 3, 1]


def test_lanes_that_use_the_same_ids_keep_their_own_calls():
    """Two lanes in which the provider says call_0 at the same time don't mix."""
    events = [
        proposes("call_0", lane="a"),
        proposes("call_0", lane="b"),
        gives("call_0", "b", lane="b"),
        gives("call_0", "a", lane="a"),
    ]
    lanes = group_calls(entries_of(events))
    assert [[entry.at.event for entry in lanes[lane][0].entries] for lane in "ab"] == [[1, 4], [2, 3]]


@pytest.mark.parametrize(
    ("first", "second", "third", "fourth"),
    [
        (
            runs("call_0", lane="t-1"),
            gives("call_0", "x", lane="t-1"),
            runs("call_0", lane="t-2"),
            gives("call_0", "y", lane="t-2"),
        ),
        (
            runs("call_0", lane="t-1"),
            runs("call_0", lane="t-2"),
            gives("call_0", "y", lane="t-2"),
            gives("call_0", "x", lane="t-1"),
        ),
        (
            runs("call_0", lane="a"),
            gives("call_0", "x", lane="a"),
            runs("call_0", lane="t-1"),
            gives("call_0", "y", lane="t-1"),
        ),
    ],
    ids=["one after the other", "side by side", "one in its own lane"],
)
def test_each_of_two_open_calls_of_one_id_gets_what_one_thread_did(first, second, third, fourth):
    """Which thread was first is chance, and so is how their events are mixed: the calls are the same."""
    proposed = [proposes("call_0", lane="a"), proposes("call_0", lane="b")]
    lanes = group_calls(entries_of([*proposed, first, second, third, fourth]))
    for lane, text in ("a", "x"), ("b", "y"):
        (group,) = lanes[lane]
        assert [entry.type for entry in group.entries] == ["ToolUseProposed", "ToolUseStarted", "ToolOutput"]
        assert group.entries[2].body["blocks"] == [{"Text": text}]


def test_what_comes_after_the_end_of_every_call_of_an_id_belongs_to_one_of_them():
    """An event more of a call that has its output stays in it: its own lane's, else the newest."""
    events = [*call("call_0"), *call("call_0"), gives("call_0", "again"), gives("call_0", "late", lane="t-1")]
    groups = group_calls(entries_of(events))[""]
    assert [len(group.entries) for group in groups] == [3, 5]


def test_an_output_without_a_proposal_stands_alone():
    """Nothing is lost where a call's proposal isn't in the run."""
    found = group_calls(entries_of([runs("c9"), gives("c9", "x")]))[""]
    assert [group.head.type for group in found] == ["ToolUseStarted", "ToolOutput"]


def test_only_what_a_call_did_goes_along_with_it():
    """Another event that carries the same id, one with a type of the future, is no part of the call."""
    other = event("Teleported", id="c1")
    assert [len(group.entries) for group in group_calls(entries_of([proposes("c1"), other]))[""]] == [1, 1]


def test_deltas_of_one_type_are_merged_at_the_first_ones_place():
    """Chunks of text become one text; text and reasoning stay apart."""
    reasons = event("ReasoningDelta", text="r")
    groups = group_calls(entries_of([says("a"), says("b"), reasons, reasons, says("c"), usage()]))[""]
    merged = [
        (group.head.type, group.head.body.get("text"), group.head.at.event) for group in merge_deltas(groups)
    ]
    assert merged == [
        ("ThinkingDelta", "ab", 1),
        ("ReasoningDelta", "rr", 3),
        ("ThinkingDelta", "c", 5),
        ("TokenUsage", None, 6),
    ]


def test_deltas_of_two_roles_stay_apart():
    """What two say after each other is no text of one of them."""
    groups = group_calls(entries_of([says("a", role="writer"), says("b", role="critic")]))[""]
    assert [group.head.body["text"] for group in merge_deltas(groups)] == ["a", "b"]


def test_ids_are_found_as_whole_words_only():
    """An id counts inside a text where it stands as a word, and only if it couldn't be a common one."""
    ids = Ids(ids_of(entries_of([proposes("call_12"), proposes("1"), proposes("refund")])))
    assert ids.within('{"id":"call_12"}, call_123, 1, refund') == ["call_12"]
    assert ids.mask("call_12 call_123") == "\x00id call_123"


def test_an_id_of_six_characters_counts_in_a_text():
    """The shortest ids that providers count up are found; what is shorter may be any word."""
    ids = Ids(ids_of(entries_of([proposes("call_0"), proposes("id_12")])))
    assert ids.within("call_0 and id_12") == ["call_0"]


def bijection():
    names = ("call_a1", "call_a2", "call_b1", "call_b2")
    return Bijection(Ids(names))


def test_a_bijection_breaks_where_one_id_answers_to_two():
    """Golden and new ids map one to one; a text that uses another id is another text."""
    ids = bijection()
    ids.declare("call_a1", "call_b1")
    ids.declare("call_a2", "call_b2")
    assert ids.same_text("see call_a1!", "see call_b1!")
    assert not ids.same_text("see call_a1!", "see call_b2!")
    assert not ids.same_text("see call_a1!", "look call_b1!")


def test_an_id_that_has_an_answer_takes_no_other():
    """Known on one side is enough: an id that nobody has met yet is another one."""
    ids = bijection()
    ids.declare("call_a1", "call_b1")
    assert not ids.same_text("see call_a1!", "see call_b2!")
    assert not ids.same_text("see call_a2!", "see call_b1!")
    assert ids.same_text("see call_a2!", "see call_b2!")


def test_an_id_that_is_used_again_means_what_it_meant_last():
    """Both of the older pair are free again, on either side."""
    ids = bijection()
    ids.declare("call_a1", "call_b1")
    ids.declare("call_a1", "call_b2")
    assert not ids.same_text("see call_a1!", "see call_b1!")
    assert ids.same_text("see call_a2!", "see call_b1!")
    ids = bijection()
    ids.declare("call_a1", "call_b1")
    ids.declare("call_a2", "call_b1")
    assert not ids.same_text("see call_a1!", "see call_b1!")
    assert ids.same_text("see call_a1!", "see call_b2!")


@pytest.mark.parametrize(
    ("level", "types"),
    [
        (
            Level.EXACT,
            [
                "ThinkingDelta",
                "ToolUseProposed",
                "ToolUseStarted",
                "ToolOutput",
                "TestResult",
                "TokenUsage",
                "TestResult",
                "RunFinished",
            ],
        ),
        (
            Level.TRAJECTORY,
            ["ToolUseProposed", "ToolUseStarted", "ToolOutput", "TestResult", "TestResult", "RunFinished"],
        ),
        (Level.OUTCOME, ["TestResult", "RunFinished"]),
    ],
)
def test_each_level_looks_at_its_types(level, types):
    """Levels keep what their definition says, and no field more."""
    tests = [event("TestResult", passed=n, failed=0, detail="d") for n in (1, 2)]
    events = [says("x"), *call("c1"), tests[0], usage(), tests[1], finished()]
    kept = list(at_level(entries_of(events), level))
    assert [entry.type for entry in kept] == types
    if level is not Level.EXACT:
        assert set(kept[-1].body["outcome"]) == {"status", "diffs"}
        assert kept[-2].body == {"passed": 2, "failed": 0}
    if level is Level.TRAJECTORY:
        assert kept[2].body == {"is_error": False}
