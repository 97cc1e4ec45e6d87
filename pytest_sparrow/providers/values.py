"""Values from the wire, as events can hold them; and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events import jsontext
from pytest_sparrow.providers.replies import json_text
from pytest_sparrow.recording.blocks import as_text, parse_json_text
from pytest_sparrow.recording.codec import Usage

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["arguments_of", "arguments_text", "holdable", "usage_from"]

_U64_MAX = 2**64 - 1


def holdable(value: Json) -> Json:
    """A value that came as JSON, or its text where an event could not hold it (NaN, a lone surrogate, too deep)."""
    if isinstance(value, str):
        return as_text(value)
    try:
        jsontext.encode({"blocks": [{"Json": value}]})  # the deepest place that an event has for one
    except NotRecordable:
        try:
            return json.dumps(value)
        except (ValueError, TypeError, RecursionError):
            return "(JSON that no event can hold)"
    return value


def arguments_of(value: Json) -> Json:
    """Parsed arguments of a call. Absent or empty ones mean "none", as every SDK's helper reads them: ``{}``."""
    if value is None:
        return {}
    if not isinstance(value, str):
        return holdable(value)
    return parse_json_text(value) if value.strip() else {}


def arguments_text(args: Json) -> str:
    """A proposal's arguments as the text that reads back as them; raw text goes as it is where that does."""
    if isinstance(args, str) and args.strip() and parse_json_text(args) == args:
        return args
    return json_text(args)


def usage_from(inputs: tuple[Json, ...], outputs: tuple[Json, ...]) -> Usage | None:
    """Counts of tokens, summed; what is no count adds nothing, and without any count there is no usage."""
    counts = [
        [each for each in side if type(each) is int and 0 <= each <= _U64_MAX] for side in (inputs, outputs)
    ]
    if not any(counts):
        return None
    return Usage(min(sum(counts[0]), _U64_MAX), min(sum(counts[1]), _U64_MAX))
