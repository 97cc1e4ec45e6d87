"""Gemini's recorded calls, sent through the real google-genai SDK, and read independently of the codec."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .serving import Cassette, load_cassette

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_sparrow.exchange import Json

    from .serving import Interaction

__all__ = ["chunks_of", "drive_gemini", "gemini_cassette"]


def gemini_cassette(path: Path) -> Cassette | None:
    """The generations of a cassette, or None where it holds none."""
    return load_cassette(path, lambda url: url.endswith(_VERBS))


_VERBS = (":generateContent", ":streamGenerateContent")


def chunks_of(interaction: Interaction) -> list[Json]:
    """The objects of an answer: each event's data, or the body; none of a page that is no JSON."""
    if interaction.events is None:
        try:
            body = json.loads(interaction.body)
        except ValueError:
            return []
        return body if isinstance(body, list) else [body]
    return [json.loads(event.partition("data:")[2]) for event in interaction.events]


def drive_gemini(root: str, interaction: Interaction) -> list[Json]:
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
        client = Client(api_key="test", vertexai=False, http_options={"base_url": root})
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
