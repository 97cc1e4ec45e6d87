"""One test's randomness, from one seed."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from pytest_sparrow.boundaries.randomness import generators
from pytest_sparrow.boundaries.randomness.aside import Aside, use_aside
from pytest_sparrow.boundaries.randomness.fresh import seeded_numpy
from pytest_sparrow.boundaries.randomness.retries import Retries
from pytest_sparrow.boundaries.randomness.uuids import seeded_uuids

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["Seeded", "new_seed", "noted_seed"]


class Seeded:
    """Seeds what a process shares while a test's function runs, and restores it exactly.

    `secrets`, `os.urandom` and `random.SystemRandom` are never touched: while the world is open, what they protect is
    real.

    Attributes:
        seed: the seed.
        retries: watches the run, so that what SDKs draw between tries doesn't count.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.retries = Retries()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(generators.State().restore)
            generators.seed_python(self.seed)
            stack.enter_context(seeded_numpy(self.seed))
            stack.enter_context(seeded_uuids(self.seed))
            use_aside(Aside())
            stack.callback(use_aside, None)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def new_seed() -> int:
    """A seed for a test that has none yet; 32 bits, so that every generator takes all of it."""
    return secrets.randbits(32)


def noted_seed(snapshot: Json) -> int | None:
    """The seed that a golden's ``config_snapshot`` holds, or None."""
    seed = snapshot.get("seed") if isinstance(snapshot, dict) else None
    return seed if isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 else None
