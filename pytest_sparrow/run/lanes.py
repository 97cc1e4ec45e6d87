"""Lanes: the sequential strands of a run, told apart by contextvars.

What is handed to another thread (a thread's target, an executor's work) begins a lane there, numbered by the
handing; so does a context that was copied into another task or thread, numbered by its first crossing. A thread
that carries no context at all (one that was there before and takes work from a queue of its own) gets a
``thread-…`` lane: which of them takes which call is chance, so the order between calls in such lanes means
nothing, and the comparison knows them by that name.
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
        label: its name on disk.
        parent: the lane it stems from, or None.
        model: the model it asked last, "" before the first.
        open: its crossings that are not settled yet.
        children: how many pieces of work it has handed to other threads.
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
    """The event with the lane it happened in; the main lane goes without saying."""
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
        """The lane of the calling strand; made on its first call."""
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
        """From here the main lane's work is the test's own.

        What fixtures handed out (a server, only while recording) is named apart, and shifts no number.
        """
        self._work = WORK_LANES
        self.main.children = 0

    def borrow(self, lane: Lane) -> None:
        """From here on the calling strand acts in another one's lane: that one does nothing but wait for it."""
        _here.set(_Here(self, lane, weakref.ref(_strand())))

    @contextmanager
    def within(self, lane: Lane) -> Iterator[None]:
        """In the thread that takes the work: what crosses here belongs to that lane."""
        token = _here.set(_Here(self, lane, weakref.ref(_strand())))
        try:
            yield
        finally:
            _here.reset(token)


def _strand() -> object:
    """The task that is running here, or else the thread. Imports neither asyncio nor trio for its sake."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        if task is not None:
            return task
    trio = sys.modules.get("trio")
    if trio is not None:
        try:
            return trio.lowlevel.current_task()
        except RuntimeError:
            pass
    return threading.current_thread()
