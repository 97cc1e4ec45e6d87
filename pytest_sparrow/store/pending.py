"""Keeps the new run of a replay that differs from its golden, until somebody accepts or rejects the run.

Beside the goldens of a module lies ``.pending/review``, which git ignores. It holds a file for each test (see
`Pending`) and, as a store of transcripts, each golden of the test as it would be: an update without running the test
again.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_sparrow
from pytest_sparrow.errors import DamagedTranscript, RecordedMeanwhile, StoreError
from pytest_sparrow.events.jsontext import pretty
from pytest_sparrow.store.disk import lock_file, refused, replace_file
from pytest_sparrow.store.finding import load_finished
from pytest_sparrow.store.goldens import goldens_folders
from pytest_sparrow.store.layout import (
    META,
    check_pending_root,
    pending_root,
    review_file,
    review_store,
    write_git_files,
)
from pytest_sparrow.store.recorder import FsRecorder
from pytest_sparrow.store.rewriting import files_as_read
from pytest_sparrow.store.swap import remove_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.transcript import Transcript

FORMAT = 1
"""The format of what is pending, which only the version that wrote it reads."""

MOST_TESTS = 1_000
"""Tests of one module that may be pending at once."""

MOST_BYTES = 200_000_000
"""Bytes of one module that may be pending at once."""

_REPLAY = "replay the test again"


class GoldenChanged(StoreError):
    """The golden is not the one that the pending run was compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRun:
    """One golden of a test, and what it would become.

    Attributes:
        golden: the SHA-256 of the golden's ``meta.json``, which holds the digests of its other files.
        new: the same of the golden as it would be; None where nothing of it changes.
    """

    golden: str
    new: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """What waits for a review: one test, with its further runs.

    Attributes:
        store: the folder of the module's goldens.
        run_id: the test's golden in it.
        test: the test, as pytest takes it where it was replayed.
        name: the test's name within its file, with classes and parameters.
        file: the name of its file, which lies beside the goldens' folder.
        change: what differs, as `pytest_sparrow.judging.alike.change_id` names it.
        refused: why it cannot be accepted: "answers" (some are missing), "own" (the test failed by itself), "what-if"
            (the test has a fork or faults); "" where it can.
        verdicts: what was found, as JSON of `pytest_sparrow.findings.Verdict`.
        runs: each run of the test, by its id.
    """

    store: Path
    run_id: str
    test: str
    name: str
    file: str
    change: str
    refused: str = ""
    verdicts: list[dict[str, Json]] = field(default_factory=list)
    runs: Mapping[str, PendingRun] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The test's file, as this folder stands now."""
        return self.store.parent.parent / self.file

    @property
    def nodeid(self) -> str:
        """The test, as pytest takes it here."""
        path = self.path.absolute()
        with contextlib.suppress(ValueError):
            path = path.relative_to(Path.cwd())
        return f"{path.as_posix()}::{self.name}" if self.name else path.as_posix()


def leave(
    pending: Pending,
    new: Sequence[tuple[Transcript, Transcript]],
    recorder: FsRecorder,
    check: Callable[[bytes], None] = lambda _: None,
) -> None:
    """Write what is pending of a test, in place of what was.

    Args:
        pending: the test, without its runs.
        new: each golden of the test, and what it would become, which is the same object where nothing changes.
        recorder: writes into the store of pending runs, with the test's redactor and scanner.
        check: refuses bytes that hold a secret, by an error; nothing is pending then.

    Raises:
        SecretFound: a run holds a secret that was not hidden.
        StoreError: too much is pending, or the disk refused.
    """
    store, run_id = pending.store, pending.run_id
    with _writing(store):
        size = _remove(store, run_id)
        tests = sum(name.endswith(".json") for name in _names(review_store(store)))
        if tests >= MOST_TESTS or size >= MOST_BYTES:
            raise StoreError(
                f"{tests} tests of this module are pending already, {size // 1_000_000} MB: settle some first"
            )
        runs: dict[str, Json] = {}
        check(pretty(_header(pending, runs)))
        for golden, changed in new:
            runs[golden.run_id] = {"golden": golden.digest}
            if changed is not golden:
                runs[golden.run_id]["new"] = recorder.save(changed).digest
        # Last: whoever is killed before leaves nothing that a review finds.
        replace_file(review_file(store, run_id), pretty(_header(pending, runs)))
        _note_size(store, size + sum(map(_bytes_of, _folders(store, run_id))))


def _header(pending: Pending, runs: dict[str, Json]) -> dict[str, Json]:
    said = {name: getattr(pending, name) for name in _SAID}
    return {"format": FORMAT, "version": pytest_sparrow.__version__, **said, "runs": runs}


def drop(store: Path, run_id: str) -> None:
    """Remove what is pending of a test.

    Raises:
        UnsafeName: a link leads elsewhere.
        StoreError: the disk refused.
    """
    with _writing(store):
        _remove(store, run_id)


def read(store: Path, run_id: str) -> Pending:
    """What is pending of a test.

    Raises:
        DamagedTranscript: it is not what was written, or another version wrote it.
        StoreError: the system refuses to read it.
    """
    path = review_file(store, run_id)
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise StoreError(f"{path}: could not be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise DamagedTranscript(str(path), error.lineno, f"is no JSON: {error.msg}", _REPLAY) from None
    except ValueError as error:  # no UTF-8
        raise DamagedTranscript(str(path), None, f"is no JSON: {error}", _REPLAY) from None
    by = (value.get("format"), value.get("version")) if isinstance(value, dict) else (None, None)
    if by != (FORMAT, pytest_sparrow.__version__):
        reason = f"was left by pytest-sparrow {by[1]}, and this is {pytest_sparrow.__version__}"
        raise DamagedTranscript(str(path), None, reason, f"{_REPLAY} with this version")
    try:
        said = {name: value[name] for name in _SAID}
        runs = {each: PendingRun(**found) for each, found in value["runs"].items()}
        if not all(type(said[name]) is kind for name, kind in _SAID.items()):
            raise TypeError
        # It may come from elsewhere (an artifact of CI): no other test is accepted by it, and no folder reached.
        if Path(said["file"]).name != said["file"] or any(each.partition("+")[0] != run_id for each in runs):
            raise TypeError
    except (LookupError, TypeError, AttributeError):
        raise DamagedTranscript(str(path), None, "is not what a replay writes", _REPLAY) from None
    return Pending(store=store, run_id=run_id, runs=runs, **said)


_SAID: dict[str, type] = {
    "test": str,
    "name": str,
    "file": str,
    "change": str,
    "refused": str,
    "verdicts": list,
}
"""The fields that the file of a test holds as they are."""
assert _SAID.keys() == {each.name for each in fields(Pending)} - {"store", "run_id", "runs"}


def pending_tests(root: Path, name: str) -> Iterator[tuple[Path, str]]:
    """The tests below a folder that wait for a review: the folder of their goldens, and the golden in it.

    Args:
        root: where to look.
        name: the name of the goldens' folders.
    """
    for goldens in goldens_folders(root, name):
        for review in sorted(goldens.glob(f"*/{review_store(Path()).as_posix()}")):
            if not (review.is_symlink() or review.parent.is_symlink()):
                for path in sorted(review.glob("*.json")):
                    yield review.parents[1], path.name.removesuffix(".json")


def changes_of(pending: Pending) -> list[tuple[Transcript, Transcript]]:
    """The goldens that accepting would change, each with what it would become; none of those that are so already.

    Raises:
        GoldenChanged: a golden is not the one that the new run was compared with.
        DamagedTranscript: a golden, or what it would become, is not what was written.
        StoreError: the system refuses to read it.
    """
    found = []
    for run_id, each in pending.runs.items():
        golden = load_finished(pending.store, run_id)
        if golden is None:
            raise GoldenChanged(f"{pending.store / run_id}: the golden is gone")
        if golden.digest == each.new:
            continue  # whoever accepted it was killed before the other runs of the test
        if golden.digest != each.golden:
            raise GoldenChanged(
                f"{pending.store / run_id}: the golden has changed since the test was replayed"
            )
        if each.new is not None:
            found.append((golden, _new_run(pending, run_id, each.new)))
    return found


def _new_run(pending: Pending, run_id: str, digest: str) -> Transcript:
    review = review_store(pending.store)
    new = load_finished(review, run_id)
    if new is None or new.digest != digest:
        reason = "is missing" if new is None else "is not the one that the replay left"
        raise DamagedTranscript(str(review / run_id / META), None, reason, _REPLAY)
    return new


def accept(pending: Pending) -> list[Path]:
    """Write each golden of a test as it would be; returns the folders that were written.

    Raises:
        GoldenChanged, DamagedTranscript, StoreError: see `changes_of`; nothing is written then.
    """
    recorder = FsRecorder(pending.store, replace=True)
    written = []
    for golden, new in changes_of(pending):
        try:
            # Redacted and looked through when it was left, by the test's own settings.
            recorder.put(golden.run_id, files_as_read(new), instead_of=golden)
        except RecordedMeanwhile as error:
            raise GoldenChanged(
                f"{error.args[0]}: the golden has changed since the test was replayed"
            ) from None
        written.append(pending.store / golden.run_id)
    drop(pending.store, pending.run_id)
    return written


@contextlib.contextmanager
def _writing(store: Path) -> Iterator[None]:
    """Hold the lock of what is pending of a module; what the system refuses becomes a StoreError."""
    review = review_store(store)
    try:
        with lock_file(check_pending_root(store) / "review.lock"):
            review.mkdir(exist_ok=True)
            write_git_files(review)
            yield
            with contextlib.suppress(OSError):
                if {".gitignore", _SIZE}.issuperset(_names(review)):
                    remove_folder(review)
        with contextlib.suppress(OSError):
            pending_root(store).rmdir()
    except OSError as error:
        raise refused(error, review) from error


def _remove(store: Path, run_id: str) -> int:
    """Remove what is pending of a test; gives the bytes of what the module's other tests hold."""
    size = _held(store)
    review_file(store, run_id).unlink(missing_ok=True)
    recorder = FsRecorder(review_store(store))
    for folder in _folders(store, run_id):
        size -= _bytes_of(folder)
        recorder.delete(folder.name)
    _note_size(store, size)
    return size


def _folders(store: Path, run_id: str) -> list[Path]:
    """The folders of a test's new runs, also of those whose writing was interrupted."""
    review = review_store(store)
    names = {name[1:-4] if name.startswith(".") else name for name in _names(review)}
    return [review / name for name in sorted(names) if name.partition("+")[0] == run_id]


def _names(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


_SIZE = ".size"
"""Beside the new runs: their bytes, so that not each test that is left counts those of all others."""


def _held(store: Path) -> int:
    review = review_store(store)
    with contextlib.suppress(OSError, ValueError):
        return int((review / _SIZE).read_bytes())
    return sum(_bytes_of(review / name) for name in _names(review))


def _note_size(store: Path, size: int) -> None:
    (review_store(store) / _SIZE).write_bytes(b"%d" % max(size, 0))


def _bytes_of(folder: Path) -> int:
    if folder.is_symlink() or not folder.is_dir():
        return 0
    with os.scandir(folder) as files:
        return sum(file.stat(follow_symlinks=False).st_size for file in files)
