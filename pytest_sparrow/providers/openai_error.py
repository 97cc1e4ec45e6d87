"""The error body of OpenAI's formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.replies import Fault

__all__ = ["error_object"]

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def error_object(fault: Fault) -> dict[str, Json]:
    """The ``error`` of an error body (https://platform.openai.com/docs/guides/error-codes)."""
    status = fault.status or 500
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"message": fault.message, "type": kind, "param": None, "code": None}
