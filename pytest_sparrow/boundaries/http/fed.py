"""Whether a wait is in vain: what is tried after it is fed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.errors import UsageError
from pytest_sparrow.recording.window import current_run, is_answering, open_runs

if TYPE_CHECKING:
    from pytest_sparrow.recording.crossing import OpenRun

__all__ = ["LONGEST", "feeding_run", "is_fed"]

LONGEST = 0.001
"""Seconds that a wait takes while feeding; not 0, since a sleep also lets others run."""


def is_fed() -> bool:
    """Whether what is tried next will be fed."""
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
