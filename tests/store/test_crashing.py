"""A recording that is stopped, or refused something, at any thing that it does to the disk: see `crashing`.

In full (4,000 tries, two minutes): ``SPARROW_TEST_FULL=1 pytest tests/store/test_crashing.py``.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from full import FULL

from pytest_sparrow.errors import RecordedMeanwhile, StoreError, UnsafeName
from pytest_sparrow.store import layout
from pytest_sparrow.store.finding import Why, leftovers, recovered

from .shelves import files_in, inputs, message, run_of, shelf

STEP = 1 if FULL else 79


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_whatever_the_disk_does_one_whole_run_is_there(tmp_path):
    """Kills, short writes, errors once and for good, a folder that vanishes: the old run or the new one, whole.

    The error is a StoreError that names the path and the way out, what was unfinished is listed and can be recovered,
    and the next recording is as if nothing had been.
    """
    offset = random.SystemRandom().randrange(STEP)
    done = subprocess.run(
        [
            sys.executable,
            str(Path(__file__).with_name("crashing.py")),
            str(tmp_path / "r"),
            str(STEP),
            str(offset),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    reported = json.loads(done.stdout)
    assert reported["wrong"] == [], f"offset {offset}"
    assert min(reported["points"].values()) > 60
    assert reported["tried"] > 40


def test_a_line_that_was_refused_is_missed_at_the_end(tmp_path, monkeypatch):
    """Whoever swallows the error of a line gets no golden without it; given again, it is there once."""
    store = shelf(tmp_path)
    store.start_run("r", inputs())
    store.record(message("r", "one"))

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.write", full)
        with pytest.raises(StoreError, match="No space left"):
            store.record(message("r", "two"))
    store.record(message("r", "three"))
    with pytest.raises(StoreError, match="not whole"):
        store.finalize("r")
    assert store.load("r") is None
    store.record(message("r", "two"))
    assert [event.text for event in store.finalize("r").events] == ["one", "three", "two"]


def test_a_run_takes_the_place_of_the_one_it_knows_only(tmp_path):
    """A run replaces only the run that it may replace; the first stays, the later can be kept as abandoned."""
    for before in (None, "old"):
        folder = tmp_path / str(before)
        first, second = shelf(folder, replace=True), shelf(folder, replace=True)
        known = None if before is None else first.save(run_of("r", before))
        for store in (first, second):
            store.start_run("r", inputs())
        first.record(message("r", "first"))
        first.finalize("r", instead_of=known)
        with pytest.raises(RecordedMeanwhile, match="another process"):
            second.finalize("r", instead_of=known)
        assert first.load("r").events[0].text == "first"
        second.abandon("r")
    # What the other one wrote is the same to the byte: both ran the test.
    both = shelf(tmp_path / "same", replace=True)
    known = both.save(run_of("r", "old"))
    changed = known.with_events([message("r", "new")])
    written = both.save(changed, instead_of=known)
    assert both.save(changed, instead_of=known).digest == written.digest
    alone = shelf(tmp_path / "gone", replace=True)
    known = alone.save(run_of("r", "old"))
    alone.start_run("r", inputs())
    alone.delete("r")
    alone.finalize("r", instead_of=known)


def test_a_run_takes_the_place_of_one_that_was_written_by_hand(tmp_path):
    """What has no meta.json, or was never read from a folder, is known as well as any."""
    store = shelf(tmp_path, replace=True)
    store.save(run_of("r", "by hand"))
    (tmp_path / "r" / "meta.json").unlink()
    for known in (store.load("r"), run_of("r", "from a script")):
        store.start_run("r", inputs())
        store.finalize("r", instead_of=known)
    store.start_run("r", inputs())
    store.record(message("r", "another"))
    with pytest.raises(RecordedMeanwhile):
        store.finalize("r", instead_of=None)


def test_what_lies_beside_the_runs_is_distinguished(tmp_path):
    """A run under way, a killed one, an abandoned one, and the two kinds of siblings."""
    store = shelf(tmp_path)
    for name in ("living", "killed", "abandoned", "place", "swapped"):
        store.start_run(name, inputs(), nodeid=f"test_it.py::{name}")
        store.record(message(name, "text"))
    store.abandon("abandoned")
    for name in ("place", "swapped"):
        store.finalize(name)
        (tmp_path / name).rename(layout.new_folder(tmp_path, name))
    layout.new_folder(tmp_path, "place").rename(tmp_path / "place")
    layout.old_folder(tmp_path, "place").mkdir()
    journal = next(path for path in (tmp_path / ".pending").iterdir() if path.name.startswith("killed"))
    (journal / "events.jsonl").write_bytes((journal / "events.jsonl").read_bytes() + b'{"torn')
    (journal / "events.jsonl").rename(journal / "copy")
    (journal / "events.jsonl").write_bytes(
        (journal / "copy").read_bytes()
    )  # nobody holds the lock of this one
    before = files_in(tmp_path)
    found = {leftover.run_id: leftover for leftover in leftovers(tmp_path)}
    assert {name: each.why for name, each in found.items()} == {
        "living": Why.UNDER_WAY,
        "killed": Why.KILLED,
        "abandoned": Why.ABANDONED,
        "place": Why.REST,
        "swapped": Why.STANDS_IN,
    }
    assert store.list_transcripts() == ["place", "swapped"]
    assert files_in(tmp_path) == before
    with pytest.raises(StoreError, match="being recorded"):
        recovered(found["living"].folder)
    with pytest.raises(StoreError, match="was finished"):
        recovered(tmp_path / "place")
    for name in ("killed", "abandoned"):
        shelf(tmp_path / "corpus").save(recovered(found[name].folder))
        run = shelf(tmp_path / "corpus").load(name)
        assert [event.text for event in run.events] == ["text"]
        assert run.meta.extra == {"recovered": True}
    assert leftovers(tmp_path / "nowhere") == []


def test_of_two_siblings_one_stands_in(tmp_path):
    """Between two renames both lie there: readers take the new one, or the old one where the new is not whole."""
    for text, place in (("new", layout.new_folder), ("old", layout.old_folder)):
        shelf(tmp_path / text).save(run_of("r", text))
        (tmp_path / text / "r").rename(place(tmp_path, "r"))
    shelf(tmp_path).save(run_of("other"))
    for foreign in (".new", ".old", ".r.tmp", ".r", "notes", ".pending/notes"):
        (tmp_path / foreign).mkdir(parents=True)
    found = [(each.folder.name, each.run_id, each.why) for each in leftovers(tmp_path)]
    assert found == [(".r.new", "r", Why.STANDS_IN), (".r.old", "r", Why.REST)]
    (tmp_path / ".r.new" / "meta.json").unlink()
    assert [each.why for each in leftovers(tmp_path)] == [Why.REST, Why.STANDS_IN]


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_a_link_is_no_leftover(tmp_path):
    """No writer makes one: what it leads to is nobody's unfinished run."""
    store = shelf(tmp_path)
    store.start_run("r", inputs())
    kept = store.abandon("r")
    kept.rename(tmp_path / "away")
    kept.symlink_to(tmp_path / "away", target_is_directory=True)
    assert leftovers(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_no_link_leads_a_writer_out_of_the_store(tmp_path):
    """A link in the place of the pending folder, a lock, a sibling or a file of git is not followed."""
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "store"
    elsewhere.mkdir()
    shelf(elsewhere).save(run_of("r", "theirs"))
    (elsewhere / "r.abandoned.01234567").mkdir()
    before = files_in(elsewhere)
    folder.mkdir()
    (folder / ".pending").symlink_to(elsewhere)
    (folder / ".gitignore").symlink_to(elsewhere / "made")
    for use in (lambda: shelf(folder).start_run("r", inputs()), lambda: leftovers(folder)):
        with pytest.raises(UnsafeName, match="is a link"):
            use()
    (folder / ".pending").unlink()
    (folder / ".pending").mkdir()
    (folder / ".pending" / "r.lock").symlink_to(elsewhere / "lock")
    with pytest.raises(StoreError, match=r"r\.lock"):
        shelf(folder).save(run_of("r"))
    (folder / ".pending" / "r.lock").unlink()
    layout.new_folder(folder, "r").symlink_to(elsewhere / "r")
    assert shelf(folder).load("r") is None
    shelf(folder).save(run_of("r", "ours"))
    assert shelf(folder).load("r").events[1].text == "ours"
    assert files_in(elsewhere) == before
    assert (elsewhere / "r.abandoned.01234567").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_pipes_in_the_place_of_files_are_refused_and_never_waited_for(tmp_path):
    """Whatever of a store is a pipe: an error, or nothing, at once."""
    for place in (
        "r/events.jsonl",
        "r/meta.json",
        "r",
        ".r.new",
        ".pending/r.lock",
        ".pending",
        ".gitignore",
    ):
        folder = tmp_path / place.replace("/", "-")
        store = shelf(folder, replace=True)
        store.save(run_of("r"))
        target = folder / place
        if place == "r":
            store.delete("r")
        elif target.is_file():
            target.unlink()
        target.parent.mkdir(exist_ok=True)
        os.mkfifo(target)
        uses = (store.load, lambda name, store=store: store.save(run_of(name)))
        for use in (*uses, lambda name, store=store: store.start_run(name, inputs())):
            with contextlib.suppress(StoreError, UnsafeName):
                use("r")
