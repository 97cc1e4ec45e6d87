"""Generators of numpy that nobody seeds: ``numpy.random.default_rng()``, ``PCG64()``, ``RandomState()``.

All of them ask `numpy.random.bit_generator` for entropy, by a name that it imported from `secrets`. That name is
private, so a test holds it; `secrets` itself is left alone.
"""

from __future__ import annotations

import random
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.loading import AfterLoading
from pytest_sparrow.boundaries.randomness.generators import seed_numpy
from pytest_sparrow.recording.window import is_answering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["seeded_numpy"]

_SOURCE = "numpy.random.bit_generator"
_NAME = "randbits"


@contextmanager
def seeded_numpy(seed: int) -> Iterator[None]:
    """Seed numpy: at once where it is loaded, else as soon as it is."""
    restore: list[Callable[[], None]] = []

    def begin(_: Any = None) -> None:
        if not restore:
            restore.append(_patched(random.Random(f"pytest-sparrow numpy {seed}")))  # noqa: S311 - that is the point
            seed_numpy(seed)

    finder = AfterLoading(("numpy.random",), begin)
    if "numpy.random" in sys.modules:
        begin()
    else:
        sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)
        for step in restore:
            step()


def _patched(entropy: random.Random) -> Callable[[], None]:
    """Let numpy take its entropy from here; gives what undoes that."""
    source = sys.modules.get(_SOURCE)
    original = getattr(source, _NAME, None)
    if source is None or original is None:
        return lambda: None

    def randbits(size: int) -> int:
        bits: int = original(size) if is_answering() else entropy.getrandbits(size)
        return bits

    setattr(source, _NAME, randbits)
    return lambda: setattr(source, _NAME, original)
