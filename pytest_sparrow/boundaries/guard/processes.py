"""Child processes and forked children of a run: named, and what they find reaches the run.

Child processes that are started while a run feeds: named, since nobody sees what they do.

They are not stopped, and their environment is left as it is: an agent may start `git status` for good reason, and what
a child prints of its environment may be part of what is compared.

Forked children of a run's process: they hold a copy of the run, and what they find must reach the original.

It goes through a page of shared memory, which outlives `os._exit` and needs no descriptor that a child might close.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from pytest_sparrow.errors import UsageError
from pytest_sparrow.frames import caller
from pytest_sparrow.run.context import current_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sparrow.run.crossing import OpenRun

__all__ = ["hearing_forked", "naming_children"]


_MOST = 5
"""Programs that are named; the rest is counted."""


@contextlib.contextmanager
def naming_children(run: OpenRun, tell: Callable[[str], None]) -> Iterator[None]:
    """While open, note the processes that the run starts outside of tools, and tell of each place once, at the end.

    Seen are Python's audit events ``subprocess.Popen``, ``os.system``, ``os.posix_spawn`` and ``os.spawn``; not what
    `multiprocessing` spawns, which has none. A forked child is refused connections as its parent is.

    Args:
        run: the run that feeds.
        tell: gets a line for the report: program, the user's line, and what that means.
    """
    started: dict[str, None] = {}
    _WATCH.enter(run, started)
    try:
        yield
    finally:
        _WATCH.leave(run)
        for one in list(started)[:_MOST]:
            tell(f"{one} was started outside of a tool: it ran for real, and what it did was not seen")
        if len(started) > _MOST:
            tell(f"{len(started) - _MOST} more processes were started outside of tools")


class _ProcessWatch:
    """One audit hook for the process (PEP 578: it can't be taken off), and what each run has started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started: list[tuple[OpenRun, dict[str, None]]] = []
        self._hooked = False

    def enter(self, run: OpenRun, started: dict[str, None]) -> None:
        with self._lock:
            if not self._hooked:
                self._hooked = True
                sys.addaudithook(self._audit)
            self._started.append((run, started))

    def leave(self, run: OpenRun) -> None:
        with self._lock:
            self._started = [one for one in self._started if one[0] is not run]

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._started:
            return
        program = _PROGRAMS.get(event)
        if program is None:
            return
        with contextlib.suppress(Exception):  # a note that fails must not stop the process that it notes
            name = program(*args)
            where = caller()
            if name and where and not _asks_about_the_machine():
                self._note(f"{name} ({where})")

    def _note(self, what: str) -> None:
        try:
            run = current_run()
        except UsageError:
            run = self._started[0][0]
        for noting, started in self._started:
            if noting is run and run.replaying:
                started[what] = None


_ASKING = frozenset({"platform", "ctypes.util", "uuid", "sysconfig"})
"""Modules of the standard library that ask programs what machine this is (`uname`, `ldconfig`). SDKs let them, for
the header that names their version."""

_DEEPEST = 12


def _asks_about_the_machine() -> bool:
    frame = sys._getframe(1)  # noqa: SLF001 - the one way to see the stack without building it
    for _ in range(_DEEPEST):
        if frame.f_back is None:
            break
        frame = frame.f_back
        if frame.f_globals.get("__name__") in _ASKING:
            return True
    return False


def _of_popen(executable: Any, args: Any = (), *_: Any) -> str:
    words = [args] if isinstance(args, str | bytes) else list(args)
    return _name(executable or words[0])


def _of_shell(command: Any, *_: Any) -> str:
    return _name(os.fsdecode(command).split()[0])


def _of_path(path: Any, *_: Any) -> str:
    return _name(path)


def _of_spawn(_mode: Any, path: Any, *_: Any) -> str:
    return _name(path)


def _name(program: Any) -> str:
    """The file's name alone: arguments may hold what a report must not."""
    return os.path.basename(os.fsdecode(program))  # noqa: PTH119 - `Path` would choke on what is no path


_PROGRAMS: dict[str, Callable[..., str]] = {
    "subprocess.Popen": _of_popen,
    "os.system": _of_shell,
    "os.posix_spawn": _of_path,
    "os.spawn": _of_spawn,
}
"""Python's audit events that start a program (its manual: "Audit events table"), and what gives its name."""

# Process-wide, as what it hooks is; empty while nothing feeds.
_WATCH = _ProcessWatch()


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
