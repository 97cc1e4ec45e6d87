"""What a tool gave, from the blocks of an event back to what a wrapped tool is fed. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import encode
from pytest_sparrow.recording.blocks import parse_json_text

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.scripting.script import Given

__all__ = ["answered_of"]

_RAISED = re.compile(r"([A-Za-z_][\w.]*): (.*)\Z", re.DOTALL)


def answered_of(given: Given) -> dict[str, Json]:
    """The *answered* half of a ``tool`` exchange.

    Events don't tell text of JSON from the value itself: ``otherwise`` holds the other reading, for a tool whose
    declared type asks for it.
    """
    if given.is_error:
        return {"raised": _raised("\n".join(_as_text(block) for block in given.blocks))}
    values = [_value(block) for block in given.blocks]
    if len(values) > 1 and all(isinstance(value, str) for value in values):
        return {"returned": "\n".join(values)}
    value = values[0] if len(values) == 1 else values or None
    answered: dict[str, Json] = {"returned": value}
    if isinstance(value, str):
        parsed = parse_json_text(value)
        if not isinstance(parsed, str):
            answered["otherwise"] = parsed
    elif value is not None:
        answered["otherwise"] = encode(value).decode()
    return answered


def _raised(text: str) -> dict[str, Json]:
    """``Type: message`` names an exception; its module is unknown, so that any of this name will do."""
    found = _RAISED.match(text)
    kind, message = found.groups() if found else ("", text)
    return {"type": kind, "module": "", "message": message}


def _value(block: Json) -> Json:
    """What a block holds: its text, its value; of a diff or an image what there is."""
    if isinstance(block, dict) and len(block) == 1:
        return next(iter(block.values()))
    return block


def _as_text(block: Json) -> str:
    value = _value(block)
    return value if isinstance(value, str) else encode(value).decode()
