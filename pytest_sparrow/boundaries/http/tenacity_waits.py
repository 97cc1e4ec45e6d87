"""What tenacity waits between two tries, as google-genai, LangChain's ``with_retry`` and agents themselves use it.

Anything can be tried by it, so a wait is shortened only where that decides nothing: the try that has failed was fed
something; tries are counted, not timed (``stop_after_delay`` would try more often than it did); and it sleeps by
tenacity's own function. Hooks and statistics see the wait as it would have been.

Held by names that are private: where they are gone, every wait is waited.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.http.fed import LONGEST, feeding_run
from pytest_sparrow.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["replacements"]

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
        return feeding_run()
    except UsageError:
        return None
