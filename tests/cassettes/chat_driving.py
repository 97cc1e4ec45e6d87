"""Chat completions: recorded ones sent again through a real SDK, openai's or a host's own."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .serving import Cassette, load_cassette, path_before, split_parameters

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_sparrow.exchange import Json

    from .serving import Interaction

__all__ = ["chat_cassette", "drive_chat", "sdks"]

_PATH = "/chat/completions"
# The base URL of a host's own SDK has no path: it sends the whole of it.
_OWN = {"api.groq.com": "groq", "api.mistral.ai": "mistralai"}


def chat_cassette(path: Path) -> Cassette | None:
    """The chat completions of a cassette, or None where it holds none."""
    return load_cassette(path, lambda url: url.endswith(_PATH))


def sdks(cassette: Cassette) -> tuple[str, ...]:
    """The SDKs that a cassette can be driven by."""
    own = _OWN.get(urlsplit(cassette.interactions[0].url).netloc)
    return ("openai", own) if own else ("openai",)


def drive_chat(root: str, interaction: Interaction, sdk: str = "openai") -> list[Json]:
    """Send one request through the SDK; what it returns, dumped: one object, or one a chunk.

    An error answer gives ``[{"sdk_error": class name, "status": int, "body": the SDK's reading of it}]``.
    """
    return {"openai": _openai, "groq": _groq, "mistralai": _mistral}[sdk](root, interaction)


def _openai(root: str, interaction: Interaction) -> list[Json]:
    from openai import APIStatusError, OpenAI

    url = root + path_before(interaction, _PATH)
    with OpenAI(base_url=url, api_key="test", max_retries=0) as client:
        return _called(client, interaction, APIStatusError)


def _groq(root: str, interaction: Interaction) -> list[Json]:
    from groq import APIStatusError, Groq

    with Groq(base_url=root, api_key="test", max_retries=0) as client:
        return _called(client, interaction, APIStatusError)


def _called(client: Any, interaction: Interaction, errors: type[Exception]) -> list[Json]:
    create = client.chat.completions.create
    known, extra = split_parameters(create, interaction.request)
    try:
        result = create(**known, extra_body=extra or None)
        chunks = list(result) if interaction.request.get("stream") else [result]
    except errors as error:
        failure: Any = error
        return [{"sdk_error": type(error).__name__, "status": failure.status_code, "body": failure.body}]
    return [chunk.to_dict(mode="json", warnings=False) for chunk in chunks]


def _mistral(root: str, interaction: Interaction) -> list[Json]:
    from mistralai.client import Mistral
    from mistralai.client.errors import SDKError

    request = {key: value for key, value in interaction.request.items() if key != "stream"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK's own, of fields that are newer than it
        with Mistral(server_url=root, api_key="test") as client:
            try:
                if interaction.request.get("stream"):
                    with client.chat.stream(**request) as events:
                        return [event.data.model_dump(mode="json") for event in events]
                return [client.chat.complete(**request).model_dump(mode="json")]
            except SDKError as error:
                return [{"sdk_error": type(error).__name__, "status": error.status_code, "body": error.body}]
