"""What a tool gave, as the cockpit's blocks; and text that may be JSON, read the same way everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.events import jsontext

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["as_text", "blocks_of_answer", "parse_json_text", "text_block"]

_MAX_DEPTH = 90
"""Deeper JSON text stays text: the event around it adds levels, and 100 is the most that a line may have."""


def as_text(value: Json) -> str:
    """The value if it is a string, else "". Halves of a surrogate pair are joined, a lone one becomes U+FFFD.

    A provider may cut an escaped pair between two chunks, and no event could hold the halves.
    """
    if not isinstance(value, str):
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def parse_json_text(text: str) -> Json:
    """JSON text as its value; anything else, and what an event could not hold, as the text itself."""
    if text.count("{") + text.count("[") > _MAX_DEPTH and _depth(text) > _MAX_DEPTH:
        return as_text(text)
    try:
        return jsontext.decode(text)
    except ValueError:
        return as_text(text)


def _depth(text: str) -> int:
    """The most brackets open at once; those inside strings count too, which only errs towards text."""
    depth = deepest = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def text_block(text: str) -> Json:
    """A Json block for the text of an object or an array, else a Text block.

    A bare scalar stays text: "42", "1.0" or "true" is as likely something that was said, and as JSON the
    spelling would be lost ("1.0" and "1" are one number).
    """
    if text.lstrip()[:1] in ("{", "["):
        value = parse_json_text(text)
        if not isinstance(value, str):
            return {"Json": value}
    return {"Text": as_text(text)}


def blocks_of_answer(answered: dict[str, Json]) -> tuple[list[Json], bool]:
    """The blocks of a tool's *answered* half, and whether it is an error."""
    raised = answered.get("raised")
    blocks = [_block(value) for value in answered.get("yielded", ())]
    if raised is not None:
        kind = raised["type"]
        return [*blocks, {"Text": f"{kind}: {raised['message']}" if kind else raised["message"]}], True
    if "returned" in answered:
        blocks.append(_block(answered["returned"]))
    return blocks, False


def _block(value: Json) -> Json:
    return text_block(value) if isinstance(value, str) else {"Json": value}
