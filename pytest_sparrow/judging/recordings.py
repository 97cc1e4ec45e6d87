"""Compares the requests of two recorded runs as a test compares those of a replay with its golden's."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from pytest_sparrow.comparing import comparable_by
from pytest_sparrow.exchange import Asked
from pytest_sparrow.findings import Kind
from pytest_sparrow.judging.replay import drifts_of
from pytest_sparrow.judging.verdict import drift_finding
from pytest_sparrow.matching.order import precedes
from pytest_sparrow.matching.secrets import SecretPairs
from pytest_sparrow.providers.registry import Wire, registered
from pytest_sparrow.run.replayer import ExchangeReplayer
from pytest_sparrow.run.violations import Violations

if TYPE_CHECKING:
    from pytest_sparrow.comparing import Rules
    from pytest_sparrow.exchange import Exchange
    from pytest_sparrow.findings import Finding
    from pytest_sparrow.transcript import Transcript

_KINDS = (Kind.ORDER, Kind.MISS, Kind.UNPLAYED)

_MOST_BEFORE = 50
"""The most calls before one that are looked at for its order: a call that moved far passed the nearest ones, too."""


def request_findings(golden: Transcript, new: Transcript, rules: Rules) -> list[Finding]:
    """What the second run asked otherwise than the first: drifted requests first, then order, and what only one asked.

    What shows in the events as well (a model's call or a tool's that only one run made) is left to their comparison.
    """
    wire = Wire(registered())
    violations = Violations(lambda: 0)
    secrets = SecretPairs()
    comparable = comparable_by(rules, typed=golden.notes_types and new.notes_types)
    replayer = ExchangeReplayer(
        golden.by_beginning(), wire.conversation, violations, comparable, secrets=secrets
    )
    before: deque[tuple[Exchange, int]] = deque(maxlen=_MOST_BEFORE)
    for number, exchange in enumerate(new.by_beginning()):
        after = max((at for early, at in before if precedes(early, exchange)), default=-1)
        at = replayer.number_of(replayer.observe(_asked(exchange, number, after, wire)))
        if at is not None:
            before.append((exchange, at))
    replayer.settle()
    drifts = drifts_of(violations.of(Kind.DRIFT), rules, secrets)
    found = [drift_finding(drift) for drift in drifts]
    return found + [one for one in violations.findings if one.kind in _KINDS and not _in_events(one)]


def _in_events(finding: Finding) -> bool:
    """Whether the events show the same: they hold the calls of tools, and the order among these."""
    early = finding.detail["before"][0] if finding.kind is Kind.ORDER else "tool"
    return finding.boundary == early == "tool"


def _no_model() -> None:
    """A tool's call carries no conversation."""


def _asked(exchange: Exchange, number: int, after: int, wire: Wire) -> Asked:
    is_http = exchange.kind == "http"
    return Asked(
        kind=exchange.kind,
        content=exchange.asked,
        number=number,
        lane=exchange.lane,
        after=after,
        conversation_of=partial(wire.conversation, exchange.asked) if is_http else _no_model,
        call_id=exchange.asked.get("id") if exchange.proposed else None,
    )
