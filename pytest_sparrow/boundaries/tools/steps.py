"""Reads a generator step by step, and hands on to it what its reader sends and throws (PEP 380), also an async one."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, Self

from pytest_sparrow.boundaries.world import isolated, stepped

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.boundaries.tools.live import LiveCall


class Steps:
    """The items of a generator or an async generator, for a generator function that stands before it.

    The reader loops over the items, and says of each by `sent` or `thrown` what it got for it; at last it closes.

    Args:
        stream: the generator.
        call: the crossing whose function gave the generator: its code runs only within ``with call``, since what the
            reader does between two items is the agent's. None: nothing is noted.

    Attributes:
        returned: what the generator returned, once it has ended.
    """

    __slots__ = ("_call", "_inside", "_step", "_stream", "returned")

    def __init__(self, stream: Any, call: LiveCall | None = None) -> None:
        self._stream = stream
        self._call = call
        self._inside = contextlib.nullcontext() if call is None else call
        self._step: Callable[[], Any] = functools.partial(_sender(stream), None)
        self.returned: Any = None
        if call is not None:
            call.began_stream()

    def __iter__(self) -> Self:
        return self

    __aiter__ = __iter__

    def __next__(self) -> Any:
        try:
            with self._inside, isolated():
                item = self._step()
        except StopIteration as end:
            self._ended(end.value)
            raise
        if self._call is not None:
            self._call.item(item)
        return item

    async def __anext__(self) -> Any:
        try:
            with self._inside:
                item = await (stepped(self._step(), self._call.steps()) if self._call else self._step())
        except StopAsyncIteration:
            self._ended(None)
            raise
        if self._call is not None:
            self._call.item(item)
        return item

    def sent(self, value: Any) -> None:
        """Note what the reader sent for the newest item; the next step hands it on."""
        self._step = functools.partial(_sender(self._stream), value)
        if self._call is not None:
            self._call.sent(value)

    def thrown(self, error: BaseException) -> None:
        """Note what the reader threw for the newest item; the next step hands it on. Closing is raised again."""
        if isinstance(error, GeneratorExit):
            raise error
        throw = self._stream.athrow if hasattr(self._stream, "athrow") else self._stream.throw
        self._step = functools.partial(throw, error)
        if self._call is not None:
            self._call.thrown(error)

    def close(self) -> None:
        """Close the generator: nobody reads it any further."""
        with self._inside:
            self._stream.close()
        self._broke_off()

    async def aclose(self) -> None:
        """Close the async generator: nobody reads it any further."""
        with self._inside:
            await self._stream.aclose()
        self._broke_off()

    def _ended(self, value: Any) -> None:
        self.returned = value
        if self._call is not None:
            self._call.ended(value)

    def _broke_off(self) -> None:
        if self._call is not None:
            self._call.broke_off()  # without effect where the call has settled


def _sender(stream: Any) -> Callable[[Any], Any]:
    send: Callable[[Any], Any] = stream.asend if hasattr(stream, "asend") else stream.send
    return send
