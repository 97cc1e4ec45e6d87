"""One test's randomness: shared generators seeded, the world's draws isolated, SDKs' retry draws rewound.

A live tool or transport that draws from the generators of the process would shift what the agent draws after it, in the
recording only: a replay never runs it. So code of the world has a random state of its own, and the two are swapped
wherever that code begins and ends.

What an SDK draws between a failing answer and its next try doesn't count either. How long the SDK waits depends on the
answer: a recorded 429 without ``retry-after`` makes the openai SDK draw its jitter from `random`, the same answer in a
replay, which says ``retry-after-ms: 1``, doesn't. So the next try finds the shared generators as they were when the
failing answer was given, in record and replay alike.
"""

from __future__ import annotations

import functools
import random
import secrets
import sys
import threading
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pytest_sparrow.boundaries.patching import AttributePatch, Patches
from pytest_sparrow.boundaries.world import uuids
from pytest_sparrow.matching.counts import request_key
from pytest_sparrow.run.answering import is_answering

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from contextlib import AbstractContextManager
    from types import ModuleType

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.crossing import Crossing
    from pytest_sparrow.run.lanes import Lane


class GeneratorState:
    """The state of the process's shared generators (Python's, and numpy's where loaded) when this object is made."""

    __slots__ = ("_numpy", "_python")

    def __init__(self) -> None:
        self._python = random.getstate()
        numpy = _numpy_random()
        self._numpy = None if numpy is None else numpy.get_state(legacy=False)

    def restore(self) -> None:
        """Put the state back. numpy's state stays as it is where numpy was not loaded when this object was made."""
        random.setstate(self._python)
        numpy = _numpy_random()
        if numpy is not None and self._numpy is not None:
            numpy.set_state(self._numpy)


def _numpy_random() -> Any:
    """The random module of numpy, or None where numpy is not loaded (yet)."""
    module = sys.modules.get("numpy.random")
    return module if hasattr(module, "get_state") else None


def _seed_numpy(seed: int | None) -> None:
    """Seed numpy with as much of the seed as numpy takes, where numpy is loaded; None: from the system."""
    numpy = _numpy_random()
    if numpy is not None:
        numpy.seed(None if seed is None else seed % 2**32)


# What the world draws.


class _IsolatedState:
    """The world's random state: swapped with the agent's, once, however deep and from however many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._agent: GeneratorState | None = None
        self._world: GeneratorState | None = None

    def enter(self) -> None:
        """Code of the world begins."""
        with self._lock:
            self._depth += 1
            if self._depth > 1:
                return
            self._agent = GeneratorState()
            if self._world is None:
                random.seed(None)
                _seed_numpy(None)
            else:
                self._world.restore()

    def leave(self) -> None:
        """Code of the world ends."""
        with self._lock:
            self._depth -= 1
            if self._depth == 0 and self._agent is not None:
                self._world = GeneratorState()
                self._agent.restore()
                self._agent = None


# Process-wide, because the generators are; None while no seeded test runs.
_isolated_state: _IsolatedState | None = None


class isolated:  # noqa: N801 - used like a function: ``with isolated():``
    """Runs code of the world, without a pause in between (for coroutines see `stepped`), on the isolated state."""

    __slots__ = ("_state",)

    def __enter__(self) -> None:
        self._state = _isolated_state
        if self._state is not None:
            self._state.enter()

    def __exit__(self, *_: object) -> None:
        if self._state is not None:
            self._state.leave()


async def stepped(awaitable: Awaitable[Any], around: AbstractContextManager[None] | None = None) -> Any:
    """Await code of the world; the agent's tasks that run while that code waits draw from the agent's state.

    Args:
        awaitable: the code.
        around: entered around each of its steps.
    """
    if (_isolated_state is None and around is None) or not hasattr(awaitable, "__await__"):
        return await awaitable
    return await _Stepped(awaitable, nullcontext() if around is None else around)


class _Stepped:
    __slots__ = ("_around", "_awaitable")

    def __init__(self, awaitable: Awaitable[Any], around: AbstractContextManager[None]) -> None:
        self._awaitable = awaitable
        self._around = around

    def __await__(self) -> Generator[Any, Any, Any]:
        # What "yield from" does (PEP 380), with every step isolated.
        steps: Any = self._awaitable.__await__()
        resume: Callable[[], Any] = functools.partial(next, steps)
        while True:
            try:
                with isolated(), self._around:
                    given = resume()
            except StopIteration as end:
                return end.value
            try:
                sent = yield given
            except GeneratorExit:
                with isolated():
                    steps.close()
                raise
            except BaseException as error:  # noqa: BLE001 - it goes on to the awaited code
                resume = functools.partial(steps.throw, error)
            else:
                resume = (
                    functools.partial(next, steps) if sent is None else functools.partial(steps.send, sent)
                )


# numpy's generators that nobody seeds.


_ENTROPY_MODULE = "numpy.random.bit_generator"
_ENTROPY = "randbits"


def _numpy_patches(_: ModuleType) -> list[AttributePatch]:
    """Seed numpy as soon as it is loaded, and let its own generators be seeded from the seed.

    Generators that nobody seeds (``numpy.random.default_rng()``, ``PCG64()``, ``RandomState()``) ask
    `numpy.random.bit_generator` for entropy, by a name that it imported from `secrets`. That name is private, so a test
    holds it; `secrets` itself is left alone.
    """
    if _seeded is not None:
        _seed_numpy(_seeded.seed)
    source = sys.modules.get(_ENTROPY_MODULE)
    original = getattr(source, _ENTROPY, None)
    if original is None:
        return []

    def randbits(size: int) -> int:
        bits: int = original(size) if _seeded is None or is_answering() else _seeded.entropy.getrandbits(size)
        return bits

    return [AttributePatch(source, _ENTROPY, randbits)]


_NUMPY_PATCHES = Patches({"numpy.random": _numpy_patches}, stays=True)

# Process-wide, because the generators are; None while no seeded test runs.
_seeded: Seeded | None = None


# What SDKs draw between two tries.


@dataclass(frozen=True, slots=True)
class _Failed:
    lane: Lane
    key: str
    state: GeneratorState


class Retries:
    """Follows a run's crossings (see `run.emitter.Watcher`), and rewinds the generators at a repeated request.

    Only the next crossing of the run can be the repetition: if another lane crosses in between, that lane may have
    drawn, too, and to rewind would give it the same numbers twice.
    """

    def __init__(self) -> None:
        self._failed: _Failed | None = None

    def forget(self) -> None:
        """Forget the failed request."""
        self._failed = None

    def asked(self, crossing: Crossing) -> None:
        """Rewind, if the failed request is made again."""
        failed, self._failed = self._failed, None
        if failed is None or crossing.kind != "http" or crossing.lane is not failed.lane:
            return
        if request_key("http", crossing.asked) == failed.key:
            failed.state.restore()

    def answered(self, crossing: Crossing, answered: dict[str, Json] | None) -> None:
        """Note the state of the generators, if SDKs try again after this answer."""
        unanswered = crossing.recorded is not None and crossing.recorded.answered is None
        if crossing.kind == "http" and answered is not None and not unanswered and _fails(answered):
            self._failed = _Failed(crossing.lane, request_key("http", crossing.asked), GeneratorState())


def _fails(answered: dict[str, Json]) -> bool:
    """Whether SDKs try again after an answer (openai 3.54 and anthropic do after these statuses)."""
    status = answered.get("status")
    return "error" in answered or (isinstance(status, int) and (status in (408, 409, 429) or status >= 500))


class Seeded:
    """Seeds the process's shared generators while a test's function runs, and restores them exactly.

    `secrets`, `os.urandom` and `random.SystemRandom` are never touched: while the world is open, what they protect is
    real.

    Attributes:
        seed: the seed.
        entropy: what numpy's own generators are seeded from.
        retries: follows the run, so that what SDKs draw between tries doesn't count.
    """

    def __init__(self, seed: int) -> None:
        self.retries = Retries()
        self._before: GeneratorState | None = None
        self.seed = seed
        self.entropy: random.Random

    def again(self, seed: int) -> None:
        """Seed once more, while seeded: nothing is left of what was drawn since."""
        global _isolated_state  # noqa: PLW0603 - see above
        self.seed = seed
        self.entropy = random.Random(f"pytest-sparrow numpy {seed}")  # noqa: S311 - that is the point
        random.seed(seed)
        _seed_numpy(seed)
        uuids.seed(seed)
        _isolated_state = _IsolatedState()
        self.retries.forget()

    def __enter__(self) -> Self:
        global _seeded  # noqa: PLW0603 - see above
        self._before = GeneratorState()
        _seeded = self
        self.again(self.seed)
        _NUMPY_PATCHES.install()
        uuids.PATCHES.install()
        return self

    def __exit__(self, *_: object) -> None:
        global _seeded, _isolated_state  # noqa: PLW0603 - see above
        _isolated_state = _seeded = None
        uuids.PATCHES.uninstall()
        uuids.seed(None)
        _NUMPY_PATCHES.uninstall()
        if self._before is not None:
            self._before.restore()


def new_seed() -> int:
    """A seed for a test that has none yet, of 32 bits: every generator uses all of them."""
    return secrets.randbits(32)


def noted_seed(snapshot: Json) -> int | None:
    """The seed that a golden's ``config_snapshot`` holds, or None."""
    seed = snapshot.get("seed") if isinstance(snapshot, dict) else None
    return seed if isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 else None
