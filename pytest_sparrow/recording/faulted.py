"""What a crossing gets that a fault was laid over."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_sparrow.recording.codec import Failure, ModelAnswer
from pytest_sparrow.recording.wire import CodecFault

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.recording.wire import ModelCall
    from pytest_sparrow.replaying.overlay import Fault

__all__ = ["faulted"]


def faulted(
    fault: Fault, asked: dict[str, Json], model: ModelCall | None, recorded: dict[str, Json] | None
) -> dict[str, Json] | None:
    """The *answered* half of a crossing that fails; None where the recorded one can't be made to fail like this.

    Args:
        fault: what goes wrong.
        asked: what was asked.
        model: the request as its codec reads it, for a model's.
        recorded: the recorded *answered* half, or None: the golden has none.
    """
    if fault.status is not None:
        return _status(fault, asked, model)
    if fault.spoil is not None:
        return None if recorded is None else fault.spoil(recorded)
    return fault.answered


def _status(fault: Fault, asked: dict[str, Json], model: ModelCall | None) -> dict[str, Json]:
    """An HTTP error in the provider's own words; in plain JSON where no codec can build it."""
    answered: dict[str, Json] = {
        "headers": {"content-type": "application/json"},
        "body": {"json": {"error": {"message": fault.message, "code": fault.status}}},
    }
    if model is not None:
        with suppress(CodecFault):
            failure = Failure(f"HTTP {fault.status}: {fault.message}")
            answered = model.compose(asked, ModelAnswer(failure=failure))
    headers = answered.get("headers")
    return {
        **answered,
        "status": fault.status,
        "headers": {**(headers if isinstance(headers, dict) else {}), **fault.headers},
    }
