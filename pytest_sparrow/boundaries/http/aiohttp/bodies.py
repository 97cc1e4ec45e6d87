"""Reads request bodies as aiohttp holds them, and lets aiohttp's own parser and reader read live and recorded answers.

A recorded answer stands on a connection without a socket: aiohttp's own code parses its head, and `BodyReader` gives
the parser a piece of the body whenever the client wants more. All public methods of aiohttp's reader wait for data in
one private method, ``_wait``; a test holds the name.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import BytesPayload, ClientConnectionError, ClientOSError, Payload, StreamReader
from aiohttp.abc import AbstractStreamWriter
from aiohttp.base_protocol import BaseProtocol
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from pytest_sparrow.boundaries.http.exchange import chunk_bytes, head_bytes, header, may_have_body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from multidict import CIMultiDict

    from pytest_sparrow.boundaries.http.bodies import BodyRecorder, ServedBody
    from pytest_sparrow.boundaries.http.exchange import Reply
    from pytest_sparrow.exchange import TransportFailure


async def read_body(request: Any) -> bytes:
    """The bytes that a ``ClientRequest`` would send, before any compression.

    A body that can be read only once is replaced by a payload of the same bytes.

    Raises:
        ClientConnectionError: the body could not be read; aiohttp raises the same where a body cannot be sent.
    """
    body = request.body
    if not isinstance(body, Payload):
        return bytes(body or b"")
    buffer = _BodyBuffer()
    try:
        await body.write(buffer)
    except OSError as error:
        raise ClientOSError(error.errno, f"Can not write request body for {request.url}") from error
    except Exception as error:
        raise ClientConnectionError(
            f"Failed to send bytes into the underlying connection: {error!r}"
        ) from error
    raw = b"".join(buffer.chunks)
    if not isinstance(body, BytesPayload):
        # Not the property: its setter warns, and closes the payload, which is closed later.
        setattr(request, "_body" if "_body" in vars(request) else "body", _ReadPayload(raw, body))
    return raw


class _BodyBuffer(AbstractStreamWriter):
    """Keeps the bytes that a payload writes, neither compressed nor framed."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self.chunks.append(bytes(chunk))

    async def write_eof(self, chunk: bytes = b"") -> None:
        self.chunks.append(chunk)

    async def drain(self) -> None:
        pass

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        pass

    def enable_chunking(self) -> None:
        pass

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        pass


class _ReadPayload(Payload):
    """Stands in for a payload that was read: has its headers, and closes it.

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
        # Payloads have this method since aiohttp 3.12.
        close = getattr(self._payload, "close", None)
        if close is not None:
            await close()


def replay_connection(connector: Any, request: Any, answer: Reply | Exception) -> Connection:
    """A connection without a socket for one request: holds the head of a reply, or raises an error."""
    loop = asyncio.get_running_loop()
    protocol = _ReplayProtocol(loop, answer if isinstance(answer, Exception) else _head(request, answer))
    protocol.connection_made(_NullTransport())
    pool: Any = _NullConnector(force_close=connector.force_close)
    return _ReplayConnection(pool, request.connection_key, protocol, loop)


def _head(request: Any, reply: Reply) -> bytes:
    head = head_bytes(reply, chunked=is_chunked(reply), encoding="utf-8")
    # A client that waits for the answer 100 would never send its body.
    return b"HTTP/1.1 100 Continue\r\n\r\n" + head if "expect" in request.headers else head


def is_chunked(reply: Reply) -> bool:
    """Whether the body must be framed in chunks: there may be a body, and no header says its length."""
    return not header(reply.headers, "content-length") and may_have_body(reply.status or 0)


class _ReplayConnection(Connection):
    """A connection that may be dropped without a warning, since there is no socket to close."""

    def __del__(self, *_: Any) -> None:
        pass


class _ReplayProtocol(ResponseHandler):
    """Receives the answer's head, or the error, as soon as the client asks for an answer."""

    def __init__(self, loop: asyncio.AbstractEventLoop, answer: bytes | Exception) -> None:
        super().__init__(loop)
        self._answer = answer
        self.timer: Any = None
        self.client_waits: float | None = None

    def set_response_params(self, **params: Any) -> None:
        # No data comes from a socket, so no read can time out; `BodyReader` keeps the total timeout.
        super().set_response_params(**{**params, "read_timeout": None})
        self.timer = params.get("timer")
        self.client_waits = params.get("read_timeout")
        if isinstance(self._answer, bytes):
            self.data_received(self._answer)
        else:
            self.set_exception(self._answer)


class _NullTransport(asyncio.Transport):
    """Discards what is sent, and never receives."""

    def __init__(self) -> None:
        super().__init__()
        self._closing = False

    def write(self, data: Any) -> None:
        pass

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    abort = close


class _NullConnector:
    """Closes the protocol of each connection that comes back, so that none is used again."""

    def __init__(self, *, force_close: bool) -> None:
        self.force_close = force_close

    def _release(self, key: Any, protocol: ResponseHandler, *, should_close: bool = False) -> None:  # noqa: ARG002
        protocol.close()


class ByteSource(Protocol):
    """Gives a body piece by piece."""

    async def next(self) -> tuple[bytes, bool]:
        """The next piece, and whether an HTTP chunk ends there; (b"", False) at the end. May be cancelled."""
        ...


class LiveSource:
    """Gives the body that a live connection receives, and shows each piece to a recorder.

    Args:
        reader: the reader that the connection fills.
        recorder: the recorder.
    """

    def __init__(self, reader: StreamReader, recorder: BodyRecorder) -> None:
        self._reader = reader
        self._recorder = recorder

    async def next(self) -> tuple[bytes, bool]:
        """The next piece that the connection has received."""
        data, ends = await self._reader.readchunk()
        if data:
            self._recorder.add(data)
        return data, ends


class ReplayedSource:
    """Gives a recorded body, a piece at a time, through aiohttp's parser.

    Args:
        body: the recorded body.
        recorder: the recorder, or None.
        protocol: receives the bytes of the wire (``ResponseHandler.data_received``).
        parsed: the reader that the parser fills.
        chunked: whether the body is framed in chunks; else a header said its length.
    """

    def __init__(
        self,
        body: ServedBody,
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
        """The next piece that the parser has made of the recorded body."""
        # Other tasks run, as with a real answer: a loop that polls must not starve them.
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
            if self._body.delay is not None:
                await replace(self._body.delay, limit=self._protocol.client_waits or None).wait()
            chunk = self._body.chunks[self._next]
            self._next += 1
            await self._body.arrives(self._next)
            if self._recorder is not None:
                self._recorder.add(chunk)
            self._protocol.data_received(chunk_bytes(chunk) if self._chunked else chunk)
            return
        await self._body.end()
        if self._chunked:
            self._protocol.data_received(chunk_bytes(b""))
        else:
            self._parsed.feed_eof()


class BodyReader(StreamReader):
    """Replaces a response's reader: reads a source whenever the client wants more, and notes the end in a recorder.

    Args:
        source: gives the pieces.
        recorder: the recorder, or None.
        replaced: the reader that is replaced.
        failure_of: gives the failure for an error that the source raised.
        chunked: whether the client sees where HTTP chunks end.
        timer: ends a wait that lasts too long, where the source does not.
        unread_is_whole: whether a client that read nothing needed nothing.
    """

    __slots__ = ("_failure_of", "_pulling", "_recorder", "_source", "_unread_is_whole")

    def __init__(
        self,
        source: ByteSource,
        recorder: BodyRecorder | None,
        replaced: StreamReader,
        failure_of: Callable[[BaseException], TransportFailure | None],
        *,
        chunked: bool,
        timer: Any = None,
        unread_is_whole: bool = False,
    ) -> None:
        limit = replaced.get_read_buffer_limits()[0]
        loop = asyncio.get_running_loop()
        super().__init__(_UnpausedProtocol(loop), limit, timer=timer, loop=loop)
        self._source = source
        self._recorder = recorder
        self._failure_of = failure_of
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
                self._recorder.broke(self._failure_of(error))
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
        """Read up to the end; nobody else fills this reader."""
        while not self.is_eof():
            await self._wait("wait_eof")

    def set_exception(self, exc: BaseException, *cause: Any) -> None:
        """Note that the connection broke, or that the client closed the answer, for which aiohttp calls this, too."""
        super().set_exception(exc, *cause)
        if self._recorder is None:
            return
        if self._unread_is_whole and not self.total_bytes:
            self._recorder.exhausted()
        else:
            self._recorder.closed()


class _UnpausedProtocol(BaseProtocol):
    """A protocol that never needs a pause, since data comes only when the client wants more."""

    def pause_reading(self) -> None:
        pass

    def resume_reading(self, *_: Any, **__: Any) -> None:
        pass
