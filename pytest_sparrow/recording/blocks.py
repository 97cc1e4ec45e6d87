"""What a tool gave, as the cockpit's blocks."""

from __future__ import annotations

from pytest_sparrow.events.jsontext import BrokenJson, decode
from pytest_sparrow.exchange import Json

__all__ = ["block_of_text", "blocks_of_answer"]


def block_of_text(text: str) -> Json:
    """A Json block where the text is a JSON object or array, else a Text block.

    A bare number or word stays text: "42" and "true" are what a person would write, and turning them into JSON
    would lose how they were spelled.
    """
    if text.lstrip()[:1] in ("{", "["):
        try:
            return {"Json": decode(text)}
        except BrokenJson:
            return {"Text": text}
    return {"Text": text}


def blocks_of_answer(answered: dict[str, Json]) -> tuple[list[Json], bool]:
    """The blocks of a tool's *answered* half, and whether it is an error."""
    raised = answered.get("raised")
    blocks = [_block(value) for value in answered.get("yielded", ())]
    if raised is not None:
        return [*blocks, {"Text": f"{raised['type']}: {raised['message']}"}], True
    if "returned" in answered:
        blocks.append(_block(answered["returned"]))
    return blocks, False


def _block(value: Json) -> Json:
    return block_of_text(value) if isinstance(value, str) else {"Json": value}
