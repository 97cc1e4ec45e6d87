"""Forked children of a run's process: they hold a copy of the run, and what they find must reach the original.

It goes through a page of shared memory, which outlives `os._exit` and needs no descriptor that a child might close.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["hearing_forked"]

_SLOT = 512
"""Bytes of one line."""

_SLOTS = 64


@contextlib.contextmanager
def hearing_forked(
    in_child: Callable[[Callable[[str], None]], None], tell: Callable[[str], None]
) -> Iterator[None]:
    """While open, hear what forked children of this process have to say, and tell each line once, at the end.

    Args:
        in_child: called in every child, right after the fork, with what takes its lines.
        tell: gets the lines, in this process.
    """
    if not hasattr(os, "register_at_fork"):  # Windows
        yield
        return
    page = mmap.mmap(-1, _SLOT * _SLOTS)
    hearing = (in_child, page)
    _hook()
    _HEARING.append(hearing)
    try:
        yield
    finally:
        _HEARING.remove(hearing)
        for line in dict.fromkeys(_lines(page)):
            tell(line)
        # Not closed: a thread of a child may write still. It goes with its last reference.


def _lines(page: mmap.mmap) -> Iterator[str]:
    for start in range(0, _SLOT * _SLOTS, _SLOT):
        line = page[start : start + _SLOT].rstrip(b"\0")
        if line:
            yield line.decode("utf-8", "replace")


def _say(page: mmap.mmap, line: str) -> None:
    """Write a line into a free slot, from one that differs by process; where none is free, enough was said."""
    data = line.encode("utf-8", "replace")[: _SLOT - 1]
    for number in range(_SLOTS):
        start = (os.getpid() + number) % _SLOTS * _SLOT
        if page[start] == 0:
            page[start : start + len(data)] = data
            return


def _in_child() -> None:
    for in_child, page in _HEARING:
        in_child(lambda line, page=page: _say(page, line))  # type: ignore[misc]


def _hook() -> None:
    """Once for the process: such a hook can't be taken off; with nobody hearing it does nothing."""
    if not _HOOKED:
        _HOOKED.append(True)
        os.register_at_fork(after_in_child=_in_child)


# Process-wide, as forking is; empty while no run is open.
_HEARING: list[tuple[Callable[[Callable[[str], None]], None], mmap.mmap]] = []
_HOOKED: list[bool] = []
