"""Replaces a folder all or nothing: writes the new one beside the old, makes it durable, and swaps it in.

A killed writer can leave these states, each with one whole run that a reader finds (see `finding`):

1. the run, and ``.<run>.new``, whole or not;
2. only ``.<run>.new`` and ``.<run>.old``, both whole (between two renames);
3. the run, and ``.<run>.old`` (or the former run as ``.<run>.new``, after an exchange).
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from typing import TYPE_CHECKING

from pytest_sparrow.store.disk import naming, new_file
from pytest_sparrow.store.layout import new_folder, old_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_NOT_HERE = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM}


def replace_folder(store: Path, run_id: str, files: Mapping[str, bytes]) -> None:
    """Put files in the place of a run's folder, whole. The run's lock must be held, `recover` have run.

    Raises:
        OSError: they could not be written; the former run is untouched.
    """
    place, new, old = store / run_id, new_folder(store, run_id), old_folder(store, run_id)
    if place.exists() and not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
    _write_durably(new, files)
    if not os.path.lexists(place):
        new.rename(place)
    elif not _exchange(new, place):
        place.rename(old)
        try:
            new.rename(place)
        except OSError:
            old.rename(place)
            raise
    sync_folder(store)
    with contextlib.suppress(OSError):  # the run is in its place; the next writer tidies up
        remove_folder(new)
        remove_folder(old)


def recover(store: Path, run_id: str, *, whole: Path | None) -> None:
    """Finish or undo what a killed writer left. The run's lock must be held.

    Args:
        store: the store.
        run_id: the run.
        whole: the sibling that readers take for the run, where the run itself is missing.
    """
    if whole is not None:
        whole.rename(store / run_id)
        sync_folder(store)
    remove_folder(new_folder(store, run_id))
    remove_folder(old_folder(store, run_id))


def remove_folder(folder: Path) -> None:
    """Remove a folder, or what is in its place; nothing happens where there is nothing."""
    if (
        folder.is_symlink() or not folder.is_dir()
    ):  # rmtree would open a pipe, and wait for whoever writes to it
        folder.unlink(missing_ok=True)
        return
    while os.path.lexists(folder):
        # Two that tidy up the same folder find parts of it gone: what is left then is removed by neither.
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)


def sync_folder(folder: Path) -> None:
    """Make renames within a folder durable, where the system knows how."""
    if sys.platform == "win32":
        return
    with naming(folder):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _write_durably(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir()
    for name, content in files.items():
        new_file(folder / name, content, durable=True)
    sync_folder(folder)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders at once; False where the system can't (not Linux, NFS, an old kernel)."""
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:  # musl
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NOT_HERE:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))
