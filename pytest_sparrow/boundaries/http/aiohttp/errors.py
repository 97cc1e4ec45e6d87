"""Errors of aiohttp by name, and back: nothing else is ever looked up by a recorded name."""

from __future__ import annotations

import ast
import errno
import re
from typing import Any

import aiohttp

from pytest_sparrow.boundaries.http.exchange import TransportFailure

__all__ = ["error_of", "failure_of"]

# What other libraries call it, for a golden that one of them recorded.
_ALSO = {
    "ReadTimeout": "SocketTimeoutError",
    "WriteTimeout": "ServerTimeoutError",
    "ConnectTimeout": "ConnectionTimeoutError",
    "PoolTimeout": "ConnectionTimeoutError",
    "ReadError": "ClientOSError",
    "WriteError": "ClientOSError",
    "ConnectError": "ClientConnectorError",
    "RemoteProtocolError": "ServerDisconnectedError",
}

# What asking and reading raise; others say that the request was wrong from the start.
_RAISED = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, aiohttp.ClientResponseError)


def failure_of(error: BaseException) -> TransportFailure | None:
    """An error by the nearest name that aiohttp exports; None: the task was cancelled."""
    if not isinstance(error, Exception):
        return None
    names = (kind.__name__ for kind in type(error).__mro__ if getattr(aiohttp, kind.__name__, None) is kind)
    return TransportFailure(type=next(names, type(error).__name__), message=str(error))


def error_of(failure: TransportFailure, request: Any) -> Exception:
    """A recorded error as it would be raised for this request."""
    if failure.type == "TimeoutError":
        # The client's own total timeout is asyncio's.
        return TimeoutError(failure.message) if failure.message else TimeoutError()
    name = _ALSO.get(failure.type, failure.type)
    if failure.type == "RemoteProtocolError" and "message body" in failure.message:
        name = "ClientPayloadError"  # so httpx says that a body broke off
    kind = getattr(aiohttp, name) if name in aiohttp.__all__ else None
    if isinstance(kind, type) and issubclass(kind, _RAISED):
        for one in kind.__mro__:
            try:
                return _made(one, failure.message, request)
            except TypeError:
                # It takes what a golden doesn't hold; its base says less.
                continue
    return aiohttp.ClientConnectionError(failure.message)


def _made(kind: Any, message: str, request: Any) -> Exception:
    made: Exception
    if issubclass(kind, aiohttp.ClientConnectorError):
        # Its text is "Cannot connect to host … [why]", made from the request and the system's error.
        why = re.search(r"\[(.*)\]$", message, re.DOTALL)
        made = kind(request.connection_key, OSError(errno.ECONNREFUSED, why[1] if why else message))
    elif issubclass(kind, aiohttp.ClientOSError):
        numbered = re.fullmatch(r"\[Errno (\d+)\] (.*)", message, re.DOTALL)
        made = kind(int(numbered[1]), numbered[2]) if numbered else kind(message)
    elif issubclass(kind, aiohttp.ClientResponseError):
        said = re.match(r"(\d+), message=('.*'|\".*\"), url=", message, re.DOTALL)
        status, text = (int(said[1]), _spoken(said[2])) if said else (0, message)
        made = kind(request.request_info, (), status=status, message=text)
    else:
        made = kind(message)
    return made


def _spoken(literal: str) -> str:
    try:
        return str(ast.literal_eval(literal))
    except (ValueError, SyntaxError):
        return literal
