"""Cassettes of OpenAI responses, served to the real openai SDK, which creates, streams, fetches and cancels them.

``drive(base_url, interaction)`` sends an interaction's request through the SDK and says what the SDK made of it.
"""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from . import serving
from .serving import Cassette, Interaction, Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_sparrow.exchange import Json

__all__ = ["as_half", "as_interaction", "drive", "drive_async", "prefix_of", "responses_cassette", "serve"]

_CREATE = "/responses"


def responses_cassette(path: Path) -> Cassette | None:
    """The responses of a cassette, or None where it holds none."""
    cassette = serving.load_cassette(path)
    found = [each for each in cassette.interactions if _CREATE in urlsplit(each.url).path]
    return Cassette(name=cassette.name, interactions=found) if found else None


def as_half(interaction: Interaction) -> tuple[dict[str, Json], dict[str, Json]]:
    """The *asked* and *answered* halves that the HTTP boundary makes of an interaction."""
    asked, answered = serving.as_exchange(interaction)
    if interaction.request is None:
        del asked["body"]
    return asked, answered


def as_interaction(asked: dict[str, Json], answered: dict[str, Json]) -> Interaction:
    """The other way round, for an answer that was built."""
    body = answered.get("body", {})
    return Interaction(
        method=asked["method"],
        url=asked["url"],
        request=asked.get("body", {}).get("json"),
        status=answered["status"],
        headers=answered["headers"],
        events=body.get("sse"),
        body=json.dumps(body.get("json")).encode(),
    )


def prefix_of(cassette: Cassette) -> str:
    """The path before ``/responses``, which belongs to a client's base URL."""
    return urlsplit(cassette.interactions[0].url).path.partition(_CREATE)[0]


@contextmanager
def serve(cassette: Cassette) -> Iterator[Served]:
    """As `serving.serve`, for requests of any method."""
    server = serving._Server(cassette.interactions)
    server.RequestHandlerClass = _Handler
    # A thread of a test server must not end the test process, nor outlive it.
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield Served(
            base_url=f"http://127.0.0.1:{server.server_address[1]}{prefix_of(cassette)}",
            requests=server.requests,
        )
    finally:
        server.shutdown()
        server.hang_up()
        server.server_close()
        thread.join()


class _Handler(serving._Handler):
    def do_GET(self) -> None:  # noqa: N802 - the base class's naming
        self.do_POST()


def drive(base_url: str, interaction: Interaction) -> dict[str, Json]:
    """What the SDK returns: ``{"response"}``, with ``"events"`` where it streamed, or ``{"sdk_error", …}``.

    A stream that ended without a final response has what its last event of the response's life held.
    """
    from openai import APIStatusError, OpenAI

    with OpenAI(base_url=base_url, api_key="test", max_retries=0) as client:
        method, arguments = _call(client, interaction)
        try:
            result = method(**arguments)
            return _told(list(result) if _is_streamed(interaction) else result)
        except APIStatusError as error:
            return _raised(error)


def drive_async(base_url: str, interaction: Interaction) -> dict[str, Json]:
    """The same by the asynchronous client."""
    return asyncio.run(_drive_async(base_url, interaction))


async def _drive_async(base_url: str, interaction: Interaction) -> dict[str, Json]:
    from openai import APIStatusError, AsyncOpenAI

    async with AsyncOpenAI(base_url=base_url, api_key="test", max_retries=0) as client:
        method, arguments = _call(client, interaction)
        try:
            result = await method(**arguments)
            return _told([each async for each in result] if _is_streamed(interaction) else result)
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
        known, extra = serving._split_parameters(create, interaction.request)
        return create, {**known, "extra_body": extra or None}
    if rest[-1] == "cancel":
        return client.responses.cancel, {"response_id": rest[0]}
    streams = {"stream": query["stream"] == "true"} if "stream" in query else {}
    return client.responses.retrieve, {"response_id": rest[0], **streams}


def _told(result: Any) -> dict[str, Json]:
    if not isinstance(result, list):
        return {"response": result.to_dict(mode="json", warnings=False)}
    events = [event.to_dict(mode="json", warnings=False) for event in result]
    lives = [event["response"] for event in events if event.get("response")]
    return {"response": lives[-1] if lives else None, "events": events}


def _raised(error: Any) -> dict[str, Json]:
    return {"sdk_error": type(error).__name__, "status": error.status_code, "body": error.body}
