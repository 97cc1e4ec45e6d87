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
import threading
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.http.flow import last_request_was_allowed
from pytest_sparrow.boundaries.patching import AfterLoading
from pytest_sparrow.errors import UsageError
from pytest_sparrow.run.context import current_run, is_answering, open_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiter:
    """A kind of module that sleeps before a next try, and for nothing else.

    Attributes:
        name: the last parts of its name.
        has: what tells it from a module of the same name that is none: a global, or an attribute of one.
        clocks: its globals that it sleeps by.
    """

    name: str
    has: str
    clocks: tuple[str, ...]


_WAITERS = (
    # SDKs that Stainless generates: openai, anthropic, groq, together, cerebras and more.
    _Waiter(name="_base_client", has="BaseClient._calculate_retry_timeout", clocks=("time", "anyio")),
    # Those that Speakeasy generates: mistralai and more.
    _Waiter(name="utils.retries", has="retry_with_backoff", clocks=("time", "asyncio")),
    # Its own waits, for aiohttp and uploads; those of its retry_options are tenacity's.
    _Waiter(name="google.genai._api_client", has="BaseApiClient", clocks=("time", "asyncio")),
    # requests and boto3.
    _Waiter(name="urllib3.util.retry", has="Retry", clocks=("time",)),
    _Waiter(name="botocore.endpoint", has="Endpoint", clocks=("time",)),
)


_TENACITY = "tenacity"


class _Names:
    """The names of modules that may be waiters: their last parts tell."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name == _TENACITY or _waiter(name) is not None)


_LAST = {waiter.name.rpartition(".")[2]: waiter for waiter in _WAITERS}


def _waiter(name: str) -> _Waiter | None:
    # By the last part first: thousands of modules are asked about.
    waiter = _LAST.get(name.rpartition(".")[2])
    return waiter if waiter is not None and f".{name}".endswith(f".{waiter.name}") else None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Patch:
    owner: ModuleType | type
    name: str
    original: Any
    replacement: Any


# Process-wide, because what is patched is. All of it under the lock, and empty when nothing is installed.
_lock = threading.RLock()
_installed = 0
_patches: list[_Patch] = []
_seen: set[str] = set()
"""Names of modules that were looked at; only names, so that a module that is gone can be gone."""
_candidates: list[str] = []


@contextlib.contextmanager
def no_waits() -> Iterator[None]:
    """Shorten them, for SDKs that are loaded now and for those that are loaded within. May be nested."""
    global _installed  # noqa: PLW0603 - see above
    with _lock:
        _installed += 1
        if _installed == 1:
            sys.meta_path.insert(0, _FINDER)
            for module in _waiting():
                _shorten(module)
    try:
        yield
    finally:
        with _lock:
            _installed -= 1
            if _installed == 0:
                with contextlib.suppress(ValueError):
                    sys.meta_path.remove(_FINDER)
                _undo()


def _waiting() -> list[ModuleType]:
    """The loaded modules that may be waiters. Each name is looked at once: 5,000 before every test cost 1.7 ms."""
    new = sys.modules.keys() - _seen
    _seen.update(new)
    _candidates.extend(name for name in new if name in _NAMES)
    return [module for name in _candidates if (module := sys.modules.get(name)) is not None]


def _shorten(module: ModuleType) -> None:
    with _lock:
        if not _installed:
            return
        if module.__name__ == _TENACITY:
            for owner, name, replacement in replacements(module):
                _put(owner, name, replacement)
            return
        waiter = _waiter(module.__name__)
        if waiter is None or not _has(module, waiter.has):
            return
        for name in waiter.clocks:
            clock = vars(module).get(name)
            if isinstance(clock, ModuleType) and not isinstance(clock, _ShortClock):
                _put(module, name, _ShortClock(clock))


def _put(owner: ModuleType | type, name: str, replacement: Any) -> None:
    _patches.append(_Patch(owner=owner, name=name, original=vars(owner)[name], replacement=replacement))
    setattr(owner, name, replacement)


def _undo() -> None:
    for patch in reversed(_patches):
        # What somebody else has put there since is theirs.
        if vars(patch.owner).get(patch.name) is patch.replacement:
            setattr(patch.owner, patch.name, patch.original)
    _patches.clear()


def _has(module: object, dotted: str) -> bool:
    found: Any = module
    for part in dotted.split("."):
        found = getattr(found, part, None)
    return found is not None


_NAMES = _Names()
_FINDER = AfterLoading(_NAMES, _shorten)
