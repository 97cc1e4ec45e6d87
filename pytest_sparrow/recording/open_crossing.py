"""One crossing between its asking and its settling, and what the run knows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.recording.lanes import Lane
    from pytest_sparrow.recording.run import Run
    from pytest_sparrow.recording.wire import ModelCall

__all__ = ["OpenCrossing"]


class OpenCrossing:
    """One crossing under way; see `pytest_sparrow.recording.crossing.Crossing`.

    Attributes:
        kind: "http", "tool" or "call".
        asked: what was asked, redacted.
        lane: the lane that asked.
        began: when, in seconds of the run.
        model: the model call that it is, or None.
        call_id: a tool's call id.
        proposed: whether a model had proposed the tool's call.
        told: how many parts of a model's answer have been told as events already.
        settled: whether it is over.
    """

    __slots__ = (
        "_run",
        "asked",
        "began",
        "call_id",
        "fed",
        "flush",
        "kind",
        "lane",
        "model",
        "patience",
        "peek",
        "proposed",
        "settled",
        "told",
    )

    def __init__(self, run: Run, kind: str, asked: dict[str, Json], lane: Lane, began: float) -> None:
        self._run = run
        self.kind = kind
        self.asked = asked
        self.lane = lane
        self.began = began
        self.fed: dict[str, Json] | None = None
        self.patience: float | None = None
        self.model: ModelCall | None = None
        self.call_id = ""
        self.proposed = False
        self.settled = False
        self.flush: Callable[[], None] | None = None
        self.peek: Callable[[], dict[str, Json] | None] | None = None
        self.told = 0

    def settle(self, answered: dict[str, Json] | None, *, complete: bool = True) -> None:
        """The agent has its answer; a second call does nothing."""
        self._run.settle(self, answered, complete=complete)
