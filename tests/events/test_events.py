"""The event types, UnknownEvent, and the line ⇄ event functions."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.strategies import FIELDS, OPTIONAL, any_objects, json_values, objects_of, texts
from pytest_sparrow import events as sparrow
from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events import (
    EVENT_TYPES,
    ApprovalRequested,
    CostUpdate,
    ModelSwitched,
    ThinkingDelta,
    ToolUseStarted,
    UnknownEvent,
    UpdateAvailable,
    dump_event,
    parse_event,
)
from pytest_sparrow.events.jsontext import BrokenJson, decode, encode, equal

RECORDED = sorted(Path(__file__).parents[1].glob("data/transcripts/*/events.jsonl"))


def test_the_types_are_the_cockpits():
    """The vocabulary is the cockpit's, no more and no less, and all of it is exported."""
    assert set(EVENT_TYPES) == set(FIELDS)
    assert {model.__name__ for model in EVENT_TYPES.values()} <= set(sparrow.__all__)


@pytest.mark.parametrize("kind", sorted(FIELDS))
def test_each_type_reads_and_writes_its_wire_form(kind):
    """A wire object of a type in any order gives its model, which writes an equal one in its own order."""

    @given(objects_of(kind))
    @settings(max_examples=15)
    def check(wire):
        event = parse_event(encode(wire))
        assert type(event) is EVENT_TYPES[kind]
        line = dump_event(event)
        assert line.startswith(b'{"type":"%s",' % kind.encode())
        assert parse_event(line) == event
        if kind != "RunFinished":  # its cost_comparison is written even where it was left out
            assert equal(decode(line), wire)
        order = [key for key in decode(line) if key not in OPTIONAL.get(kind, {})]
        assert order == ["type", *(["run"] if "run" in wire else []), *FIELDS[kind]]

    check()


@pytest.mark.parametrize("path", RECORDED, ids=[path.parent.name for path in RECORDED])
def test_every_recorded_line_fits_its_model(path):
    """What the cockpit's recorder wrote is known, and written afresh it is equal, keys in order."""
    for line in path.read_bytes().split(b"\n")[:-1]:
        event = parse_event(line)
        assert not isinstance(event, UnknownEvent)
        assert equal(decode(dump_event(event)), decode(line))
        assert list(decode(dump_event(event))) == list(decode(line))


def test_recorded_runs_are_there():
    """The test above runs on real input."""
    assert len(RECORDED) == 6


NO_FIT = [
    '{"type":"TokenUsage","run":"r","input":1.0,"output":2}',
    '{"type":"TokenUsage","run":"r","input":true,"output":2}',
    '{"type":"TokenUsage","run":"r","input":"1","output":2}',
    '{"type":"TokenUsage","run":"r","input":-1,"output":2}',
    '{"type":"TokenUsage","run":"r","input":18446744073709551616,"output":2}',
    '{"type":"TestResult","run":"r","passed":4294967296,"failed":0,"detail":""}',
    '{"type":"CostUpdate","run":"r","usd":true}',
    '{"type":"CostUpdate","run":"r","usd":"1"}',
    '{"type":"CostUpdate","run":"r"}',
    '{"type":"ToolOutput","run":"r","id":"i","blocks":[{"Video":{}}]}',
    '{"type":"ToolOutput","run":"r","id":"i","blocks":[{"Text":"a","Json":1}]}',
    '{"type":"ToolOutput","run":"r","id":"i","blocks":[{"Text":1}]}',
    '{"type":"ToolOutput","run":"r","id":"i","blocks":[{"Image":{"data":[256],"mime":"m"}}]}',
    '{"type":"ToolOutput","run":"r","id":"i","blocks":[{"Image":{"data":[true],"mime":"m"}}]}',
    '{"type":"ToolOutput","run":"r","id":"i","blocks":[{"Diff":{"file":"f"}}]}',
    '{"type":"ApprovalResolved","run":"r","id":"i","decision":"AllowForever"}',
    '{"type":"AgentStatus","run":"r","role":"a","status":"Sleeping","note":""}',
    '{"type":"AutonomyChanged","run":"r","level":"Supervised"}',
    '{"type":"RunStarted","run":7,"task":"","agent":""}',
    '{"type":"ModelSwitched","run":"r","from":"a","to":"b","reason":"","from_":"c"}',
    '{"type":"Teleported","run":"r","to":"moon"}',
    '{"type":["RunStarted"],"run":"r"}',
    '{"run":"r"}',
    "[1]",
    "5",
]


@pytest.mark.parametrize("line", NO_FIT)
def test_what_fits_no_model_is_unknown_and_written_unchanged(line):
    """A newer type, value or range is no damage: it is kept whole."""
    event = parse_event(line)
    assert type(event) is UnknownEvent
    assert dump_event(event) == line.encode()


def test_an_unknown_event_shows_type_run_and_fields():
    """An unknown event can be looked into."""
    event = parse_event('{"type":"Teleported","run":"r","to":"moon"}')
    assert (event.type, event.run, event.fields["to"]) == ("Teleported", "r", "moon")
    odd = parse_event("5")
    assert (odd.type, odd.run, odd.fields) == ("", None, {})


@given(any_objects, st.dictionaries(texts.map("x".__add__), json_values, max_size=2))
def test_extra_fields_are_kept(wire, extras):
    """Keys that a model doesn't know come back, after those that it knows."""
    event = parse_event(encode({**wire, **extras}))
    assert type(event) is EVENT_TYPES[wire["type"]]
    back = decode(dump_event(event))
    for key, value in extras.items():
        assert equal(back[key], value)
    assert list(back)[len(back) - len(extras) :] == list(extras)


def test_only_broken_json_raises():
    """A line that is no JSON is damage."""
    with pytest.raises(BrokenJson):
        parse_event(b'{"type":"Error","run":"r","message":"to')


def test_a_lane_can_be_added_to_an_event():
    """model_copy adds extras, and the original stays as it was."""
    event = ThinkingDelta(run="r", text="t")
    other = event.model_copy(update={"lane": "b"})
    assert dump_event(other) == b'{"type":"ThinkingDelta","run":"r","text":"t","lane":"b"}'
    assert other != event
    assert dump_event(event) == b'{"type":"ThinkingDelta","run":"r","text":"t"}'


def test_what_is_absent_is_left_out_and_what_is_null_is_null():
    """risk, tool, duration_ms, name and args are left out; handoff_path and download_url are null."""
    assert dump_event(ApprovalRequested(run="r", id="i", summary="s")) == (
        b'{"type":"ApprovalRequested","run":"r","id":"i","summary":"s"}'
    )
    assert dump_event(ToolUseStarted(run="r", id="i")) == b'{"type":"ToolUseStarted","run":"r","id":"i"}'
    assert dump_event(ToolUseStarted(run="r", id="i", name="n", args=None)).endswith(
        b'"name":"n","args":null}'
    )
    compacted = sparrow.Compacted(run="r", before_chars=1, after_chars=0)
    assert dump_event(compacted).endswith(b'"handoff_path":null}')
    outcome = {"status": "completed", "diffs": [], "cost_usd": 0, "tokens": {"input": 1, "output": 2}}
    assert dump_event(sparrow.RunFinished(run="r", outcome=outcome)) == (
        b'{"type":"RunFinished","run":"r","outcome":{"status":"completed","diffs":[],"cost_usd":0.0,'
        b'"tokens":{"input":1,"output":2},"cost_comparison":""}}'
    )


def test_events_are_equal_by_json_identity():
    """1 = 1.0, true ≠ 1, and neither the spelling nor the order of extras counts."""
    one = parse_event('{"type":"ToolUseStarted","run":"r","id":"i","args":{"a":1,"b":"\\u0041"}}')
    same = parse_event('{"id":"i","type":"ToolUseStarted","args":{"b":"A","a":1.0},"run":"r"}')
    other = parse_event('{"type":"ToolUseStarted","run":"r","id":"i","args":{"a":true,"b":"A"}}')
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != ThinkingDelta(run="r", text="i")
    assert UnknownEvent(value={"a": 1}) == UnknownEvent(value={"a": 1.0})
    assert UnknownEvent(value={"a": 1}) != UnknownEvent(value={"a": True})


def test_python_names_and_wire_names_of_from():
    """``from`` is a word of Python: it is ``from_`` there, and ``from`` on the wire."""
    event = ModelSwitched(run="r", from_="a", to="b", reason="c")
    assert dump_event(event) == b'{"type":"ModelSwitched","run":"r","from":"a","to":"b","reason":"c"}'
    assert event == ModelSwitched.model_validate({"run": "r", "from": "a", "to": "b", "reason": "c"})


def test_an_event_without_a_run_says_so():
    """UpdateAvailable belongs to no run, and can be asked all the same."""
    event = UpdateAvailable(current="1", latest="2", crate_url="", release_url="", install_cmd="")
    assert event.run is None
    assert b'"run"' not in dump_event(event)


def test_a_value_that_json_cannot_hold_is_named_by_event_field_and_path():
    """The error says which event, which field, and where in it."""
    with pytest.raises(NotRecordable) as caught:
        dump_event(ToolUseStarted(run="r", id="i", args={"when": [1, (2,)]}))
    assert caught.value.path == "ToolUseStarted.args['when'][1]"
    with pytest.raises(NotRecordable, match=r"ThinkingDelta\.text"):
        dump_event(ThinkingDelta(run="r", text="\ud800"))


def test_strict_models_refuse_wrong_python_values():
    """NaN and wrong types are refused where the event is made."""
    with pytest.raises(pydantic.ValidationError):
        CostUpdate(run="r", usd=float("nan"))
    with pytest.raises(pydantic.ValidationError):
        ThinkingDelta(run="r", text=1)
    with pytest.raises(pydantic.ValidationError):
        ThinkingDelta(run="r", text="t").text = "u"


def test_an_integer_is_a_number_where_a_float_is_due():
    """Serde reads 5 as 5.0."""
    assert parse_event('{"type":"CostUpdate","run":"r","usd":5}') == CostUpdate(run="r", usd=5.0)


@given(any_objects)
def test_events_copy_and_pickle(wire):
    """Events travel between processes and are equal there."""
    event = parse_event(wire)
    assert pickle.loads(pickle.dumps(event)) == event
    assert copy.deepcopy(event) == event


def test_parse_event_takes_objects_and_text():
    """bytes, str and a parsed object are the same event."""
    wire = {"type": "Error", "run": "r", "message": "é"}
    text = json.dumps(wire)
    assert parse_event(wire) == parse_event(text) == parse_event(text.encode())


def test_pytest_does_not_collect_test_result():
    """A class named Test… would be collected, with a warning."""
    assert sparrow.TestResult.__test__ is False
    assert b"__test__" not in dump_event(sparrow.TestResult(run="r", passed=1, failed=0, detail=""))
