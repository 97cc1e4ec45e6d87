"""Skips retry delays in a replay where the retry will be replayed.

Two kinds of code sleep before a retry:

- Modules of SDKs and HTTP libraries, listed as `RetryClock`: the module finds another object in place of its clock,
  whose ``sleep`` is short. The SDK draws its jitter as before, and other modules keep the real clock.
- tenacity, which google-genai, LangChain's ``with_retry`` and agents use, and which can repeat any code. Its delay is
  skipped only where the delay decides nothing: the failed attempt was replayed at least in part; attempts are counted,
  not timed (``stop_after_delay`` would allow more attempts than in the recording); and tenacity's own function sleeps.
  Hooks and statistics see the whole delay.

The names of the modules and of tenacity's methods are private; tests hold them with the real packages. Where a name is
missing, the delay is not skipped. Delays that an answer asks for are shortened in the answer, by `reply_of`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.http import libraries
from pytest_sparrow.boundaries.http.flow import last_request_was_allowed
from pytest_sparrow.boundaries.patching import AttributePatch, Patches, PatchesFor
from pytest_sparrow.errors import UsageError
from pytest_sparrow.providers.registry import facts
from pytest_sparrow.run.answering import is_in_world
from pytest_sparrow.run.context import current_run, open_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sparrow.boundaries.http.adapter import Library
    from pytest_sparrow.providers.facts import ProviderFacts, RetryClock
    from pytest_sparrow.run.crossing import OpenRun

SHORT_DELAY = 0.001
"""Seconds that a skipped delay lasts; not 0, since a sleep also lets other threads and tasks run."""


def skip_retry_delays() -> Patches:
    """Skips the delays of packages that are loaded now or within its ``with`` block. May be nested."""
    return _PATCHES


def _replaying_run() -> OpenRun | None:
    """The run that replays the requests made here; None: the requests go to the world, or belong to no run.

    Raises:
        UsageError: two runs are open, and a request may belong to either.
    """
    run = current_run()
    return run if run is not None and run.replaying else None


def _retry_is_replayed() -> bool:
    """Whether the next request will be replayed, if it repeats the last one."""
    if last_request_was_allowed.get():
        return False
    try:
        return _replaying_run() is not None
    except UsageError:  # the owner is unknown, which does not matter where every open run replays
        return not is_in_world() and all(run.replaying for run in open_runs())


class _RetryingModules(Mapping[str, PatchesFor]):
    """The patches of modules that may sleep before a retry, by name; iterating gives the loaded ones."""

    def __init__(self) -> None:
        self._seen: set[str] = set()  # only names, so that unloaded modules can be collected
        self._candidates: list[str] = []
        self._asked_for: tuple[object, ...] = ()
        self._size = 0

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name == _TENACITY or bool(_retry_clocks(name)))

    def __getitem__(self, name: str) -> PatchesFor:
        return _tenacity_patches if name == _TENACITY else _clock_patches

    def __iter__(self) -> Iterator[str]:
        asked_for = facts(), libraries()
        if self._asked_for != asked_for:  # a codec or an HTTP library was added or removed
            self._asked_for = asked_for
            self._seen.clear()
            self._size = 0
            self._candidates.clear()
        # Each name is checked once: checking 5,000 names before every test took 1.7 ms, and to compare them 0.2.
        if len(sys.modules) != self._size:
            self._size = len(sys.modules)
            new = sys.modules.keys() - self._seen
            self._seen |= new
            self._candidates.extend(name for name in new if name in self)
        return iter(self._candidates)

    def __len__(self) -> int:
        return len(self._candidates)


@functools.lru_cache(maxsize=4)
def _by_last_part(known: ProviderFacts, covered: tuple[Library, ...]) -> dict[str, tuple[RetryClock, ...]]:
    found: dict[str, tuple[RetryClock, ...]] = {}
    for clock in (*(clock for library in covered for clock in library.retry_clocks), *known.retry_clocks):
        last = clock.module.rpartition(".")[2]
        found[last] = (*found.get(last, ()), clock)
    return found


def _retry_clocks(name: str) -> list[RetryClock]:
    # By the last part first, since thousands of names are checked.
    alike = _by_last_part(facts(), libraries()).get(name.rpartition(".")[2], ())
    return [clock for clock in alike if f".{name}".endswith(f".{clock.module}")]


def _clock_patches(module: ModuleType) -> list[AttributePatch]:
    known = [clock for clock in _retry_clocks(module.__name__) if _has(module, clock.has)]
    clocks = {name: vars(module).get(name) for clock in known for name in clock.clocks}
    return [
        AttributePatch(module, name, _ShortenedClock(clock))
        for name, clock in clocks.items()
        if isinstance(clock, ModuleType) and not isinstance(clock, _ShortenedClock)
    ]


def _has(module: object, dotted: str) -> bool:
    found: Any = module
    for part in dotted.split("."):
        found = getattr(found, part, None)
    return found is not None


class _ShortenedClock(ModuleType):
    """A module whose ``sleep`` is short where the retry is replayed; everything else is the real module's."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock.__name__, clock.__doc__)
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)

    def sleep(self, seconds: Any, *rest: Any, **named: Any) -> Any:
        """Sleep; asyncio's and anyio's functions return an awaitable."""
        short = min(seconds, SHORT_DELAY) if _retry_is_replayed() else seconds
        return self._clock.sleep(short, *rest, **named)


_TENACITY = "tenacity"

_BEFORE = "_sparrow_crossings"
"""The attribute of a retry state that holds the run, and its number of crossings before the attempt."""


def _tenacity_patches(tenacity: Any) -> list[AttributePatch]:
    owner = getattr(tenacity, "BaseRetrying", None)
    begins, goes_on = "_begin_iter", "_post_stop_check_actions"
    needed = (begins, goes_on, "_add_action_func")
    if not isinstance(owner, type) or not all(name in vars(owner) for name in needed):
        return []
    return [
        AttributePatch(owner, begins, _noting_crossings(vars(owner)[begins])),
        AttributePatch(owner, goes_on, _skipping_delays(vars(owner)[goes_on], tenacity)),
    ]


def _noting_crossings(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def _begin_iter(retrying: Any, state: Any) -> None:
        run = _known_replaying_run() if state.outcome is None else None
        if run is not None:
            setattr(state, _BEFORE, (run, run.crossings))
        original(retrying, state)

    return _begin_iter


def _skipping_delays(original: Callable[..., None], tenacity: Any) -> Callable[..., None]:
    @functools.wraps(original)
    def _post_stop_check_actions(retrying: Any, state: Any) -> None:
        original(retrying, state)
        if not retrying.iter_state.stop_run_result and _can_be_skipped(retrying, state, tenacity):
            # The last action decides how long tenacity sleeps.
            retrying._add_action_func(lambda state: tenacity.DoSleep(min(state.upcoming_sleep, SHORT_DELAY)))  # noqa: SLF001

    return _post_stop_check_actions


def _can_be_skipped(retrying: Any, state: Any, tenacity: Any) -> bool:
    run, before = getattr(state, _BEFORE, (None, 0))
    if run is None or run.crossings == before or run is not _known_replaying_run():
        return False
    return _counts_attempts(retrying.stop, tenacity) and _module_of(retrying.sleep).startswith("tenacity.")


def _counts_attempts(stop: Any, tenacity: Any) -> bool:
    """Whether only the number of attempts decides when tenacity gives up."""
    if isinstance(stop, tenacity.stop_any | tenacity.stop_all):
        return all(_counts_attempts(part, tenacity) for part in stop.stops)
    return stop is tenacity.stop_never or type(stop) is tenacity.stop_after_attempt


def _module_of(function: Any) -> str:
    return str(getattr(function, "__module__", "")) if hasattr(function, "__code__") else ""


def _known_replaying_run() -> OpenRun | None:
    try:
        return _replaying_run()
    except UsageError:
        return None


# Process-wide, because the patched modules are.
_PATCHES = Patches(_RetryingModules(), stays=True)
