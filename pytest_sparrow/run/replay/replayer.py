"""Replays a golden's recorded answers, and notes as a violation whatever does not fit.

The order of calls that no event tells of: plain HTTP and ``sparrow.call``. Their answers are found in any order.

Feeds a golden's answers back, and writes into the ledger whatever does not fit.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_sparrow.exchange import LOOSE_LANES
from pytest_sparrow.matching.chooser import Choice, Chooser, ComparableOf, ConversationOf
from pytest_sparrow.matching.keys import request_key
from pytest_sparrow.matching.similarity import Nearest
from pytest_sparrow.run.replay.base import MOST_MISSES, Misses
from pytest_sparrow.run.replay.violations import Finding, Kind, Violations
from pytest_sparrow.wire.describe import describe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_sparrow.errors import ReplayDivergence
    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.run.whatif.fork import DivergencePoint

__all__ = ["MOST_MISSES", "ExchangeReplayer", "Order", "cancellation_wait_of"]


class Order:
    """Watches, strand by strand, whether what one recorded lane asked one after the other is asked so again.

    Between lanes there is no order, nor within those of threads without context.
    """

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        self._exchanges = exchanges
        self._latest: dict[tuple[str, str], int] = {}

    def overtaken_by(self, number: int, lane: str) -> int | None:
        """Take note that an exchange was asked for; gives the one that came before it, and was recorded after it."""
        recorded_lane = self._exchanges[number].lane
        if lane.startswith(LOOSE_LANES) or recorded_lane.startswith(LOOSE_LANES):
            return None
        latest = self._latest.get((lane, recorded_lane), -1)
        self._latest[lane, recorded_lane] = max(latest, number)
        return latest if number < latest else None


_LONGER = 5.0
"""Seconds more than the recorded agent waited: its own timer must come first, on a slow machine too."""


def cancellation_wait_of(exchange: Exchange) -> float | None:
    """How long to wait for an agent to turn away from an answer that the recorded one turned away from, or None."""
    if exchange.complete or "error" in (exchange.answered or {}):
        return None
    return max((exchange.ended or 0.0) - exchange.began, 0.0) + _LONGER


class ExchangeReplayer:
    """The golden's side of a replay. Not thread safe: the run's lock guards it.

    Attributes:
        served: how many answers were given.
    """

    def __init__(
        self,
        exchanges: Sequence[Exchange],
        conversation_of: ConversationOf,
        violations: Violations,
        comparable_of: ComparableOf | None = None,
    ) -> None:
        self.served = 0
        self._exchanges = exchanges
        self._chooser = Chooser(exchanges, conversation_of, comparable_of)
        self._nearest = Nearest(exchanges)
        self._violations = violations
        self._misses = Misses(violations)
        self._drifts: dict[int, Finding] = {}
        self._order = Order(exchanges)

    @property
    def denied(self) -> Counter[str]:
        """None: a recorded agent's own refusals are not told from tools that were not wrapped."""
        return Counter()

    @property
    def size(self) -> int:
        """How many answers there are."""
        return len(self._exchanges)

    @property
    def lanes(self) -> Mapping[str, str]:
        """The golden's lane that each lane of the run follows so far."""
        return self._chooser.lanes

    def http(
        self, request: int, asked: dict[str, Json], conversation: Sequence[Json] | None, lane: str
    ) -> Exchange:
        """The exchange that answers an HTTP request, the run's ``request``-th.

        Raises:
            ReplayDivergence: there is none.
        """
        self._misses.stop_after_many("http", asked)
        choice = self._chooser.http(request, asked, conversation, lane)
        if choice is None:
            raise self._miss("http", asked)
        if not choice.exact:
            self._drifts[request] = self._violations.add(self._drift(choice, asked, conversation))
        if choice.displaced is not None:
            self._one_too_many(choice.displaced)
        if conversation is None and choice.exact:  # a model's calls are told by events, in their order
            self._check_order(choice, lane)
        return self._serve(choice)

    def tool(self, asked: dict[str, Json], call_id: str | None, lane: str) -> Exchange:
        """The exchange that answers a tool call.

        Raises:
            ReplayDivergence: there is none.
        """
        self._misses.stop_after_many("tool", asked)
        choice = self._chooser.tool(asked, call_id, lane)
        if choice is None:
            raise self._miss("tool", asked, call_id or "")
        return self._serve(choice)

    def ran(self, asked: dict[str, Json], call_id: str | None, lane: str) -> Exchange | None:
        """A tool runs for real: the recorded exchange of this call, if there is one, counts as played."""
        choice = self._chooser.tool(asked, call_id, lane)
        return None if choice is None else self._serve(choice)

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
        if kind == "http":
            choice = self._chooser.http(request, asked, conversation, lane)
        else:
            choice = self._chooser.tool(asked, call_id, lane)
        return None if choice is None else self._serve(choice)

    def inject(
        self,
        kind: str,
        request: int,
        asked: dict[str, Json],
        conversation: Sequence[Json] | None,
        call_id: str | None,
        lane: str,
    ) -> Exchange | None:
        """The answer that a request or a call would have had, had it not failed; it stays to be asked for.

        What of the request is not as recorded is found as ever. None: there is no answer; that is no miss yet.
        """
        if kind == "http":
            choice = self._chooser.http(request, asked, conversation, lane, taken=False)
            if choice is not None and not choice.exact:
                self._violations.add(self._drift(choice, asked, conversation))
        else:
            choice = self._chooser.tool(asked, call_id, lane, taken=False)
        return None if choice is None else self._serve(choice)

    def call(self, asked: dict[str, Json], lane: str) -> Exchange:
        """The exchange that answers a ``sparrow.call``.

        Raises:
            ReplayDivergence: there is none.
        """
        self._misses.stop_after_many("call", asked)
        choice = self._chooser.call(asked, lane)
        if choice is None:
            raise self._miss("call", asked)
        self._check_order(choice, lane)
        return self._serve(choice)

    def _check_order(self, choice: Choice, lane: str) -> None:
        earlier = self._order.overtaken_by(choice.number, lane)
        if earlier is not None:
            late, early = (self._exchanges[number] for number in (choice.number, earlier))
            self._violations.add(
                Finding(
                    kind=Kind.ORDER,
                    summary=f"{_said(early.kind, early.asked)} came before {_said(late.kind, late.asked)}: "
                    "recorded the other way round",
                    boundary=late.kind,
                    number=choice.number,
                )
            )

    def _serve(self, choice: Choice) -> Exchange:
        self.served += 1
        return self._exchanges[choice.number]

    def _drift(self, choice: Choice, asked: dict[str, Json], conversation: Sequence[Json] | None) -> Finding:
        return Finding(
            kind=Kind.DRIFT,
            summary=f"{_said('http', asked)} asked for something else",
            boundary="http",
            asked=asked,
            golden=self._exchanges[choice.number].asked,
            number=choice.number,
            of_model=conversation is not None,
        )

    def _one_too_many(self, request: int) -> None:
        """An earlier request was answered with this exchange for want of a better one; it had no answer of its own."""
        drift = self._drifts.pop(request, None)
        if drift is None or drift.asked is None:
            return
        self._violations.findings.remove(drift)
        self._violations.add(self._missed("http", drift.asked))

    def _miss(self, kind: str, asked: dict[str, Json], call_id: str = "") -> ReplayDivergence:
        return self._misses.add(self._missed(kind, asked, call_id))

    def _missed(self, kind: str, asked: dict[str, Json], call_id: str = "") -> Finding:
        unplayed = set(self._chooser.unplayed())
        number = self._nearest.find(kind, asked, unplayed)
        golden = None if number is None else self._exchanges[number].asked
        played = number is not None and number not in unplayed
        return Finding(
            kind=Kind.MISS,
            summary=f"{_said(kind, asked)}: the golden holds no answer to this",
            hint="" if golden is None else _closest(kind, golden, asked, played=played),
            boundary=kind,
            asked=asked,
            golden=golden,
            number=number,
            played=played,
            call_id=call_id,
        )

    def settle(self, left: DivergencePoint | None = None) -> None:
        """The run is over: what nobody asked for is a finding too, unless the run had left the golden before it."""
        for number in self._chooser.unplayed():
            exchange = self._exchanges[number]
            if left is not None and not _due(exchange, left):
                continue
            self._violations.add(
                Finding(
                    kind=Kind.UNPLAYED,
                    summary=f"{_said(exchange.kind, exchange.asked)} was recorded, and not asked for",
                    boundary=exchange.kind,
                    golden=exchange.asked,
                    number=number,
                    call_id=exchange.asked.get("id", "") if exchange.kind == "tool" else "",
                )
            )


def _due(exchange: Exchange, left: DivergencePoint) -> bool:
    """Whether the golden has it before the run left it, in the lane of that or in the main one."""
    there = left.exchange
    return there is not None and exchange.lane in ("", there.lane) and exchange.began < there.began


def _said(kind: str, asked: dict[str, Json]) -> str:
    return describe(kind, asked, query=True)


def _closest(kind: str, golden: dict[str, Json], asked: dict[str, Json], *, played: bool) -> str:
    """What is most like a request that has no answer, and why it is none."""
    if request_key(kind, golden) != request_key(kind, asked):
        return f"the closest recorded one{', played already' if played else ' not played yet'}: {_said(kind, golden)}"
    if played:
        return "recorded with just this, and played already: it is asked for more often than it was"
    return "recorded with just this, but by another way: as a call that a model proposed, or that it did not"
