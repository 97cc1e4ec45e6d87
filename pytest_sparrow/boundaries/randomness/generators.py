"""The generators that a whole process shares: Python's own, and numpy's where it is loaded."""

from __future__ import annotations

import random
import sys
from typing import Any

__all__ = ["State", "numpy_random", "seed_numpy", "seed_python"]


def numpy_random() -> Any:
    """The random module of numpy, or None where numpy is not loaded (yet)."""
    module = sys.modules.get("numpy.random")
    return module if hasattr(module, "get_state") else None


class State:
    """The state of the shared generators at the moment it is made."""

    __slots__ = ("_numpy", "_python")

    def __init__(self) -> None:
        self._python = random.getstate()
        numpy = numpy_random()
        self._numpy = None if numpy is None else numpy.get_state(legacy=False)

    def restore(self) -> None:
        """Put it back. numpy's stays as it is where numpy was not loaded then."""
        random.setstate(self._python)
        numpy = numpy_random()
        if numpy is not None and self._numpy is not None:
            numpy.set_state(self._numpy)


def seed_python(seed: int | None) -> None:
    """Seed Python's; None: from the system."""
    random.seed(seed)


def seed_numpy(seed: int | None) -> None:
    """Seed numpy's with as much of the seed as it takes, where numpy is loaded; None: from the system."""
    numpy = numpy_random()
    if numpy is not None:
        numpy.seed(None if seed is None else seed % 2**32)
