"""How a run ends and begins where something stands in the way: nothing stays open, and nothing is written too late."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from pytest_sparrow.errors import StoreError, UnknownRun
from pytest_sparrow.store import disk, iter_events, load_transcript
from pytest_sparrow.store.finding import leftovers
from pytest_sparrow.store.journal import Journal
from pytest_sparrow.transcript import RunMeta

from .shelves import exchange, files_in, inputs, message, run_of, shelf


def _refuse(*_args, **_kwargs):
    raise OSError(28, "No space left on device")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts open files as Linux tells them")
def test_nothing_stays_open(tmp_path):
    """However a run ends, and whatever is read: a suite of thousands of tests does not run out of files."""
    store = shelf(tmp_path, replace=True)

    def begin():
        store.start_run("r", inputs(), exchanges=True)
        store.record(message("r", "text"))
        store.record_exchange("r", exchange())

    def use_all():
        for end in (store.abandon, store.discard, store.finalize):
            begin()
            end("r")
        store.save(store.load("r"))
        store.list_transcripts()
        leftovers(tmp_path)
        load_transcript(tmp_path / "r")
        list(iter_events(tmp_path / "r"))
        disk.is_held(tmp_path / "r" / "events.jsonl")
        store.delete("r")

    def opened():
        return set(Path("/proc/self/fd").iterdir())

    use_all()
    before = opened()
    use_all()
    assert opened() <= before


def test_a_line_that_comes_too_late_is_refused(tmp_path):
    """The number of a closed file may be another file's by now: nothing is written through it."""
    journal = Journal(tmp_path, RunMeta(run_id="r", complete=False), b"{}", exchanges=False)
    journal.append_event(b"{}")
    journal.close()
    before = files_in(tmp_path)
    with pytest.raises(UnknownRun, match="r"):
        journal.append_event(b"{}")
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("what", ["os.replace", "os.write"])
def test_a_run_that_cannot_begin_has_not_begun(tmp_path, monkeypatch, what):
    """The disk refuses its first files: that is reported, nothing is left, and it can be begun again."""
    store = shelf(tmp_path)
    store.save(run_of("other"))
    with monkeypatch.context() as patched:
        patched.setattr(what, _refuse)
        with pytest.raises(StoreError, match="No space left"):
            store.start_run("r", inputs())
    assert list((tmp_path / ".pending").iterdir()) == []
    with pytest.raises(UnknownRun):
        store.record(message("r", "text"))
    store.start_run("r", inputs())
    assert store.finalize("r").events == ()


def test_a_run_whose_journal_was_removed_is_reported(tmp_path):
    """Somebody cleans up while a run is recorded: an error of the store that says what to do."""
    store = shelf(tmp_path)
    store.start_run("r", inputs())
    shutil.rmtree(tmp_path / ".pending")
    for use in (store.pending, store.finalize):
        with pytest.raises(
            StoreError, match="was removed while the run was recorded\n  record the test again"
        ):
            use("r")


def test_what_a_discarded_run_leaves_is_reported(tmp_path, monkeypatch):
    """The disk refuses to remove the journal: the run is over, and the error says that something is left."""
    store = shelf(tmp_path)
    store.start_run("r", inputs())
    with monkeypatch.context() as patched:
        patched.setattr("os.unlink", _refuse)
        patched.setattr("pathlib.Path.unlink", _refuse)
        with pytest.raises(StoreError, match="No space left"):
            store.discard("r")
    with pytest.raises(UnknownRun):
        store.pending("r")


@pytest.mark.parametrize("also", [[], ["os.ftruncate"]], ids=["cut at once", "cut by the next line"])
def test_half_a_line_is_cut_off_before_the_next(tmp_path, monkeypatch, also):
    """The disk takes half a line and then no more: later lines stand whole, and the run is given back whole."""
    store = shelf(tmp_path)
    store.start_run("r", inputs())
    store.record(message("r", "one"))
    before = files_in(tmp_path)
    real, taken = os.write, []

    def half(fd, data):
        if taken:
            _refuse()
        taken.append(fd)
        return real(fd, bytes(data)[: len(data) // 2])

    with monkeypatch.context() as patched:
        patched.setattr("os.write", half)
        for name in also:
            patched.setattr(name, _refuse)
        with pytest.raises(StoreError, match=r"events\.jsonl: could not be written: No space left"):
            store.record(message("r", "two"))
    assert also or files_in(tmp_path) == before
    store.record(message("r", "two"))
    store.record(message("r", "three"))
    assert [event.text for event in store.finalize("r").events] == ["one", "two", "three"]


@pytest.mark.parametrize("left", ["whole", "before meta.json was there", "a file"])
def test_what_a_killed_process_left_is_removed_by_the_next_run(tmp_path, left):
    """A dead journal is removed however far it came, and so is a file in the place of one."""
    journal = tmp_path / ".pending" / "r.1.0123abcd"
    journal.parent.mkdir()
    if left == "a file":
        journal.touch()
    else:
        other = shelf(tmp_path / "other")
        other.start_run("r", inputs())
        (living,) = (tmp_path / "other" / ".pending").iterdir()
        shutil.copytree(living, journal)
        if left != "whole":
            (journal / "meta.json").unlink()
    store = shelf(tmp_path)
    store.start_run("r", inputs())
    store.finalize("r")
    assert not journal.exists()


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_a_link_in_the_place_of_a_journal_is_not_followed(tmp_path):
    """The link itself is removed, and its target keeps all files."""
    elsewhere = tmp_path / "elsewhere"
    shelf(elsewhere).save(run_of("r", "theirs"))
    before = files_in(elsewhere)
    link = tmp_path / "store" / ".pending" / "r.1.0123abcd"
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere / "r", target_is_directory=True)
    shelf(tmp_path / "store").save(run_of("r"))
    assert not link.is_symlink()
    assert files_in(elsewhere) == before


@pytest.mark.skipif(sys.platform == "win32", reason="there nobody removes what another has open")
def test_an_abandoned_journal_is_removed_whoever_has_it_open(tmp_path):
    """A child that was forked while the run was recorded may hold its lock for ever."""
    store = shelf(tmp_path)
    store.start_run("r", inputs())
    kept = store.abandon("r")
    child = os.open(kept / "events.jsonl", os.O_RDWR)
    try:
        assert disk.take(child, wait=False)
        store.save(run_of("r"))
    finally:
        os.close(child)
    assert not kept.exists()


def test_of_a_journal_that_is_removed_what_it_is_goes_first(tmp_path, monkeypatch):
    """Whoever is killed within leaves one that looks as if it had never begun, and no damaged run."""
    store = shelf(tmp_path)
    store.start_run("r", inputs())
    store.record(message("r", "text"))
    (journal,) = (tmp_path / ".pending").iterdir()
    monkeypatch.setattr(shutil, "rmtree", _refuse)
    with pytest.raises(StoreError):
        store.discard("r")
    assert not (journal / "meta.json").exists()


def test_two_journals_that_draw_one_name_are_two(tmp_path, monkeypatch):
    """Chance may give a name that is taken."""
    drawn = iter(["0" * 8, "0" * 8, "1" * 8])
    monkeypatch.setattr("secrets.token_hex", lambda _: next(drawn))
    for text in ("one", "two"):
        store = shelf(tmp_path)
        store.start_run("r", inputs())
        store.record(message("r", text))
        assert [event.text for event in store.pending("r").events] == [text]


def test_what_the_system_takes_in_parts_is_written_once(tmp_path, monkeypatch):
    """A write may take less than it was given, and is asked for the rest; one that takes nothing is reported."""
    store = shelf(tmp_path)
    real = os.write
    with monkeypatch.context() as patched:
        patched.setattr("os.write", lambda fd, data: real(fd, bytes(data)[:7]))
        store.start_run("r", inputs())
        store.record(message("r", "in parts"))
        assert store.finalize("r") == store.load("r")
    assert [event.text for event in store.load("r").events] == ["in parts"]
    store.start_run("s", inputs())
    monkeypatch.setattr("os.write", lambda *_: 0)
    with pytest.raises(StoreError, match="could not be written"):
        store.record(message("s", "never"))


def test_inputs_are_replaced_whole_whatever_lies_beside_them(tmp_path, monkeypatch):
    """A refusal leaves the old ones and nothing half; what another attempt left is in nobody's way."""
    store = shelf(tmp_path)
    store.start_run("r", inputs("old"))
    before = files_in(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("os.replace", _refuse)
        with pytest.raises(StoreError, match="No space left"):
            store.set_inputs("r", inputs("new"))
    assert files_in(tmp_path) == before
    (journal,) = (tmp_path / ".pending").iterdir()
    (journal / "inputs.json.new").write_text("half")
    store.set_inputs("r", inputs("new"))
    assert store.finalize("r").inputs.task == "new"
