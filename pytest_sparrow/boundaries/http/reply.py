"""What a client is given instead of the world: a fed answer, a refusal, or nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.errors import ReplayDivergence

if TYPE_CHECKING:
    from pytest_sparrow.boundaries.patience import Patience
    from pytest_sparrow.recording.crossing import Crossing

__all__ = ["EMPTY", "Failure", "Reply", "refusal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error that the transport raised.

    Attributes:
        type: the name of the client library's exception class, like "ReadTimeout".
        message: its text.
    """

    type: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that doesn't come from the world.

    Attributes:
        status: the status code, or None where nothing came but ``failure``.
        headers: name and value, in order.
        chunks: the body, each piece as the client gets it.
        failure: what to raise: after the chunks, or at once where status is None.
        crossing: the crossing to settle when the client has it all, if there is one.
        delay: seconds that each piece of the body comes late.
        patience: what to do with a client that wants more than the recorded one waited for; None: it is whole.
    """

    status: int | None
    headers: tuple[tuple[str, str], ...] = ()
    chunks: tuple[bytes, ...] = ()
    failure: Failure | None = None
    crossing: Crossing | None = None
    delay: float = 0.0
    patience: Patience | None = None


EMPTY = Reply(status=204)


def refusal(error: Exception) -> Reply:
    """418, told not to be retried, with a body whose message the SDKs show.

    An exception would be retried by some SDKs and shown as "Connection error." (measured, with nine
    clients). The body suits OpenAI's, Anthropic's and Google's error shapes at once.
    """
    if isinstance(error, ReplayDivergence):
        # One line: SDKs print the body's repr, where a line break would be shown as \n.
        message = "; ".join([error.summary, *error.details])
    else:
        message = " ".join(str(error).split())
    told = {
        "type": "sparrow_replay_divergence",
        "message": message,
        "status": "SPARROW_REPLAY_DIVERGENCE",
        "param": None,
        "code": None,
    }
    content = json.dumps({"type": "error", "error": told}, ensure_ascii=False).encode("utf-8", "replace")
    headers = (
        ("content-type", "application/json"),
        ("x-should-retry", "false"),
        ("content-length", str(len(content))),
    )
    return Reply(status=418, headers=headers, chunks=(content,))
