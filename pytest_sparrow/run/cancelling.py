"""Waits until the agent cancels an answer, as the recorded agent did.

A request that ran into ``asyncio.wait_for``, or that lost a race, has no answer or half an answer. An error in place of
the answer would be one that the recorded agent never met, so the replay waits for the agent to cancel again.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_sparrow import real_time
from pytest_sparrow.run.context import open_runs

if TYPE_CHECKING:
    from pytest_sparrow.run.crossing import OpenRun

_POLL = 0.02
"""Seconds between two looks whether the run is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancellationWait:
    """How long to wait for a cancellation that may not come.

    Attributes:
        run: the replaying run.
        seconds: a little longer than the recorded agent waited.
        request: the request as a text, for the violation that none came.
    """

    run: OpenRun
    seconds: float
    request: str

    async def wait(self) -> bool:
        """Wait for the task's cancellation, in a task; False: the task was not cancelled."""
        await wait_for_cancel(self.seconds)
        return False

    def hold(self) -> bool:
        """Wait for the end of the run, in a thread, which nothing cancels; False: the run goes on.

        The main thread does not wait, since the run cannot end while the main thread waits.
        """
        end = real_time.monotonic() + self.seconds
        while threading.current_thread() is not threading.main_thread() and real_time.monotonic() < end:
            if self.run not in open_runs():
                return True
            time.sleep(_POLL)
        return False

    def not_cancelled(self) -> Exception:
        """Note the violation that the agent did not cancel; returns the error to raise."""
        return self.run.refuse("read-on", request=self.request)


async def wait_for_cancel(seconds: float) -> None:
    """Sleep in a task of asyncio or trio."""
    if is_trio():
        await sys.modules["trio"].sleep(seconds)
    else:
        import asyncio

        await asyncio.sleep(seconds)


def is_trio() -> bool:
    """Whether a task of trio runs here."""
    trio: Any = sys.modules.get("trio")
    if trio is None:
        return False
    try:
        trio.lowlevel.current_task()
    except (RuntimeError, AttributeError):  # no trio task here, or another thread is just loading trio
        return False
    return True
