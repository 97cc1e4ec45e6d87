"""Names the programs that a replaying run starts, and brings home what forked children of a run find.

Programs are not stopped, and their environment is left as it is: an agent may start `git status` for good reason, and
what a child prints of its environment may be part of what is compared.

A forked child holds a copy of the run, so its violations must be brought to the original. They go through a page of
shared memory, which outlives `os._exit` and needs no descriptor that a child might close.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.guard.watcher import watching
from pytest_sparrow.findings import Finding, Kind
from pytest_sparrow.run.users_code import caller

if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable, Iterator

    from pytest_sparrow.run.crossing import OpenRun

# Programs.


_MOST = 5
"""Programs that are named; the rest is counted."""


class naming_children:  # noqa: N801 - used like a function: ``with naming_children(...):``
    """While open, note the programs that the run starts outside of tools, and report each once, at the end.

    Not seen is what `multiprocessing` spawns, which has no audit event. A forked child is refused connections as its
    parent is.

    Args:
        run: the run that replays.
        report: gets a finding for each program and line of the user's.
    """

    __slots__ = ("_report", "_started", "_watching")

    def __init__(self, run: OpenRun, report: Callable[[Finding], object]) -> None:
        self._report = report
        started: dict[tuple[str, str], None] = {}
        self._started = started
        handlers = {event: functools.partial(_note, started, name) for event, name in _PROGRAMS.items()}
        self._watching = watching(run, handlers, replaying=True)

    def __enter__(self) -> None:
        self._watching.__enter__()

    def __exit__(self, *_: object) -> None:
        self._watching.__exit__()
        for program, line in list(self._started)[:_MOST]:
            self._report(Finding(kind=Kind.CHILD, detail={"program": program, "line": line}))
        if len(self._started) > _MOST:
            self._report(Finding(kind=Kind.CHILD, case="more", detail={"count": len(self._started) - _MOST}))


def _note(started: dict[tuple[str, str], None], name_of_program: Callable[..., str], *args: Any) -> None:
    with contextlib.suppress(Exception):  # a note that fails must not stop the process that it notes
        name = name_of_program(*args)
        where = caller()
        if name and where and not _asks_about_the_machine():
            started[name, where] = None


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
"""Python's audit events that start a program, and what gives its name."""


# Forked children.


_SLOT = 512
"""Bytes of one line."""

_SLOTS = 64


class hearing_forked:  # noqa: N801 - used like a function: ``with hearing_forked(...):``
    """While open, hear what forked children of this process have to say, and report each line once, at the end.

    Args:
        in_child: called in every child, right after the fork, with what takes its lines.
        report: gets the lines, in this process.

    Attributes:
        in_child: the same.
        page: what children write into; made before the first fork, since nearly no test forks.
    """

    def __init__(
        self, in_child: Callable[[Callable[[str], None]], None], report: Callable[[str], None]
    ) -> None:
        self.in_child = in_child
        self.page: mmap.mmap | None = None
        self._report = report

    def __enter__(self) -> None:
        if hasattr(os, "register_at_fork"):  # not on Windows
            _hook()
            _HEARING.append(self)

    def __exit__(self, *_: object) -> None:
        if self in _HEARING:
            _HEARING.remove(self)
        for line in () if self.page is None else dict.fromkeys(_lines(self.page)):
            self._report(line)
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


def _before_fork() -> None:
    import mmap  # nearly no test forks

    for hearing in _HEARING:
        hearing.page = hearing.page or mmap.mmap(-1, _SLOT * _SLOTS)


def _in_child() -> None:
    for hearing in _HEARING:
        if hearing.page is not None:
            hearing.in_child(functools.partial(_say, hearing.page))


def _hook() -> None:
    """Once for the process: such a hook can't be taken off; with nobody hearing it does nothing."""
    if not _HOOKED:
        _HOOKED.append(True)
        os.register_at_fork(before=_before_fork, after_in_child=_in_child)


# Process-wide, as forking is; empty while no run is open.
_HEARING: list[hearing_forked] = []
_HOOKED: list[bool] = []
