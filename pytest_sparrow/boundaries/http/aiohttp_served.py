"""A connection without a socket, on which aiohttp finds a recorded answer: its own parser reads it."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sparrow.boundaries.http.reply import Reply

__all__ = ["connection_with", "head", "is_chunked"]


def connection_with(connector: Any, request: Any, answer: bytes | Exception) -> Connection:
    """A connection for one request, which answers it with the head of an answer, or breaks."""
    loop = asyncio.get_running_loop()
    protocol = _Protocol(loop, answer)
    protocol.connection_made(_Nowhere())
    pool: Any = _NoPool(force_close=connector.force_close)
    return _Connection(pool, request.connection_key, protocol, loop)


def head(request: Any, reply: Reply) -> bytes:
    """The bytes of an answer up to its body."""
    status = reply.status or 0
    lines = [f"HTTP/1.1 {status} {_phrase(status)}", *(f"{n}: {_one_line(v)}" for n, v in reply.headers)]
    if is_chunked(reply):
        lines.append("transfer-encoding: chunked")
    # Who waits to be told to continue would never send its body.
    begin = "HTTP/1.1 100 Continue\r\n\r\n" if "expect" in request.headers else ""
    return (begin + "\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "replace")


def is_chunked(reply: Reply) -> bool:
    """Whether the body must be framed in chunks: its length isn't told, and there may be one."""
    told = any(name.lower() == "content-length" for name, _ in reply.headers)
    return not told and reply.status not in (204, 304)


class _Connection(Connection):
    """May be forgotten without a warning: there is no socket to close."""

    def __del__(self, *_: Any) -> None:
        """See above."""


class _Protocol(ResponseHandler):
    """Has received the answer's head as soon as somebody will parse it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, answer: bytes | Exception) -> None:
        super().__init__(loop)
        self._answer = answer
        self.timer: Any = None
        self.client_waits: float | None = None

    def set_response_params(self, **params: Any) -> None:
        # Nothing is waited for on a wire; `Reader` minds the total timeout.
        super().set_response_params(**{**params, "read_timeout": None})
        self.timer = params.get("timer")
        self.client_waits = params.get("read_timeout")
        if isinstance(self._answer, bytes):
            self.data_received(self._answer)
        else:
            self.set_exception(self._answer)


class _Nowhere(asyncio.Transport):
    """Takes what is sent; nobody gets it."""

    def __init__(self) -> None:
        super().__init__()
        self._closing = False

    def write(self, data: Any) -> None:
        """See above."""

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """See above."""

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    def resume_reading(self) -> None:
        """Nothing comes by itself."""

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    abort = close


class _NoPool:
    """The connector that such a connection goes back to: it is never used again."""

    def __init__(self, *, force_close: bool) -> None:
        self.force_close = force_close

    def _release(self, key: Any, protocol: ResponseHandler, *, should_close: bool = False) -> None:  # noqa: ARG002
        protocol.close()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _one_line(value: str) -> str:
    return " ".join(value.splitlines()) if "\r" in value or "\n" in value else value
