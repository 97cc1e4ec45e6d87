"""A failure that was told without a status, in an answer that can only fail by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.providers.anthropic_compose import STATUS_MADE_UP
from pytest_sparrow.providers.replies import json_reply
from pytest_sparrow.providers.wire import as_dict, error_message, json_answer
from pytest_sparrow.recording.codec import Failure

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["made_up_failure", "made_up_reply"]


def made_up_reply(body: dict[str, Json], *, status: int = 500) -> dict[str, Json]:
    """The error body of a provider with a status of ours, which it says; SDKs are told not to try again."""
    reply = json_reply({**body, STATUS_MADE_UP: True}, status=status)
    return {**reply, "headers": {**reply["headers"], "x-should-retry": "false"}}


def made_up_failure(answered: dict[str, Json]) -> Failure | None:
    """The failure of such an answer, without the status; None for any other answer."""
    status = answered.get("status")
    if not isinstance(status, int) or status < 400:
        return None
    body = as_dict(json_answer(answered))
    return Failure(error_message(body)) if body.get(STATUS_MADE_UP) is True else None
