"""Putting a clock's hands before the process's wall clock: the one place that knows time-machine."""

from __future__ import annotations

import datetime as dt
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_sparrow.errors import UsageError
from pytest_sparrow.recording.window import is_answering

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.boundaries.clock.hands import Hands

__all__ = ["somebody_else_travels", "travelling"]

_MARK = "sparrow_hands"


def _time_machine() -> Any:
    try:
        import time_machine
    except ImportError as error:  # PyPy has none
        raise UsageError(
            f"the clock of a replay needs time-machine, which cannot be imported: {error}\n"
            "  pip install time-machine, or leave the clock alone: ini sparrow_clock = real "
            '(or @pytest.mark.sparrow(clock="real"))'
        ) from None
    return time_machine


def somebody_else_travels() -> bool:
    """Whether the test has set the clock by itself, with time-machine or freezegun, before its run opened."""
    if "freezegun" in sys.modules and dt.datetime.__name__ == "FakeDatetime":
        return True
    library = sys.modules.get("time_machine")
    return bool(library and library.traveller_stack and not hasattr(library.traveller_stack[-1], _MARK))


@contextmanager
def travelling(hands: Hands) -> Iterator[None]:
    """Let the wall clock of the whole process show what the hands show, and to the world's code the real time.

    A tool that runs asks servers that look at dates, in signatures and tokens.

    A test that travels within wins as long as it does, with time-machine as with freezegun.

    Raises:
        UsageError: time-machine cannot be imported.
    """
    library = _time_machine()
    travel = library.travel(0.0)
    traveller = travel.start()
    # time-machine asks whoever stands on top of its stack for the time. That is how a clock can run, and be moved
    # while somebody else travels on top of it, which its own move_to can't.
    real = library.escape_hatch.time.time_ns
    traveller.time_ns = lambda: real() if is_answering() else hands.now()
    setattr(traveller, _MARK, hands)
    try:
        yield
    finally:
        stack = library.traveller_stack
        if stack and stack[-1] is traveller:
            travel.stop()
        elif traveller in stack:
            # A fixture that was set up after ours still travels; it unpatches when it stops.
            stack.remove(traveller)
        below = getattr(stack[-1], _MARK, None) if stack else None
        if below is not None:
            below.skip(hands.skipped)
