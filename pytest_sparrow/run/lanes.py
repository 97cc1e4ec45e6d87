"""The sequential strands of one run, as lanes, kept apart by tasks, threads and contextvars.

A task, a thread and work for another thread (an executor's) get their lane when they are made
(`boundaries.world.strands`): who crosses first is chance, who was made first is not. A context that was copied into
another thread in any other way begins a lane with its first crossing. A thread that carries no context at all (it was
there before, and takes work from a queue of its own) gets a ``thread-…`` lane. Which of these threads takes which call
is chance: the order between calls in such lanes means nothing, and the comparison knows the lanes by that name.
"""

from __future__ import annotations

import contextvars
import itertools
import sys
import threading
import weakref
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_sparrow.events import Event, UnknownEvent
from pytest_sparrow.exchange import LOOSE_LANES, SETUP_LANES, TASK_LANES, TOOL_LANES, WORK_LANES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAIN = ""
"""The label of the main lane; it is left out on disk."""


@dataclass(slots=True, eq=False)
class Lane:
    """A strand of the run.

    Attributes:
        label: the lane's name on disk.
        parent: the lane that it began in, or None.
        model: the model that the lane asked last, "" before the first.
        open: the lane's crossings that are not settled yet.
        children: how many lanes have begun in this one.
        tasks: of these, how many tasks the main lane has made.
        tools: how many calls of tools there were, each with a lane of its own for the tool's code.
        began: when the lane was made, in seconds of the run, behind the same of the lanes that it stems from.
        in_use: whether the lane has made a crossing.
        latest: in a replay, the highest number of a recorded exchange that this lane has asked for, or that a lane
            which began in it has had; -1 for none.
        before: the highest number that came before this lane was made, for certain; see `matching.order`.
        took: when it took something from a queue since its last crossing, in seconds of the run.
    """

    label: str
    parent: Lane | None = None
    model: str = ""
    open: list[Any] = field(default_factory=list)
    children: int = 0
    tasks: int = 0
    tools: int = 0
    began: tuple[float, ...] = ()
    in_use: bool = False
    latest: int = -1
    before: int = -1
    took: list[float] = field(default_factory=list)

    def line(self) -> Iterator[Lane]:
        """This lane, its parent, and so on up."""
        lane: Lane | None = self
        while lane is not None:
            yield lane
            lane = lane.parent

    def inherit_model(self) -> None:
        """Go on with the model of the nearest lane that this one stems from."""
        self.model = next((each.model for each in self.line() if each.model), "")

    def excludes(self, label: str) -> bool:
        """Whether no strand with this label is there beside this one: this one stems from it, or has yet to make it.

        So is one that the lanes which this one stems from have yet to make.
        """
        line = {lane.label: lane for lane in self.line()}
        stem, _, own = label.rpartition(".")
        kind, _, number = own.rpartition("-")
        parent = line.get(stem)
        if label in line:
            return True
        if parent is None or not number.isdecimal() or f"{kind}-" == SETUP_LANES:
            return False
        made = {TASK_LANES: parent.tasks, TOOL_LANES: parent.tools}.get(f"{kind}-", parent.children)
        return int(number) > made


@dataclass(frozen=True, slots=True)
class _Here:
    lanes: Lanes
    lane: Lane
    owner: weakref.ref[Any]


_here: contextvars.ContextVar[_Here | None] = contextvars.ContextVar("pytest_sparrow_lane", default=None)


def in_lane(event: Event, label: str) -> Event:
    """The event with the lane in which it happened; the main lane is left out."""
    if not label or isinstance(event, UnknownEvent):
        return event
    return event.model_copy(update={"lane": label})


class Lanes:
    """The lanes of one run. The main one belongs to the context that made this object. The run's lock guards them.

    Args:
        now: the moment, in seconds of the run, never twice the same.
        in_turn: does something behind what the run has yet to emit: lanes know their models by what was emitted.
    """

    def __init__(self, now: Callable[[], float], in_turn: Callable[[Callable[[], None]], None]) -> None:
        self._now = now
        self._in_turn = in_turn
        self._thread_numbers = itertools.count(1)
        self.main = Lane(MAIN)
        self._work, self._tasks = SETUP_LANES, ""
        # Tasks, and threads while they do work that was handed to them. Not the context: a library may run the work
        # in a copy of the context that it was handed over in.
        self._of_strand: weakref.WeakKeyDictionary[Any, Lane] = weakref.WeakKeyDictionary()
        # Of each queue, the newest piece of work that each strand put into it.
        self._newest_in: weakref.WeakKeyDictionary[Any, dict[Lane | None, Lane]] = weakref.WeakKeyDictionary()
        _here.set(_Here(self, self.main, weakref.ref(current_strand())))

    def here(self) -> Lane:
        """The lane of the calling strand, which crosses now; made where the strand has none yet."""
        strand = current_strand()
        lane = self._known(strand)
        if lane is None:
            origin = self._origin()
            lane = Lane(f"{LOOSE_LANES}{next(self._thread_numbers)}") if origin is None else self._new(origin)
            _here.set(_Here(self, lane, weakref.ref(strand)))
        if not lane.in_use:
            lane.in_use = True
            self._in_turn(lane.inherit_model)
        return lane

    def label(self) -> str:
        """The label of the calling strand's lane; of one that has none yet, the lane's that it stems from, or ""."""
        lane = self.known() or self._origin()
        return MAIN if lane is None else lane.label

    def known(self) -> Lane | None:
        """The lane of the calling strand; None where it has none yet."""
        return self._known(current_strand())

    def begin(self, task: Any) -> Lane | None:
        """A lane for a strand that the calling one makes: a task, or (None) work for another thread.

        None where the task has a lane already, since it started at once, or where the calling strand has none.
        """
        if task is None:
            return self._new(self.here())
        origin = self.known() or self._origin()
        if origin is None or task in self._of_strand:
            return None
        lane = self._of_strand[task] = self._new(origin, is_task=True)
        return lane

    def _known(self, strand: Any) -> Lane | None:
        known = _here.get()
        if known is not None and known.lanes is self and known.owner() is strand:
            return known.lane
        return self._of_strand.get(strand)

    def _origin(self) -> Lane | None:
        """The lane of the strand whose context was copied to here."""
        known = _here.get()
        return known.lane if known is not None and known.lanes is self else None

    def _new(self, parent: Lane, *, is_task: bool = False) -> Lane:
        if parent is self.main and is_task and self._tasks:
            parent.tasks += 1
            label = f"{self._tasks}{parent.tasks}"
        else:
            parent.children += 1
            label = f"{parent.label}.{parent.children}" if parent.label else f"{self._work}{parent.children}"
        before = max(parent.before, parent.latest)
        return Lane(label, parent, began=(*parent.began, self._now()), before=before)

    def of_tool(self, parent: Lane) -> Lane:
        """A lane for the code of a tool that a lane calls."""
        parent.tools += 1
        label = f"{parent.label}." if parent.label else ""
        before = max(parent.before, parent.latest)
        return Lane(
            f"{label}{TOOL_LANES}{parent.tools}", parent, began=(*parent.began, self._now()), before=before
        )

    @contextmanager
    def inside(self, lane: Lane) -> Iterator[None]:
        """The strand that calls a tool runs the tool's code: its crossings belong to this lane."""
        token = _here.set(_Here(self, lane, weakref.ref(current_strand())))
        try:
            yield
        finally:
            with suppress(ValueError):  # a coroutine is closed in another context than it ran in
                _here.reset(token)

    def next_in(self, queue: object, lane: Lane) -> None:
        """A queue begins a piece of work: what the same strand had put into it earlier came before, for certain.

        Which of several strands put its work in first may be chance.
        """
        newest = self._newest_in.setdefault(queue, {})
        earlier = newest.get(lane.parent)
        if earlier is not None:
            lane.before = max(lane.before, earlier.before, earlier.latest)
        newest[lane.parent] = lane

    def body_begins(self) -> None:
        """The test's own code begins: number the main lane's work from here.

        Work that fixtures handed out (a server, only while recording) has names of its own, and shifts no number.
        """
        self._work, self._tasks = WORK_LANES, TASK_LANES
        self.main.children = 0

    def enter(self, lane: Lane, strand: object = None) -> None:
        """Put a strand into a lane, in the context of the caller; None: the calling strand."""
        _here.set(_Here(self, lane, weakref.ref(strand or current_strand())))

    @contextmanager
    def within(self, lane: Lane) -> Iterator[None]:
        """In the thread that takes the work: crossings belong to this lane."""
        thread = threading.current_thread()
        token = _here.set(_Here(self, lane, weakref.ref(thread)))
        before = self._of_strand.get(thread)
        self._of_strand[thread] = lane
        try:
            yield
        finally:
            _here.reset(token)
            if before is None:
                del self._of_strand[thread]
            else:
                self._of_strand[thread] = before


def current_strand() -> object:
    """The task that runs here, else the thread. Imports neither asyncio nor trio: tasks need one of them loaded."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            # Asked for the loop first: to raise that there is none costs more than all else here.
            task = None if asyncio._get_running_loop() is None else asyncio.current_task()  # noqa: SLF001
        except (RuntimeError, AttributeError):  # no loop here, or another thread is just loading the library
            task = None
        if task is not None:
            return task
    trio = sys.modules.get("trio")
    if trio is not None:
        try:
            return trio.lowlevel.current_task()
        except (RuntimeError, AttributeError):
            pass
    return threading.current_thread()
