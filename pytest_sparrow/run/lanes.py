"""Lanes are the sequential strands of a run, kept apart by contextvars.

Work that is handed to another thread (a thread's target, an executor's work) begins a lane there, numbered by the
handing. A context that was copied into another task or thread begins a lane, too, numbered by its first crossing. A
thread that carries no context at all (it was there before, and takes work from a queue of its own) gets a ``thread-…``
lane. Which of these threads takes which call is chance: the order between calls in such lanes means nothing, and the
comparison knows the lanes by that name.
"""

from __future__ import annotations

import contextvars
import itertools
import sys
import threading
import weakref
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_sparrow.events import Event, UnknownEvent
from pytest_sparrow.exchange import LOOSE_LANES, SETUP_LANES, TASK_LANES, WORK_LANES

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAIN", "Lane", "Lanes", "in_lane"]

MAIN = ""
"""The label of the main lane; it is left out on disk."""


@dataclass(slots=True, eq=False)
class Lane:
    """One strand.

    Attributes:
        label: the lane's name on disk.
        parent: the lane that it began in, or None.
        model: the model that the lane asked last, "" before the first.
        open: the lane's crossings that are not settled yet.
        children: how many pieces of work the lane has handed to other threads.
    """

    label: str
    parent: Lane | None = None
    model: str = ""
    open: list[Any] = field(default_factory=list)
    children: int = 0

    def line(self) -> Iterator[Lane]:
        """This lane, its parent, and so on up."""
        lane: Lane | None = self
        while lane is not None:
            yield lane
            lane = lane.parent


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
    """The lanes of one run. The main one belongs to the context that made this object."""

    def __init__(self) -> None:
        self._task_numbers = itertools.count(1)
        self._thread_numbers = itertools.count(1)
        self.main = Lane(MAIN)
        self._work = SETUP_LANES
        _here.set(_Here(self, self.main, weakref.ref(_strand())))

    def here(self) -> Lane:
        """The lane of the calling strand; made on the strand's first call."""
        strand = _strand()
        known = _here.get()
        if known is not None and known.lanes is self:
            if known.owner() is strand:
                return known.lane
            lane = Lane(f"{TASK_LANES}{next(self._task_numbers)}", known.lane, known.lane.model)
        else:
            lane = Lane(f"{LOOSE_LANES}{next(self._thread_numbers)}")
        _here.set(_Here(self, lane, weakref.ref(strand)))
        return lane

    def fork(self) -> Lane:
        """A lane for work that the calling strand hands to another thread."""
        parent = self.here()
        parent.children += 1
        number = f".{parent.children}" if parent.label else str(parent.children)
        return Lane(f"{parent.label or self._work}{number}", parent, parent.model)

    def body_begins(self) -> None:
        """The test's own code begins: number the main lane's work from here.

        Work that fixtures handed out (a server, only while recording) has names of its own, and shifts no number.
        """
        self._work = WORK_LANES
        self.main.children = 0

    def borrow(self, lane: Lane) -> None:
        """Put the calling strand into another strand's lane, while the other only waits for it."""
        _here.set(_Here(self, lane, weakref.ref(_strand())))

    @contextmanager
    def within(self, lane: Lane) -> Iterator[None]:
        """In the thread that takes the work: crossings belong to this lane."""
        token = _here.set(_Here(self, lane, weakref.ref(_strand())))
        try:
            yield
        finally:
            _here.reset(token)


def _strand() -> object:
    """The task that runs here, else the thread. Imports neither asyncio nor trio: tasks need one of them loaded."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            task = asyncio.current_task()
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
