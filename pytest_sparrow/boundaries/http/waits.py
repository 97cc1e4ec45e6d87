"""Skips retry delays in a replay, because the retry will be replayed.

Whether a wait is in vain: what is tried after it is fed.

What tenacity waits between two tries, as google-genai, LangChain's ``with_retry`` and agents themselves use it.

Anything can be tried by it, so a wait is shortened only where that decides nothing: the try that has failed was fed
something; tries are counted, not timed (``stop_after_delay`` would try more often than it did); and it sleeps by
tenacity's own function. Hooks and statistics see the wait as it would have been.

Held by names that are private: where they are gone, every wait is waited.

Waits before a next try, which a replay doesn't wait again: the answer is there already.

A failing answer tells an SDK how long to wait, and a replay says a millisecond (see `core`). Where no answer came, a
dropped connection or a timeout, the SDK waits as it thinks best. Its module finds, in place of the clock that it sleeps
by, one whose ``sleep`` is short. Nothing else is changed: the SDK draws its jitter as ever, other modules keep the real
clock, and where nothing is fed (a live fork, a tool that runs) the wait is the real one.

Names of SDKs' modules are private, so a test holds them with the real SDKs; where one is gone, the wait is waited.
What tenacity waits is shortened in another way, see `tenacity_waits`.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.http.flow import last_request_was_allowed
from pytest_sparrow.boundaries.patching import AttributePatch, Patches, PatchesFor
from pytest_sparrow.errors import UsageError
from pytest_sparrow.providers.facts import RetryClock
from pytest_sparrow.providers.registry import facts
from pytest_sparrow.run.context import current_run, is_answering, open_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sparrow.providers.facts import ProviderFacts
    from pytest_sparrow.run.crossing import OpenRun

__all__ = ["LONGEST", "is_replayed", "no_waits", "replacements", "replaying_run"]


LONGEST = 0.001
"""Seconds that a wait takes while feeding; not 0, since a sleep also lets others run."""


def is_replayed() -> bool:
    """Whether what is tried next will be fed, if it is what was tried last."""
    if last_request_was_allowed.get():
        return False
    try:
        return replaying_run() is not None
    except UsageError:  # whose it is nobody knows, and it may not matter
        return not is_answering() and all(run.replaying for run in open_runs())


def replaying_run() -> OpenRun | None:
    """The run that feeds what is asked here; None where it goes to the world, or belongs to no run.

    Raises:
        UsageError: two runs are open, and this may be of either.
    """
    run = current_run()
    return run if run is not None and run.replaying else None


_BEFORE = "_sparrow_crossings"
"""On the state of a call that is tried: how many crossings there were before this try."""


def replacements(tenacity: Any) -> Iterator[tuple[type, str, Callable[..., None]]]:
    """What to put in the place of which attributes of a loaded tenacity: owner, name, replacement."""
    owner = getattr(tenacity, "BaseRetrying", None)
    begins, goes_on = "_begin_iter", "_post_stop_check_actions"
    needed = (begins, goes_on, "_add_action_func")
    if isinstance(owner, type) and all(name in vars(owner) for name in needed):
        yield owner, begins, _noting(vars(owner)[begins])
        yield owner, goes_on, _shortening(vars(owner)[goes_on], tenacity)


def _noting(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def _begin_iter(retrying: Any, state: Any) -> None:
        run = _run() if state.outcome is None else None
        if run is not None:
            setattr(state, _BEFORE, (run, run.crossings))
        original(retrying, state)

    return _begin_iter


def _shortening(original: Callable[..., None], tenacity: Any) -> Callable[..., None]:
    @functools.wraps(original)
    def _post_stop_check_actions(retrying: Any, state: Any) -> None:
        original(retrying, state)
        if not retrying.iter_state.stop_run_result and _in_vain(retrying, state, tenacity):
            # The last action says how long to sleep.
            retrying._add_action_func(lambda state: tenacity.DoSleep(min(state.upcoming_sleep, LONGEST)))  # noqa: SLF001

    return _post_stop_check_actions


def _in_vain(retrying: Any, state: Any, tenacity: Any) -> bool:
    run, before = getattr(state, _BEFORE, (None, 0))
    if run is None or run is not _run() or run.crossings == before:
        return False
    return _counts(retrying.stop, tenacity) and _module_of(retrying.sleep).startswith("tenacity.")


def _counts(stop: Any, tenacity: Any) -> bool:
    """Whether only the number of tries decides when it gives up."""
    if isinstance(stop, tenacity.stop_any | tenacity.stop_all):
        return all(_counts(one, tenacity) for one in stop.stops)
    return stop is tenacity.stop_never or type(stop) is tenacity.stop_after_attempt


def _module_of(function: Any) -> str:
    return str(getattr(function, "__module__", "")) if hasattr(function, "__code__") else ""


def _run() -> Any:
    try:
        return replaying_run()
    except UsageError:
        return None


_URLLIB3 = RetryClock(module="urllib3.util.retry", has="Retry", clocks=("time",))
"""The clock of urllib3's own retries, which requests and boto3 use; those of SDKs are facts of codecs."""

_TENACITY = "tenacity"


@functools.lru_cache(maxsize=4)
def _by_last_part(known: ProviderFacts) -> dict[str, tuple[RetryClock, ...]]:
    found: dict[str, tuple[RetryClock, ...]] = {}
    for clock in (_URLLIB3, *known.retry_clocks):
        last = clock.module.rpartition(".")[2]
        found[last] = (*found.get(last, ()), clock)
    return found


def _retry_clocks(name: str) -> list[RetryClock]:
    # By the last part first: thousands of modules are asked about.
    alike = _by_last_part(facts()).get(name.rpartition(".")[2], ())
    return [clock for clock in alike if f".{name}".endswith(f".{clock.module}")]


class _ShortClock(ModuleType):
    """A module whose ``sleep`` is short while feeding; all else is the module's own."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock.__name__, clock.__doc__)
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)

    def sleep(self, seconds: Any, *rest: Any, **named: Any) -> Any:
        """Sleep, or (asyncio's, anyio's) give what is awaited for that."""
        return self._clock.sleep(min(seconds, LONGEST) if is_replayed() else seconds, *rest, **named)


@contextlib.contextmanager
def no_waits() -> Iterator[None]:
    """Shorten them, for SDKs that are loaded now and for those that are loaded within. May be nested."""
    with _PATCHES:
        yield


def _patches_for(module: ModuleType) -> list[AttributePatch]:
    if module.__name__ == _TENACITY:
        return [AttributePatch(*replacement) for replacement in replacements(module)]
    known = [clock for clock in _retry_clocks(module.__name__) if _has(module, clock.has)]
    clocks = {name: vars(module).get(name) for clock in known for name in clock.clocks}
    return [
        AttributePatch(module, name, _ShortClock(clock))
        for name, clock in clocks.items()
        if isinstance(clock, ModuleType) and not isinstance(clock, _ShortClock)
    ]


class _Modules(Mapping[str, PatchesFor]):
    """The modules that may be waiters, by name; the last parts tell. Iterating gives those that are loaded."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        """Names of modules that were looked at; only names, so that a module that is gone can be gone."""
        self._candidates: list[str] = []
        self._asked_for: ProviderFacts | None = None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name == _TENACITY or bool(_retry_clocks(name)))

    def __getitem__(self, name: str) -> PatchesFor:
        return _patches_for

    def __iter__(self) -> Iterator[str]:
        if self._asked_for is not facts():  # a codec was added or removed since
            self._asked_for = facts()
            self._seen.clear()
            self._candidates.clear()
        # Each name is looked at once: 5,000 before every test cost 1.7 ms.
        new = sys.modules.keys() - self._seen
        self._seen |= new
        self._candidates.extend(name for name in new if name in self)
        return iter(self._candidates)

    def __len__(self) -> int:
        return len(self._candidates)


def _has(module: object, dotted: str) -> bool:
    found: Any = module
    for part in dotted.split("."):
        found = getattr(found, part, None)
    return found is not None


# Process-wide, because what is patched is.
_PATCHES = Patches(_Modules())
