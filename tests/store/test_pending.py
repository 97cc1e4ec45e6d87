"""What waits for a review on disk: whole or not at all, bounded, and never applied to another golden."""

import functools
import json
import os
import signal
import threading
import warnings
from dataclasses import replace

import pytest

from pytest_sparrow import __version__
from pytest_sparrow.errors import DamagedTranscript, SecretFound, StoreError, UnsafeName
from pytest_sparrow.events import Message
from pytest_sparrow.redact.scanner import Scanner
from pytest_sparrow.store import FsRecorder, disk, pending, swap
from pytest_sparrow.store.layout import is_pending, review_file, review_store
from pytest_sparrow.store.pending import (
    GoldenChanged,
    Pending,
    accept,
    drop,
    leave,
    pending_tests,
    read,
)
from pytest_sparrow.transcript import RunInputs, Transcript

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on Windows")

IDS = ("test_a", "test_a+second")


def said(run_id, *texts):
    return [Message(run=run_id, role="assistant", text=text) for text in texts]


@pytest.fixture
def store(tmp_path):
    """Two goldens of one test."""
    store = FsRecorder(tmp_path / "__sparrow__" / "test_it", replace=True)
    for run_id in IDS:
        store.save(Transcript.new(run_id, RunInputs(task="t"), said(run_id, "one"), exchanges=[]))
    return store


def left(store, text="two", **fields):
    """Leave a run of the test in which both say something else."""
    waits = Pending(
        store=store.transcripts_dir,
        run_id="test_a",
        test="test_it.py::test_a",
        name="test_a",
        file="test_it.py",
        change="bcdfghjkmnpq",
        **fields,
    )
    goldens = [store.load(run_id) for run_id in IDS]
    new = [(golden, golden.with_events(said(golden.run_id, text))) for golden in goldens]
    leave(waits, new, FsRecorder(review_store(store.transcripts_dir), replace=True))
    return new


def texts(store):
    return [store.load(run_id).events[0].text for run_id in IDS]


def found(store):
    return read(store.transcripts_dir, "test_a")


def test_left_and_accepted(store, tmp_path):
    """It is found, its runs are transcripts, and accepting leaves nothing but the goldens; twice is once."""
    left(store)
    left(store)
    assert list(pending_tests(tmp_path, "__sparrow__")) == [(store.transcripts_dir, "test_a")]
    review = FsRecorder(review_store(store.transcripts_dir))
    assert review.list_transcripts() == list(IDS)
    assert (review.transcripts_dir / ".gitignore").read_text() == "*\n"
    waits = found(store)
    assert accept(waits) == [store.transcripts_dir / run_id for run_id in IDS]
    assert texts(store) == ["two", "two"]
    assert not (store.transcripts_dir / ".pending").exists()
    assert accept(waits) == []


def test_what_does_not_change_is_not_written(store):
    """A run of the test that did as before keeps its golden."""
    golden = store.load("test_a")
    waits = replace(_waits(store), runs={})
    leave(waits, [(golden, golden)], FsRecorder(review_store(store.transcripts_dir), replace=True))
    assert accept(found(store)) == []
    assert texts(store) == ["one", "one"]


def _waits(store):
    left(store)
    return found(store)


@pytest.mark.parametrize("which", IDS)
def test_another_golden(store, which):
    """A golden that was recorded, updated or removed since is not written over, nor is the other one of the test."""
    left(store)
    store.save(store.load(which).with_events(said(which, "three")))
    before = texts(store)
    with pytest.raises(GoldenChanged, match="has changed since"):
        accept(found(store))
    assert texts(store) == before
    store.delete(which)
    with pytest.raises(GoldenChanged, match="is gone"):
        accept(found(store))
    assert is_pending(store.transcripts_dir, "test_a")


def test_a_golden_that_changes_while_it_is_accepted(store, monkeypatch):
    """Another process writes the golden between the look and the write: it stays."""
    left(store)
    changes_of = pending.changes_of

    def meanwhile(waits):
        changes = changes_of(waits)
        store.save(store.load("test_a").with_events(said("test_a", "three")))
        return changes

    monkeypatch.setattr(pending, "changes_of", meanwhile)
    with pytest.raises(GoldenChanged):
        accept(found(store))
    assert texts(store) == ["three", "one"]


@forks
def test_killed_between_two_goldens(store, monkeypatch):
    """Accepted again, the other one is written as well."""
    left(store)
    put = FsRecorder.put
    monkeypatch.setattr(
        FsRecorder, "put", lambda self, run_id, *args, **how: _dies(run_id) or put(self, run_id, *args, **how)
    )
    assert in_child(lambda: accept(found(store))) == -signal.SIGKILL
    assert texts(store) == ["two", "one"]
    monkeypatch.undo()
    assert accept(found(store)) == [store.transcripts_dir / IDS[1]]
    assert texts(store) == ["two", "two"]


def in_child(work):
    """Work in a forked process; gives its exit code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads of a worker
        child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _dies(run_id):
    if run_id == IDS[1]:
        os.kill(os.getpid(), signal.SIGKILL)


@forks
@pytest.mark.parametrize("step", [1, 4, 5, 8, 10, 11])
def test_killed_while_it_is_left(store, monkeypatch, step):
    """After kill -9 at any file: nothing is pending, or all of it; the next replay writes over the rest."""
    left(store, "earlier")
    new_file, count = disk.new_file, iter(range(1, 100))

    def dies(*args, **how):
        if next(count) == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return new_file(*args, **how)

    def work():
        monkeypatch.setattr(disk, "new_file", dies)
        monkeypatch.setattr(swap, "new_file", dies)
        left(store)

    killed = in_child(work)
    if is_pending(store.transcripts_dir, "test_a"):
        assert killed == 0
        assert accept(found(store))
        assert texts(store) == ["two", "two"]
    else:
        assert killed == -signal.SIGKILL
        left(store)
        accept(found(store))
        assert texts(store) == ["two", "two"]


DAMAGE = {
    "no JSON": (b'{\n"format": 1,\n\n!}', r"test_a\.json:4: is no JSON"),
    "no UTF-8": (b'{"a": "\xff"}', r"test_a\.json: is no JSON"),
    "no object": (b"[]", "was left by pytest-sparrow None"),
    "another version": (
        b'{"format": 1, "version": "0.0.1"}',
        f"left by pytest-sparrow 0.0.1, and this is {__version__}",
    ),
    "another format": (json.dumps({"format": 2, "version": __version__}).encode(), "was left by"),
    "another test's run": (
        json.dumps(
            {"format": 1, "version": __version__, "test": "a", "name": "a", "file": "a.py", "change": "b"}
            | {"refused": "", "verdicts": [], "runs": {"test_b": {"golden": "", "new": ""}}}
        ).encode(),
        "is not what a replay writes",
    ),
    "no runs": (json.dumps({"format": 1, "version": __version__}).encode(), "is not what a replay writes"),
}


@pytest.mark.parametrize(("data", "said"), DAMAGE.values(), ids=list(DAMAGE))
def test_damage_is_refused(store, data, said):
    """By file and line, with the way out; nothing is written."""
    left(store)
    review_file(store.transcripts_dir, "test_a").write_bytes(data)
    with pytest.raises(DamagedTranscript, match=said) as refused:
        found(store)
    assert "replay the test again" in str(refused.value)
    drop(store.transcripts_dir, "test_a")
    assert not (store.transcripts_dir / ".pending").exists()


@pytest.mark.parametrize("damaged", ["new", "golden", "other"])
def test_a_damaged_run_is_refused(store, damaged):
    """A new run or a golden that is not what was written, and a run of another replay."""
    left(store)
    folder = store.transcripts_dir if damaged == "golden" else review_store(store.transcripts_dir)
    if damaged == "other":
        FsRecorder(folder, replace=True).save(store.load("test_a").with_events(said("test_a", "three")))
    else:
        path = folder / "test_a" / "events.jsonl"
        path.write_bytes(path.read_bytes()[:-2] + b"\n")
    with pytest.raises(DamagedTranscript, match="meta.json" if damaged == "other" else "events.jsonl"):
        accept(found(store))
    assert store.load(IDS[1]).events[0].text == "one"


def test_it_is_bounded(store, monkeypatch):
    """In tests and in bytes; what waits already can always be replaced."""
    left(store)
    monkeypatch.setattr(pending, "MOST_TESTS", 1)
    left(store, "three")
    other = store.load("test_a")
    store.save(Transcript.new("test_b", RunInputs(task="t"), other.events, exchanges=[]))
    with pytest.raises(StoreError, match="1 tests of this module are pending already"):
        leave(replace(found(store), run_id="test_b"), [], FsRecorder(review_store(store.transcripts_dir)))
    monkeypatch.undo()
    monkeypatch.setattr(pending, "MOST_BYTES", 1000)
    with pytest.raises(StoreError, match="pending already"):
        leave(replace(found(store), run_id="test_b"), [], FsRecorder(review_store(store.transcripts_dir)))


def test_the_size_is_noted(store):
    """What the others hold is not counted anew with each test that is left; a lost note is made again."""
    review = review_store(store.transcripts_dir)
    for each in range(2):
        left(store, "two" * (each + 1))
        held = sum(path.stat().st_size for run_id in IDS for path in (review / run_id).iterdir())
        assert int((review / ".size").read_bytes()) == held
    (review / ".size").write_bytes(b"?")
    left(store)
    assert int((review / ".size").read_bytes()) < held
    drop(store.transcripts_dir, "test_a")
    assert not review.exists()


def test_a_secret_in_what_was_found(store):
    """Nothing is pending where the findings hold a secret that was not hidden, nor is what was pending before."""
    left(store)
    path = store.transcripts_dir / "x.json"
    check = functools.partial(Scanner({"DESK_TOKEN": "wq83-hfk2-xy"}).check, file=str(path))
    waits = replace(found(store), verdicts=[{"since": "wq83-hfk2-xy"}])
    with pytest.raises(SecretFound):
        leave(waits, [], FsRecorder(review_store(store.transcripts_dir)), check)
    assert not is_pending(store.transcripts_dir, "test_a")


def test_side_by_side(store):
    """Threads that leave and drop tests of one module disturb each other nowhere."""
    left(store)
    goldens = []
    for number in range(4):
        run_id = f"test_{number}"
        store.save(Transcript.new(run_id, RunInputs(task="t"), said(run_id, "one"), exchanges=[]))
        goldens.append(store.load(run_id))
    failed = []

    def work(golden):
        try:
            for _ in range(5):
                waits = replace(found(store), run_id=golden.run_id)
                leave(
                    waits, [(golden, golden)], FsRecorder(review_store(store.transcripts_dir), replace=True)
                )
                drop(store.transcripts_dir, golden.run_id)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(golden,)) for golden in goldens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [path.name for path in review_store(store.transcripts_dir).glob("*.json")] == ["test_a.json"]


def test_a_link_is_not_followed(store, tmp_path):
    """A link in the place of what is pending leads nobody elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    (store.transcripts_dir / ".pending").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeName):
        left(store)
    assert list((tmp_path / "elsewhere").iterdir()) == []
