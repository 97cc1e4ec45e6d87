"""Finds the folder that holds a finished run, and what interrupted writers left beside it.

Finding never writes. It works whatever moment a writer was killed at, and while another process writes.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import os
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_sparrow.errors import DamagedTranscript, SparrowError, StoreError, UsageError
from pytest_sparrow.store import disk
from pytest_sparrow.store.damage import DEFAULT_LIMITS
from pytest_sparrow.store.disk import refused
from pytest_sparrow.store.journal import read_name
from pytest_sparrow.store.layout import (
    EVENTS,
    FILES,
    META,
    check_pending_root,
    folder_of,
    new_folder,
    old_folder,
)
from pytest_sparrow.store.reader import load_transcript

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_sparrow.store.damage import Limits
    from pytest_sparrow.transcript import Transcript

_TRIES = 20


def load_finished(store: Path, run_id: str, limits: Limits = DEFAULT_LIMITS) -> Transcript | None:
    """A finished run, or None where there is none. Writes nothing.

    A writer may swap the folder while it is read: then it is another folder afterwards, and it is read again.

    Raises:
        UnsafeName: the run id is a path, or a link leads out of the store.
        DamagedTranscript: the run is there, and damaged or never finished.
    """
    folder = folder_of(store, run_id)
    for attempt in range(1, _TRIES + 1):
        with _held(folder) as before:
            if before is None:
                sibling = whole_sibling(store, run_id, limits)
                if sibling is not None or _identity(folder) is None:
                    return None if sibling is None else sibling[1]
                continue
            try:
                return _whole(folder, store, limits)
            except (StoreError, UsageError, OSError):
                if _identity(folder) == before or attempt == _TRIES:
                    raise
    raise StoreError(f"{folder} was replaced {_TRIES} times while it was read")


def whole_sibling(
    store: Path, run_id: str, limits: Limits = DEFAULT_LIMITS
) -> tuple[Path, Transcript] | None:
    """What an interrupted swap left of a run whose own folder is missing: the new one, else the old.

    A link is none of ours: no writer makes one.
    """
    for folder in (new_folder(store, run_id), old_folder(store, run_id)):
        if folder.is_dir() and not folder.is_symlink():
            try:
                return folder, _whole(folder, store, limits)
            except (StoreError, UsageError, OSError):
                continue
    return None


def finished_runs(store: Path) -> list[str]:
    """The ids of all finished runs, sorted; damaged ones too, since damaged is not missing."""
    if not store.is_dir():
        return []
    names = [folder.name for folder in store.iterdir()]
    siblings = (name[1:-4] for name in names if name.startswith(".") and name.endswith((".new", ".old")))
    candidates = {*(name for name in names if not name.startswith(".")), *filter(None, siblings)}
    return sorted(run_id for run_id in candidates if _is_run(store, run_id))


def _is_run(store: Path, run_id: str) -> bool:
    folder = store / run_id
    if folder.is_dir():
        return any((folder / file).exists() for file in FILES)
    return whole_sibling(store, run_id) is not None


def _whole(folder: Path, store: Path, limits: Limits) -> Transcript:
    transcript = load_transcript(folder, root=store, limits=limits)
    if not transcript.complete:
        raise DamagedTranscript(
            str(folder / META),
            None,
            "the run was never finished",
            "delete the folder and record the test again",
        )
    return transcript


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[tuple[int, int] | None]:
    """Which folder this is now, None where there is none.

    It is kept open meanwhile: else the system may give the number of a folder that was swapped out and
    removed to the next one, and nothing could distinguish the two. (Windows opens no folders, and does not
    give numbers again so soon.)
    """
    if sys.platform == "win32":
        yield _identity(folder)
        return
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket
            raise DamagedTranscript(str(folder), None, "is no folder; a transcript is a folder") from None
        raise refused(error, folder, "read") from error
    try:
        found = os.fstat(fd)
        yield found.st_dev, found.st_ino
    finally:
        os.close(fd)


def _identity(folder: Path) -> tuple[int, int] | None:
    """Which folder this is now; None where there is none."""
    try:
        found = folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


RECOVERED = "recovered"
"""Our key in ``meta.json`` of a transcript that was made of an unfinished run: it ends where that was killed."""


class Why(enum.Enum):
    """Why something lies beside the finished runs."""

    UNDER_WAY = "under way"
    """A living process records it."""
    KILLED = "killed"
    """The process that recorded it is dead."""
    ABANDONED = "abandoned"
    """Its test did not pass; the last one is kept."""
    STANDS_IN = "stands in"
    """A swap was interrupted, and readers take this for the run."""
    REST = "rest"
    """A swap was interrupted; the run is in its place, and the next writer removes this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A journal, or a sibling of a swap.

    Attributes:
        folder: where it lies.
        run_id: whose it is.
        why: why it is there.
    """

    folder: Path
    run_id: str
    why: Why


def leftovers(store: Path) -> list[Leftover]:
    """What lies beside the finished runs of a store, by name. Writes nothing.

    Raises:
        UnsafeName: the folder of pending runs is a link.
        OSError: the system refuses to read it.
    """
    if not store.is_dir():
        return []
    found = [*_journals(store), *_siblings(store)]
    return sorted(found, key=lambda leftover: leftover.folder.name)


def recovered(folder: Path, *, limits: Limits = DEFAULT_LIMITS) -> Transcript:
    """What an unfinished run has recorded, as far as its last whole line, ready to be saved as a transcript.

    Its ``meta.json`` will say ``"recovered": true``. It holds what happened until the process was killed, or the test
    failed; so it has no RunFinished.

    Raises:
        UsageError: there is no such folder.
        DamagedTranscript: it was killed before anything was recorded, or is no run of ours.
        StoreError: the run was finished, or is under way.
    """
    run = load_transcript(folder, limits=limits)
    if run.complete:
        raise StoreError(f"{folder} was finished: there is nothing to recover; copy the folder")
    if disk.is_held(folder / EVENTS):
        raise StoreError(f"{folder} is being recorded: wait for its end")
    return run.with_meta(replace(run.meta, complete=True, extra={**run.meta.extra, RECOVERED: True}))


def unfinished(
    store: Path, run_id: str, *, limits: Limits = DEFAULT_LIMITS
) -> tuple[Path, Transcript] | None:
    """The folder of the last unfinished recording of a run, and what that recorded; None: there is none to read."""
    left = [each for each in _journals(store) if each.run_id == run_id and each.why is not Why.UNDER_WAY]
    for each in sorted(left, key=lambda one: one.folder.stat().st_mtime, reverse=True):
        with contextlib.suppress(SparrowError, OSError):
            return each.folder, load_transcript(each.folder, limits=limits)
    return None


def journal_of(store: Path, run_id: str) -> Path | None:
    """The journal of a run that a living process records, or None."""
    if not store.is_dir():
        return None
    under_way = (each for each in _journals(store) if each.run_id == run_id and each.why is Why.UNDER_WAY)
    return next((each.folder for each in under_way), None)


def _journals(store: Path) -> Iterator[Leftover]:
    root = check_pending_root(store)
    if not root.is_dir():
        return
    for folder in root.iterdir():
        name = read_name(folder)
        if name is None or folder.is_symlink():
            continue
        run_id, abandoned = name
        why = Why.ABANDONED if abandoned else Why.KILLED
        if why is Why.KILLED and disk.is_held(folder / EVENTS):
            why = Why.UNDER_WAY
        yield Leftover(folder=folder, run_id=run_id, why=why)


def _siblings(store: Path) -> Iterator[Leftover]:
    for folder in store.iterdir():
        name = folder.name
        run_id = name[1:-4]
        if not run_id or folder not in (new_folder(store, run_id), old_folder(store, run_id)):
            continue
        taken = None if (store / run_id).exists() else whole_sibling(store, run_id)
        why = Why.STANDS_IN if taken is not None and taken[0] == folder else Why.REST
        yield Leftover(folder=folder, run_id=run_id, why=why)
