"""Values from the wire, as events can hold them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events import jsontext
from pytest_sparrow.recording.codec import Usage

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["holdable", "usage_from"]

_U64_MAX = 2**64 - 1


def holdable(value: Json) -> Json:
    """A value that came as JSON, or its text where an event could not hold it (NaN, a lone surrogate, too deep)."""
    try:
        jsontext.encode({"args": value})
    except NotRecordable:
        try:
            return json.dumps(value)
        except (ValueError, TypeError, RecursionError):
            return "(arguments that JSON cannot hold)"
    return value


def usage_from(inputs: tuple[Json, ...], outputs: tuple[Json, ...]) -> Usage | None:
    """Counts of tokens, summed; what is no count adds nothing, and without any count there is no usage."""
    counts = [[each for each in side if type(each) is int and each >= 0] for side in (inputs, outputs)]
    if not any(counts):
        return None
    return Usage(min(sum(counts[0]), _U64_MAX), min(sum(counts[1]), _U64_MAX))
