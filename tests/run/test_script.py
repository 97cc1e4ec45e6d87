"""From events to turns: where an answer ends, and what belongs to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_sparrow.findings import Finding, Kind
from pytest_sparrow.providers.codec import Proposal, Usage
from pytest_sparrow.report.words import title
from pytest_sparrow.run.whatif.script import UnreadableEvent, read_script
from pytest_sparrow.store import FsRecorder
from run.making import (
    answer,
    approve,
    call,
    error,
    event,
    gave,
    propose,
    reason,
    said,
    start,
    think,
    thought,
    used,
)

TRANSCRIPTS = Path(__file__).parents[1] / "data" / "transcripts"

CASES = {
    "deltas of one kind are joined": (
        [reason("h"), reason("m"), think("a"), think("b"), think("")],
        [answer(thought("hm"), "ab")],
    ),
    "kinds keep their order": (
        [think("a"), reason("b"), think("c"), propose("1"), think("d")],
        [answer("a", thought("b"), "c", call("1"), "d")],
    ),
    "a message ends a turn and repeats its text": (
        [think("a"), said("a"), think("b"), said("b")],
        [answer("a"), answer("b")],
    ),
    "a message without deltas is the text": ([said("a"), said("b")], [answer("a"), answer("b")]),
    "a message after the usage is the same turn's": (
        [think("a"), used(1, 2), said("a")],
        [answer("a", usage=(1, 2))],
    ),
    "a message after a call's output is another turn's": (
        [think("a"), propose("1"), gave("1"), said("b")],
        [answer("a", call("1")), answer("b")],
    ),
    "other roles say nothing": ([said("hi", role="user"), think("a")], [answer("a")]),
    "calls side by side are one turn, calls after an output another": (
        [propose("1"), propose("2"), start("1"), start("2"), gave("2"), gave("1"), propose("3")],
        [answer(call("1"), call("2")), answer(call("3"))],
    ),
    "an approval ends a turn": (
        [propose("1"), approve("1", "AllowOnce"), think("a")],
        [answer(call("1")), answer("a")],
    ),
    "usage after the tools is the turn's": (
        [propose("1"), start("1"), gave("1"), used(3, 4), think("a")],
        [answer(call("1"), usage=(3, 4)), answer("a")],
    ),
    "usage for several turns is the last one's": (
        [propose("1"), gave("1"), propose("2"), gave("2"), used(3, 4)],
        [answer(call("1")), answer(call("2"), usage=(3, 4))],
    ),
    "an error alone is a turn": (
        [think("a"), said("a"), error("no"), think("b")],
        [answer("a"), answer(failure="no"), answer("b")],
    ),
    "an error within an answer ends it": (
        [think("a"), error("it broke"), think("b")],
        [answer("a", failure="it broke"), answer("b")],
    ),
    "a route, a switch, an agent, a compaction begin something new": (
        [
            think("a"),
            event("RouteSelected", chain=["m"], context_window=0),
            think("b"),
            event("ModelSwitched", **{"from": "m", "to": "n", "reason": "x"}),
            think("c"),
            event("AgentSpawned", role="r", model="m"),
            think("d"),
            event("Compacted", before_chars=2, after_chars=1, handoff_path=None),
            think("e"),
        ],
        [answer("a"), answer("b"), answer("c"), answer("d"), answer("e")],
    ),
    "lanes don't cut one another": (
        [think("a", lane="work-1"), think("b"), propose("1", lane="work-1"), think("c")],
        [answer("a", call("1")), answer("bc")],
    ),
    "a call that no model proposed is in no turn": (
        [propose("unproposed_1"), start("unproposed_1"), gave("unproposed_1"), think("a")],
        [answer("a")],
    ),
    "no text is invented": ([start("1"), gave("2"), used(1, 1), think(""), said("")], []),
    "an event of a newer kind of risk is read all the same": (
        [event("ToolUseProposed", id="1", name="add", args={}, risk="Nuclear")],
        [answer(call("1"))],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_turns(case):
    """Where a turn begins and ends, case by case."""
    events, expected = CASES[case]
    assert [turn.answer for turn in read_script(events).turns] == expected


def test_what_becomes_of_a_call():
    """Denied, started with what arguments, and its first output, by its id."""
    events = [
        propose("1"),
        propose("2"),
        start("1", name="add", args={"a": 2}),
        gave("1", {"Json": 3}),
        gave("1", {"Json": 4}),
        approve("2", "Deny"),
        gave("2", {"Text": "no"}, is_error=True),
    ]
    first, second = read_script(events).turns[0].calls
    assert (first.made, first.output.blocks, first.denied, first.called) == (
        ("add", {"a": 2}),
        [{"Json": 3}],
        False,
        True,
    )
    assert (second.made, second.output.is_error, second.denied, second.called) == (None, True, True, False)


def test_an_id_that_comes_again_is_a_new_call():
    """Some hosts count from 0 in each turn."""
    events = [propose("0"), gave("0", {"Json": 1}), propose("0"), gave("0", {"Json": 2})]
    calls = [turn.calls[0] for turn in read_script(events).turns]
    assert [each.output.blocks for each in calls] == [[{"Json": 1}], [{"Json": 2}]]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"type": "ToolOutput", "run": "r", "id": "1"}, "this is no ToolOutput: 'blocks' is missing"),
        ({"type": "ThinkingDelta", "run": "r", "text": 1}, "this is no ThinkingDelta: 'text' is no text"),
        ({"type": "TokenUsage", "run": "r", "input": True, "output": 1}, "'input' is no whole number"),
        ({"type": "ToolOutput", "run": "r", "id": "1", "blocks": "x"}, "'blocks' is no array"),
    ],
)
def test_an_unreadable_line_is_named(line, reason):
    """The error has the line's number and what the line lacks; no turn is left out in silence."""
    fields = dict(line)
    with pytest.raises(UnreadableEvent, match=reason) as caught:
        read_script([think("a"), event(fields.pop("type"), **fields)])
    assert caught.value.line == 2


@pytest.mark.parametrize(("run", "turns"), [("c2d7a7de", 3), ("5b0c6f0e", 5), ("0f2f9f3c", 37)])
def test_real_runs_have_their_turns(run, turns):
    """As many as the cockpit's model gave, each with its whole text."""
    store = FsRecorder(TRANSCRIPTS)
    run_id = next(name for name in store.list_transcripts() if name.startswith(run))
    script = read_script(store.load(run_id).events)
    assert len(script.turns) == turns
    if run == "c2d7a7de":
        findings = [
            Finding(kind=Kind.UNPLAYED, case="turn", detail={"turn": turn.gist()}) for turn in script.turns
        ]
        assert [title(finding).removesuffix(": scripted, and not asked for") for finding in findings] == [
            'turn 1, proposes lookup_customer(order_id="1234") and 1 more',
            'turn 2, proposes refund(amount_eur=39.0, order_id="1234")',
            'turn 3, says "I could not refund order 1234: the refund was denied. I hav…"',
        ]
        assert script.turns[0].answer.parts[0].text == "Let me look up the customer and the policy."
        assert isinstance(script.turns[1].answer.parts[0], Proposal)
        assert script.turns[1].answer.usage == Usage(912, 141)
        assert script.turns[1].calls[0].denied
