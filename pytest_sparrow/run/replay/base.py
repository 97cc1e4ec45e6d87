"""What a run needs of whatever feeds it: a golden's exchanges, or the events of a golden that has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pytest_sparrow.errors import ReplayDivergence
from pytest_sparrow.wire.describe import describe

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.run.replay.violations import Finding, Violations
    from pytest_sparrow.run.whatif.fork import DivergencePoint

__all__ = ["MOST_MISSES", "GoldenReplayer", "Misses"]

MOST_MISSES = 20
"""After so many misses every further call fails at once: an agent that retries must not run for minutes."""


class GoldenReplayer(Protocol):
    """The answers of a replay. The run's lock guards it."""

    @property
    def served(self) -> int:
        """How many answers were given."""
        ...

    @property
    def size(self) -> int:
        """How many answers there are."""
        ...

    @property
    def denied(self) -> Counter[str]:
        """How many calls of each tool were answered so far that the agent must not make, by the tool's name."""
        ...

    @property
    def lanes(self) -> Mapping[str, str]:
        """The golden's lane that each lane of the run follows so far; what is not in it keeps its name."""
        ...

    def http(
        self, request: int, asked: dict[str, Json], conversation: Sequence[Json] | None, lane: str
    ) -> Exchange:
        """The exchange that answers an HTTP request, the run's ``request``-th.

        Raises:
            ReplayDivergence: there is none.
        """
        ...

    def tool(self, asked: dict[str, Json], call_id: str | None, lane: str) -> Exchange | None:
        """The exchange that answers a tool call; None: the tool is meant to run.

        Raises:
            ReplayDivergence: there is none.
        """
        ...

    def ran(self, asked: dict[str, Json], call_id: str | None, lane: str) -> Exchange | None:
        """A tool runs for real: the recorded exchange of this call, if there is one, counts as played."""
        ...

    def skip(
        self,
        kind: str,
        request: int,
        asked: dict[str, Json],
        conversation: Sequence[Json] | None,
        call_id: str | None,
        lane: str,
    ) -> Exchange | None:
        """A tool or an HTTP request gets another answer than the recorded one, which counts as played."""
        ...

    def inject(
        self,
        kind: str,
        request: int,
        asked: dict[str, Json],
        conversation: Sequence[Json] | None,
        call_id: str | None,
        lane: str,
    ) -> Exchange | None:
        """A tool or an HTTP request fails once: the answer that it would have had, which isn't played by that.

        What of the request is not as recorded is found as ever. None: there is no answer; that is no miss yet.
        """
        ...

    def call(self, asked: dict[str, Json], lane: str) -> Exchange:
        """The exchange that answers a ``sparrow.call``.

        Raises:
            ReplayDivergence: there is none.
        """
        ...

    def settle(self, left: DivergencePoint | None = None) -> None:
        """The run is over: what nobody asked for is a finding too, unless the run had left the golden before it."""
        ...


class Misses:
    """Counts the calls that had no answer."""

    def __init__(self, violations: Violations) -> None:
        self._violations = violations
        self._count = 0

    def add(self, finding: Finding) -> ReplayDivergence:
        """Write one down; gives what to raise."""
        self._count += 1
        self._violations.add(finding)
        return ReplayDivergence(finding.summary, (finding.hint,) if finding.hint else ())

    def stop_after_many(self, kind: str, asked: dict[str, Json]) -> None:
        """Fail at once where there were too many.

        Raises:
            ReplayDivergence: there were.
        """
        if self._count >= MOST_MISSES:
            raise ReplayDivergence(
                f"{describe(kind, asked)}: refused, after {MOST_MISSES} calls that the golden holds no answer to"
            )
