"""Watches bodies on their way to the client, settles their crossings, and serves recorded bodies."""

from __future__ import annotations

import abc
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.http.exchange import Headers, answered_of, header
from pytest_sparrow.providers.registry import facts
from pytest_sparrow.run.cancelling import wait_for_cancel
from pytest_sparrow.wire import sse
from pytest_sparrow.wire.bodies import chunks_of, media_type, stream_form

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from pytest_sparrow.exchange import Json, TransportFailure
    from pytest_sparrow.run.arrivals import Arrival
    from pytest_sparrow.run.cancelling import CancellationWait
    from pytest_sparrow.run.crossing import Crossing


_READ = {"sse": sse.events_of, "lines": sse.lines_of}
_EVENTS = re.compile(rb".+?(?:\r?\n\r?\n|\r\r|\Z)", re.DOTALL)
_LINES = re.compile(rb"[^\n]*\n|[^\n]+")


class BodyRecorder(abc.ABC):
    """Watches one body on its way to the client and settles the crossing at the first of three ends.

    The ends are `exhausted`, `closed` and `broke`; later calls change nothing.

    Args:
        crossing: what to settle.

    Attributes:
        cuts: whether `pieces` cuts a chunk.
    """

    cuts = False

    def __init__(self, crossing: Crossing) -> None:
        self._crossing = crossing
        self._count = 0
        self._peeked = 0
        self._settled = False
        crossing.flush = self.closed
        crossing.peek = self._peek

    @abc.abstractmethod
    def add(self, chunk: bytes) -> None:
        """Note a chunk that the client is about to get."""

    def pieces(self, chunk: bytes) -> Sequence[bytes]:
        """A chunk as the client gets it: in one piece, or an event or a line of a stream at a time."""
        return (chunk,)

    def exhausted(self) -> None:
        """Settle: the body came to its end."""
        self._end(ended=True)

    def closed(self) -> None:
        """Settle: the client closed the body, perhaps before its end."""
        self._end()

    def broke(self, failure: TransportFailure | None) -> None:
        """Settle: the transport failed, or (None) the client was cancelled."""
        self._end(broken=True, failure=failure)

    def _peek(self) -> dict[str, Json] | None:
        if self._count == self._peeked:
            return None
        self._peeked = self._count
        return self._so_far()

    def _end(
        self, *, ended: bool = False, broken: bool = False, failure: TransportFailure | None = None
    ) -> None:
        if not self._settled:
            self._settled = True
            self._settle(ended=ended, broken=broken, failure=failure)

    @abc.abstractmethod
    def _so_far(self) -> dict[str, Json]:
        """The *answered* half up to the last chunk."""

    @abc.abstractmethod
    def _settle(self, *, ended: bool, broken: bool, failure: TransportFailure | None) -> None:
        """Settle the crossing; called once."""


class LiveBodyRecorder(BodyRecorder):
    """Keeps a body of the world and settles with the recorded answer.

    Args:
        crossing: what to settle.
        method: the request's method.
        status: the response's status.
        headers: the response's headers.
        decoded: whether the chunks are uncompressed already.
        reason: the phrase behind the status; None where the protocol has none.
    """

    def __init__(
        self,
        crossing: Crossing,
        *,
        method: str,
        status: int,
        headers: Headers,
        decoded: bool = False,
        reason: str | None = None,
    ) -> None:
        super().__init__(crossing)
        self._method = method
        self._status = status
        self._headers = headers
        self._decoded = decoded
        self._reason = reason
        self._chunks: list[bytes] = []
        kind = media_type(header(headers, "content-type"))[0]
        ends = _EVENTS if kind == sse.MEDIA_TYPE else _LINES if kind in sse.LINE_TYPES else None
        self._ends = None if header(headers, "content-encoding") else ends
        self.cuts = self._ends is not None

    def pieces(self, chunk: bytes) -> Sequence[bytes]:
        """The chunk as the client gets it: an event or a line of a stream at a time.

        How many of them the network brings at once is chance; how many the client reads is not.
        """
        return (chunk,) if self._ends is None else self._ends.findall(chunk) or (chunk,)

    def add(self, chunk: bytes) -> None:
        """Keep a chunk that the client is about to get."""
        self._count += 1
        self._chunks.append(chunk)

    def _so_far(self) -> dict[str, Json]:
        return answered_of(self._status, self._headers, b"".join(self._chunks), decoded=self._decoded)

    def _settle(self, *, ended: bool, broken: bool, failure: TransportFailure | None) -> None:
        raw = b"".join(self._chunks)
        pieces = [chunk for chunk in self._chunks if chunk]
        last = self._chunks[-1] if self._chunks else b""
        self._chunks.clear()
        answered = answered_of(
            self._status,
            self._headers,
            raw,
            decoded=self._decoded,
            failure=failure,
            pieces=pieces,
            reason=self._reason,
        )
        complete = ended or (not broken and (self._has_all(len(raw)) or _says_done(answered)))
        self._crossing.read_whole = ended or (not broken and self._is_counted(answered, last))
        self._crossing.settle(answered, complete=complete)

    def _is_counted(self, answered: dict[str, Json], last: bytes) -> bool:
        """Whether a client that closes now got the pieces one at a time, as a replay will serve them."""
        if self._ends is not None:
            return len(self._ends.findall(last)) == 1
        body = answered.get("body")
        return isinstance(body, dict) and "pieces" in body

    def _has_all(self, size: int) -> bool:
        """Whether a client that closes now has left nothing unread."""
        if self._method == "HEAD" or self._status in (204, 304):
            return True
        return not self._decoded and header(self._headers, "content-length") == str(size)


class ReplayedBodyRecorder(BodyRecorder):
    """Watches a replayed body and settles with the recorded answer.

    Args:
        crossing: what to settle; has a recorded answer.
        pieces: the number of the body's chunks.
    """

    def __init__(self, crossing: Crossing, *, pieces: int) -> None:
        super().__init__(crossing)
        self._pieces = pieces
        self._last = b""

    def add(self, chunk: bytes) -> None:
        """Count a chunk that the client is about to get."""
        self._count += 1
        self._last = chunk

    def _so_far(self) -> dict[str, Json]:
        replayed = self._crossing.replayed
        assert replayed is not None
        body = replayed.get("body")
        form = stream_form(body)
        if not self._count:
            return {key: value for key, value in replayed.items() if key != "body"}
        if not form or not isinstance(body, dict):
            return replayed
        if "pieces" not in body:
            return {**replayed, "body": {form: body[form][: self._count]}}
        arrived = b"".join(chunks_of(body)[: self._count])
        return {**replayed, "body": {form: (_READ[form](arrived) or {form: []})[form]}}

    def _settle(self, *, ended: bool, broken: bool, failure: TransportFailure | None) -> None:
        complete = ended or (not broken and (self._count >= self._pieces or is_last(self._last)))
        cancelled = broken and failure is None
        # A client that has got every piece, and is cancelled before it hears of the end, has left nothing unread. How
        # far a client listens that is cancelled with its session (MCP's, which asks by GET for what a server may send)
        # is chance.
        certain = self._count < self._pieces and not (
            cancelled and self._crossing.asked.get("method") == "GET"
        )
        self._crossing.read_whole = self._crossing.read_whole and certain
        unread = self._crossing.read_whole and not complete
        self._crossing.settle(self._so_far() if unread else self._crossing.replayed, complete=complete)


def _says_done(answered: dict[str, object]) -> bool:
    body = answered.get("body")
    form = stream_form(body)
    if not form or not isinstance(body, dict):
        return False
    last = str(body.get("torn") or (body[form][-1] if body[form] else ""))
    return is_last(last.encode())


def is_last(piece: bytes) -> bool:
    """Whether a piece of a stream says that no more will come."""
    return any(end.is_at_end_of(piece) for end in facts().stream_ends)


async def checkpoint() -> None:
    """Let other tasks run, as a real answer would: a loop that polls must not starve the other tasks."""
    # httpx and httpx2 depend on anyio, which knows the running event loop; a library without it runs on asyncio's.
    try:
        from anyio.lowlevel import checkpoint as pause
    except ImportError:
        from asyncio import sleep

        await sleep(0)
    else:
        await pause()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkDelay:
    """Delays each chunk of a body.

    Attributes:
        seconds: the delay.
        limit: the client's read timeout in seconds; None: no timeout.
        error: gives the error that the client raises after its timeout.
    """

    seconds: float
    limit: float | None
    error: Callable[[], Exception]

    def hold(self) -> None:
        """Delay a chunk in a thread.

        Raises:
            Exception: the client's timeout is shorter than the delay; the error is ``error()``.
        """
        time.sleep(self._waited)
        self._end()

    async def wait(self) -> None:
        """Delay a chunk in a task; otherwise as `hold`."""
        await wait_for_cancel(self._waited)
        self._end()

    @property
    def _waited(self) -> float:
        return self.seconds if self.limit is None else min(self.seconds, self.limit)

    def _end(self) -> None:
        if self.limit is not None and self.limit < self.seconds:
            raise self.error()


class ServedBody:
    """A body that is served in place of a live one; the source of a `Tee`.

    Args:
        chunks: the body's chunks; also an attribute.
        error: the error to raise after the chunks.
        cancellation_wait: how to treat a client that reads beyond the point where the recorded client cancelled.
        not_cancelled: gives the error to raise when the client does not cancel.
        delay: the delay of each chunk; None: no delay. Also an attribute.
        arrival: what the last chunk must wait for; None: for nothing.
    """

    def __init__(
        self,
        chunks: tuple[bytes, ...],
        error: Exception | None = None,
        cancellation_wait: CancellationWait | None = None,
        not_cancelled: Callable[[], Exception] | None = None,
        delay: ChunkDelay | None = None,
        arrival: Arrival | None = None,
    ) -> None:
        self._arrival = arrival
        self.chunks = chunks
        self.delay = delay
        self._error = error
        self._cancellation_wait = cancellation_wait
        self._not_cancelled = not_cancelled

    def __iter__(self) -> Iterator[bytes]:
        # Of hundreds of chunks only the last one may wait.
        early = max(len(self.chunks) - 1, 0) if self.delay is None else 0
        yield from self.chunks[:early]
        for number, chunk in enumerate(self.chunks[early:], start=early + 1):
            if self.delay is not None:
                self.delay.hold()
            if self._arrival is not None and number == len(self.chunks):
                self._arrival.hold()
            yield chunk
        if self._error is not None:
            raise self._error
        if (
            self._cancellation_wait is not None
            and self._not_cancelled is not None
            and not self._cancellation_wait.hold()
        ):
            raise self._not_cancelled()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for number, chunk in enumerate(self.chunks, start=1):
            await (checkpoint() if self.delay is None else self.delay.wait())
            await self.arrives(number)
            yield chunk
        await self.end()

    async def arrives(self, number: int) -> None:
        """Wait until a chunk is due; ``number`` counts from 1."""
        if self._arrival is not None and number == len(self.chunks):
            await self._arrival.wait()

    async def end(self) -> None:
        """Follow the chunks with nothing, with the error, or with a wait for the client's cancellation."""
        if self._error is not None:
            raise self._error
        if self._cancellation_wait is not None and self._not_cancelled is not None:
            await self._cancellation_wait.wait()
            raise self._not_cancelled()

    def close(self) -> None:
        """Do nothing: a recorded body holds no connection."""

    async def aclose(self) -> None:
        """Do nothing: a recorded body holds no connection."""


class Tee:
    """Passes a response's chunks to the client and shows each to a recorder; a mixin for httpx's stream classes.

    Args:
        source: the stream to read from.
        recorder: the recorder, or None.
        failure_of: gives the failure for an error that the source raised; None for a cancellation.
    """

    def __init__(
        self,
        source: Any,
        recorder: BodyRecorder | None,
        failure_of: Callable[[BaseException], TransportFailure | None],
    ) -> None:
        self._source = source
        self._recorder = recorder
        self._failure_of = failure_of

    def __iter__(self) -> Iterator[bytes]:
        recorder = self._recorder
        try:
            for chunk in self._source:
                if recorder is None or recorder.cuts:
                    yield from self._shown(chunk)
                else:
                    recorder.add(chunk)
                    yield chunk
        except BaseException as error:
            self._broke(error)
            raise
        self._exhausted()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        source = aiter(self._source)
        try:
            async for chunk in source:
                for piece in self._shown(chunk):
                    yield piece
        except BaseException as error:
            self._broke(error)
            raise
        else:
            self._exhausted()
        finally:
            # The event loop would close an abandoned generator some time later, or never.
            close: Callable[[], Awaitable[None]] | None = getattr(source, "aclose", None)
            if close is not None:
                await close()

    def _shown(self, chunk: bytes) -> Iterator[bytes]:
        """The pieces of a chunk, each shown to the recorder right before the client gets it."""
        if self._recorder is None:
            yield chunk
            return
        for piece in self._recorder.pieces(chunk):
            self._recorder.add(piece)
            yield piece

    def close(self) -> None:
        """Close the source and settle: the client is done."""
        try:
            self._source.close()
        finally:
            if self._recorder is not None:
                self._recorder.closed()

    async def aclose(self) -> None:
        """Close the source and settle: the client is done."""
        try:
            await self._source.aclose()
        finally:
            if self._recorder is not None:
                self._recorder.closed()

    def _broke(self, error: BaseException) -> None:
        """Settle when the source raises; where the client stops reading, `close` settles."""
        if self._recorder is not None and not isinstance(error, GeneratorExit):
            self._recorder.broke(self._failure_of(error))

    def _exhausted(self) -> None:
        """Settle when the source ends."""
        if self._recorder is not None:
            self._recorder.exhausted()
