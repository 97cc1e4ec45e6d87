"""Request bodies as aiohttp takes them, and answers as aiohttp's own parser and reader read them.

A request's body as aiohttp takes it (bytes, forms, files, iterables): read for a crossing, and still to be sent.

A connection without a socket, on which aiohttp finds a recorded answer: its own parser reads it.

What a client reads of an answer: aiohttp's own reader, which gets each piece when the client wants more.

All of its public methods wait for data in one place, ``_wait``. The name is private, and held by a test.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import BytesPayload, ClientConnectionError, ClientOSError, Payload, StreamReader
from aiohttp.abc import AbstractStreamWriter
from aiohttp.base_protocol import BaseProtocol
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from pytest_sparrow.boundaries.http.aiohttp.errors import failure_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from multidict import CIMultiDict

    from pytest_sparrow.boundaries.http.bodies import BodyRecorder, Served
    from pytest_sparrow.boundaries.http.exchange import Reply

__all__ = ["LiveSource", "Reader", "ReplayedSource", "connection_with", "head", "is_chunked", "read_body"]


async def read_body(request: Any) -> bytes:
    """The bytes that a ``ClientRequest`` would send, before any compression; what can be read once is replaced.

    Raises:
        ClientConnectionError: the body could not be read; as it is when it can't be sent.
    """
    body = request.body
    if not isinstance(body, Payload):
        return bytes(body or b"")
    gathered = _Gathered()
    try:
        await body.write(gathered)
    except OSError as error:
        raise ClientOSError(error.errno, f"Can not write request body for {request.url}") from error
    except Exception as error:
        raise ClientConnectionError(
            f"Failed to send bytes into the underlying connection: {error!r}"
        ) from error
    raw = b"".join(gathered.chunks)
    if not isinstance(body, BytesPayload):
        # The attribute, not the property: its setter warns, and closes what we close in the end.
        setattr(request, "_body" if "_body" in vars(request) else "body", _Read(raw, body))
    return raw


class _Gathered(AbstractStreamWriter):
    """Takes what a payload writes."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self.chunks.append(bytes(chunk))

    async def write_eof(self, chunk: bytes = b"") -> None:
        self.chunks.append(chunk)

    async def drain(self) -> None:
        """Nothing is waited for."""

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        """What is recorded is not compressed."""

    def enable_chunking(self) -> None:
        """What is recorded is not framed."""

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        """A payload writes none."""


class _Read(Payload):
    """A payload that was read, in place of it: with its headers, and closing it.

    Not a `BytesPayload`, which warns of large bodies.
    """

    def __init__(self, raw: bytes, payload: Payload) -> None:
        super().__init__(raw, headers=payload.headers)
        self._raw = raw
        self._payload = payload

    @property
    def size(self) -> int:
        return len(self._raw)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._raw.decode(encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:  # noqa: ARG002 - theirs
        return self._raw

    async def write(self, writer: AbstractStreamWriter) -> None:
        await writer.write(self._raw)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        await writer.write(self._raw if content_length is None else self._raw[:content_length])

    async def close(self) -> None:
        # Before 3.12 payloads weren't closed.
        close = getattr(self._payload, "close", None)
        if close is not None:
            await close()


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


class ByteSource(Protocol):
    """Where the pieces come from."""

    async def next(self) -> tuple[bytes, bool]:
        """The next piece, and whether an HTTP chunk ends with it; (b"", False) at the end. May be cancelled."""
        ...


class LiveSource:
    """The reader that the connection feeds."""

    def __init__(self, replayed_by_connection: StreamReader, recorder: BodyRecorder) -> None:
        self._reader = replayed_by_connection
        self._recorder = recorder

    async def next(self) -> tuple[bytes, bool]:
        """See `ByteSource`."""
        data, ends = await self._reader.readchunk()
        if data:
            self._recorder.add(data)
        return data, ends


class ReplayedSource:
    """A recorded body, which goes through aiohttp's parser a piece at a time.

    Args:
        body: what to serve.
        recorder: who watches, or None.
        protocol: takes the bytes of the wire (``ResponseHandler.data_received``).
        parsed: the reader that the parser feeds.
        chunked: whether the body is framed in chunks; else its length was told.
    """

    def __init__(
        self,
        body: Served,
        recorder: BodyRecorder | None,
        protocol: Any,
        parsed: StreamReader,
        *,
        chunked: bool,
    ) -> None:
        self._body = body
        self._recorder = recorder
        self._protocol = protocol
        self._parsed = parsed
        self._chunked = chunked
        self._next = 0

    async def next(self) -> tuple[bytes, bool]:
        """See `ByteSource`."""
        # As any real answer would let them: a loop that polls must not starve the other tasks.
        await asyncio.sleep(0)
        while True:
            data = self._parsed.read_nowait()
            if data:
                return data, self._chunked
            if self._parsed.is_eof():
                return b"", False
            await self._replay()

    async def _replay(self) -> None:
        if self._next < len(self._body.chunks):
            if self._body.late is not None:
                await replace(self._body.late, limit=self._protocol.client_waits or None).wait()
            chunk = self._body.chunks[self._next]
            self._next += 1
            if self._recorder is not None:
                self._recorder.add(chunk)
            self._protocol.data_received(b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._chunked else chunk)
            return
        await self._body.end()
        if self._chunked:
            self._protocol.data_received(b"0\r\n\r\n")
        else:
            self._parsed.feed_eof()


class Reader(StreamReader):
    """Reads a source, and tells a take when there is no more to read.

    Args:
        source: where the pieces come from.
        recorder: who watches, or None.
        like: the reader in whose place this one stands.
        chunked: whether HTTP chunks are told apart.
        timer: what ends a wait that takes too long, where the source doesn't.
        unread_is_whole: a client that read nothing had all that it wanted.
    """

    __slots__ = ("_pulling", "_recorder", "_source", "_unread_is_whole")

    def __init__(
        self,
        source: ByteSource,
        recorder: BodyRecorder | None,
        like: StreamReader,
        *,
        chunked: bool,
        timer: Any = None,
        unread_is_whole: bool = False,
    ) -> None:
        limit = like.get_read_buffer_limits()[0]
        loop = asyncio.get_running_loop()
        super().__init__(_Still(loop), limit, timer=timer, loop=loop)
        self._source = source
        self._recorder = recorder
        self._pulling = False
        self._unread_is_whole = unread_is_whole
        if chunked:
            self.begin_http_chunk_receiving()

    async def _wait(self, func_name: str) -> None:
        if self._pulling:
            raise RuntimeError(
                f"{func_name}() called while another coroutine is already waiting for incoming data"
            )
        self._pulling = True
        try:
            with self._timer:
                data, ends = await self._source.next()
        except Exception as error:
            if self._recorder is not None:
                self._recorder.broke(failure_of(error))
            self.set_exception(error)
            raise
        finally:
            self._pulling = False
        self.feed_data(data)
        if ends:
            self.end_http_chunk_receiving()
        elif not data:
            if self._recorder is not None:
                self._recorder.exhausted()
            self.feed_eof()

    async def wait_eof(self) -> None:
        """Wait for the end, and so read up to there: nobody else feeds this reader."""
        while not self.is_eof():
            await self._wait("wait_eof")

    def set_exception(self, exc: BaseException, *cause: Any) -> None:
        """The connection broke, or (what aiohttp does then, too) the client is done with the answer."""
        super().set_exception(exc, *cause)
        if self._recorder is None:
            return
        if self._unread_is_whole and not self.total_bytes:
            self._recorder.exhausted()
        else:
            self._recorder.closed()


class _Still(BaseProtocol):
    """A protocol that isn't paused: what isn't asked for doesn't come."""

    def pause_reading(self) -> None:
        """See above."""

    def resume_reading(self, *_: Any, **__: Any) -> None:
        """See above."""
