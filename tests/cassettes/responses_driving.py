"""OpenAI responses: recorded ones created, streamed, fetched and cancelled again by the real openai SDK."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from .serving import Cassette, load_cassette, path_before, split_parameters

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_sparrow.exchange import Json

    from .serving import Interaction

__all__ = ["WAYS", "drive_response", "responses_cassette"]

WAYS = ("sync", "async")
"""The SDK's clients."""

_CREATE = "/responses"


def responses_cassette(path: Path) -> Cassette | None:
    """The responses of a cassette, or None where it holds none."""
    return load_cassette(path, lambda url: _CREATE in url)


def drive_response(root: str, interaction: Interaction, way: str = "sync") -> dict[str, Json]:
    """What the SDK returns: ``{"response"}``, with ``"events"`` where it streamed, or ``{"sdk_error", …}``.

    A stream that ended without a final response has what its last event of the response's life held.
    """
    url = root + path_before(interaction, _CREATE)
    return asyncio.run(_drive_async(url, interaction)) if way == "async" else _drive(url, interaction)


def _drive(base_url: str, interaction: Interaction) -> dict[str, Json]:
    from openai import APIStatusError, OpenAI

    with OpenAI(base_url=base_url, api_key="test", max_retries=0) as client:
        method, arguments = _call(client, interaction)
        try:
            result = method(**arguments)
            return _sdk_answer(list(result) if _is_streamed(interaction) else result)
        except APIStatusError as error:
            return _raised(error)


async def _drive_async(base_url: str, interaction: Interaction) -> dict[str, Json]:
    from openai import APIStatusError, AsyncOpenAI

    async with AsyncOpenAI(base_url=base_url, api_key="test", max_retries=0) as client:
        method, arguments = _call(client, interaction)
        try:
            result = await method(**arguments)
            return _sdk_answer([each async for each in result] if _is_streamed(interaction) else result)
        except APIStatusError as error:
            return _raised(error)


def _is_streamed(interaction: Interaction) -> bool:
    return interaction.events is not None


def _call(client: Any, interaction: Interaction) -> tuple[Any, dict[str, Json]]:
    """The SDK's method for the request, and its arguments."""
    parts = urlsplit(interaction.url)
    rest = parts.path.partition(_CREATE)[2].strip("/").split("/")
    query = dict(parse_qsl(parts.query))
    if rest == [""] or rest == ["compact"]:
        create = client.responses.compact if rest[0] else client.responses.create
        known, extra = split_parameters(create, interaction.request)
        return create, {**known, "extra_body": extra or None}
    if rest[-1] == "cancel":
        return client.responses.cancel, {"response_id": rest[0]}
    streams = {"stream": query["stream"] == "true"} if "stream" in query else {}
    return client.responses.retrieve, {"response_id": rest[0], **streams}


def _sdk_answer(result: Any) -> dict[str, Json]:
    if not isinstance(result, list):
        return {"response": result.to_dict(mode="json", warnings=False)}
    events = [event.to_dict(mode="json", warnings=False) for event in result]
    lives = [event["response"] for event in events if event.get("response")]
    return {"response": lives[-1] if lives else None, "events": events}


def _raised(error: Any) -> dict[str, Json]:
    return {"sdk_error": type(error).__name__, "status": error.status_code, "body": error.body}
