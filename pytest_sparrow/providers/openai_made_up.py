"""What an answer that nobody gave needs all the same: ids, an error's type."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import canonical
from pytest_sparrow.providers.replies import json_text
from pytest_sparrow.recording.blocks import parse_json_text

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.replies import Fault

__all__ = ["arguments_text", "error_object", "request_digest"]

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def request_digest(asked: dict[str, Json]) -> str:
    """24 hex digits that depend on the request's body alone, for the ids of an answer to it."""
    return hashlib.blake2b(canonical(asked.get("body")), digest_size=12).hexdigest()


def arguments_text(args: Json) -> str:
    """A proposal's arguments as the text that reads back as them; raw text goes as it is where that does."""
    if isinstance(args, str) and args.strip() and parse_json_text(args) == args:
        return args
    return json_text(args)


def error_object(fault: Fault) -> dict[str, Json]:
    """The ``error`` of an error body (https://platform.openai.com/docs/guides/error-codes)."""
    status = fault.status or 500
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"message": fault.message, "type": kind, "param": None, "code": None}
