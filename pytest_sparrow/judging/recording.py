"""Decides whether a run that was recorded again is the same as the golden that exists. Pure.

Ids, creation times and the like are new in every recording; a golden that is otherwise equal stays untouched, so
that recording an unchanged run again changes no line.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_sparrow.comparing import Rules, compare
from pytest_sparrow.comparing.identity import Ids
from pytest_sparrow.comparing.units import entries, ids_of
from pytest_sparrow.events.jsontext import digest
from pytest_sparrow.matching.counts import JUDGED_AS_REQUESTS, between_recordings
from pytest_sparrow.matching.keys import request_key

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Exchange
    from pytest_sparrow.transcript import Transcript

__all__ = ["same_recording"]


def same_recording(before: Transcript, after: Transcript) -> bool:
    """Whether events, asked and answered halves are equal in all that counts between recordings."""
    if before.inputs.further_runs != after.inputs.further_runs:
        return False
    if not compare(before.events, after.events, Rules(exclude_paths=JUDGED_AS_REQUESTS)).equal:
        return False
    return _fingerprints(before) == _fingerprints(after)


def _fingerprints(transcript: Transcript) -> Counter[str]:
    # A multiset: parallel exchanges end in any order.
    ids = Ids(ids_of(entries(enumerate(transcript.events, 1))))
    return Counter(_fingerprint(exchange, ids) for exchange in transcript.exchanges)


def _fingerprint(exchange: Exchange, ids: Ids) -> str:
    asked, answered = between_recordings(exchange, ids.mask)
    return digest([request_key(exchange.kind, asked), exchange.complete, answered])
