"""Noticing, while recording, what a replay will refuse: connections that no boundary made.

Only connecting is watched, through the ``socket`` module, and only while a run records; whatever goes wrong in here
stays in here. C code that opens its own sockets isn't seen.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import sys
import sysconfig
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.guard.network import is_loopback, listens_at_path, listens_on_port
from pytest_sparrow.frames import caller
from pytest_sparrow.run.context import current_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from pytest_sparrow.run.crossing import OpenRun

__all__ = ["noting_uncaptured"]

_MOST = 5
"""Places that are named; the rest is counted."""


@contextlib.contextmanager
def noting_uncaptured(run: OpenRun, tell: Callable[[str], None]) -> Iterator[None]:
    """While open, note the run's connections that no crossing made, and tell of each place once, at the end.

    Not told of: what ``passes_host`` allows or ignores, and addresses at which this process itself listens; none of
    these is refused in a replay. May nest; the last one out restores exactly.

    Args:
        run: the run that records.
        tell: gets a line for the report: place, library, the user's line, and what a replay will do.
    """
    notes = _Notes(run=run)
    _WATCH.enter(notes)
    try:
        yield
    finally:
        _WATCH.leave(notes)
        for line in notes.lines():
            tell(line)


@dataclass(slots=True, kw_only=True)
class _Notes:
    """The connections of one run, by place."""

    run: OpenRun
    names: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    spared: set[str] = field(default_factory=set)

    def lines(self) -> Iterator[str]:
        told = list(self.places.items())
        for place, who in told[:_MOST]:
            yield f"{place}{who}: not recorded; a replay will refuse it (or sparrow_allow_hosts = {place})"
        if len(told) > _MOST:
            yield f"{len(told) - _MOST} more places were connected to and not recorded"

    def looked_up(self, host: str, found: Any) -> None:
        for *_, address in found:
            self.names[str(address[0])] = host

    def connected(self, family: int, kind: int, address: Any) -> None:
        if family in (socket.AF_INET, socket.AF_INET6):
            host, port = str(address[0]), int(address[1])
            named = self.names.get(host, host)
            place = f"[{named}]:{port}" if ":" in named else f"{named}:{port}"
            self._note(place, lambda: self._is_spared(host, named, port, udp=kind == socket.SOCK_DGRAM))
        elif family == getattr(socket, "AF_UNIX", None):
            path = os.fsdecode(address)
            self._note(path, lambda: self.run.passes_host(path, None) == "allow" or listens_at_path(path))

    def _note(self, place: str, is_spared: Callable[[], bool]) -> None:
        if place in self.places or place in self.spared:
            return
        if is_spared():
            self.spared.add(place)
            return
        who = ", ".join(filter(None, (_library(), caller())))
        self.places[place] = f" ({who})" if who else ""

    def _is_spared(self, host: str, named: str, port: int, *, udp: bool) -> bool:
        if {self.run.passes_host(host, port), self.run.passes_host(named, port)} & {"allow", "ignore"}:
            return True
        return is_loopback(host) and listens_on_port(port, udp=udp)


class _ConnectionWatch:
    """What is replaced, and for which runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notes: list[_Notes] = []
        self._undo: list[Callable[[], None]] = []

    def enter(self, notes: _Notes) -> None:
        with self._lock:
            self._notes.append(notes)
            if len(self._notes) == 1:
                self._undo = [
                    _replaced(socket.socket, "connect", self._connecting),
                    _replaced(socket.socket, "connect_ex", self._connecting),
                    _replaced(socket, "getaddrinfo", self._looking_up),
                ]

    def leave(self, notes: _Notes) -> None:
        with self._lock:
            self._notes.remove(notes)
            if not self._notes:
                while self._undo:
                    self._undo.pop()()

    def _connecting(self, original: Any) -> Any:
        @functools.wraps(original)
        def connect(sock: socket.socket, address: Any) -> Any:
            with contextlib.suppress(Exception):
                notes = self._here()
                if notes is not None:
                    notes.connected(sock.family, sock.type, address)
            return original(sock, address)

        return connect

    def _looking_up(self, original: Any) -> Any:
        @functools.wraps(original)
        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
            found = original(host, *args, **kwargs)
            with contextlib.suppress(Exception):
                notes = self._here()
                if notes is not None and isinstance(host, str):
                    notes.looked_up(host, found)
            return found

        return getaddrinfo

    def _here(self) -> _Notes | None:
        """The notes of the recording run that this belongs to; None within a crossing, which is recorded."""
        run = current_run()
        if run is None or run.replaying:
            return None
        return next((notes for notes in self._notes if notes.run is run), None)


def _replaced(owner: Any, name: str, wrap: Callable[[Any], Any]) -> Callable[[], None]:
    """Replace an attribute; returns what puts it back, unless someone else has replaced it since."""
    is_own = name in vars(owner)
    original = getattr(owner, name)
    replacement = wrap(original)
    setattr(owner, name, replacement)

    def put_back() -> None:
        if vars(owner).get(name) is not replacement:
            return  # with no run left, ours only passes on
        if is_own:
            setattr(owner, name, original)
        else:
            delattr(owner, name)

    return put_back


_LIBRARIES = tuple(
    sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
_PLUMBING = frozenset(
    {"anyio", "asyncio", "concurrent", "contextlib", "contextvars", "functools", "selectors", "socket", "ssl"}
    | {"threading", "trio", "uvloop"}
)


def _library() -> str:
    """The library that the user's code called and that connects: the outermost before that code; "" for none."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - what inspect.stack() uses, reading no files
    library = ""
    while frame is not None:
        name = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if name != "pytest_sparrow":
            if not frame.f_code.co_filename.startswith(("<", *_LIBRARIES)):
                break
            library = library if name in _PLUMBING else name
        frame = frame.f_back
    return library


# Process-wide, as the functions that it replaces are; empty while nothing records.
_WATCH = _ConnectionWatch()
