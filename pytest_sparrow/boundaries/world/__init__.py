"""A deterministic world for a run: clock, randomness, environment, threads and tasks."""

from __future__ import annotations

from pytest_sparrow.boundaries.world.clock import Clock, needed_clock, noted_clock
from pytest_sparrow.boundaries.world.elapsed import Reader, needed_reader
from pytest_sparrow.boundaries.world.environment import zone_here
from pytest_sparrow.boundaries.world.randomness import Seeded, isolated, new_seed, noted_seed, stepped

__all__ = [
    "Clock",
    "Reader",
    "Seeded",
    "isolated",
    "needed_clock",
    "needed_reader",
    "new_seed",
    "noted_clock",
    "noted_seed",
    "stepped",
    "zone_here",
]
