"""One crossing between its asking and its settling, and what the run knows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.recording.lanes import Lane
    from pytest_sparrow.recording.run import Run
    from pytest_sparrow.recording.wire import ModelCall
    from pytest_sparrow.replaying.overlay import Fault

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
        recorded: in a replay, the exchange that answers; None for a miss.
        error: the exception to raise in place of the fed one, which is known by its name only.
        fault: in a replay, the fault that was laid over it, or None.
        delay: seconds that each piece of the answer comes late.
        hides: the numbers of events that only tell of the fault.
        checked: the agent gets ``fed``, and the tool runs all the same: what it gives is told and compared.
        told: how many parts of a model's answer have been told as events already.
        tells_in: the lane whose events tell of it: the crossing's own, or that of the model's proposal.
        settled: whether it is over.
    """

    __slots__ = (
        "_run",
        "asked",
        "began",
        "call_id",
        "checked",
        "delay",
        "error",
        "fault",
        "fed",
        "flush",
        "hides",
        "kind",
        "lane",
        "model",
        "patience",
        "peek",
        "proposed",
        "recorded",
        "settled",
        "tells_in",
        "told",
    )

    def __init__(self, run: Run, kind: str, asked: dict[str, Json], lane: Lane, began: float) -> None:
        self._run = run
        self.kind = kind
        self.asked = asked
        self.lane = lane
        self.tells_in = lane
        self.began = began
        self.fed: dict[str, Json] | None = None
        self.patience: float | None = None
        self.model: ModelCall | None = None
        self.call_id = ""
        self.checked = False
        self.error: Exception | None = None
        self.fault: Fault | None = None
        self.delay = 0.0
        self.hides: list[int] = []
        self.proposed = False
        self.recorded: Exchange | None = None
        self.settled = False
        self.flush: Callable[[], None] | None = None
        self.peek: Callable[[], dict[str, Json] | None] | None = None
        self.told = 0

    @property
    def as_is(self) -> bool:
        """Whether the answer is served as it is, waits and all."""
        return self.fault is not None

    def settle(self, answered: dict[str, Json] | None, *, complete: bool = True) -> None:
        """The agent has its answer; a second call does nothing."""
        self._run.settle(self, answered, complete=complete)
