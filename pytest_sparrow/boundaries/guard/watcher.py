"""Watches what Python code does with sockets and programs: one audit hook for the process, which dispatches to runs.

The C code behind every socket asks the hook (PEP 578), so no saved method and no `_socket.socket` goes past it. A hook
can't be taken off again; while nothing is watched it does nothing. `socket.getaddrinfo` alone is patched as well: no
audit event says which addresses a name was resolved to.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.guard.addresses import host_text, is_numeric
from pytest_sparrow.boundaries.patching import AttributePatch, Patches
from pytest_sparrow.errors import UsageError
from pytest_sparrow.run.answering import is_answering
from pytest_sparrow.run.context import current_run, left_over

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType

    from pytest_sparrow.run.crossing import OpenRun


class watching:  # noqa: N801 - used like a function: ``with watching(...):``
    """While open, call handlers for what code of a run does outside of its crossings. May nest.

    Args:
        run: the run.
        handlers: by the name of an audit event (Python's manual: "Audit events table"), what gets the event's
            arguments. An exception that a handler raises is raised where the event happened, and prevents it.
        replaying: call them only while the run replays, or (False) only while it doesn't.
    """

    __slots__ = ("handlers", "replaying", "run")

    def __init__(self, run: OpenRun, handlers: Mapping[str, Callable[..., None]], *, replaying: bool) -> None:
        self.run = run
        self.handlers = handlers
        self.replaying = replaying

    def __enter__(self) -> None:
        _WATCHER.enter(self)

    def __exit__(self, *_: object) -> None:
        _WATCHER.leave(self)


def refuse_left_over(handlers: Mapping[str, Callable[..., None]]) -> None:
    """From now on, call handlers for what strands of replayed runs do after their runs have ended.

    Args:
        handlers: by the name of an audit event, what gets the ended run and the event's arguments.
    """
    _WATCHER.refuse_left_over(handlers)


def watch_files(events: Iterable[str], note: Callable[[str, tuple[Any, ...]], None]) -> None:
    """From now on, call ``note`` with these events where the code of a crossing, which is the world's, causes them."""
    _WATCHER.watch_files(frozenset(events), note)


def replaying_run() -> OpenRun | None:
    """The replaying run that a connection made here belongs to, or None."""
    run = _WATCHER.run_here()
    return run if run is not None and run.replaying else None


def names_of(address: str) -> tuple[str, ...]:
    """The names that an address was resolved from since anything has been watched, the latest one last."""
    return _WATCHER.names_of(address)


class _Watcher:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watches: tuple[watching, ...] = ()
        self._events: frozenset[str] = frozenset()
        self._heeded: frozenset[str] = frozenset()
        self._hooked = False
        self._of_files: frozenset[str] = frozenset()
        self._note_file: Callable[[str, tuple[Any, ...]], None] | None = None
        self._left_over: Mapping[str, Callable[..., None]] = {}
        self._names: dict[str, dict[str, None]] = {}
        self._patches = Patches({"socket": self._patches_for}, stays=True)

    def enter(self, watch: watching) -> None:
        with self._lock:
            if not self._hooked:
                self._hooked = True
                sys.addaudithook(self._audit)
            self._set((*self._watches, watch))
            self._patches.install()

    def leave(self, watch: watching) -> None:
        with self._lock:
            self._patches.uninstall()
            self._set(tuple(each for each in self._watches if each is not watch))
            if not self._watches:
                self._names.clear()

    def run_here(self) -> OpenRun | None:
        """The run that the code here belongs to; None within a crossing, whose code is the world's."""
        try:
            return current_run()
        except UsageError:
            # A thread without context, and several runs: asyncio resolves names in one. Any that is shut will do.
            return next((watch.run for watch in self._watches if watch.run.replaying), None)

    def names_of(self, address: str) -> tuple[str, ...]:
        return tuple(self._names.get(address, ()))

    def _set(self, watches: tuple[watching, ...]) -> None:
        self._watches = watches
        self._events = frozenset().union(*[watch.handlers for watch in watches])
        self._heed()

    def refuse_left_over(self, handlers: Mapping[str, Callable[..., None]]) -> None:
        self._left_over = handlers
        self._heed()

    def watch_files(self, events: frozenset[str], note: Callable[[str, tuple[Any, ...]], None]) -> None:
        self._of_files, self._note_file = events, note
        self._heed()

    def _heed(self) -> None:
        self._heeded = self._events.union(self._left_over, self._of_files)

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in self._heeded:  # nearly all: each ``id()`` is one
            return
        if event in self._left_over:
            late = None if is_answering() else left_over()
            if late is not None and late.replaying:
                self._left_over[event](late, *args)
        if event in self._of_files and self._note_file is not None and is_answering():
            self._note_file(event, args)
        if event not in self._events:
            return
        run = self.run_here()
        for watch in self._watches:
            handler = watch.handlers.get(event)
            if handler is not None and watch.run is run and watch.replaying is run.replaying:
                handler(*args)

    def _patches_for(self, module: ModuleType) -> list[AttributePatch]:
        original = vars(module)["getaddrinfo"]

        @functools.wraps(original)
        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
            found = original(host, *args, **kwargs)
            with contextlib.suppress(Exception):  # a note that fails must not stop the look-up
                self._note(host_text(host), [str(address[0]) for *_, address in found])
            return found

        return [AttributePatch(module, "getaddrinfo", getaddrinfo)]

    def _note(self, name: str, addresses: list[str]) -> None:
        if not name or is_numeric(name) or self.run_here() is None:
            return
        for address in addresses:
            names = self._names.setdefault(address, {})
            names.pop(name, None)
            names[name] = None


# Process-wide, as what it watches is; no run is held while nothing is watched.
_WATCHER = _Watcher()
