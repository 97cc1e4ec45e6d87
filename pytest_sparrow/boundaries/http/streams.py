"""The tee: chunks reach the client as they arrive, and a take watches them go by."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.patience import wait_for_cancel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from pytest_sparrow.boundaries.http.reply import Failure
    from pytest_sparrow.boundaries.http.take import Take
    from pytest_sparrow.boundaries.patience import Patience

__all__ = ["Late", "Served", "Tee", "checkpoint"]


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
        patience: for a client that reads on where the recorded one turned away.
        lost: gives what to raise then, in the end.
        late: how late each piece comes; None: at once. An attribute, too.
    """

    def __init__(
        self,
        chunks: tuple[bytes, ...],
        error: Exception | None = None,
        patience: Patience | None = None,
        lost: Callable[[], Exception] | None = None,
        late: Late | None = None,
    ) -> None:
        self.chunks = chunks
        self.late = late
        self._error = error
        self._patience = patience
        self._lost = lost

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            if self.late is not None:
                self.late.hold()
            yield chunk
        if self._error is not None:
            raise self._error
        if self._patience is not None and self._lost is not None and not self._patience.hold():
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
        if self._patience is not None and self._lost is not None:
            await self._patience.wait()
            raise self._lost()

    def close(self) -> None:
        """Nothing to close."""

    async def aclose(self) -> None:
        """Nothing to close."""


class Tee:
    """A response's stream, watched; mixed into each library's own stream classes.

    Args:
        source: the stream to read from.
        take: who watches, or None.
        failure_of: names the error that the source raised; None for a cancellation.
    """

    def __init__(
        self, source: Any, take: Take | None, failure_of: Callable[[BaseException], Failure | None]
    ) -> None:
        self._source = source
        self._take = take
        self._failure_of = failure_of

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._source:
                if self._take is not None:
                    self._take.add(chunk)
                yield chunk
        except GeneratorExit:
            # The client turned away; close() tells whether it had all it wanted.
            raise
        except BaseException as error:
            self._broke(error)
            raise
        if self._take is not None:
            self._take.exhausted()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        source = aiter(self._source)
        try:
            async for chunk in source:
                if self._take is not None:
                    self._take.add(chunk)
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
        if self._take is not None:
            self._take.exhausted()

    def close(self) -> None:
        """The client is done: close the source, and settle."""
        try:
            self._source.close()
        finally:
            if self._take is not None:
                self._take.closed()

    async def aclose(self) -> None:
        """The client is done: close the source, and settle."""
        try:
            await self._source.aclose()
        finally:
            if self._take is not None:
                self._take.closed()

    def _broke(self, error: BaseException) -> None:
        if self._take is not None:
            self._take.broke(self._failure_of(error))
