"""Replays a golden's recorded answers, and notes as a violation whatever does not fit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_sparrow import real_time
from pytest_sparrow.errors import ReplayStopped
from pytest_sparrow.exchange import Asked
from pytest_sparrow.findings import Finding, Kind, Location, asking
from pytest_sparrow.matching.chooser import Chooser, Chosen, ComparableOf, ConversationOf
from pytest_sparrow.matching.counts import request_key
from pytest_sparrow.matching.order import precedes
from pytest_sparrow.matching.secrets import SecretPairs
from pytest_sparrow.matching.similarity import Nearest
from pytest_sparrow.report.words import title
from pytest_sparrow.run.violations import Violations, divergence
from pytest_sparrow.wire.asking import describe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_sparrow.errors import ReplayDivergence
    from pytest_sparrow.exchange import Exchange
    from pytest_sparrow.run.whatif.fork import DivergencePoint

MOST_MISSES = 20
"""After so many misses every further call ends the strand that makes it: an agent that retries must not run on."""

_MOST_TRIES = 5
"""So many misses of one call, one after the other, are a retry loop that may have no end."""

_LONGEST_LOOP = 3.0
"""Seconds from a call's first miss after which the next one is such a loop, however few there were. If the calls differ
from try to try (by a number or a time), so many seconds from the run's first miss, and as many tries as above."""

_LONGER = 5.0
"""Seconds more than the recorded agent waited: its own timer must come first, on a slow machine too."""


def cancellation_wait_of(exchange: Exchange) -> float | None:
    """Seconds to wait for the agent to cancel an answer that the recorded agent cancelled; None: it didn't."""
    if exchange.complete or "error" in (exchange.answered or {}):
        return None
    return max((exchange.ended or 0.0) - exchange.began, 0.0) + _LONGER


class GoldenReplayer(ABC):
    """Answers from a golden what an agent asks. Not thread safe: the run's lock guards it.

    Attributes:
        served: how many answers were given.
    """

    def __init__(self, violations: Violations) -> None:
        self.served = 0
        self._violations = violations
        self._misses = 0
        self._tries: dict[str, tuple[int, float]] = {}
        self._since: float | None = None
        self._observed = False
        self._secrets = SecretPairs(replayed=True)

    @property
    @abstractmethod
    def size(self) -> int:
        """How many answers there are."""

    @property
    def denied(self) -> Counter[str]:
        """How many calls of each tool were replayed that the agent must not make, by the tool's name."""
        return Counter()

    @property
    def lanes(self) -> Mapping[str, str]:
        """The golden's lane that each lane of the run follows so far; a lane that is missing here keeps its name."""
        return {}

    @property
    def secrets(self) -> SecretPairs:
        """Which secret of the run is which of the golden's."""
        return self._secrets

    def due(self, lane: str) -> Exchange | None:  # noqa: ARG002 - for exchanges
        """The exchange that answers the next call of a lane, if that asks the same; None where nobody knows."""
        return None

    def says(self, call_id: str) -> bool:  # noqa: ARG002 - for scripts
        """Whether the golden is a script that says what a call gives, or that the agent must not make it."""
        return False

    def answer(self, asked: Asked) -> Exchange | None:
        """The exchange that answers what is asked; None: a tool is meant to run.

        Raises:
            ReplayDivergence: the golden holds no answer; the miss is a violation already, unless the request is
                optional.
            ReplayStopped: the same, and the agent seems to go on for ever.
        """
        if self._misses >= MOST_MISSES:
            raise ReplayStopped(title(asking(Kind.MISS, asked, "too-many", misses=MOST_MISSES)))
        if asked.optional and not self._holds(asked):
            raise divergence(asking(Kind.MISS, asked))
        return self._count(self._answer(asked))

    def _holds(self, asked: Asked) -> bool:  # noqa: ARG002 - for exchanges
        """Whether there is an answer to a request that is optional."""
        return False

    def skip(self, asked: Asked) -> Exchange | None:
        """The recorded exchange of a call that is answered by something else (a tool that runs, a fork): it is played.

        None: the golden holds none; that is no miss.
        """
        return self._count(self._skip(asked))

    def preview(self, asked: Asked) -> Exchange | None:
        """The answer that a call would have had, had no fault hit it; the answer stays to be asked for.

        Request drift is a violation as ever. None: the golden holds no answer; that is no miss yet.
        """
        return self._count(self._preview(asked))

    def observe(self, asked: Asked) -> Exchange | None:  # noqa: ARG002 - for exchanges
        """Add to the violations what differs from the golden in a call that the world answers.

        For events the comparison of events reports all of it. Returns the recorded exchange of the call, or None.
        """
        self._observed = True
        return None

    def fits(self, asked: Asked) -> bool:  # noqa: ARG002 - for exchanges
        """Whether the golden answers just what is asked here, and in its order."""
        return True

    @abstractmethod
    def settle(self, left: DivergencePoint | None = None) -> None:
        """Add what nobody asked for to the violations, unless the run had left its golden before.

        Args:
            left: where the run left its golden, or None.
        """

    @abstractmethod
    def _answer(self, asked: Asked) -> Exchange | None: ...

    @abstractmethod
    def _skip(self, asked: Asked) -> Exchange | None: ...

    @abstractmethod
    def _preview(self, asked: Asked) -> Exchange | None: ...

    def _count(self, exchange: Exchange | None) -> Exchange | None:
        self.served += exchange is not None
        return exchange

    def _miss(self, finding: Finding) -> ReplayDivergence | ReplayStopped:
        """Add a miss to the violations; returns what to raise."""
        self._misses += 1
        missed = divergence(self._violations.add(finding))
        return ReplayStopped(f"{missed.summary}: again and again") if self._loops(finding) else missed

    def _loops(self, miss: Finding) -> bool:
        """Whether the agent seems to ask again and again."""
        now = real_time.monotonic()
        if self._since is None:
            self._since = now
        key = request_key(miss.boundary, miss.new) if isinstance(miss.new, dict) else title(miss)
        tries, first = self._tries.get(key, (0, now))
        self._tries[key] = tries + 1, first
        if tries + 1 >= _MOST_TRIES or now - first > _LONGEST_LOOP:
            return True
        return self._misses >= _MOST_TRIES and now - self._since > _LONGEST_LOOP


class ExchangeReplayer(GoldenReplayer):
    """Answers from the exchanges that a recording holds.

    Attributes:
        exchanges: the exchanges, in the order in which they began.
    """

    def __init__(
        self,
        exchanges: Sequence[Exchange],
        conversation_of: ConversationOf,
        violations: Violations,
        comparable_of: ComparableOf | None = None,
        *,
        secrets: SecretPairs | None = None,
    ) -> None:
        super().__init__(violations)
        self.exchanges = exchanges
        self._conversation_of = conversation_of
        self._chooser = Chooser(exchanges, conversation_of, comparable_of, secrets)
        self._secrets = self._chooser.secrets
        self._nearest = Nearest(exchanges)
        self._drifts: dict[int, Finding] = {}
        self._size = sum(not exchange.optional for exchange in exchanges)
        self._numbers = {id(exchange): number for number, exchange in enumerate(exchanges)}

    @property
    def size(self) -> int:
        """How many exchanges the golden holds, but for optional ones."""
        return self._size

    @property
    def lanes(self) -> Mapping[str, str]:
        """The golden's lane that each lane of the run follows so far."""
        return self._chooser.lanes

    @property
    def by_rules(self) -> bool:
        """Whether a plain request was looked for by what counts of it by the user's rules."""
        return self._chooser.by_rules

    def due(self, lane: str) -> Exchange | None:
        """The exchange that answers the next call of a lane, if that asks the same; None where nobody knows."""
        return self._chooser.due(lane)

    def _holds(self, asked: Asked) -> bool:
        return self._chooser.choose(asked, taken=False) is not None

    def _answer(self, asked: Asked) -> Exchange:
        choice = self._chooser.choose(asked)
        if choice is None:
            raise self._miss(self._missed(asked))
        self._note(choice, asked)
        return self.exchanges[choice.number]

    def observe(self, asked: Asked) -> Exchange | None:
        """Add to the violations: request drift, and a call that the golden lacks and that makes no event."""
        self._observed = True
        choice = self._chooser.choose(asked)
        if choice is not None:
            self._note(choice, asked)
            return self.exchanges[choice.number]
        if not (asked.optional or _in_events(asked)):
            self._violations.add(self._missed(asked))
        return None

    def fits(self, asked: Asked) -> bool:
        """Whether the golden answers just what is asked here, and in its order."""
        choice = self._chooser.choose(asked, taken=False)
        if choice is None or not choice.exact or choice.displaced is not None:
            return False
        golden = self.exchanges[choice.number]
        if asked.kind == "tool" and request_key("tool", golden.asked) != request_key("tool", asked.content):
            return False
        turned = choice.number < asked.after and precedes(golden, self.exchanges[asked.after])
        return choice.again or not turned

    def _note(self, choice: Chosen, asked: Asked) -> None:
        """Note request drift and another order."""
        if not choice.exact:
            self._drifts[asked.number] = self._violations.add(self._drift(choice, asked))
        if choice.displaced is not None:
            self._one_too_many(choice.displaced)
        if choice.exact and not choice.again:
            self._check_order(choice, asked)

    def _skip(self, asked: Asked) -> Exchange | None:
        choice = self._chooser.choose(asked)
        if choice is None:
            return None
        if choice.exact:
            self._check_order(choice, asked)
        return self.exchanges[choice.number]

    def number_of(self, exchange: Exchange | None) -> int | None:
        """The exchange's number in the golden, from 0; None: it is not the golden's, or there is none."""
        return self._numbers.get(id(exchange))

    def _preview(self, asked: Asked) -> Exchange | None:
        choice = self._chooser.choose(asked, taken=False)
        if choice is None:
            return None
        if not choice.exact:
            self._violations.add(self._drift(choice, asked))
        return self.exchanges[choice.number]

    def _check_order(self, choice: Chosen, asked: Asked) -> None:
        """Note a call that comes after one which it precedes in the golden; see `matching.order`."""
        if choice.number >= asked.after:
            return
        late, early = self.exchanges[choice.number], self.exchanges[asked.after]
        if not precedes(late, early):
            return
        self._violations.add(
            Finding(
                kind=Kind.ORDER,
                boundary=late.kind,
                golden=late.asked,
                golden_at=Location(exchange=choice.number + 1, lane=late.lane),
                new_at=Location(lane=asked.lane),
                detail={"before": [early.kind, early.asked], "of_model": asked.conversation is not None},
            )
        )

    def _drift(self, choice: Chosen, asked: Asked) -> Finding:
        finding = asking(Kind.DRIFT, asked, of_model=asked.conversation is not None)
        return replace(finding, **self._recorded(choice.number))

    def _recorded(self, number: int) -> dict[str, Any]:
        """The fields of a finding that name its recorded exchange."""
        exchange = self.exchanges[number]
        return {"golden": exchange.asked, "golden_at": Location(exchange=number + 1, lane=exchange.lane)}

    def _before(self, number: int) -> str:
        """What the golden has before an exchange in its lane, with the answer's status; "" for nothing."""
        lane = self.exchanges[number].lane
        before = next((each for each in reversed(self.exchanges[:number]) if each.lane == lane), None)
        if before is None:
            return ""
        status = (before.answered or {}).get("status")
        return describe(before.kind, before.asked) + (f" ({status})" if status else "")

    def _shown(self, exchange: Exchange) -> bool:
        """Whether a recorded call stands in the golden's events."""
        return exchange.kind == "tool" or (
            exchange.kind == "http" and self._conversation_of(exchange.asked) is not None
        )

    def _one_too_many(self, request: int) -> None:
        """An earlier request got this exchange for want of a better one: that request had no answer of its own."""
        drift = self._drifts.pop(request, None)
        if drift is None or not isinstance(drift.new, dict):
            return
        self._violations.findings.remove(drift)
        if self._observed and drift.of_model:
            return  # the events show it
        self._violations.add(self._missed(Asked(kind="http", content=drift.new)))

    def _missed(self, asked: Asked) -> Finding:
        kind, content = asked.kind, asked.content
        unplayed = set(self._chooser.unplayed())
        number = self._nearest.find(kind, content, unplayed)
        asked = replace(asked, content=self._secrets.shown(content))
        if number is None:
            return asking(Kind.MISS, asked)
        same = request_key(kind, self.exchanges[number].asked) == request_key(kind, content)
        found = asking(
            Kind.MISS,
            asked,
            "same" if same else "closest",
            played=number not in unplayed,
            of_model=asked.conversation is not None,
        )
        return replace(found, **self._recorded(number))

    def settle(self, left: DivergencePoint | None = None) -> None:
        """Add the exchanges that nobody asked for to the violations, but those after the divergence point.

        Where the world answers, events show which calls of models and tools are missing, as far as the level asks.
        """
        unplayed = self._chooser.unplayed()
        keys = [request_key(each.kind, each.asked) for each in self.exchanges] if unplayed else []
        for number in unplayed:
            exchange = self.exchanges[number]
            if (left is not None and not _due(exchange, left)) or (self._observed and self._shown(exchange)):
                continue
            self._violations.add(
                Finding(
                    kind=Kind.UNPLAYED,
                    boundary=exchange.kind,
                    call_id=exchange.asked.get("id", "") if exchange.kind == "tool" else "",
                    detail={
                        "recorded": keys.count(keys[number]),
                        "left": sum(keys[each] == keys[number] for each in unplayed),
                        "after": self._before(number),
                    },
                    **self._recorded(number),
                )
            )


def _in_events(asked: Asked) -> bool:
    """Whether the call makes events, which then have an order: a model's call or a tool's."""
    return asked.kind == "tool" or asked.conversation is not None


def _due(exchange: Exchange, left: DivergencePoint) -> bool:
    """Whether the golden has the exchange before the divergence point, in the main lane or in the fork's lane."""
    there = left.exchange
    return there is not None and exchange.lane in ("", there.lane) and exchange.began < there.began
