"""Whether a run that was recorded again is the one that lies there already. Pure.

Ids, creation times and the like are new in every recording; a golden that is otherwise equal stays untouched, so
that recording again an unchanged run changes no line.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_sparrow.comparing import Rules, compare
from pytest_sparrow.comparing.identity import Ids
from pytest_sparrow.comparing.units import entries, ids_of
from pytest_sparrow.events.jsontext import BrokenJson, decode, digest
from pytest_sparrow.matching.keys import request_key
from pytest_sparrow.providers.registry import facts
from pytest_sparrow.wire import sse

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.transcript import Transcript

__all__ = ["same_recording"]


def same_recording(before: Transcript, after: Transcript) -> bool:
    """Whether events, asked and answered are equal once what is volatile is masked."""
    if before.inputs.further_runs != after.inputs.further_runs:
        return False
    # Of parallel conversations chance decides which is the first; all of them are in the exchanges.
    rules = Rules(exclude_paths=("RunStarted.task",))
    if not compare(before.events, after.events, rules).equal:
        return False
    return _prints(before) == _prints(after)


def _prints(transcript: Transcript) -> Counter[str]:
    # A multiset: parallel exchanges end in any order.
    ids = Ids(ids_of(entries(enumerate(transcript.events, 1))))
    return Counter(_print(exchange, ids) for exchange in transcript.exchanges)


def _print(exchange: Exchange, ids: Ids) -> str:
    volatile = facts().volatile_answer_keys if exchange.kind == "http" else frozenset[str]()
    repeated = facts().volatile_request_keys if exchange.kind == "http" else frozenset[str]()
    asked = request_key(exchange.kind, _masked(exchange.asked, ids, repeated))
    return digest([asked, exchange.complete, _masked(_with_lines_read(exchange.answered), ids, volatile)])


def _with_lines_read(answered: dict[str, Json] | None) -> dict[str, Json] | None:
    """An answer of newline-delimited JSON with what its lines hold in place of their texts."""
    body = None if answered is None else answered.get("body")
    if answered is None or not isinstance(body, dict) or not isinstance(body.get("lines"), list):
        return answered
    return {**answered, "body": {**body, "lines": [_parsed(line) for line in body["lines"]]}}


def _masked(value: Json, ids: Ids, volatile: AbstractSet[str]) -> Json:
    """The value with ids masked and, within answers of the wire, what is volatile left out."""
    if isinstance(value, str):
        return ids.mask(_masked_event(value, ids, volatile) if volatile and "data:" in value else value)
    if isinstance(value, list):
        return [_masked(item, ids, volatile) for item in value]
    if isinstance(value, dict):
        return {key: _masked(item, ids, volatile) for key, item in value.items() if key not in volatile}
    return value


def _masked_event(text: str, ids: Ids, volatile: AbstractSet[str]) -> str:
    """A server-sent event with the JSON in its data masked like any other."""

    def masked(data: str) -> str:
        value = _parsed(data.strip())
        return data if isinstance(value, str) else digest(_masked(value, ids, volatile))

    return sse.with_data(text, masked)


def _parsed(text: Json) -> Json:
    """What a line of JSON holds; the line itself where it is none."""
    try:
        return decode(text) if isinstance(text, str) else text
    except BrokenJson:
        return text
