"""Anthropic's messages: recorded ones sent again through the real SDK, and what the SDK makes of the answers."""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .serving import Cassette, load_cassette, path_before, split_parameters

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_sparrow.exchange import Json

    from .serving import Interaction

__all__ = ["WAYS", "drive_anthropic", "facts", "message_cassette", "ways"]

_PATH = "/v1/messages"

WAYS = ("sync", "async", "sync-helper", "async-helper")
"""How the SDK is called; the helpers are ``messages.stream(…)``, which join the stream themselves."""


def message_cassette(path: Path) -> Cassette | None:
    """The calls of Anthropic's messages in a cassette, or None where it holds none."""
    return load_cassette(path, lambda url: url.endswith(_PATH))


def ways(cassette: Cassette) -> tuple[str, ...]:
    """The ways that fit a cassette: the helpers only stream."""
    streamed = all(_streamed(interaction) for interaction in cassette.interactions)
    return WAYS if streamed else WAYS[:2]


def _streamed(interaction: Interaction) -> bool:
    return bool(interaction.request.get("stream"))


def drive_anthropic(root: str, interaction: Interaction, way: str = "sync") -> list[Json]:
    """Send one request through the real SDK; what it returns, dumped: one message, or one object an event.

    A helper gives the message that it joined. An error ends the list with
    ``{"sdk_error": class name, "status": int, "body": the SDK's reading of it}``.
    """
    base_url = root + path_before(interaction, _PATH)  # a gateway has something before the path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # models of recorded traffic grow old
        if way.startswith("async"):
            return asyncio.run(_drive_async(base_url, interaction, helper=way.endswith("helper")))
        return _drive(base_url, interaction, helper=way.endswith("helper"))


def _settings(base_url: str) -> dict[str, Any]:
    # A timeout of our own: with the default one, the SDK refuses to wait for long whole answers.
    return {"base_url": base_url, "api_key": "test", "max_retries": 0, "timeout": 60}


def _drive(base_url: str, interaction: Interaction, *, helper: bool) -> list[Json]:
    from anthropic import Anthropic, APIStatusError

    results: list[Json] = []
    with Anthropic(**_settings(base_url)) as client:
        try:
            if helper:
                with _method(client, interaction, "stream")(
                    **_arguments(client, interaction, "stream")
                ) as stream:
                    results.append(_dumped(stream.get_final_message()))
                return results
            result = _method(client, interaction, "create")(**_arguments(client, interaction, "create"))
            for each in result if _streamed(interaction) else [result]:
                results.append(_dumped(each))
        except APIStatusError as error:
            results.append(_sdk_error(error))
    return results


async def _drive_async(base_url: str, interaction: Interaction, *, helper: bool) -> list[Json]:
    from anthropic import APIStatusError, AsyncAnthropic

    results: list[Json] = []
    async with AsyncAnthropic(**_settings(base_url)) as client:
        try:
            if helper:
                opened = _method(client, interaction, "stream")(**_arguments(client, interaction, "stream"))
                async with opened as stream:
                    results.append(_dumped(await stream.get_final_message()))
                return results
            result = await _method(client, interaction, "create")(**_arguments(client, interaction, "create"))
            if _streamed(interaction):
                async for each in result:
                    results.append(_dumped(each))
            else:
                results.append(_dumped(result))
        except APIStatusError as error:
            results.append(_sdk_error(error))
    return results


def _method(client: Any, interaction: Interaction, name: str) -> Any:
    messages = client.beta.messages if "beta=true" in urlsplit(interaction.url).query else client.messages
    return getattr(messages, name)


def _arguments(client: Any, interaction: Interaction, name: str) -> dict[str, Any]:
    known, extra = split_parameters(_method(client, interaction, name), interaction.request)
    if name == "stream":  # it says so by itself
        extra.pop("stream", None)
    return {**known, "extra_body": extra or None}


def _dumped(model: Any) -> Json:
    return model.to_dict(mode="json", warnings=False)


def _sdk_error(error: Any) -> Json:
    return {"sdk_error": type(error).__name__, "status": error.status_code, "body": error.body}


def facts(message: Json) -> dict[str, Json]:
    """What a whole message says, read from its JSON alone: nothing here knows our codec."""
    content = message["content"]
    usage = message["usage"]
    cached = [usage.get(f"cache_{kind}_input_tokens") or 0 for kind in ("creation", "read")]
    return {
        "texts": [block["text"] for block in content if block["type"] == "text" and block["text"]],
        "thinking": [
            block["thinking"] for block in content if block["type"] == "thinking" and block["thinking"]
        ],
        "calls": [
            [block["id"], block["name"], block["input"]]
            for block in content
            if block["type"] in ("tool_use", "server_tool_use", "mcp_tool_use")
        ],
        "outputs": [
            [block["tool_use_id"], block["content"]]
            for block in content
            if block["type"].endswith("_tool_result")
        ],
        "usage": [usage["input_tokens"] + sum(cached), usage["output_tokens"]],
    }
