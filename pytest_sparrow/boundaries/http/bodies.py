"""Copies a body on its way to the client, and settles the crossing once the client has what it wants.

Watching a body on its way to the client, and settling the crossing once the client has what it wants.

The tee: chunks reach the client as they arrive, and a take watches them go by.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pytest_sparrow.boundaries.cancellation import wait_for_cancel
from pytest_sparrow.boundaries.http.exchange import Headers, answered_of, header
from pytest_sparrow.providers.registry import facts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from pytest_sparrow.boundaries.cancellation import CancellationWait
    from pytest_sparrow.boundaries.http.exchange import TransportFailure
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.crossing import Crossing

__all__ = [
    "BodyRecorder",
    "Late",
    "LiveBodyRecorder",
    "ReplayedBodyRecorder",
    "Served",
    "Tee",
    "checkpoint",
    "is_last",
]


class BodyRecorder(Protocol):
    """One body on its way; of the last three methods the first call counts."""

    def add(self, chunk: bytes) -> None:
        """The client is about to get this."""
        ...

    def exhausted(self) -> None:
        """The body came to its end."""
        ...

    def closed(self) -> None:
        """The client closed it, perhaps before the end."""
        ...

    def broke(self, failure: TransportFailure | None) -> None:
        """The transport raised, or (None) the client was cancelled."""
        ...


class LiveBodyRecorder:
    """Keeps what the world says and settles with it.

    Args:
        crossing: what to settle.
        method: the request's method.
        status: the response's status.
        headers: the response's headers.
        decoded: whether the chunks are uncompressed already.
    """

    def __init__(
        self, crossing: Crossing, *, method: str, status: int, headers: Headers, decoded: bool = False
    ) -> None:
        self._crossing = crossing
        self._method = method
        self._status = status
        self._headers = headers
        self._decoded = decoded
        self._chunks: list[bytes] = []
        self._settled = False
        self._peeked = 0
        crossing.flush = self.closed
        crossing.peek = self._so_far

    def _so_far(self) -> dict[str, Json] | None:
        if len(self._chunks) == self._peeked:
            return None
        self._peeked = len(self._chunks)
        return answered_of(self._status, self._headers, b"".join(self._chunks), decoded=self._decoded)

    def add(self, chunk: bytes) -> None:
        """See `BodyRecorder`."""
        self._chunks.append(chunk)

    def exhausted(self) -> None:
        """See `BodyRecorder`."""
        self._settle(ended=True)

    def closed(self) -> None:
        """See `BodyRecorder`."""
        self._settle(ended=False)

    def broke(self, failure: TransportFailure | None) -> None:
        """See `BodyRecorder`."""
        self._settle(ended=False, broken=True, failure=failure)

    def _settle(self, *, ended: bool, broken: bool = False, failure: TransportFailure | None = None) -> None:
        if self._settled:
            return
        self._settled = True
        raw = b"".join(self._chunks)
        self._chunks.clear()
        answered = answered_of(self._status, self._headers, raw, decoded=self._decoded, failure=failure)
        complete = ended or (not broken and (self._has_all(len(raw)) or _says_done(answered)))
        self._crossing.settle(answered, complete=complete)

    def _has_all(self, size: int) -> bool:
        """Whether a client that closes now has left nothing unread."""
        if self._method == "HEAD" or self._status in (204, 304):
            return True
        return not self._decoded and header(self._headers, "content-length") == str(size)


class ReplayedBodyRecorder:
    """Watches a served body; settles with what was fed.

    Args:
        crossing: what to settle.
        pieces: how many chunks there are to serve.
    """

    def __init__(self, crossing: Crossing, *, pieces: int) -> None:
        self._crossing = crossing
        self._pieces = pieces
        self._left = pieces
        self._last = b""
        self._settled = False
        self._peeked = pieces
        crossing.flush = self.closed
        crossing.peek = self._so_far

    def _so_far(self) -> dict[str, Json] | None:
        if self._left == self._peeked:
            return None
        self._peeked = self._left
        replayed = self._crossing.replayed
        assert replayed is not None
        body = replayed.get("body")
        form = _form(body)
        if not form or not isinstance(body, dict):
            return replayed
        return {**replayed, "body": {form: body[form][: self._pieces - self._left]}}

    def add(self, chunk: bytes) -> None:
        """See `BodyRecorder`."""
        self._left -= 1
        self._last = chunk

    def exhausted(self) -> None:
        """See `BodyRecorder`."""
        self._settle(complete=True)

    def closed(self) -> None:
        """See `BodyRecorder`."""
        self._settle(complete=self._left <= 0 or is_last(self._last))

    def broke(self, failure: TransportFailure | None) -> None:  # noqa: ARG002 - the golden has it already
        """See `BodyRecorder`."""
        self._settle(complete=False)

    def _settle(self, *, complete: bool) -> None:
        if not self._settled:
            self._settled = True
            self._crossing.settle(self._crossing.replayed, complete=complete)


def _says_done(answered: dict[str, object]) -> bool:
    body = answered.get("body")
    form = _form(body)
    if not form or not isinstance(body, dict):
        return False
    last = str(body.get("torn") or (body[form][-1] if body[form] else ""))
    return is_last(last.encode())


def _form(body: object) -> str:
    """The key of a body that comes piece by piece, or ""."""
    return next((form for form in ("sse", "lines") if isinstance(body, dict) and form in body), "")


def is_last(piece: bytes) -> bool:
    """Whether a piece of a stream says that no more will come."""
    return any(end.is_at_end_of(piece) for end in facts().stream_ends)


async def checkpoint() -> None:
    """Let other tasks run, as any real answer would: a loop that polls must not starve the rest."""
    # httpx and httpx2 both stand on anyio, so it is there, and it knows which event loop this is.
    from anyio.lowlevel import checkpoint as pause

    await pause()


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """How each piece of a body comes late.

    Attributes:
        seconds: by how much.
        limit: how many seconds the client waits for a piece; None: as long as it takes.
        error: gives what the client raises then.
    """

    seconds: float
    limit: float | None
    error: Callable[[], Exception]

    def hold(self) -> None:
        """Wait for a piece, in a thread; raises where the client doesn't wait so long."""
        time.sleep(self._waited)
        self._end()

    async def wait(self) -> None:
        """As `hold`, in a task."""
        await wait_for_cancel(self._waited)
        self._end()

    @property
    def _waited(self) -> float:
        return self.seconds if self.limit is None else min(self.seconds, self.limit)

    def _end(self) -> None:
        if self.limit is not None and self.limit < self.seconds:
            raise self.error()


class Served:
    """A recorded body, as the source of a tee.

    Args:
        chunks: what to serve, a piece at a time; an attribute, too.
        error: what to raise after them.
        cancellation_wait: for a client that reads on where the recorded one turned away.
        lost: gives what to raise then, in the end.
        late: how late each piece comes; None: at once. An attribute, too.
    """

    def __init__(
        self,
        chunks: tuple[bytes, ...],
        error: Exception | None = None,
        cancellation_wait: CancellationWait | None = None,
        lost: Callable[[], Exception] | None = None,
        late: Late | None = None,
    ) -> None:
        self.chunks = chunks
        self.late = late
        self._error = error
        self._cancellation_wait = cancellation_wait
        self._lost = lost

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            if self.late is not None:
                self.late.hold()
            yield chunk
        if self._error is not None:
            raise self._error
        if (
            self._cancellation_wait is not None
            and self._lost is not None
            and not self._cancellation_wait.hold()
        ):
            raise self._lost()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            await (checkpoint() if self.late is None else self.late.wait())
            yield chunk
        await self.end()

    async def end(self) -> None:
        """What comes after the chunks: nothing, the error, or a wait for the client to turn away."""
        if self._error is not None:
            raise self._error
        if self._cancellation_wait is not None and self._lost is not None:
            await self._cancellation_wait.wait()
            raise self._lost()

    def close(self) -> None:
        """Nothing to close."""

    async def aclose(self) -> None:
        """Nothing to close."""


class Tee:
    """A response's stream, watched; mixed into each library's own stream classes.

    Args:
        source: the stream to read from.
        recorder: who watches, or None.
        failure_of: names the error that the source raised; None for a cancellation.
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
        try:
            for chunk in self._source:
                if self._recorder is not None:
                    self._recorder.add(chunk)
                yield chunk
        except GeneratorExit:
            # The client turned away; close() tells whether it had all it wanted.
            raise
        except BaseException as error:
            self._broke(error)
            raise
        if self._recorder is not None:
            self._recorder.exhausted()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        source = aiter(self._source)
        try:
            async for chunk in source:
                if self._recorder is not None:
                    self._recorder.add(chunk)
                yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            self._broke(error)
            raise
        finally:
            # An abandoned generator would be closed by the event loop some time later, or never.
            close: Callable[[], Awaitable[None]] | None = getattr(source, "aclose", None)
            if close is not None:
                await close()
        if self._recorder is not None:
            self._recorder.exhausted()

    def close(self) -> None:
        """The client is done: close the source, and settle."""
        try:
            self._source.close()
        finally:
            if self._recorder is not None:
                self._recorder.closed()

    async def aclose(self) -> None:
        """The client is done: close the source, and settle."""
        try:
            await self._source.aclose()
        finally:
            if self._recorder is not None:
                self._recorder.closed()

    def _broke(self, error: BaseException) -> None:
        if self._recorder is not None:
            self._recorder.broke(self._failure_of(error))
