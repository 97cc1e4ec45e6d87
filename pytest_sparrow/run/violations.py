"""Keeps what went wrong at the boundaries of a run, and finds at its end what the run could not see or read.

A violation counts whatever the agent did with the exception.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_sparrow.errors import ReplayDivergence
from pytest_sparrow.findings import Finding, Kind, Location
from pytest_sparrow.providers.other_work import other_work
from pytest_sparrow.providers.reading import json_request, with_json
from pytest_sparrow.providers.registry import leads_to_model
from pytest_sparrow.report.words import hints, title
from pytest_sparrow.wire.asking import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pytest_sparrow.errors import NotRecordable
    from pytest_sparrow.exchange import Json

_ASKED = (Kind.MISS, Kind.REFUSED, Kind.UNRECORDABLE, Kind.DRIFT, Kind.ORDER)
"""Kinds that are found while the user's code asks for something."""

_REFUSALS = (Kind.MISS, Kind.REFUSED, Kind.UNRECORDABLE)
"""Kinds for which the user's code gets an exception."""


class Violations:
    """The findings of a run's boundaries, in the order in which they came.

    Appending is atomic; the run's lock guards the rest.

    Args:
        now: how many events the run has emitted so far.
        caller: the line of the user's code that is asking.

    Attributes:
        findings: the findings.
        mirror: in a forked child, what sends a finding's title to the original process.
        refused: hears the title of what a strand was refused, which may end the strand.
    """

    def __init__(self, now: Callable[[], int], caller: Callable[[], str] = str) -> None:
        self.findings: list[Finding] = []
        self.mirror: Callable[[str], None] | None = None
        self.refused: Callable[[str], None] | None = None
        self._now = now
        self._caller = caller

    def add(self, finding: Finding) -> Finding:
        """Keep a finding; returns it with its place in the run and the line of code that asked."""
        in_code = finding.kind in _ASKED or finding.case == "unread"
        placed = replace(
            finding,
            new_at=replace(finding.new_at or Location(), event=self._now()),
            caller=self._caller() if in_code else "",
        )
        self.findings.append(placed)
        if self.mirror is not None:
            self.mirror(title(placed))
        elif self.refused is not None and finding.kind in _REFUSALS:
            self.refused(title(placed))
        return placed

    def unrecordable(self, error: NotRecordable) -> None:
        """Keep that a value cannot be held: the agent may swallow the exception, the golden must not miss it."""
        detail: dict[str, Json] = {"at": error.path, "text": error.reason, "hint": error.hint}
        self.add(Finding(kind=Kind.UNRECORDABLE, detail=detail))

    def not_compared(self, case: str, tool: str, what: str) -> None:
        """Name once what of a tool's calls is not compared."""
        detail: dict[str, Json] = {"name": tool, "what": what}
        if all((known.case, known.detail) != (case, detail) for known in self.of(Kind.NOT_COMPARED)):
            self.add(Finding(kind=Kind.NOT_COMPARED, case=case, boundary="tool", detail=detail))

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
    """What a run asked a provider for that makes no events: nobody should think that it was judged as an answer."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, asked: dict[str, Json]) -> None:
        """Count an HTTP request that no codec reads, if it is work of a provider or looks like a model's call."""
        work = other_work(asked)
        if work or _looks_like_a_models(asked):
            self._counts[work, describe("http", asked)] += 1

    def add_silent(self, asked: dict[str, Json]) -> None:
        """Count a request in whose answer its codec found nothing, though the answer holds something."""
        self._counts["silent", describe("http", asked)] += 1

    def findings(self, faults: Iterable[str]) -> Iterator[Finding]:
        """The findings of these requests and answers, and of codecs that failed."""
        for fault in faults:
            yield Finding(kind=Kind.UNREAD, case="codec", detail={"text": fault})
        for (case, what), count in self._counts.items():
            detail: dict[str, Json] = {"what": what, "count": count}
            if case in ("", "silent"):
                yield Finding(kind=Kind.UNREAD, case=case, boundary="http", detail=detail)
            else:
                yield Finding(kind=Kind.UNREAD, case="work", boundary="http", detail={**detail, "work": case})


_MODEL_KEYS = ("model", "model_id", "modelId")


def _looks_like_a_models(asked: dict[str, Json]) -> bool:
    """Whether a request names a model, as nearly every provider's does, or sends a prompt with settings for one."""
    if asked["method"].upper() != "POST":
        return False
    value = json_request(with_json(asked))
    if value is None:  # a cassette may lack what was sent
        return leads_to_model(asked["url"])
    return (
        "/models/" in asked["url"]
        or any(isinstance(value.get(key), str) for key in _MODEL_KEYS)
        or ("inputs" in value and isinstance(value.get("parameters"), dict))  # Hugging Face, SageMaker
        or (isinstance(value.get("version"), str) and isinstance(value.get("input"), dict))  # Replicate
    )
