"""Gemini's recorded calls, sent through the real google-genai SDK, and read independently of the codec."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .serving import Cassette, cassette_files, load_cassette

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_sparrow.exchange import Json

    from .serving import Interaction

__all__ = ["chunks_of", "drive_gemini", "gemini_cassette", "gemini_cassettes", "root_of"]


def gemini_cassette(path: Path) -> Cassette | None:
    """The generations of a cassette, or None where it holds none."""
    cassette = load_cassette(path, ending="enerateContent")
    wanted = [one for one in cassette.interactions if urlsplit(one.url).path.endswith(_VERBS)]
    return Cassette(name=cassette.name, interactions=wanted) if wanted else None


_VERBS = (":generateContent", ":streamGenerateContent")


def gemini_cassettes() -> list[Cassette]:
    """Every cassette of the folder that holds generations."""
    return [found for path in cassette_files() if (found := gemini_cassette(path)) is not None]


def root_of(base_url: str) -> str:
    """The server's address without a path: the SDK makes its own."""
    return "http://" + urlsplit(base_url).netloc


def chunks_of(interaction: Interaction) -> list[Json]:
    """The objects of an answer: each event's data, or the body; none of a page that is no JSON."""
    if interaction.events is None:
        try:
            body = json.loads(interaction.body)
        except ValueError:
            return []
        return body if isinstance(body, list) else [body]
    return [json.loads(event.partition("data:")[2]) for event in interaction.events]


def drive_gemini(base_url: str, interaction: Interaction) -> list[Json]:
    """Send one request through the real SDK; what it returns, dumped: one object, or one a chunk.

    An error gives ``[…, {"sdk_error": class name, "status": int, "details": the SDK's reading of it}]``.
    """
    from google.genai import Client, errors

    model, _, verb = urlsplit(interaction.url).path.rpartition("/")[2].partition(":")
    body = {**interaction.request}
    # The SDK's own arguments are overwritten by the recorded body, which may hold fields that it can't make.
    arguments: Any = {
        "model": model,
        "contents": "overwritten",
        "config": {"http_options": {"extra_body": body}},
    }
    found: list[Json] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK warns of enum values that are newer than it
        client = Client(api_key="test", vertexai=False, http_options={"base_url": root_of(base_url)})
        try:
            models = client.models
            if verb == "streamGenerateContent":
                found += map(_dumped, models.generate_content_stream(**arguments))
            else:
                found.append(_dumped(models.generate_content(**arguments)))
        except errors.APIError as error:
            found.append(
                {"sdk_error": type(error).__name__, "status": error.code, "details": repr(error.details)}
            )
        finally:
            client.close()
    return found


def _dumped(response: Any) -> Json:
    return response.model_dump(mode="json", exclude={"sdk_http_response"}, exclude_none=True)
