"""Writing is all or nothing: at every moment a writer may die, one whole run is found."""

from __future__ import annotations

import ctypes
import errno
import os
import random
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from inner_runs import start

from pytest_sparrow.errors import DamagedTranscript, StoreError
from pytest_sparrow.store import finding, iter_events, layout, load_transcript, reader, swap
from pytest_sparrow.store.disk import is_held

from .shelves import files_in, run_of, shelf


class Killed(BaseException):
    """Stands for SIGKILL at a chosen step: nothing that handles errors runs."""


def _kill_at(monkeypatch, step):
    """Let the process "die" before the step-th thing it does to the disk; returns the steps taken."""
    taken = []

    def watched(owner, name):
        real = getattr(owner, name)

        def call(*args, **kwargs):
            if len(taken) == step:
                raise Killed
            taken.append(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    for owner, name in (
        (os, "fsync"),
        (Path, "rename"),
        (Path, "mkdir"),
        (Path, "unlink"),
        (swap, "_exchange"),
        (os, "rmdir"),
    ):
        watched(owner, name)
    return taken


@pytest.mark.parametrize("former", [True, False], ids=["re-recorded", "first"])
@pytest.mark.parametrize("atomic", [True, False], ids=["exchange", "two renames"])
def test_a_writer_may_die_at_any_step(tmp_path, atomic, former):
    """Before each step the run loads whole, old or new, without a write; the next writer tidies up."""
    old, new = run_of("r", "old"), run_of("r", "new", exchanges=1)
    allowed = [["old"], ["new"]] if former else [None, ["new"]]
    reached, step, dead = set(), 0, True
    while dead:
        folder = tmp_path / str(step)
        if former:
            shelf(folder).save(old)
        else:
            shelf(folder).save(run_of("other"))
        with pytest.MonkeyPatch.context() as monkeypatch:
            if not atomic:
                monkeypatch.setattr(swap, "_exchange", lambda one, other: False)
            _kill_at(monkeypatch, step)
            try:
                shelf(folder, replace=True).save(new)
            except Killed:
                pass
            else:
                dead = False
        before = files_in(folder)
        found = shelf(folder).load("r")
        texts = None if found is None else [event.text for event in found.events[1:]]
        assert texts in allowed
        assert ("r" in shelf(folder).list_transcripts()) is (found is not None)
        assert files_in(folder) == before
        reached.add(str(texts))
        shelf(folder, replace=True).save(run_of("r", "next"))
        assert shelf(folder).load("r").events[1].text == "next"
        assert not [path for path in folder.iterdir() if path.name.endswith((".new", ".old"))]
        step += 1
    assert len(reached) == 2
    assert step > 6


def test_the_new_run_is_taken_before_the_old_one(tmp_path):
    """Between two renames both are whole: what was to be written counts."""
    store = shelf(tmp_path)
    for text, place in (("old", layout.old_folder), ("new", layout.new_folder)):
        shelf(tmp_path / text).save(run_of("r", text))
        (tmp_path / text / "r").rename(place(tmp_path, "r"))
        assert store.load("r").events[1].text == text
    (layout.new_folder(tmp_path, "r") / "events.jsonl").unlink()
    assert store.load("r").events[1].text == "old"
    (layout.old_folder(tmp_path, "r") / "meta.json").unlink()
    assert store.load("r") is None
    assert "r" not in store.list_transcripts()


def test_a_sibling_never_hides_a_damaged_run(tmp_path):
    """Where the run's own folder is there, it is the run, damaged or not."""
    store = shelf(tmp_path, replace=True)
    store.save(run_of("r", "old"))
    (tmp_path / "r").rename(layout.new_folder(tmp_path, "r"))
    store.list_transcripts()
    (tmp_path / "r").mkdir()
    with pytest.raises(DamagedTranscript):
        store.load("r")


def test_a_run_is_not_replaced_by_a_writer_that_may_not_though_its_swap_was_interrupted(tmp_path):
    """What an interrupted swap left is a finished run like any other."""
    store = shelf(tmp_path)
    store.save(run_of("r", "whole"))
    (tmp_path / "r").rename(layout.new_folder(tmp_path, "r"))
    with pytest.raises(Exception, match="replace=True"):
        store.save(run_of("r", "second"))
    assert store.load("r").events[1].text == "whole"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="renameat2 is Linux's")
def test_linux_exchanges_two_folders_at_once(tmp_path):
    """The atomic way is really taken where it is there."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert swap._exchange(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a" / "b").exists()
    assert (tmp_path / "b" / "a").exists()
    with pytest.raises(FileNotFoundError):
        swap._exchange(tmp_path / "a", tmp_path / "missing")


def test_a_failed_second_rename_puts_the_old_run_back(tmp_path, monkeypatch):
    """Where the new folder can't be moved in, the old one returns."""
    store = shelf(tmp_path, replace=True)
    store.save(run_of("r", "old"))
    before = files_in(tmp_path / "r")
    monkeypatch.setattr(swap, "_exchange", lambda one, other: False)
    real = Path.rename

    def rename(self, target):
        if self.name == ".r.new":
            raise OSError(5, "Input/output error")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(Exception, match="Input/output error"):
        store.save(run_of("r", "new"))
    assert files_in(tmp_path / "r") == before


@pytest.mark.parametrize("atomic", [True, False], ids=["exchange", "two renames"])
def test_a_reader_never_mixes_two_runs(tmp_path, monkeypatch, atomic):
    """A run that is replaced while it is read, even twice, is read again from the start."""
    if not atomic:
        monkeypatch.setattr(swap, "_exchange", lambda one, other: False)
    store = shelf(tmp_path, replace=True)
    store.save(run_of("r", "first"))
    real, swaps = reader._read_file, [1, 3, 2]

    def read(*args):
        data = real(*args)
        if swaps:
            for number in range(swaps.pop()):
                store.save(run_of("r", *("again" for _ in range(number + 2))))
        return data

    monkeypatch.setattr(reader, "_read_file", read)
    found = store.load("r")
    assert not swaps
    assert len(found.events) == found.meta.event_count
    assert {event.text for event in found.events[1:]} == {"again"}


def test_a_run_that_comes_into_its_place_while_it_is_looked_for_is_found(tmp_path, monkeypatch):
    """A reader that sees neither the run nor its sibling came between two renames: it looks again."""
    store = shelf(tmp_path)
    store.save(run_of("r", "text"))
    (tmp_path / "r").rename(tmp_path / "away")

    def comes(*_):
        (tmp_path / "away").rename(tmp_path / "r")

    monkeypatch.setattr(finding, "whole_sibling", comes)
    assert store.load("r").events[1].text == "text"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names open files as Linux tells them")
@pytest.mark.parametrize("atomic", [True, False], ids=["exchange", "two renames"])
def test_a_power_cut_after_the_end_takes_nothing_back(tmp_path, monkeypatch, atomic):
    """Each file and the folder that names them are on the disk before the swap, and the store's names after it."""
    store = shelf(tmp_path, replace=True)
    store.save(run_of("r", exchanges=1))
    synced, real, exchange = [], os.fsync, swap._exchange

    def fsync(fd):
        real(fd)
        synced.append(Path(f"/proc/self/fd/{fd}").readlink())

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(
        swap, "_exchange", lambda one, other: (synced.append("swapped"), atomic and exchange(one, other))[1]
    )
    store.save(run_of("r", exchanges=1))
    new = layout.new_folder(tmp_path, "r")
    assert synced[:-3] == [new / name for name in layout.FILES]
    assert synced[-3:] == [new, "swapped", tmp_path]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".gitattributes", ".gitignore", "r"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names open files as Linux tells them")
def test_what_is_put_back_is_put_back_for_good(tmp_path, monkeypatch):
    """A writer that finds the run beside its place writes that name to the disk before it removes anything."""
    store = shelf(tmp_path)
    store.save(run_of("r"))
    (tmp_path / "r").rename(layout.new_folder(tmp_path, "r"))
    layout.old_folder(tmp_path, "r").mkdir()
    synced, real = [], os.fsync

    def fsync(fd):
        synced.append((Path(f"/proc/self/fd/{fd}").readlink(), layout.old_folder(tmp_path, "r").exists()))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StoreError, match="replace=True"):
        store.save(run_of("r"))
    assert synced == [(tmp_path, True)]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="renameat2 is Linux's")
@pytest.mark.parametrize("code", [None, errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM, errno.EIO])
def test_where_nothing_can_be_exchanged_at_once_two_renames_do(tmp_path, monkeypatch, code):
    """A system without the exchange of folders uses two renames; any other error is reported, and nothing is lost."""

    class Library:
        def __init__(self, *_, **__):
            if code is not None:
                self.renameat2 = self.refuse

        def refuse(self, *_):
            ctypes.set_errno(code)
            return -1

    store = shelf(tmp_path, replace=True)
    store.save(run_of("r", "old"))
    monkeypatch.setattr(ctypes, "CDLL", Library)
    if code == errno.EIO:
        with pytest.raises(StoreError, match="Input/output error"):
            store.save(run_of("r", "new"))
    else:
        store.save(run_of("r", "new"))
    assert store.load("r").events[1].text == ("old" if code == errno.EIO else "new")


def test_a_store_may_be_named_from_the_working_directory(tmp_path, monkeypatch):
    """A relative folder is as good, for the swap too."""
    monkeypatch.chdir(tmp_path)
    for text in ("one", "two"):
        shelf(Path("store"), replace=True).save(run_of("r", text))
    assert shelf(tmp_path / "store").load("r").events[1].text == "two"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sees open files as Linux tells them")
def test_a_run_is_held_open_while_it_is_read(tmp_path, monkeypatch):
    """Otherwise the system may give the folder's number to the next folder, and a reader would confuse the two."""
    store = shelf(tmp_path)
    store.save(run_of("r"))
    real, held = finding.load_transcript, []

    def load(*args, **options):
        held.extend(path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink())
        return real(*args, **options)

    monkeypatch.setattr(finding, "load_transcript", load)
    assert store.load("r")
    assert (tmp_path / "r").resolve() in held


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs sockets in folders")
def test_what_cannot_be_opened_as_a_folder_is_reported(tmp_path, monkeypatch):
    """A socket in the place of a run, and a folder that the system refuses: errors of ours, and no absence."""
    store = shelf(tmp_path)
    with monkeypatch.context() as patched, socket.socket(socket.AF_UNIX) as plug:
        patched.chdir(tmp_path)  # the path of a socket may have a hundred bytes
        plug.bind("r")
    with pytest.raises(DamagedTranscript, match="is no folder"):
        store.load("r")
    (tmp_path / "r").unlink()
    store.save(run_of("r"))

    def refuse(path, *_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.open", refuse)
    for load in (store.load, lambda name: finding.load_finished(tmp_path, name)):
        with pytest.raises(StoreError, match="r: could not be read: Permission denied"):
            load("r")


@pytest.mark.parametrize(("stays", "read"), [(True, 1), (False, finding._TRIES)], ids=["damaged", "replaced"])
def test_damage_is_reported_at_once_and_replacing_for_ever_in_the_end(tmp_path, monkeypatch, stays, read):
    """A damaged run is read once; one that is another each time it was read is not read for ever."""
    store = shelf(tmp_path)
    store.save(run_of("r"))
    (tmp_path / "r" / "meta.json").unlink()
    (tmp_path / "r" / "inputs.json").unlink()
    times, real, identity = [], finding.load_transcript, finding._identity
    monkeypatch.setattr(finding, "load_transcript", lambda *a, **k: (times.append(1), real(*a, **k))[1])
    monkeypatch.setattr(finding, "_identity", lambda folder: identity(folder) if stays else (0, len(times)))
    with pytest.raises(DamagedTranscript, match="missing"):
        store.load("r")
    assert len(times) == read


_LOOP = """
import sys
from pathlib import Path
from pytest_sparrow.events import Message
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.store import FsRecorder, swap
from pytest_sparrow.transcript import RunInputs
class Plain:
    def line(self, data): return data
folder, atomic = Path(sys.argv[1]), sys.argv[2] == "1"
if not atomic:
    swap._exchange = lambda one, other: False
store = FsRecorder(folder, redactor=Plain(), replace=True)
turn = 0
while True:
    turn += 1
    store.start_run("r", RunInputs(task=str(turn)), exchanges=True)
    for number in range(turn % 7):
        store.record(Message(run="r", role="assistant", text=str(turn)))
        asked = {"name": "turn", "args": [turn], "kwargs": {}}
        store.record_exchange("r", Exchange(kind="call", asked=asked, answered={"returned": 1}))
    store.finalize("r")
    if turn == 1:
        print("ready", flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("atomic", [True, False], ids=["exchange", "two renames"])
def test_sigkill_at_random_moments_leaves_a_whole_run(tmp_path, atomic):
    """A process that records again and again is killed 8 times (16 in both ways): the run is whole."""
    rng = random.Random()  # not seeded: each run of the suite looks at other moments
    for _ in range(8):
        reading, writing = os.pipe()
        child = start([sys.executable, "-c", _LOOP, str(tmp_path), str(int(atomic))], stdout=writing)
        os.close(writing)
        try:
            with open(reading, "rb") as output:  # noqa: PTH123 - a descriptor
                assert output.readline() == b"ready\n"
            time.sleep(rng.random() * 0.03)
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
        found = shelf(tmp_path).load("r")
        turn = found.inputs.task
        assert len(found.events) == len(found.exchanges) == int(turn) % 7
        assert {event.text for event in found.events} <= {turn}
        for journal in (tmp_path / ".pending").glob("r.*.*"):
            assert not is_held(journal / "events.jsonl")
            if (journal / "meta.json").exists() and (journal / "meta.json").stat().st_size:
                assert not load_transcript(journal).complete
    shelf(tmp_path, replace=True).save(run_of("r", "last"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".gitattributes", ".gitignore", "r"]


@pytest.mark.parametrize("place", [".r.new", ".r.old", ".pending/r.1.0123abcd"])
def test_what_a_writer_left_is_never_written_by_hand(tmp_path, place):
    """Without meta.json a run is somebody's own text only where no writer works: it is the file written last."""
    shelf(tmp_path).save(run_of("r", "half"))
    (tmp_path / "r" / "meta.json").unlink()
    assert load_transcript(tmp_path / "r").events[1].text == "half"
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / "r").rename(tmp_path / place)
    for read in (load_transcript, lambda folder: list(iter_events(folder))):
        with pytest.raises(DamagedTranscript, match="missing"):
            read(tmp_path / place)
    assert shelf(tmp_path).load("r") is None
