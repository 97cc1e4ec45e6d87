"""The clock of one run: which one it needs, and how it follows the run's crossings."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from pytest_sparrow.boundaries.clock.hands import Flow, Hands, Step
from pytest_sparrow.boundaries.clock.travel import somebody_else_travels, travelling
from pytest_sparrow.boundaries.clock.zone import Zone, zone_here
from pytest_sparrow.settings import ClockMode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.recording.open_crossing import OpenCrossing

__all__ = ["Clock", "needed_clock", "noted_clock"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """Moves the wall clock while a run is open. Watches the run (see `recording.ports.Watcher`).

    Where the test has set the clock by itself before, nothing is moved: it did so in the recording, too.

    Args:
        hands: what the clock shows.
        zone: the recorded time zone.
    """

    def __init__(self, hands: Hands, zone: Zone) -> None:
        self.hands = hands
        self.zone = zone
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if not somebody_else_travels():
            with ExitStack() as stack:
                stack.enter_context(travelling(self.hands))
                stack.callback(self.zone.restore)
                self.zone.set()
                self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def body_starts(self) -> None:
        """The test's own code starts: fixtures may have taken another time than they took when it was recorded."""
        self.hands.body_starts()

    def asked(self, crossing: OpenCrossing) -> None:
        """Something crossed."""
        self.hands.asked(None if crossing.recorded is None else crossing.recorded.began)

    def answered(self, crossing: OpenCrossing, answered: dict[str, Json] | None) -> None:  # noqa: ARG002
        """The agent has its answer, a stream to its end."""
        if crossing.recorded is not None:
            self.hands.arrived(crossing.recorded.ended)


def needed_clock(
    mode: ClockMode, started: datetime, golden: Any = None, answers: Sequence[Exchange] = ()
) -> Clock | None:
    """The clock that a run needs, or None: the real one.

    Args:
        mode: what the user said.
        started: the run's start.
        golden: the inputs of the golden that feeds the run; None while recording.
        answers: the golden's exchanges, by the time of their asking.
    """
    if mode is ClockMode.REAL:
        return None
    if golden is None:
        return Clock(Step(_nanoseconds(started)), Zone(None, 0)) if mode is ClockMode.STEP else None
    zero = _moment_of(golden.timestamp)
    if zero is None:
        return None
    noted = _noted(golden.config_snapshot)
    # As it was recorded: a golden whose clock ran would not fit one that stands still, and the other way round.
    hands: Hands
    if noted.get("mode") == ClockMode.STEP.value:
        hands = Step(_nanoseconds(zero))
    else:
        body = noted.get("body")
        began = [exchange.began for exchange in answers]
        hands = Flow(_nanoseconds(zero), began, body=body if isinstance(body, int | float) else None)
    return Clock(hands, Zone(noted, zero.timestamp()))


def noted_clock(mode: ClockMode, started: datetime, body: float | None) -> dict[str, Json]:
    """What a golden says of the clock that it was recorded by: ``config_snapshot.clock``.

    Args:
        mode: what the user said.
        started: the run's start.
        body: when the test's own code started, in seconds of the run; None if it hasn't.
    """
    return {"mode": mode.value, **zone_here(started.timestamp()), **({} if body is None else {"body": body})}


def _noted(snapshot: Json) -> dict[str, Json]:
    clock = snapshot.get("clock") if isinstance(snapshot, dict) else None
    return clock if isinstance(clock, dict) else {}


def _moment_of(timestamp: str) -> datetime | None:
    """A golden's timestamp; None where it is no time that a clock can show."""
    try:
        moment = datetime.fromisoformat(timestamp)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment >= _EPOCH else None


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
