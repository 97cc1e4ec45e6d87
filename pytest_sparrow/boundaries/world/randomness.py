"""One test's randomness, from one seed: Python's generators and numpy's, and SDK retry draws.

Generators of numpy that nobody seeds: ``numpy.random.default_rng()``, ``PCG64()``, ``RandomState()``.

All of them ask `numpy.random.bit_generator` for entropy, by a name that it imported from `secrets`. That name is
private, so a test holds it; `secrets` itself is left alone.

What an SDK draws between a failing answer and its next try doesn't count.

How long it waits depends on what the answer said: a recorded 429 without ``retry-after`` makes the openai SDK draw its
jitter from `random`, the same answer in a replay, which says ``retry-after-ms: 1``, doesn't. So the try after it finds
the shared generators as they were when the failing answer was given, in record and replay alike.

One test's randomness, from one seed.
"""

from __future__ import annotations

import random
import secrets
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pytest_sparrow.boundaries.patching import AfterLoading
from pytest_sparrow.boundaries.world import isolation
from pytest_sparrow.boundaries.world.isolation import IsolatedState, State, seed_numpy, use_isolated_state
from pytest_sparrow.boundaries.world.uuids import seeded_uuids
from pytest_sparrow.matching.keys import request_key
from pytest_sparrow.run.context import is_answering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.crossing import OpenCrossing
    from pytest_sparrow.run.lanes import Lane

__all__ = ["Retries", "Seeded", "new_seed", "noted_seed", "seeded_numpy"]


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


@dataclass(frozen=True, slots=True)
class _Failed:
    lane: Lane
    key: str
    state: State


class Retries:
    """Watches a run (see `recording.ports.Watcher`), and rewinds the generators at a repeated request.

    Only the next crossing of the run can be the repetition: if another lane crosses in between, it may have drawn, too,
    and to rewind would give it the same numbers twice.
    """

    def __init__(self) -> None:
        self._failed: _Failed | None = None

    def asked(self, crossing: OpenCrossing) -> None:
        """Rewind, if this is the failed request again."""
        failed, self._failed = self._failed, None
        if failed is None or crossing.kind != "http" or crossing.lane is not failed.lane:
            return
        if request_key("http", crossing.asked) == failed.key:
            failed.state.restore()

    def answered(self, crossing: OpenCrossing, answered: dict[str, Json] | None) -> None:
        """Note where the generators stand, if this answer is one that is tried again."""
        unanswered = crossing.recorded is not None and crossing.recorded.answered is None
        if crossing.kind == "http" and answered is not None and not unanswered and _fails(answered):
            self._failed = _Failed(crossing.lane, request_key("http", crossing.asked), State())


def _fails(answered: dict[str, Json]) -> bool:
    """Whether SDKs try again after this (openai 3.54 and anthropic do after these statuses)."""
    status = answered.get("status")
    return "error" in answered or (isinstance(status, int) and (status in (408, 409, 429) or status >= 500))


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
            stack.callback(isolation.State().restore)
            isolation.seed_python(self.seed)
            stack.enter_context(seeded_numpy(self.seed))
            stack.enter_context(seeded_uuids(self.seed))
            use_isolated_state(IsolatedState())
            stack.callback(use_isolated_state, None)
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
