"""Which folder holds a finished run, whatever moment a writer was killed at, or is writing now."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import TYPE_CHECKING

from pytest_sparrow.errors import DamagedTranscript, StoreError, UsageError
from pytest_sparrow.store.disk import refused
from pytest_sparrow.store.layout import FILES, META, folder_of, new_folder, old_folder
from pytest_sparrow.store.limits import DEFAULT_LIMITS
from pytest_sparrow.store.reader import load_transcript

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_sparrow.store.limits import Limits
    from pytest_sparrow.transcript import Transcript

__all__ = ["finished_runs", "load_finished", "whole_sibling"]

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
    removed to the next one, and the two could not be told apart. (Windows opens no folders, and does not
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
