"""A recorded HTTP answer, as it would come over a line that spoils it. Pure."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.http.bodies import chunks_of
from pytest_sparrow.events.jsontext import spell

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["broken", "malformed"]

_CUT = {
    "type": "RemoteProtocolError",
    "message": "peer closed connection without sending complete message body (incomplete chunked read)",
}
"""As httpx says it."""


def malformed(answered: dict[str, Json]) -> dict[str, Json] | None:
    """The answer with its JSON cut in half, in a stream that of the first event or line; None: it has none."""
    body = answered.get("body")
    if not isinstance(body, dict):
        return None
    if "json" in body:
        text = spell(body["json"]).decode()
        return {**answered, "body": {"text": _half(text)}}
    form = next((form for form in ("sse", "lines") if form in body), "")
    pieces = list(body.get(form) or [])
    for number, piece in enumerate(pieces):
        spoiled = _spoiled_event(piece) if form == "sse" else _half(piece)
        if spoiled != piece:
            pieces[number] = spoiled
            return {**answered, "body": {**body, form: pieces}}
    return None


def broken(answered: dict[str, Json], *, after: int) -> dict[str, Json] | None:
    """The answer as far as ``after`` chunks of a stream, or half of one that comes whole; then the connection breaks.

    None: it hasn't so many.
    """
    body = answered.get("body")
    if not isinstance(body, dict) or "error" in answered:
        return None
    form = next((form for form in ("sse", "lines") if form in body), "")
    if form:
        if after >= len(body[form]):
            return None
        return {**answered, "body": {form: body[form][:after]}, "error": _CUT}
    raw = b"".join(chunks_of(body))
    if not raw:
        return None
    half = base64.b64encode(raw[: len(raw) // 2]).decode()
    return {**answered, "body": {"base64": half}, "error": _CUT}


def _spoiled_event(event: str) -> str:
    """Its JSON cut in half; as it is where its data is none."""
    lines = event.split("\n")
    for number, line in enumerate(lines):
        name, _, data = line.partition(":")
        if name == "data" and data.lstrip().startswith("{"):
            lines[number] = f"data: {_half(data.lstrip())}"
            return "\n".join(lines[: number + 1])
    return event


def _half(text: str) -> str:
    """Half of an object or a list, which is no JSON; of anything else with what makes it none."""
    return text[: max(len(text) // 2, 1)] if text[:1] in "{[" else f"{{{text}"
