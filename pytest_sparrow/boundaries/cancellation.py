"""Waits until the agent cancels a request, as it did when the run was recorded.

A request that ran into ``asyncio.wait_for``, or lost a race and was cancelled, has no answer (or half of one). An error
in place of the answer would lead the agent elsewhere, so the request waits until it is cancelled again.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.run.context import open_runs

if TYPE_CHECKING:
    from pytest_sparrow.run.crossing import OpenRun

__all__ = ["CancellationWait", "wait_for_cancel"]

_STEP = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class CancellationWait:
    """How long to wait for the agent to cancel, and what to report if it doesn't.

    Attributes:
        run: the run that replays.
        seconds: as long as the recorded agent waited, and a little longer.
        what: what the agent does beyond the recorded run, for the violations.
    """

    run: OpenRun
    seconds: float
    what: str

    async def wait(self) -> bool:
        """Wait to be cancelled; returns False if nobody cancelled."""
        await wait_for_cancel(self.seconds)
        return False

    def hold(self) -> bool:
        """Wait in a thread, which nothing can cancel: returns True if the run ended meanwhile, else False.

        The main thread doesn't wait: the run cannot end before that thread goes on.
        """
        end = time.monotonic() + self.seconds
        while threading.current_thread() is not threading.main_thread() and time.monotonic() < end:
            if self.run not in open_runs():
                return True
            time.sleep(_STEP)
        return False

    def lost(self) -> Exception:
        """Add to the violations that the agent did not cancel; returns what to raise."""
        return self.run.refuse(self.what, "record the test again")


async def wait_for_cancel(seconds: float) -> None:
    """Sleep, on asyncio or trio."""
    trio = sys.modules.get("trio")
    if trio is not None and _is_trio(trio):
        await trio.sleep(seconds)
    else:
        import asyncio

        await asyncio.sleep(seconds)


def _is_trio(trio: object) -> bool:
    try:
        trio.lowlevel.current_task()  # type: ignore[attr-defined]
    except RuntimeError:
        return False
    return True
