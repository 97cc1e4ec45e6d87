"""What every codec needs to build the *answered* half of an HTTP exchange.

The error body of OpenAI's formats.

What an answer that nobody gave needs all the same: ids, and a status for a failure that was told without one.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import canonical
from pytest_sparrow.providers.codec import Failure
from pytest_sparrow.providers.reading import as_dict, error_message, json_answer
from pytest_sparrow.providers.replies import json_reply

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.replies import FailureStatus

__all__ = ["error_object", "request_digest", "synthetic_failure", "synthetic_reply"]


_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def error_object(fault: FailureStatus) -> dict[str, Json]:
    """The ``error`` of an error body (https://platform.openai.com/docs/guides/error-codes)."""
    status = fault.status or 500
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"message": fault.message, "type": kind, "param": None, "code": None}


_SYNTHETIC_STATUS = "status_made_up"
"""Key of an error body of ours: the failure was told without a status, and a whole answer needs one."""


def request_digest(asked: dict[str, Json]) -> str:
    """24 hex digits that depend on the request's body alone, for the ids of an answer to it."""
    return hashlib.blake2b(canonical(asked.get("body")), digest_size=12).hexdigest()


def synthetic_reply(body: dict[str, Json], *, status: int = 500) -> dict[str, Json]:
    """The error body of a provider with a status of ours, which it says.

    SDKs are told not to try again: what went wrong without a status went wrong inside an answer, which none of them
    asks for again.
    """
    reply = json_reply({**body, _SYNTHETIC_STATUS: True}, status=status)
    return {**reply, "headers": {**reply["headers"], "x-should-retry": "false"}}


def synthetic_failure(answered: dict[str, Json]) -> Failure | None:
    """The failure of such an answer, without the status; None for any other answer."""
    status = answered.get("status")
    if not isinstance(status, int) or status < 400:
        return None
    body = as_dict(json_answer(answered))
    return Failure(error_message(body)) if body.get(_SYNTHETIC_STATUS) is True else None
