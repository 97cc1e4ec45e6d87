"""A run with its boundaries: opened together, closed together, restored exactly."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries import guard, http
from pytest_sparrow.boundaries.guard.network import noting_uncaptured
from pytest_sparrow.boundaries.guard.processes import hearing_forked, naming_children
from pytest_sparrow.boundaries.http.retry_delays import skip_retry_delays
from pytest_sparrow.boundaries.world import strands
from pytest_sparrow.boundaries.world.environment import dummy_keys
from pytest_sparrow.findings import Finding, Kind
from pytest_sparrow.run.context import close_window, open_window

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.boundaries.tools import Tools
    from pytest_sparrow.boundaries.world import Clock
    from pytest_sparrow.boundaries.world.environment import ReplayedEnvironment
    from pytest_sparrow.run.run import Run

__all__ = ["Window"]


class Window:
    """The time in which a run is open.

    Args:
        run: the run.
        tools: its tools; those that the settings name are wrapped when the window opens.
        environment: the recorded environment, where the run feeds one.
        clock: moves the wall clock, where the run needs it moved.
    """

    def __init__(
        self,
        run: Run,
        tools: Tools,
        environment: ReplayedEnvironment | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.run = run
        self.tools = tools
        self._environment = environment
        self._clock = clock
        self._stack = ExitStack()

    def open(self) -> None:
        """Install what captures, shut the world if the run feeds, and open the run.

        Raises:
            UsageError: a tool's dotted name cannot be resolved; or the clock must be moved and cannot be.
        """
        with ExitStack() as stack:
            stack.callback(self.tools.close)
            if self._environment is not None:
                self._environment.set()
                stack.callback(self._environment.restore)
            if self._clock is not None:
                stack.enter_context(self._clock)
            stack.enter_context(hearing_forked(self._in_forked_child, self._tell_forked))
            if self.run.replaying:
                stack.enter_context(dummy_keys(extra=self.run.settings.dummy_keys))
                stack.enter_context(guard.shut(self.run))
                stack.enter_context(skip_retry_delays())
                stack.enter_context(naming_children(self.run, self._tell_child))
            elif self.run.keeps:
                stack.enter_context(noting_uncaptured(self.run, self._report_uncaptured))
            http.install()
            stack.callback(http.uninstall)
            stack.enter_context(strands.PATCHES)
            token = open_window(self.run)
            stack.callback(close_window, self.run, token)
            for name in self.run.settings.tools:
                self.tools.tool(name)
            self._stack = stack.pop_all()

    def _in_forked_child(self, say: Callable[[str], None]) -> None:
        self.run.violations.mirror = say

    def _tell_forked(self, line: str) -> None:
        kind = Kind.REFUSED if self.run.replaying else Kind.UNRECORDABLE
        self.run.violations.add(Finding(kind=kind, detail={"text": line}))

    def _tell_child(self, line: str) -> None:
        self.run.violations.add(Finding(kind=Kind.CHILD, detail={"text": line}))

    def _report_uncaptured(self, line: str) -> None:
        self.run.violations.add(Finding(kind=Kind.UNCAPTURED, detail={"text": line}))

    def close(self, *, failed: bool) -> None:
        """End the run, then restore the world. A second call does nothing."""
        stack, self._stack = self._stack.pop_all(), ExitStack()
        with stack:
            if not self.run.closed:
                self.run.close(failed=failed)
