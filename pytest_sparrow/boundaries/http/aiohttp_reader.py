"""What a client reads of an answer: aiohttp's own reader, which gets each piece when the client wants more.

All of its public methods wait for data in one place, ``_wait``. The name is private, and held by a test.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol

from pytest_sparrow.boundaries.http.aiohttp_errors import failure_of

if TYPE_CHECKING:
    from pytest_sparrow.boundaries.http.streams import Served
    from pytest_sparrow.boundaries.http.take import Take

__all__ = ["FedSource", "LiveSource", "Reader"]


class Source(Protocol):
    """Where the pieces come from."""

    async def next(self) -> tuple[bytes, bool]:
        """The next piece, and whether an HTTP chunk ends with it; (b"", False) at the end. May be cancelled."""
        ...


class LiveSource:
    """The reader that the connection feeds."""

    def __init__(self, fed_by_connection: StreamReader, take: Take) -> None:
        self._reader = fed_by_connection
        self._take = take

    async def next(self) -> tuple[bytes, bool]:
        """See `Source`."""
        data, ends = await self._reader.readchunk()
        if data:
            self._take.add(data)
        return data, ends


class FedSource:
    """A recorded body, which goes through aiohttp's parser a piece at a time.

    Args:
        body: what to serve.
        take: who watches, or None.
        protocol: takes the bytes of the wire (``ResponseHandler.data_received``).
        parsed: the reader that the parser feeds.
        chunked: whether the body is framed in chunks; else its length was told.
    """

    def __init__(
        self, body: Served, take: Take | None, protocol: Any, parsed: StreamReader, *, chunked: bool
    ) -> None:
        self._body = body
        self._take = take
        self._protocol = protocol
        self._parsed = parsed
        self._chunked = chunked
        self._next = 0

    async def next(self) -> tuple[bytes, bool]:
        """See `Source`."""
        # As any real answer would let them: a loop that polls must not starve the other tasks.
        await asyncio.sleep(0)
        while True:
            data = self._parsed.read_nowait()
            if data:
                return data, self._chunked
            if self._parsed.is_eof():
                return b"", False
            await self._feed()

    async def _feed(self) -> None:
        if self._next < len(self._body.chunks):
            if self._body.late is not None:
                await replace(self._body.late, limit=self._protocol.client_waits or None).wait()
            chunk = self._body.chunks[self._next]
            self._next += 1
            if self._take is not None:
                self._take.add(chunk)
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
        take: who watches, or None.
        like: the reader in whose place this one stands.
        chunked: whether HTTP chunks are told apart.
        timer: what ends a wait that takes too long, where the source doesn't.
        unread_is_whole: a client that read nothing had all that it wanted.
    """

    __slots__ = ("_pulling", "_source", "_take", "_unread_is_whole")

    def __init__(
        self,
        source: Source,
        take: Take | None,
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
        self._take = take
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
            if self._take is not None:
                self._take.broke(failure_of(error))
            self.set_exception(error)
            raise
        finally:
            self._pulling = False
        self.feed_data(data)
        if ends:
            self.end_http_chunk_receiving()
        elif not data:
            if self._take is not None:
                self._take.exhausted()
            self.feed_eof()

    async def wait_eof(self) -> None:
        """Wait for the end, and so read up to there: nobody else feeds this reader."""
        while not self.is_eof():
            await self._wait("wait_eof")

    def set_exception(self, exc: BaseException, *cause: Any) -> None:
        """The connection broke, or (what aiohttp does then, too) the client is done with the answer."""
        super().set_exception(exc, *cause)
        if self._take is None:
            return
        if self._unread_is_whole and not self.total_bytes:
            self._take.exhausted()
        else:
            self._take.closed()


class _Still(BaseProtocol):
    """A protocol that isn't paused: what isn't asked for doesn't come."""

    def pause_reading(self) -> None:
        """See above."""

    def resume_reading(self, *_: Any, **__: Any) -> None:
        """See above."""
