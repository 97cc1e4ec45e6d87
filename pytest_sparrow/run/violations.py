"""Keeps what went wrong at the boundaries of a run, and finds at its end what the run could not see or read.

A violation counts whatever the agent did with the exception.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_sparrow.errors import ReplayDivergence
from pytest_sparrow.findings import Finding, Kind, Location
from pytest_sparrow.report.words import hints, title
from pytest_sparrow.wire.asking import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pytest_sparrow.exchange import Json

_ASKED = (Kind.MISS, Kind.REFUSED, Kind.UNRECORDABLE, Kind.DRIFT, Kind.ORDER)
"""Kinds that are found while the user's code asks for something."""


class Violations:
    """The findings of a run's boundaries, in the order in which they came.

    Appending is atomic; the run's lock guards the rest.

    Args:
        now: how many events the run has emitted so far.
        caller: the line of the user's code that is asking.

    Attributes:
        findings: the findings.
        mirror: in a forked child, what sends a finding's title to the original process.
    """

    def __init__(self, now: Callable[[], int], caller: Callable[[], str] = str) -> None:
        self.findings: list[Finding] = []
        self.mirror: Callable[[str], None] | None = None
        self._now = now
        self._caller = caller

    def add(self, finding: Finding) -> Finding:
        """Keep a finding; returns it with its place in the run and the line of code that asked."""
        placed = replace(
            finding,
            new_at=replace(finding.new_at or Location(), event=self._now()),
            caller=self._caller() if finding.kind in _ASKED else "",
        )
        self.findings.append(placed)
        if self.mirror is not None:
            self.mirror(title(placed))
        return placed

    def of(self, kind: Kind) -> list[Finding]:
        """The findings of one kind."""
        return [finding for finding in self.findings if finding.kind is kind]


def divergence(finding: Finding) -> ReplayDivergence:
    """The exception that the agent gets for a finding."""
    return ReplayDivergence(title(finding), tuple(hints(finding)))


def unwrapped(
    calls: Mapping[str, int],
    denied: Mapping[str, int],
    wrapped: Callable[[str], bool],
    unanswered: Mapping[str, int],
) -> Iterator[Finding]:
    """Find the tools whose outputs came past their wrappers, or that have no wrapper.

    Args:
        calls: how many calls of each name had no crossing, only an output in the next request.
        denied: how many calls of each name the agent was not to make.
        wrapped: whether a tool of a name is wrapped.
        unanswered: how many calls of each name had no crossing, and no output in a request either.
    """
    for name, count in unanswered.items():
        if not (wrapped(name) or denied.get(name)):
            yield Finding(
                kind=Kind.UNWRAPPED, case="unanswered", boundary="tool", detail={"name": name, "count": count}
            )
    for name, called in calls.items():
        is_wrapped, refused = wrapped(name), denied.get(name, 0)
        count = called - refused if is_wrapped else called
        if count > 0:
            case = "past-wrapper" if is_wrapped else "denied" if refused else ""
            yield Finding(
                kind=Kind.UNWRAPPED, case=case, boundary="tool", detail={"name": name, "count": count}
            )


class Unread:
    """The requests that look like a model's, and that no codec reads."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, asked: dict[str, Json]) -> None:
        """Count an HTTP request, if it looks like a model's."""
        if _looks_like_a_models(asked):
            self._counts[describe("http", asked)] += 1

    def findings(self, faults: Iterable[str]) -> Iterator[Finding]:
        """The findings of these requests, and of codecs that failed."""
        for fault in faults:
            yield Finding(kind=Kind.UNREAD, case="codec", detail={"text": fault})
        for what, count in self._counts.items():
            yield Finding(kind=Kind.UNREAD, boundary="http", detail={"what": what, "count": count})


def _looks_like_a_models(asked: dict[str, Json]) -> bool:
    """Whether a request names a model, as every provider's does: in the body, or in the path."""
    body = asked.get("body")
    value = body.get("json") if isinstance(body, dict) else None
    return isinstance(value, dict) and ("/models/" in asked["url"] or isinstance(value.get("model"), str))
