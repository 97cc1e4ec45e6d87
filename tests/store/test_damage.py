"""Damage is never missing: an error of its own, naming file and line, and nothing is overwritten."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import pickle

import pytest

from pytest_sparrow.errors import DamagedTranscript, StoreError, UnsafeName, UsageError
from pytest_sparrow.store import iter_events, load_transcript

from .shelves import files_in, run_of, shelf


def _sub(name, old, new, count=-1):
    def damage(folder):
        path = folder / name
        data = path.read_bytes()
        assert old in data
        path.write_bytes(data.replace(old, new, count))

    return damage


def _write(name, data):
    return lambda folder: (folder / name).write_bytes(data)


def _append(name, data):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + data)


def _cut(name, size):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-size])


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _meta(**values):
    def damage(folder):
        path = folder / "meta.json"
        changed = {**json.loads(path.read_bytes()), **values}
        path.write_text(json.dumps({name: value for name, value in changed.items() if value is not None}))

    return damage


def _only(name):
    return lambda folder: [path.unlink() for path in folder.iterdir() if path.name != name]


CASES = {
    "torn last line": (_cut("events.jsonl", 9), "events.jsonl", 4, "torn"),
    "newline of the last line gone": (_cut("events.jsonl", 1), "events.jsonl", 4, "torn"),
    "last line gone": (
        _sub("events.jsonl", b'{"type":"ThinkingDelta","run":"r","text":"three"}\n', b""),
        "events.jsonl",
        3,
        "holds 3 events, and meta.json says 4",
    ),
    "a line more": (
        _append("events.jsonl", b'{"type":"Error","run":"r","message":""}\n'),
        "events.jsonl",
        5,
        "holds 5 events",
    ),
    "wrong count": (_meta(event_count=7), "events.jsonl", 4, "meta.json says 7"),
    "one character": (
        _sub("events.jsonl", b"two", b"two!"),
        "events.jsonl",
        None,
        "changed after it was recorded",
    ),
    "inputs edited": (
        _sub("inputs.json", b"refund", b"refunds"),
        "inputs.json",
        None,
        "changed after it was recorded",
    ),
    "newlines of events": (_sub("events.jsonl", b"\n", b"\r\n"), "events.jsonl", 1, "only its newlines"),
    "newlines of inputs": (_sub("inputs.json", b"\n", b"\r\n"), "inputs.json", 1, "only its newlines"),
    "newline at the end": (_append("inputs.json", b"\n"), "inputs.json", 9, "newlines at its end"),
    "invalid utf-8": (_sub("events.jsonl", b"two", b"t\xffo"), "events.jsonl", 3, "byte 0xff is not UTF-8"),
    "broken json": (_sub("events.jsonl", b'"text":"two"', b'"text":"two'), "events.jsonl", 3, "no JSON"),
    "blank line": (_sub("events.jsonl", b"\n", b"\n\n", 1), "events.jsonl", 2, "no JSON"),
    "duplicate key": (
        _sub("events.jsonl", b'"text":"two"', b'"text":"two","text":"x"'),
        "events.jsonl",
        3,
        "stands twice",
    ),
    "conflict in events": (
        _sub(
            "events.jsonl",
            b'{"type":"ThinkingDelta","run":"r","text":"two"',
            b'<<<<<<< HEAD\n{"type":"ThinkingDelta","run":"r","text":"two"',
        ),
        "events.jsonl",
        3,
        "merge conflict",
    ),
    "conflict at the end": (_append("events.jsonl", b">>>>>>> branch"), "events.jsonl", 5, "merge conflict"),
    "conflict middle": (_append("events.jsonl", b"=======\n"), "events.jsonl", 5, "merge conflict"),
    "conflict in meta": (
        _sub("meta.json", b'  "event_count"', b'<<<<<<< HEAD\n  "event_count"'),
        "meta.json",
        3,
        "merge conflict",
    ),
    "conflict in exchanges": (
        _append("exchanges.jsonl", b"<<<<<<< HEAD\n"),
        "exchanges.jsonl",
        2,
        "merge conflict",
    ),
    "newer format": (_meta(format=4), "meta.json", None, "format 4"),
    "meta is no json": (_sub("meta.json", b'"event_count":', b'"event_count"'), "meta.json", 3, "no JSON"),
    "meta is a list": (_write("meta.json", b"[]"), "meta.json", None, "no object"),
    "meta without a run": (
        _write("meta.json", b'{"created_at":"2026-01-01 00:00:00"}'),
        "meta.json",
        None,
        "'run_id' is missing",
    ),
    "meta with a wrong type": (_meta(event_count="4"), "meta.json", None, "'event_count' has the wrong type"),
    "meta with a bool count": (
        _meta(event_count=True),
        "meta.json",
        None,
        "'event_count' has the wrong type",
    ),
    "meta with an odd time": (_meta(created_at="yesterday"), "meta.json", None, "no time"),
    "meta with odd digests": (_meta(sha256={"events.jsonl": 1}), "meta.json", None, "'sha256'"),
    "unfinished": (_meta(complete=False), "meta.json", None, "never finished"),
    "inputs without a task": (_write("inputs.json", b"{}"), "inputs.json", None, "'task' is missing"),
    "exchange of a wrong shape": (
        _write("exchanges.jsonl", b'{"kind":"http"}\n'),
        "exchanges.jsonl",
        1,
        "'asked' is missing",
    ),
    "exchange of a wrong type": (
        _write("exchanges.jsonl", b'{"kind":1,"asked":{},"answered":null}\n'),
        "exchanges.jsonl",
        1,
        "'kind' has the wrong type",
    ),
    **{
        f"exchange that asks {name}": (
            _write("exchanges.jsonl", b'{"kind":%s,"answered":null}\n' % asked),
            "exchanges.jsonl",
            1,
            reason,
        )
        for name, asked, reason in (
            ("by no method", b'"http","asked":{"url":"http://h/"}', "has no 'method' that is a text"),
            ("for no address", b'"http","asked":{"method":"GET","url":5}', "has no 'url' that is a text"),
            (
                "for half an address",
                b'"http","asked":{"method":"GET","url":"http://["}',
                "'url' that can't be read: ",
            ),
            (
                "at no port",
                b'"http","asked":{"method":"GET","url":"http://h:99999/"}',
                "'url' that can't be read: ",
            ),
            ("no tool", b'"tool","asked":{"args":{}}', "has no 'name' that is a text"),
            (
                "with a list of parameters",
                b'"tool","asked":{"name":"f","args":[]}',
                "has no 'args' that is an object",
            ),
            ("without arguments", b'"call","asked":{"name":"f"}', "has no 'args' that is a list"),
            (
                "without keywords",
                b'"call","asked":{"name":"f","args":[]}',
                "has no 'kwargs' that is an object",
            ),
        )
    },
    **{
        f"answer {name}": (
            _write(
                "exchanges.jsonl",
                b'{"kind":"tool","asked":{"name":"f","args":{}},"answered":%s}\n' % answered,
            ),
            "exchanges.jsonl",
            1,
            reason,
        )
        for name, answered, reason in (
            ("that raises a number", b'{"raised":5}', "a 'raised' that is not an object"),
            ("that raises no type", b'{"raised":{"message":"x"}}', "a 'raised' without a 'type'"),
            ("with a list of files", b'{"files":[1]}', "a 'files' that is not an object"),
            ("with types that are a number", b'{"types":5}', "a 'types' that is not an object"),
            (
                "with a file above",
                b'{"files":{"<dir:tmp_path>/../../a":null}}',
                "temporary folders: '<dir:tmp_p",
            ),
            (
                "with a file of the project",
                b'{"files":{"<dir:root>/conftest.py":{}}}',
                "folders: '<dir:root>",
            ),
            ("that yields a text", b'{"yielded":"x"}', "a 'yielded' that is not a list"),
        )
    },
    "exchange that is a list": (_write("exchanges.jsonl", b"[]\n"), "exchanges.jsonl", 1, "no object"),
    "exchange more": (
        _append(
            "exchanges.jsonl", b'{"kind":"http","asked":{"method":"GET","url":"http://h/"},"answered":null}\n'
        ),
        "exchanges.jsonl",
        2,
        "holds 2 exchanges",
    ),
    "torn exchange": (_cut("exchanges.jsonl", 3), "exchanges.jsonl", 1, "torn"),
    "no meta": (lambda folder: (folder / "meta.json").unlink(), "meta.json", None, "missing"),
    "no inputs": (lambda folder: (folder / "inputs.json").unlink(), "inputs.json", None, "missing"),
    "no events": (lambda folder: (folder / "events.jsonl").unlink(), "events.jsonl", None, "missing"),
    "no exchanges": (
        lambda folder: (folder / "exchanges.jsonl").unlink(),
        "exchanges.jsonl",
        None,
        "missing",
    ),
    "no exchanges that only a digest knows": (
        lambda folder: (_meta(exchange_count=None)(folder), (folder / "exchanges.jsonl").unlink()),
        "exchanges.jsonl",
        None,
        "missing",
    ),
    "exchanges that a digest does not know": (
        lambda folder: _meta(
            exchange_count=None,
            sha256={
                "events.jsonl": _digest(folder / "events.jsonl"),
                "inputs.json": _digest(folder / "inputs.json"),
            },
        )(folder),
        "exchanges.jsonl",
        None,
        "not part of this run",
    ),
    "a count of zero": (_meta(event_count=0), "events.jsonl", 4, "meta.json says 0"),
    "nothing": (lambda folder: [path.unlink() for path in folder.iterdir()], "meta.json", None, "missing"),
    "only events": (_only("events.jsonl"), "meta.json", None, "missing"),
    "only inputs": (_only("inputs.json"), "meta.json", None, "missing"),
    "events is a folder": (
        lambda folder: ((folder / "events.jsonl").unlink(), (folder / "events.jsonl").mkdir()),
        "events.jsonl",
        None,
        "no regular file",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_damage_names_file_and_line(case, tmp_path):
    """Each damage is an error that names the file, the line where there is one, and the reason."""
    damage, name, line, reason = CASES[case]
    store = shelf(tmp_path)
    store.save(run_of("r", "one", "two", "three", exchanges=1))
    damage(tmp_path / "r")
    before = files_in(tmp_path)
    with pytest.raises(DamagedTranscript, match=reason) as caught:
        store.load("r")
    assert caught.value.path == str(tmp_path / "r" / name)
    assert caught.value.line == line
    assert files_in(tmp_path) == before
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if CASES[case][1] in ("events.jsonl", "meta.json") and case != "unfinished"],
)
def test_reading_one_by_one_meets_the_same_damage(case, tmp_path):
    """iter_events is no way around the checks of its file, and of what says how to read it."""
    damage, name, line, reason = CASES[case]
    shelf(tmp_path).save(run_of("r", "one", "two", "three", exchanges=1))
    damage(tmp_path / "r")
    with pytest.raises(DamagedTranscript, match=reason) as caught:
        list(iter_events(tmp_path / "r"))
    assert (caught.value.path, caught.value.line) == (str(tmp_path / "r" / name), line)


def test_hints_show_the_way_out(tmp_path):
    """Newlines point to .gitattributes, a newer format to an upgrade."""
    store = shelf(tmp_path)
    store.save(run_of("r", "one"))
    _sub("events.jsonl", b"\n", b"\r\n")(tmp_path / "r")
    with pytest.raises(DamagedTranscript) as caught:
        store.load("r")
    assert ".gitattributes" in caught.value.hint
    _meta(format=9)(tmp_path / "r")
    with pytest.raises(DamagedTranscript) as caught:
        store.load("r")
    assert "upgrade pytest-sparrow" in caught.value.hint


def test_every_digest_is_checked_where_there_are_no_exchanges(tmp_path):
    """A run without exchanges has a digest of each other file, and each counts."""
    for name, old in (("inputs.json", b"refund"), ("events.jsonl", b"one")):
        store = shelf(tmp_path / name)
        store.save(run_of("r", "one"))
        _sub(name, old, b"another")(tmp_path / name / "r")
        with pytest.raises(DamagedTranscript, match="changed after it was recorded"):
            store.load("r")


def test_digests_and_counts_are_checked_only_where_present(tmp_path):
    """The cockpit writes no digest: then an edited line is no damage."""
    store = shelf(tmp_path)
    store.save(run_of("r", "one"))
    (tmp_path / "r" / "meta.json").write_text('{"run_id": "r", "created_at": "2026-01-01 00:00:00"}')
    _sub("events.jsonl", b"one", b"another")(tmp_path / "r")
    assert store.load("r").events[1].text == "another"


def test_exchanges_that_meta_does_not_know_are_damage(tmp_path):
    """A file that was put beside a run is no part of it."""
    store = shelf(tmp_path)
    store.save(run_of("r"))
    (tmp_path / "r" / "exchanges.jsonl").write_bytes(b"")
    with pytest.raises(DamagedTranscript, match="not part of this run"):
        store.load("r")


def test_what_the_system_refuses_to_read_is_no_damage(tmp_path, monkeypatch):
    """An error of the store that says why, and that nobody takes for a broken or a missing file."""
    shelf(tmp_path).save(run_of("r"))

    def refuse(path, *_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(StoreError, match=r"inputs\.json: could not be read: Permission denied") as caught:
        load_transcript(tmp_path / "r")
    assert not isinstance(caught.value, DamagedTranscript)
    # It was a file when it was looked at, and is none when it is opened.
    monkeypatch.setattr("pytest_sparrow.store.disk.open_regular", lambda *_, **__: None)
    with pytest.raises(DamagedTranscript, match="no regular file"):
        load_transcript(tmp_path / "r")


def test_damaged_runs_are_listed(tmp_path):
    """A damaged run is there."""
    store = shelf(tmp_path)
    store.save(run_of("r"))
    (tmp_path / "r" / "meta.json").unlink()
    (tmp_path / "notes").mkdir()
    assert store.list_transcripts() == ["r"]


def test_missing_is_none_and_a_missing_folder_a_usage_error(tmp_path):
    """No run is None; a folder that a user named and that isn't there is the user's error."""
    store = shelf(tmp_path / "nowhere")
    assert store.load("r") is None
    assert store.list_transcripts() == []
    store.delete("r")
    (tmp_path / "file").write_text("x")
    for read in (load_transcript, lambda folder: list(iter_events(folder))):
        with pytest.raises(UsageError, match="no transcript at"):
            read(tmp_path / "r")
        with pytest.raises(DamagedTranscript, match="no folder"):
            read(tmp_path / "file")


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_links_that_lead_out_of_the_store_are_refused(tmp_path):
    """Neither a run's folder nor its files may be links to elsewhere."""
    store = shelf(tmp_path / "store")
    store.save(run_of("r"))
    shelf(tmp_path / "other").save(run_of("r"))
    (tmp_path / "store" / "out").symlink_to(tmp_path / "other" / "r")
    for use in (store.load, store.delete, lambda name: store.save(run_of(name))):
        with pytest.raises(UnsafeName, match="leads out of"):
            use("out")
    assert (tmp_path / "other" / "r" / "meta.json").exists()
    events = tmp_path / "store" / "r" / "events.jsonl"
    events.unlink()
    events.symlink_to(tmp_path / "other" / "r" / "events.jsonl")
    with pytest.raises(UnsafeName, match="leads out of"):
        store.load("r")
    (tmp_path / "store" / "in").symlink_to(tmp_path / "store" / "r")
    events.unlink()
    (tmp_path / "store" / "shared.jsonl").write_bytes(
        (tmp_path / "other" / "r" / "events.jsonl").read_bytes()
    )
    events.symlink_to(tmp_path / "store" / "shared.jsonl")
    assert store.load("r").events
    events.unlink()
    events.write_bytes((tmp_path / "other" / "r" / "events.jsonl").read_bytes())
    assert store.load("in") == store.load("r")
    events.unlink()
    events.symlink_to("events.jsonl")  # to itself
    with pytest.raises(DamagedTranscript, match="missing"):
        store.load("r")


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_links_within_a_transcript_are_judged_by_its_own_folder(tmp_path):
    """A folder that a user names is all that its links may lead to; one that leads nowhere is absent."""
    shelf(tmp_path).save(run_of("r", "one"))
    events = tmp_path / "r" / "events.jsonl"
    for read in (load_transcript, lambda folder: list(iter_events(folder))):
        events.rename(tmp_path / "r" / "copy")
        events.symlink_to("copy")
        assert read(tmp_path / "r")
        (tmp_path / "r" / "copy").rename(tmp_path / "outside")
        with pytest.raises(DamagedTranscript, match="missing"):
            read(tmp_path / "r")
        events.unlink()
        events.symlink_to(tmp_path / "outside")
        with pytest.raises(UnsafeName, match="leads out of"):
            read(tmp_path / "r")
        events.unlink()
        (tmp_path / "outside").rename(events)


def test_a_run_by_hand_is_named_by_its_folder_and_dated_by_its_inputs(tmp_path):
    """Without meta.json the inputs tell when it was; what they say may be no time at all."""
    shelf(tmp_path).save(run_of("r", "one"))
    (tmp_path / "r" / "meta.json").unlink()
    run = load_transcript(tmp_path / "r")
    assert (run.run_id, run.meta.format, run.complete) == ("r", None, True)
    assert run.created_at == dt.datetime.fromisoformat(run.inputs.timestamp)
    _sub("inputs.json", run.inputs.timestamp.encode(), b"soon")(tmp_path / "r")
    run = load_transcript(tmp_path / "r")
    assert (run.run_id, run.meta.format, run.inputs.timestamp) == ("r", None, "soon")
    assert list(iter_events(tmp_path / "r")) == list(run.events)
    (tmp_path / "r" / "exchanges.jsonl").touch()
    for read in (load_transcript, lambda folder: list(iter_events(folder))):
        with pytest.raises(DamagedTranscript, match="missing"):
            read(tmp_path / "r")


def test_events_are_parsed_when_somebody_asks_and_damage_that_fits_its_digest_is_named_then(tmp_path):
    """Nobody asks where a replay is equal; a writer's bytes are known by their digest."""
    store = shelf(tmp_path)
    store.save(run_of("r", "one", "two"))
    loaded = store.load("r")
    assert (len(loaded.events), loaded.events == run_of("r", "one", "two").events) == (3, True)
    events, meta = tmp_path / "r" / "events.jsonl", tmp_path / "r" / "meta.json"
    broken = events.read_bytes().replace(b'"one"', b'"one')
    events.write_bytes(broken)
    with pytest.raises(DamagedTranscript, match=r"events.jsonl:2"):
        store.load("r")
    said = json.loads(meta.read_text())
    said["sha256"]["events.jsonl"] = hashlib.sha256(broken).hexdigest()
    meta.write_text(json.dumps(said))
    loaded = store.load("r")
    assert len(loaded.events) == 3
    with pytest.raises(DamagedTranscript, match=r"events.jsonl:2"):
        list(loaded.events)
