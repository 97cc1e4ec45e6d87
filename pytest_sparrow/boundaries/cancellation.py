"""Waits for an agent to cancel a request or call again, as the recorded agent did.

A request that ran into ``asyncio.wait_for``, or that lost a race, has no answer or half an answer. An error in place of
the answer would be one that the recorded agent never met, so the replay waits for the cancellation.
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

_POLL = 0.02
"""Seconds between two looks whether the run is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancellationWait:
    """How long to wait for a cancellation, and which violation it is when none comes.

    Attributes:
        run: the replaying run.
        seconds: a little longer than the recorded agent waited.
        what: the violation's text: what the agent does beyond the recorded run.
    """

    run: OpenRun
    seconds: float
    what: str

    async def wait(self) -> bool:
        """Wait for the task's cancellation, in a task; False: the task was not cancelled."""
        await wait_for_cancel(self.seconds)
        return False

    def hold(self) -> bool:
        """Wait for the end of the run, in a thread, which nothing cancels; False: the run goes on.

        The main thread does not wait, since the run cannot end while the main thread waits.
        """
        end = time.monotonic() + self.seconds
        while threading.current_thread() is not threading.main_thread() and time.monotonic() < end:
            if self.run not in open_runs():
                return True
            time.sleep(_POLL)
        return False

    def not_cancelled(self) -> Exception:
        """Note the violation that the agent did not cancel; returns the error to raise."""
        return self.run.refuse(self.what, "record the test again")


async def wait_for_cancel(seconds: float) -> None:
    """Sleep in a task of asyncio or trio."""
    trio = sys.modules.get("trio")
    if trio is not None and _is_trio(trio):
        await trio.sleep(seconds)
    else:
        import asyncio

        await asyncio.sleep(seconds)


def _is_trio(trio: object) -> bool:
    try:
        trio.lowlevel.current_task()  # type: ignore[attr-defined]
    except (RuntimeError, AttributeError):  # no trio task here, or another thread is just loading trio
        return False
    return True
