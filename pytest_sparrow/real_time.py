"""Reads the real clocks, whatever freezegun or a test has put in the place of the standard library's functions.

A recording's times and a replay's progress must not follow a clock that a test has frozen.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from typing import Any


def real(name: str) -> Any:
    """A function of `time`; this module may be loaded while freezegun's stands there."""
    return getattr(sys.modules.get("freezegun.api"), f"real_{name}", None) or getattr(time, name)


class _Clocks:
    """freezegun replaces functions in the globals of every module, so ours stand in a class."""

    monotonic_ns = staticmethod(real("monotonic_ns"))
    time_ns = staticmethod(real("time_ns"))


def monotonic_ns() -> int:
    """Nanoseconds of a clock that nobody sets."""
    return _Clocks.monotonic_ns()  # type: ignore[no-any-return]


def monotonic() -> float:
    """Seconds of a clock that nobody sets."""
    return monotonic_ns() / 1e9


def now() -> dt.datetime:
    """The real time, with microseconds, in UTC."""
    hatch: Any = getattr(sys.modules.get("time_machine"), "escape_hatch", None)
    travels = hatch is not None and hatch.is_travelling()
    nanoseconds = (hatch.time.time_ns if travels else _Clocks.time_ns)()
    kind = getattr(sys.modules.get("freezegun.api"), "real_datetime", dt.datetime)
    moment: dt.datetime = kind(1970, 1, 1, tzinfo=dt.UTC)
    return moment + dt.timedelta(microseconds=nanoseconds // 1000)
