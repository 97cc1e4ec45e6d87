"""Whether a wait is in vain: what is tried after it is fed."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING

from pytest_sparrow.errors import UsageError
from pytest_sparrow.recording.window import current_run, is_answering, open_runs

if TYPE_CHECKING:
    from pytest_sparrow.recording.crossing import OpenRun

__all__ = ["LONGEST", "feeding_run", "is_fed", "tried"]

LONGEST = 0.001
"""Seconds that a wait takes while feeding; not 0, since a sleep also lets others run."""


_passed: contextvars.ContextVar[bool] = contextvars.ContextVar("pytest_sparrow_passed", default=False)


def tried(*, passes: bool) -> None:
    """A request is made here; ``passes``: to a host that a setting keeps reachable."""
    _passed.set(passes)


def is_fed() -> bool:
    """Whether what is tried next will be fed, if it is what was tried last."""
    if _passed.get():
        return False
    try:
        return feeding_run() is not None
    except UsageError:  # whose it is nobody knows, and it may not matter
        return not is_answering() and all(run.feeding for run in open_runs())


def feeding_run() -> OpenRun | None:
    """The run that feeds what is asked here; None where it goes to the world, or belongs to no run.

    Raises:
        UsageError: two runs are open, and this may be of either.
    """
    run = current_run()
    return run if run is not None and run.feeding else None
