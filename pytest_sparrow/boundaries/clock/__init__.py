"""The wall clock of a replay: it starts when the recording did, and moves on with its answers."""

from __future__ import annotations

from pytest_sparrow.boundaries.clock.clock import Clock, needed_clock, noted_clock
from pytest_sparrow.boundaries.clock.zone import zone_here

__all__ = ["Clock", "needed_clock", "noted_clock", "zone_here"]
