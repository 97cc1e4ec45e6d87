"""Notes what a call changes in the objects that it gets, and in its own, and makes the same changes in a replay."""

from __future__ import annotations

import contextlib
import threading
import weakref
from threading import Thread
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.guard.watcher import watch_files
from pytest_sparrow.boundaries.tools.files import EVENTS, paths_of, write_again, written
from pytest_sparrow.boundaries.tools.outside import tables_closed_over
from pytest_sparrow.run.answering import running_tool
from pytest_sparrow.run.context import pool_threads
from pytest_sparrow.run.users_code import is_users_class
from pytest_sparrow.values.changes import CARRIERS, TooManyValues, Watched, is_changeable
from pytest_sparrow.values.kinds import is_data
from pytest_sparrow.values.restore import DoesNotFit
from pytest_sparrow.values.stores import OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.crossing import Crossing, OpenRun
    from pytest_sparrow.values.changes import Path

NOTHING: Any = object()
"""Stands for: no object of the caller's."""

# Calls under way that may share objects: what one of them has noted, the others must not note again.
# No WeakSet: while one thread goes through it, no other may begin a call.
_under_way: set[weakref.ref[LiveEffects]] = set()


def _calls_under_way() -> list[LiveEffects]:
    return [call for found in tuple(_under_way) if (call := found()) is not None]


def is_open(kind: type) -> bool:
    """Whether the attributes of a class's objects are looked at: they are the user's, or data."""
    return is_users_class(kind) or is_data(kind) or kind in CARRIERS


_changed_cells: weakref.WeakKeyDictionary[OpenRun, set[int]] = weakref.WeakKeyDictionary()
"""The variables that tools of a run have changed, by the ids of their cells: these hold what the tools say."""

_vast: weakref.WeakKeyDictionary[OpenRun, dict[str, set[str]]] = weakref.WeakKeyDictionary()
"""By tool, the names of variables of a run that hold too much: to find that out again would take as long."""

_lock = threading.RLock()


@contextlib.contextmanager
def looking() -> Iterator[None]:
    """Held while a call's objects are looked at, and until its answer is settled: other threads' calls look, too.

    Nobody waits for ever: the end of a run ends calls while it holds the run's own lock.
    """
    is_held = _lock.acquire(timeout=1)
    try:
        yield
    finally:
        if is_held:
            _lock.release()


_MOST_STEPPED = 20
"""Containers of a call that are looked at whenever the call waits; those of a call with more only at its end."""

_MOST_STEPS = 100
"""Times that one call is looked at where it waits."""


class LiveEffects:
    """What one live call changes.

    Where the call waits, others may run, and what they change is not the call's. Enter the object (``with effects:``)
    around each step of a coroutine.

    Attributes:
        tool: the tool's name.
        crossing: the call.
        watched: its objects.
        waits: whether the call waits.
        outer: the calls within which this one is made, the innermost first.
    """

    def __init__(self, run: OpenRun, crossing: Crossing, tool: str, watched: Watched) -> None:
        around = running_tool()
        self._run = run
        self.crossing = crossing
        # A call within another one says its changes, too: which of the two a replay needs is not known yet.
        self.outer: list[LiveEffects] = []
        for each in _calls_under_way():
            if each.crossing is around:
                self.outer = [each, *each.outer]
        self.tool = tool
        self.watched = watched
        self.waits = False
        self._at_item = False
        self._steps = 0
        self._first: Json = None
        self._parts: list[Json] = []
        self._read: dict[str, int] = {}
        self._files: set[str] = set()
        self._items: dict[str, dict[str, Json]] = {"changed_before": {}, "items_same_as": {}}

    @classmethod
    def begin(
        cls, run: OpenRun, crossing: Crossing, tool: str, roots: Callable[[], Mapping[str, Any]]
    ) -> LiveEffects:
        """Look at the objects before the call."""
        effects = cls(run, crossing, tool, Watched(roots(), is_open))
        vast = _vast.setdefault(run, {}).setdefault(tool, set())
        with looking():
            if OUTSIDE in effects.watched.roots:
                effects.watched.roots[OUTSIDE].leave_out(vast)
            effects._look()
            effects._read = tables_closed_over(effects.watched.roots.get(OUTSIDE))
            for name in effects.watched.too_large:
                vast.add(name)
                run.not_compared("vast", tool, name)
            for other in effects.others():
                if not other.is_left_alone and other.watched.shares(effects.watched):
                    other.note_part()  # what it has changed before this call began
        _under_way.add(weakref.ref(effects, _under_way.discard))
        return effects

    def others(self) -> list[LiveEffects]:
        """The calls under way beside this one."""
        return [each for each in _calls_under_way() if each is not self and each not in self.outer]

    def _look(self) -> None:
        try:
            self.watched.begin()
        except TooManyValues:
            self._run.not_compared("large", self.tool, "")
            self.watched = Watched({}, is_open)

    @property
    def is_left_alone(self) -> bool:
        """Whether the call waits, and whatever changes meanwhile is not its own.

        A generator waits for its reader. A coroutine may wait for tasks and threads of its own: what they change is
        the call's. It has none if it made none, and none of a pool lives.
        """
        alone = self._at_item or not (
            self.crossing.makes_strands or any(map(Thread.is_alive, list(pool_threads)))
        )
        return self.waits and alone

    def resumed(self) -> None:
        """Look again where what has changed while the call waited is not its own."""
        is_left_alone = self.is_left_alone
        self.waits = self._at_item = False
        if is_left_alone:
            with looking():
                self._look()

    def __enter__(self) -> None:
        self.resumed()

    def __exit__(self, kind: object, *_: object) -> None:
        self._steps += 1
        if (
            kind is None and self.watched.size <= _MOST_STEPPED and self._steps <= _MOST_STEPS
        ):  # it has not ended
            with looking():
                self.note_part()
                self.waits = True

    def note_part(self) -> None:
        """Note what has changed so far, apart from what will change."""
        changed = self._changed()
        if changed and self._first is None and not self._parts:
            self._first = changed
        elif changed:
            self._parts.append(changed)
        self._first = self._first or {}
        if changed:
            self._look()

    def path_of(self, value: Any) -> Path | None:
        """The way to an object of the caller's that the call gives back; None for any other value."""
        return self.watched.path_of(value) if is_changeable(value) else None

    def item(self, number: int, same: Path | None) -> None:
        """Note what has changed before an item of a generator, and which object of the caller's it is."""
        with looking():
            changed = self._all_changed()
            self.waits = self._at_item = True
        if changed:
            self._items["changed_before"][str(number)] = changed
        if same:
            self._items["items_same_as"][str(number)] = same

    def end(self) -> dict[str, Json]:
        """What the answer says of the changes."""
        _under_way.discard(weakref.ref(self))
        with looking():
            changed = self._all_changed()
            self.watched.roots = {}
        for name, cell in self._read.items():
            if cell not in _changed_cells.get(self._run, ()):
                self._run.not_compared("table", self.tool, name)
        found = {key: noted for key, noted in self._items.items() if noted}
        if self._files:
            found["files"] = written(self._files, self._run, self.tool)
        return {
            key: noted
            for key, noted in {"changed_first": self._first, "changed": changed, **found}.items()
            if noted
        }

    def lost(self) -> None:
        """Name what a call has changed that gets no answer."""
        noted = self.end()
        changes = [noted[key] for key in ("changed_first", "changed") if key in noted]
        parts = [part for each in changes for part in (each if isinstance(each, list) else [each])]
        if parts:
            self._run.not_compared("cancelled", self.tool, ", ".join(_names_of(parts)))

    def wrote(self, paths: Iterable[str]) -> None:
        """Note files that the call may have changed."""
        self._files.update(paths)

    def _all_changed(self) -> Json:
        """The changes since the last item: one, or several that were made one after the other."""
        last = {} if self.is_left_alone else self._changed()
        parts, self._parts = [*self._parts, *([last] if last else [])], []
        return parts if len(parts) > 1 else next(iter(parts), {})

    def _changed(self) -> dict[str, Json]:
        changed = self.watched.changes()
        if OUTSIDE in changed:
            variables = self.watched.roots[OUTSIDE].found
            names = {*changed[OUTSIDE].get("within", ()), *changed[OUTSIDE].get("set", ())} & variables.keys()
            _changed_cells.setdefault(self._run, set()).update(id(variables[name].place) for name in names)
        for place in self.watched.left_out:
            self._run.not_compared("changed", self.tool, place)
        if changed:
            for other in self.others():
                other.watched.rebase(self.watched)
        return changed


def _names_of(changes: list[dict[str, Json]]) -> dict[str, None]:
    """The names of what changes change."""
    found = {}
    for name, change in (pair for each in changes for pair in each.items()):
        inner = {**change.get("set", {}), **change.get("within", {})} if name == OUTSIDE else [name]
        found.update(dict.fromkeys(inner))
    return found


def _note_files(event: str, args: tuple[Any, ...]) -> None:
    # Which of the calls under way has done it is not known: each writes the whole content.
    paths = paths_of(event, args) if _under_way else []
    for effects in _calls_under_way() if paths else ():
        effects.wrote(paths)


watch_files(EVENTS, _note_files)


class ReplayedEffects:
    """What one recorded call has changed, to be changed again.

    Args:
        run: the open run.
        tool: the tool's name.
        roots: gives the objects of this call.
        answered: the recorded answer.
    """

    def __init__(
        self, run: OpenRun, tool: str, roots: Callable[[], Mapping[str, Any]], answered: dict[str, Json]
    ) -> None:
        self._run = run
        self.tool = tool
        self._answered = answered
        self.watched = Watched(roots(), is_open)

    def first(self) -> None:
        """Make the changes that the recorded call made before others could run."""
        self._apply(self._answered.get("changed_first"))

    def before(self, number: int) -> Any:
        """Make the changes before an item; returns the object of the caller's that the item is, or `NOTHING`."""
        self._apply(self._answered.get("changed_before", {}).get(str(number)))
        return self._object(self._answered.get("items_same_as", {}).get(str(number)))

    def end(self) -> Any:
        """Make the changes at the end; returns the object of the caller's that is returned, or `NOTHING`."""
        self._apply(self._answered.get("changed"))
        files = self._answered.get("files")
        if files:
            try:
                write_again(files, self._run)
            except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
                self._run.not_compared("unwritten", self.tool, str(error))
        return self._object(self._answered.get("same_as"))

    def _apply(self, changes: Json) -> None:
        for change in changes if isinstance(changes, list) else [changes] if changes else []:
            try:
                self.watched.apply(change)
            except DoesNotFit as error:
                self._run.not_compared("unchanged", self.tool, str(error))

    def _object(self, path: Json) -> Any:
        if not path:
            return NOTHING
        try:
            return self.watched.at(path)
        except DoesNotFit as error:
            self._run.not_compared("unchanged", self.tool, str(error))
            return NOTHING


def is_callers(path: Json) -> bool:
    """Whether an object that came back is one that the caller gave, not one that the function itself reaches."""
    return bool(path) and path[0] != OUTSIDE


NOTED = ("changed_first", "changed", "changed_before", "same_as", "items_same_as", "files")
"""The keys of an answer that say what the call changed."""
