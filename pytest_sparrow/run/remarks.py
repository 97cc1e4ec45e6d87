"""What a run has to say at its end besides what went wrong: what it could not see, and what it could not read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_sparrow.run.replay.violations import Finding, Kind
from pytest_sparrow.wire.describe import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pytest_sparrow.exchange import Json

__all__ = ["Unread", "unwrapped"]


def unwrapped(
    calls: Mapping[str, int], denied: Mapping[str, int], wrapped: Callable[[str], bool]
) -> Iterator[Finding]:
    """Tools whose outputs came past their wrappers, or which have none.

    Args:
        calls: how many calls of each name had no crossing, only an output in the next request.
        denied: how many calls of each name the agent was not to make.
        wrapped: whether a tool of a name is wrapped.
    """
    for name, called in calls.items():
        is_wrapped, refused = wrapped(name), denied.get(name, 0)
        count = called - refused if is_wrapped else called
        if count <= 0:
            continue
        times = "once" if count == 1 else f"{count} times"
        if not is_wrapped and refused:
            what = "denied, and not wrapped: whether it ran all the same was not checked"
        elif is_wrapped:
            what = "answered without its wrapper: the agent did not run it, or it ran another copy, unchecked"
        else:
            what = "not wrapped: it ran, and its arguments were not checked"
        summary = f"{name}: proposed {times}, {what}"
        yield Finding(kind=Kind.UNWRAPPED, summary=summary, asked={"name": name})


class Unread:
    """Requests that look like a model's, and that no codec knows."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, asked: dict[str, Json]) -> None:
        """Look at an HTTP request."""
        if _looks_like_a_models(asked):
            self._counts[describe("http", asked)] += 1

    def findings(self, faults: Iterable[str]) -> Iterator[Finding]:
        """What to tell of them, and of codecs that failed."""
        for fault in faults:
            yield Finding(kind=Kind.UNREAD, summary=fault)
        for what, count in self._counts.items():
            calls = "a call" if count == 1 else f"{count} calls"
            yield Finding(
                kind=Kind.UNREAD,
                summary=f"{calls} of {what}: a model's, it seems, in a format not read yet. Fed and "
                "compared as HTTP; texts and proposed calls are no events, and unwrapped tools can't be named",
            )


def _looks_like_a_models(asked: dict[str, Json]) -> bool:
    """Whether a request names a model, as every provider's does: in the body, or in the path."""
    body = asked.get("body")
    value = body.get("json") if isinstance(body, dict) else None
    return isinstance(value, dict) and ("/models/" in asked["url"] or isinstance(value.get("model"), str))
