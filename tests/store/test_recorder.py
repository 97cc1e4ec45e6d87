"""Recording: what happens between start_run and the end of a run."""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading

import pytest
from events.strategies import nested
from inner_runs import start

from pytest_sparrow.errors import NotRecordable, StoreError, UnknownRun, UnsafeName, UsageError
from pytest_sparrow.events import RunStarted, ThinkingDelta, ToolUseStarted, UnknownEvent, UpdateAvailable
from pytest_sparrow.store import FsRecorder, Recorder, Replayer, iter_events, layout, load_transcript

from .shelves import exchange, files_in, inputs, message, run_of, shelf


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def _pending(folder):
    root = folder / ".pending"
    return sorted(path.name for path in root.iterdir()) if root.exists() else []


def test_a_run_is_recorded_and_given_back(tmp_path):
    """start, record, finalize, load: what was recorded, complete, with its test, counts and digests."""
    store = shelf(tmp_path / "__sparrow__" / "test_mod")
    store.start_run("r", inputs(), nodeid="test_mod.py::test_a", exchanges=True)
    store.record(RunStarted(run="r", task="t", agent="a"))
    store.record_exchange("r", exchange(1))
    store.record(message("r", "done"))
    finished = store.finalize("r")
    assert store.load("r") == finished
    assert [event.type for event in finished.events] == ["RunStarted", "Message"]
    assert finished.exchanges[0].answered == {"returned": 1}
    assert finished.complete
    assert finished.meta.nodeid == "test_mod.py::test_a"
    assert (finished.meta.event_count, finished.meta.exchange_count, finished.meta.format) == (2, 1, 3)
    assert set(finished.meta.sha256) == {"inputs.json", "events.jsonl", "exchanges.jsonl"}
    assert finished.inputs == inputs()
    assert store.list_transcripts() == ["r"]
    assert _names(store.transcripts_dir) == ["r"]


def test_the_files_are_as_the_format_says(tmp_path):
    """meta.json and inputs.json are indented and end with a newline; created_at is the cockpit's form."""
    store = shelf(tmp_path)
    store.save(run_of("r"))
    text = (tmp_path / "r" / "meta.json").read_text()
    assert text.startswith('{\n  "run_id": "r",\n  "event_count": 1,\n  "created_at": "20')
    assert text.endswith('"\n  }\n}\n')
    assert "nodeid" not in text
    assert len(json.loads(text)["created_at"]) == len("2026-11-22 07:47:29")
    assert (
        (tmp_path / "r" / "inputs.json")
        .read_text()
        .startswith('{\n  "task": "refund",\n  "config_snapshot": {},\n')
    )


def test_the_store_is_both_protocols(tmp_path):
    """FsRecorder records and replays."""
    store = shelf(tmp_path)
    assert isinstance(store, Recorder)
    assert isinstance(store, Replayer)


def test_an_event_without_a_run_needs_one(tmp_path):
    """run_id= names the run of an event that has none, and goes before the event's own."""
    store = shelf(tmp_path)
    store.start_run("r", inputs())
    update = UpdateAvailable(current="1", latest="2", crate_url="", release_url="", install_cmd="")
    with pytest.raises(UnknownRun):
        store.record(update)
    store.record(update, run_id="r")
    store.record(ThinkingDelta(run="other", text=""), run_id="r")
    store.record(UnknownEvent(value={"type": "New", "run": "r"}))
    assert len(store.finalize("r").events) == 3


def test_a_run_that_was_never_started_is_unknown(tmp_path):
    """Nothing is ignored: every use of an unknown run, or of one that is over, is an error."""
    store = shelf(tmp_path)
    store.start_run("over", inputs())
    store.finalize("over")
    for name in ("never", "over"):
        for use in (
            lambda name: store.record(message(name, "")),
            lambda name: store.record_exchange(name, exchange()),
            lambda name: store.set_inputs(name, inputs()),
            store.pending,
            store.finalize,
            store.abandon,
            store.discard,
        ):
            with pytest.raises(UnknownRun, match=name):
                use(name)


def test_events_go_to_the_disk_as_they_happen(tmp_path):
    """Another reader sees each event at once, in a run that says it is not complete; no golden is there."""
    store = shelf(tmp_path)
    store.start_run("r", inputs("first"))
    for number in range(3):
        store.record(message("r", str(number)))
        journal = next((tmp_path / ".pending").iterdir())
        seen = load_transcript(journal)
        assert [event.text for event in seen.events] == [str(each) for each in range(number + 1)]
        assert not seen.complete
    assert store.list_transcripts() == []
    assert store.load("r") is None
    store.set_inputs("r", inputs("second"))
    looked = store.pending("r")
    assert not looked.complete
    assert (looked.inputs.task, looked.meta.event_count) == ("second", 3)
    assert store.finalize("r").inputs.task == "second"
    assert _pending(tmp_path) == []


def test_a_torn_line_of_a_killed_run_is_left_out(tmp_path):
    """A run that was killed in the middle of a line loads as far as its last whole line, incomplete."""
    store = shelf(tmp_path)
    store.start_run("r", inputs())
    store.record(message("r", "whole"))
    journal = next((tmp_path / ".pending").iterdir())
    with (journal / "events.jsonl").open("ab") as file:
        file.write(b'{"type":"Mess')
    seen = load_transcript(journal)
    assert [event.text for event in seen.events] == ["whole"]
    assert not seen.complete
    with pytest.raises(UsageError, match="never finished"):
        store.save(seen)


def test_exchanges_exist_only_where_there_are_or_could_be_some(tmp_path):
    """The file is there with the first exchange, or when the caller says that the run holds exchanges."""
    store = shelf(tmp_path)
    for name, says, count in (("a", False, 0), ("b", True, 0), ("c", False, 1)):
        store.start_run(name, inputs(), exchanges=says)
        for _ in range(count):
            store.record_exchange(name, exchange())
        finished = store.finalize(name)
        assert finished.holds_exchanges is (says or count > 0)
        assert (tmp_path / name / "exchanges.jsonl").exists() is finished.holds_exchanges


def test_an_abandoned_run_is_kept_and_is_no_golden(tmp_path):
    """Abandon gives the folder of an incomplete run; the next one, or a finished run, takes its place."""
    store = shelf(tmp_path)
    for text in ("first", "second"):
        store.start_run("r", inputs())
        store.record(message("r", text))
        kept = store.abandon("r")
    assert _pending(tmp_path) == [kept.name]
    seen = load_transcript(kept)
    assert (seen.complete, seen.events[0].text, seen.meta.event_count) == (False, "second", 1)
    assert store.load("r") is None
    store.start_run("r", inputs())
    store.finalize("r")
    assert not kept.exists()
    assert _pending(tmp_path) == []


def test_a_run_that_was_never_finished_loads_whatever_its_meta_counts(tmp_path):
    """Counts and digests are of finished runs: of others what is there is read, one by one too."""
    store = shelf(tmp_path)
    store.start_run("r", inputs())
    for text in ("one", "two"):
        store.record(message("r", text))
    kept = store.abandon("r")
    first = (kept / "events.jsonl").read_bytes().split(b"\n")[0] + b"\n"
    (kept / "events.jsonl").write_bytes(first)
    meta = json.loads((kept / "meta.json").read_bytes())
    assert meta["event_count"] == 2
    (kept / "meta.json").write_text(json.dumps({**meta, "sha256": {"events.jsonl": "0" * 64}}))
    for events in (load_transcript(kept).events, iter_events(kept)):
        assert [event.text for event in events] == ["one"]


def test_a_discarded_run_leaves_nothing(tmp_path):
    """Discard removes the journal."""
    store = shelf(tmp_path)
    store.start_run("r", inputs())
    store.discard("r")
    assert _names(tmp_path) == [".gitattributes", ".gitignore"]
    store.start_run("r", inputs())


def test_another_runs_journal_is_left_alone(tmp_path):
    """Finishing a run removes only dead journals of that run: neither a living one nor another run's."""
    first, second = shelf(tmp_path, replace=True), shelf(tmp_path, replace=True)
    first.start_run("r", inputs())
    first.start_run("r.x", inputs())
    kept = first.abandon("r.x")
    second.start_run("r", inputs())
    second.finalize("r")
    first.record(message("r", "still here"))
    assert kept.exists()
    assert first.finalize("r").events[0].text == "still here"


def test_a_run_under_way_cannot_be_started_again(tmp_path):
    """A recorder has at most one open run of a name."""
    store = shelf(tmp_path)
    store.start_run("r", inputs())
    with pytest.raises(StoreError, match="under way"):
        store.start_run("r", inputs())


def test_a_finished_run_is_replaced_only_on_demand(tmp_path):
    """A run of the same id is no accident: it is refused at the start and at the end, and by save."""
    store = shelf(tmp_path)
    store.start_run("r", inputs())
    shelf(tmp_path).save(run_of("r", "first"))
    with pytest.raises(StoreError, match="replace=True"):
        store.finalize("r")
    with pytest.raises(StoreError, match="replace=True"):
        shelf(tmp_path).start_run("r", inputs())
    with pytest.raises(StoreError, match="replace=True"):
        shelf(tmp_path).save(run_of("r"))
    assert store.load("r").events[1].text == "first"
    store.delete("r")
    assert store.finalize("r") == store.load("r")
    shelf(tmp_path, replace=True).save(run_of("r", "second"))
    assert store.load("r").events[1].text == "second"


def test_delete_removes_all_of_a_run(tmp_path):
    """Nothing is left that a reader could take for the run."""
    store = shelf(tmp_path)
    store.save(run_of("r"))
    store.save(run_of("other"))
    layout.old_folder(tmp_path, "r").mkdir()
    again = shelf(tmp_path, replace=True)
    again.start_run("r", inputs())
    again.abandon("r")
    store.delete("r")
    assert _names(tmp_path) == [".gitattributes", ".gitignore", "other"]
    assert store.list_transcripts() == ["other"]
    assert store.load("r") is None
    assert not layout.old_folder(tmp_path, "r").exists()


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../up",
        "a/b",
        "a\\b",
        "/abs",
        "C:",
        "c:x",
        ".hidden",
        "a\x00b",
        "a\nb",
        "a\x7fb",
        "\ud800",
        "x" * 201,
        "é" * 101,
        "a.",
        "a ",
    ],
)
def test_a_run_id_that_is_a_path_is_refused(name, tmp_path):
    """No id leaves the store, whatever is asked of it."""
    (tmp_path / "victim").mkdir()
    store = shelf(tmp_path / "store")
    for use in (
        lambda: store.start_run(name, inputs()),
        lambda: store.load(name),
        lambda: store.delete(name),
        lambda: store.save(run_of(name)),
    ):
        with pytest.raises(UnsafeName, match="run id"):
            use()
    assert (tmp_path / "victim").exists()
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("name", ["x" * 200, "a b é"], ids=["long", "odd"])
def test_a_long_or_odd_run_id_works(tmp_path, name):
    """200 bytes are allowed, and fit with all that the store adds; so are spaces and letters of any kind."""
    store = shelf(tmp_path)
    store.start_run(name, inputs())
    kept = store.abandon(name)
    assert kept.exists()
    store.save(run_of(name))
    assert store.list_transcripts() == [name]


def test_what_json_cannot_hold_is_refused_and_nothing_of_it_is_written(tmp_path):
    """The error names event and path; the run goes on."""
    store = shelf(tmp_path)
    store.start_run("r", inputs())
    with pytest.raises(NotRecordable, match=r"ToolUseStarted\.args\['a'\]"):
        store.record(ToolUseStarted(run="r", id="i", args={"a": (1,)}))
    with pytest.raises(NotRecordable, match="deeper than 100"):
        store.record(ToolUseStarted(run="r", id="i", args=nested(100)))
    with pytest.raises(NotRecordable, match="call"):
        store.record_exchange("r", type(exchange())(kind="call", asked={"x": {1}}, answered=None))
    store.record(message("r", "on"))
    finished = store.finalize("r")
    assert len(finished.events) == 1
    assert not finished.holds_exchanges


class Stars:
    """A redactor that takes out one word."""

    def line(self, data: bytes) -> bytes:
        return data.replace(b"hunter2", b"***")


def _called(name):
    return {"name": name, "args": [], "kwargs": {}}


def test_every_line_and_the_inputs_are_redacted_before_the_disk(tmp_path):
    """At no time does any file hold what the redactor takes out; a loaded line stays as it is."""
    store = FsRecorder(tmp_path, redactor=Stars(), replace=True)
    store.start_run("r", inputs("hunter2"))
    store.record(message("r", "it is hunter2"))
    store.record_exchange("r", type(exchange())(kind="call", asked=_called("hunter2"), answered=None))
    assert all(b"hunter2" not in data for data in files_in(tmp_path).values())
    store.set_inputs("r", inputs("hunter2 again"))
    finished = store.finalize("r")
    assert finished.events[0].text == "it is ***"
    store.save(run_of("s", "hunter2"))
    assert all(b"hunter2" not in data for data in files_in(tmp_path).values())
    plain = shelf(tmp_path / "plain").save(run_of("r", "hunter2"))
    store.save(plain)
    assert files_in(tmp_path / "r") == files_in(tmp_path / "plain" / "r")


def test_secrets_are_taken_out_by_default(tmp_path):
    """A store redacts by default."""
    store = FsRecorder(tmp_path)
    key = "sk-proj-" + "A1b2C3d4E5" * 6
    store.start_run("r", inputs(f"use {key}"))
    store.record(message("r", f"I used {key}"))
    store.record_exchange(
        "r", type(exchange())(kind="call", asked=_called(key), answered={"returned": [key]})
    )
    assert key not in str(store.finalize("r"))
    assert all(key.encode() not in data for data in files_in(tmp_path).values())


def test_a_failed_finalize_loses_nothing_and_can_be_repeated(tmp_path, monkeypatch):
    """A run is forgotten only when its files are safe; the old golden stays until then."""
    shelf(tmp_path).save(run_of("r", "old"))
    before = files_in(tmp_path / "r")
    store = shelf(tmp_path, replace=True)
    store.start_run("r", inputs())
    store.record(message("r", "new"))
    real = os.fsync
    for step in itertools.count():
        calls = itertools.count()

        def failing(fd, step=step, calls=calls):
            if next(calls) == step:
                raise OSError(28, "No space left on device")
            real(fd)

        monkeypatch.setattr(os, "fsync", failing)
        try:
            store.finalize("r")
        except StoreError:
            if step < 4:  # three files and their folder come before the swap
                assert files_in(tmp_path / "r") == before
            store.record(message("r", "more"))
        else:
            break
    assert step >= 4
    monkeypatch.undo()
    assert len(store.load("r").events) == step + 1
    assert _names(tmp_path) == [".gitattributes", ".gitignore", "r"]


def test_git_files_are_written_once_beside_all_goldens(tmp_path):
    """The files for git go to the nearest __sparrow__ folder, else to the store, and never replace existing files."""
    goldens = tmp_path / "__sparrow__"
    shelf(goldens / "test_a").save(run_of("r"))
    assert (goldens / ".gitattributes").read_text() == "* -text\n"
    assert ".pending/" in (goldens / ".gitignore").read_text().splitlines()
    (goldens / ".gitattributes").write_text("mine\n")
    shelf(goldens / "test_b").save(run_of("r"))
    assert (goldens / ".gitattributes").read_text() == "mine\n"
    assert _names(goldens / "test_b") == ["r"]
    shelf(tmp_path / "plain").save(run_of("r"))
    assert (tmp_path / "plain" / ".gitattributes").exists()


def test_eight_threads_write_into_one_run(tmp_path):
    """Every event and exchange is there, whole, and each thread's are in its order."""
    store = shelf(tmp_path)
    store.start_run("r", inputs())

    def work(thread):
        for number in range(200):
            store.record(message("r", f"{thread} {number} " + "x" * (number * 7)))
            store.record_exchange("r", exchange(thread))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    finished = store.finalize("r")
    assert len(finished.events) == len(finished.exchanges) == 1600
    for thread in range(8):
        own = [event.text.split()[1] for event in finished.events if event.text.split()[0] == str(thread)]
        assert own == [str(number) for number in range(200)]


_RACE = """
import sys
from pathlib import Path
from pytest_sparrow.events import Message
from pytest_sparrow.store import FsRecorder
from pytest_sparrow.transcript import RunInputs
class Plain:
    def line(self, data): return data
folder, who = Path(sys.argv[1]), sys.argv[2]
store = FsRecorder(folder, redactor=Plain(), replace=True)
for turn in range(40):
    store.start_run("r", RunInputs(task=who))
    for number in range(turn % 5 + 1):
        store.record(Message(run="r", role="assistant", text=f"{who} {turn}"))
    store.finalize("r")
"""


def test_two_processes_that_finish_the_same_run_do_no_harm(tmp_path):
    """While two processes replace a run again and again, every reader finds a whole one; so at the end."""
    shelf(tmp_path).save(run_of("r", "start"))
    racers = [start([sys.executable, "-c", _RACE, str(tmp_path), who]) for who in ("a", "b")]
    store = shelf(tmp_path)
    seen = set()
    while any(racer.poll() is None for racer in racers):
        found = store.load("r")
        assert found is not None
        assert store.list_transcripts() == ["r"]
        texts = {event.text for event in found.events if event.type == "Message"}
        assert len(texts) <= 1
        seen |= texts
    assert [racer.returncode for racer in racers] == [0, 0]
    assert store.load("r").inputs.task in ("a", "b")
    assert _names(tmp_path) == [".gitattributes", ".gitignore", "r"]
    assert seen


def test_two_threads_that_finish_the_same_run_finish_it_once(tmp_path, monkeypatch):
    """One thread gets the transcript, the other an error, even if it found the run still under way."""
    store = shelf(tmp_path)
    store.start_run("r", inputs())
    results = []
    found, both = store._journal, threading.Barrier(2)

    def journal(run_id):
        try:
            return found(run_id)
        finally:
            both.wait()

    monkeypatch.setattr(store, "_journal", journal)

    def finish():
        try:
            results.append(store.finalize("r").run_id)
        except UnknownRun:
            results.append("unknown")

    threads = [threading.Thread(target=finish) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["r", "unknown"]


def test_a_file_in_the_place_of_a_run_is_not_removed(tmp_path):
    """Somebody's file is no run of ours."""
    (tmp_path / "r").write_text("mine")
    with pytest.raises(StoreError):
        shelf(tmp_path, replace=True).save(run_of("r"))
    assert (tmp_path / "r").read_text() == "mine"
