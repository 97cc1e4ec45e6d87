"""Loading a transcript and writing it again gives the same bytes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import tempfile
from pathlib import Path

import pytest
from events.strategies import FIELDS, events_of, json_values, objects, texts
from frozen import frozen
from full import FULL
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sparrow import json_objects
from pytest_sparrow.events import ThinkingDelta, UnknownEvent, dump_event
from pytest_sparrow.events.jsontext import encode, equal
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.store import iter_events, load_transcript
from pytest_sparrow.transcript import RunInputs, RunMeta, Transcript

from .shelves import RECORDED, exchange, files_in, run_of, shelf


@pytest.mark.parametrize("folder", RECORDED, ids=[folder.name for folder in RECORDED])
def test_a_cockpit_run_is_written_back_to_the_byte(folder, tmp_path):
    """What the cockpit recorded loads unchanged, and is written again unchanged, through the public store."""
    transcript = load_transcript(folder)
    store = shelf(tmp_path)
    store.save(transcript)
    assert files_in(tmp_path / folder.name) == files_in(folder)
    assert store.load(folder.name) == transcript
    store = shelf(tmp_path, replace=True)
    store.save(store.load(folder.name))
    assert files_in(tmp_path / folder.name) == files_in(folder)


def test_what_a_cockpit_run_says_of_itself():
    """Task, time, format and completeness of the cockpit's own transcripts."""
    folder = next(folder for folder in RECORDED if folder.name.startswith("5b0c6f0e"))
    transcript = load_transcript(folder)
    assert transcript.run_id == folder.name
    assert transcript.inputs.task == "fix the failing test in calc.py"
    assert transcript.inputs.timestamp == "2026-06-14T09:31:07.123456789+00:00"
    assert transcript.created_at == dt.datetime(2026, 11, 22, 7, 47, 29, tzinfo=dt.UTC)
    assert transcript.meta.format is None
    assert transcript.complete
    assert not transcript.holds_exchanges
    assert len(transcript.events) == transcript.meta.event_count == 83
    assert list(iter_events(folder)) == list(transcript.events)


every_type = st.tuples(*(events_of(kind) for kind in sorted(FIELDS)))
unknowns = st.builds(
    lambda value: UnknownEvent(value=value), st.fixed_dictionaries({"type": st.just("New"), "x": json_values})
)
run_inputs = st.builds(
    RunInputs,
    task=texts,
    config_snapshot=json_values,
    model_id=texts,
    repo_head=st.none() | texts,
    timestamp=texts,
    agent=texts,
    extra=objects.map(lambda value: {"x" + key: item for key, item in value.items()}),
)
exchanges = st.builds(
    Exchange,
    kind=texts,
    asked=objects,
    answered=st.none() | objects,
    lane=texts,
    began=st.floats(0, 1e6),
    ended=st.none() | st.floats(0, 1e6),
    complete=st.booleans(),
    proposed=st.booleans(),
    extra=objects.map(lambda value: {"x" + key: item for key, item in value.items()}),
)


@settings(max_examples=300 if FULL else 10)
@given(every_type, st.lists(unknowns, max_size=2), run_inputs, st.none() | st.lists(exchanges, max_size=2))
def test_hostile_runs_of_all_types_come_back_to_the_byte(events, unknown, given_inputs, exchanged):
    """Written, loaded, written: the same bytes; loaded: equal events, inputs and exchanges."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = Transcript.new("r", given_inputs, [*events, *unknown], exchanges=exchanged)
        first = shelf(folder / "a")
        written = first.save(made)
        loaded = first.load("r")
        assert loaded == written
        assert list(loaded.events) == list(made.events)
        assert list(iter_events(folder / "a" / "r")) == list(made.events)
        assert equal(loaded.inputs.to_json(), given_inputs.to_json())
        assert [
            equal(a.to_json(), b.to_json()) for a, b in zip(loaded.exchanges, made.exchanges, strict=True)
        ].count(False) == 0
        assert loaded.holds_exchanges is (exchanged is not None)
        shelf(folder / "b").save(loaded)
        assert files_in(folder / "a" / "r") == files_in(folder / "b" / "r")


def test_a_lines_own_spelling_belongs_to_the_line(tmp_path):
    """An untouched event keeps its bytes, a changed or copied one is written afresh; equal is equal."""
    line = b'{ "type":"ThinkingDelta", "run":"r","text":"\\u0041", "n":1e0}'
    store = shelf(tmp_path, replace=True)
    folder = tmp_path / "r"
    store.save(run_of("r", "B"))
    meta = folder / "meta.json"
    (folder / "events.jsonl").write_bytes(line + b"\n" + dump_event(ThinkingDelta(run="r", text="B")) + b"\n")
    meta.write_text('{"run_id": "r", "event_count": 2, "created_at": "2026-01-01 00:00:00"}')
    loaded = store.load("r")
    copied = loaded.events[0].model_copy()
    assert copied == loaded.events[0]
    store.save(loaded.with_events([loaded.events[1], loaded.events[0], copied]))
    lines = (folder / "events.jsonl").read_bytes().split(b"\n")
    assert lines[1] == line
    assert lines[2] == b'{"type":"ThinkingDelta","run":"r","text":"A","n":1.0}'
    again = store.load("r")
    assert again.meta.event_count == 3
    assert again.created_at == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert again.events[1] == again.events[2]


def test_replacing_events_by_any_way_never_writes_stale_lines(tmp_path):
    """dataclasses.replace is as good as with_events: no line is taken for another event's."""
    store = shelf(tmp_path, replace=True)
    store.save(run_of("r", "one", "two"))
    loaded = store.load("r")
    store.save(dataclasses.replace(loaded, events=tuple(reversed(loaded.events))))
    again = store.load("r")
    assert list(again.events) == list(reversed(loaded.events))
    store.save(again.with_inputs(dataclasses.replace(again.inputs, task="other")))
    assert store.load("r").inputs.task == "other"
    store.save(store.load("r").with_exchanges([exchange(7)]))
    last = store.load("r")
    assert [each.answered for each in last.exchanges] == [{"returned": 7}]
    assert last.meta.exchange_count == 1
    store.save(dataclasses.replace(last, inputs=dataclasses.replace(last.inputs, task="third")))
    assert store.load("r").inputs.task == "third"
    last = store.load("r")
    store.save(dataclasses.replace(last, exchanges=(exchange(8),)))
    assert [each.answered for each in store.load("r").exchanges] == [{"returned": 8}]


def test_nothing_changed_is_the_very_same_transcript():
    """with_events and its like with the same objects give the transcript back."""
    loaded = load_transcript(RECORDED[0])
    assert loaded.with_events(list(loaded.events)) is loaded
    assert loaded.with_inputs(loaded.inputs) is loaded


def test_no_exchanges_and_zero_exchanges_are_two_things(tmp_path):
    """A run without exchanges has no file of them; one with zero has an empty file."""
    store = shelf(tmp_path)
    store.save(run_of("none"))
    store.save(run_of("zero", exchanges=0))
    assert not store.load("none").holds_exchanges
    assert store.load("zero").holds_exchanges
    assert (tmp_path / "zero" / "exchanges.jsonl").read_bytes() == b""


def test_keys_of_a_newer_version_are_kept(tmp_path):
    """What this version doesn't know in inputs.json and meta.json is written back, even after a change."""
    store = shelf(tmp_path, replace=True)
    store.save(run_of("r"))
    for name in ("inputs.json", "meta.json"):
        path = tmp_path / "r" / name
        path.write_bytes(path.read_bytes().replace(b"{\n", b'{\n  "newer": [1],\n', 1))
    meta = tmp_path / "r" / "meta.json"
    meta.write_bytes(b'{"run_id":"r","created_at":"2026-01-01 00:00:00","newer":[1]}')
    loaded = store.load("r")
    store.save(loaded.with_events([]))
    again = store.load("r")
    assert again.meta.extra == again.inputs.extra == {"newer": [1]}


def test_a_deep_line_of_the_cockpit_is_kept(tmp_path):
    """Lines up to serde's depth load and are written back, though we would not write them afresh."""
    line = (
        b'{"type":"ToolUseProposed","run":"r","id":"i","name":"n","args":'
        + b"[" * 120
        + b"]" * 120
        + b',"risk":"Exec"}'
    )
    folder = tmp_path / "r"
    folder.mkdir()
    (folder / "events.jsonl").write_bytes(line + b"\n")
    (folder / "inputs.json").write_bytes(encode(run_of("r").inputs.to_json()))
    (folder / "meta.json").write_bytes(b'{"run_id":"r","event_count":1,"created_at":"2026-01-01 00:00:00"}')
    shelf(tmp_path / "copy").save(load_transcript(folder))
    assert files_in(tmp_path / "copy" / "r") == files_in(folder)


def test_events_are_read_one_by_one_without_the_whole(tmp_path, monkeypatch):
    """A file whose digest fits as it goes by is not held in memory to be judged again."""
    run = shelf(tmp_path).save(run_of("r", "one", "two"))
    monkeypatch.delattr("pytest_sparrow.store.reader._read")
    assert list(iter_events(tmp_path / "r")) == list(run.events)


def test_the_first_meta_is_read_although_the_test_has_frozen_the_time():
    """Freezegun has its own type in the place of `datetime` by then; what is no time is refused all the same."""
    meta = {"run_id": "a", "created_at": "2026-01-02 03:04:05"}
    try:
        with frozen("2001-02-03"):
            json_objects._reader.cache_clear()
            read = RunMeta.from_json(meta)
            assert read.created_at == dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
            with pytest.raises(ValueError, match="'created_at' has the wrong type"):
                RunMeta.from_json({**meta, "created_at": 5})
        assert RunMeta.from_json(meta) == read
    finally:
        json_objects._reader.cache_clear()
