"""Randomness of a run: seeded, the same in record and replay; what the world draws is none of it."""

from __future__ import annotations

from pytest_sparrow.boundaries.randomness.aside import aside, stepped
from pytest_sparrow.boundaries.randomness.seeded import Seeded, new_seed, noted_seed

__all__ = ["Seeded", "aside", "new_seed", "noted_seed", "stepped"]
