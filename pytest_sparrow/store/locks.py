"""Locks between processes: taken by the kernel, so a killed holder never leaves one behind."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["is_held", "lock_file", "take"]

# No link is followed to somebody's file, and no pipe is waited for.
_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)

if sys.platform == "win32":
    import msvcrt

    # A byte far behind any content: on Windows a locked byte can't be read by others.
    _BYTE = 2**40

    def take(fd: int, *, wait: bool) -> bool:
        """Lock an open file for this descriptor; False where somebody else holds it and we don't wait."""
        os.lseek(fd, _BYTE, os.SEEK_SET)
        while True:
            try:
                msvcrt.locking(fd, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            except OSError:
                if not wait:
                    return False
            else:
                return True

else:
    import fcntl

    def take(fd: int, *, wait: bool) -> bool:
        """Lock an open file for this descriptor; False where somebody else holds it and we don't wait."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock of this file; False for what is no file: nothing there, a link."""
    try:
        fd = os.open(path, os.O_RDWR | _SAFELY)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENOTDIR):
            return False
        raise
    try:
        return not take(fd, wait=False)
    finally:
        os.close(fd)


@contextlib.contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Hold a lock file for as long as the block runs; it is gone afterwards.

    Whoever gets the lock of a file that was removed meanwhile holds nothing, and tries again.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | _SAFELY, 0o666)
        except FileNotFoundError:  # the folder was tidied away in between
            continue
        try:
            take(fd, wait=True)
            if _is_same_file(fd, path):
                try:
                    yield
                finally:
                    # Removed while it is held: a waiter then finds another file, or none, under this name.
                    with contextlib.suppress(OSError):
                        path.unlink()
                return
        finally:
            os.close(fd)


def _is_same_file(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False
