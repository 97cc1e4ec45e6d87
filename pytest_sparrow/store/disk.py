"""Writes bytes to the disk, whole or with an error that names the file, and locks files between processes.

The kernel holds the locks, so a killed process never leaves a lock behind.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from typing import TYPE_CHECKING

from pytest_sparrow.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BINARY = getattr(os, "O_BINARY", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)


def append_to(fd: int, data: bytes, path: Path) -> None:
    """Write all of it, however little the system takes at once.

    Raises:
        OSError: the disk refused; a part may be written. Names the path.
    """
    done = 0
    try:  # not `naming`: a context manager costs as much as the write itself
        while done < len(data):
            taken = os.write(fd, data[done:] if done else data)
            if not taken:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            done += taken
    except OSError as error:
        _name(error, path)
        raise


def new_file(path: Path, data: bytes, *, durable: bool) -> None:
    """Write a file that isn't there yet; ``durable``: also through a power cut.

    Raises:
        OSError: it is there, or the disk refused. Names the path.
    """
    with naming(path):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _CLOEXEC | _BINARY, 0o666)
        try:
            append_to(fd, data, path)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file anew, at once: whoever is killed here leaves the old one or the new one.

    Raises:
        OSError: the disk refused; the old one stays. Names the path.
    """
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    try:
        new_file(beside, data, durable=False)
        os.replace(beside, path)  # noqa: PTH105 - one name for all that renames
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def open_regular(path: Path | str, *, looked: bool = False) -> int | None:
    """Open a file to read; None for what is no regular file. A pipe or a device is opened by nobody.

    Args:
        path: the file.
        looked: whether the caller has just seen that it is one.

    Raises:
        OSError: it can't be opened.
    """
    # Asked before, since opening may block or do something (a tape rewinds); asked again, since it may be another now.
    if not looked and not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - for each test
        return None
    fd = os.open(path, os.O_RDONLY | _NONBLOCK | _CLOEXEC | _BINARY)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


def read_regular(path: Path | str, most: int) -> bytes | None:
    """The content of a file, up to a byte more than ``most``; None for what is no regular file any more.

    The caller has just seen that it is one.

    Raises:
        OSError: it can't be read.
    """
    fd = open_regular(path, looked=True)
    if fd is None:
        return None
    try:
        size = os.fstat(fd).st_size
        data = os.read(fd, min(size, most) + 1)
        while len(data) != size and len(data) <= most and (more := os.read(fd, _BLOCK)):
            data += more
    finally:
        os.close(fd)
    return data


_BLOCK = 1 << 20


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the system name the file, where it came through a number."""
    try:
        yield
    except OSError as error:
        _name(error, path)
        raise


def _name(error: OSError, path: Path) -> None:
    if error.filename is None:
        error.filename = str(path)


def refused(error: OSError, path: object, what: str = "written") -> StoreError:
    """What to raise where the system refused: the path, its reason, and what can be done."""
    where = error.filename
    if not where or os.path.dirname(where) == "":  # noqa: PTH120 - removing a tree names what is in it by its last part
        where = path
    way_out = _WAYS_OUT.get(error.errno or 0, "")
    reason = error.strerror or str(error)
    return StoreError(f"{where}: could not be {what}: {reason}" + (f"\n  {way_out}" if way_out else ""))


_SPACE = "make room on the disk, then record the test again; the golden that was there is untouched"
_RIGHTS = "give this user the right to write there, or record where you have it"
_WAYS_OUT = {
    errno.ENOSPC: _SPACE,
    getattr(errno, "EDQUOT", errno.ENOSPC): _SPACE,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: "the file system is read-only: record where you can write",
    errno.EIO: "the disk reports an error: check it before you record again",
    errno.ENOENT: "it was removed while the run was recorded: record the test again",
}


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


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where it is not there; another process may tidy it away meanwhile.

    Raises:
        OSError: the system refuses, or something else lies there.
    """
    while True:
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            if not path.is_dir():
                if os.path.lexists(path):
                    raise
                continue  # it was tidied away between the two looks
        return


@contextlib.contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Hold a lock file for as long as the block runs; it is gone afterwards.

    Whoever gets the lock of a file that was removed meanwhile holds nothing, and tries again.
    """
    while True:
        make_folder(path.parent)
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
