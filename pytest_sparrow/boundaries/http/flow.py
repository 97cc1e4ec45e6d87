"""The way of one request, for every library, sync and async: the skins do what is the library's own.

A skin drives a flow: it does each step that the flow yields, in its own world, and sends back what came of it.
"""

from __future__ import annotations

import functools
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from pytest_sparrow.boundaries.http import gate
from pytest_sparrow.boundaries.http.reply import Failure, Reply
from pytest_sparrow.boundaries.http.streams import Late, Served
from pytest_sparrow.boundaries.http.take import FedTake
from pytest_sparrow.recording.window import answering

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping
    from types import TracebackType

    from pytest_sparrow.boundaries.http.core import Headers
    from pytest_sparrow.boundaries.http.take import Take
    from pytest_sparrow.boundaries.patience import Patience
    from pytest_sparrow.recording.crossing import Crossing

__all__ = ["Flow", "Live", "Skin", "Step", "admit", "drive", "drive_async", "whole"]

Step: TypeAlias = Literal["read", "pause", "pass", "send"]
"""What a crossing needs done by the sync or the async world around it: read the request's body, and give its
bytes; let other tasks run; pass the request on, since it doesn't cross; send it into the world. (No enum: hashing
its members is slow.)"""

Flow: TypeAlias = Generator["Step | Patience", Any, Any]
"""A step may also be patience: wait as long. Gives the response in the end."""


_Headers: TypeAlias = "MutableMapping[str, str]"


class Skin(Protocol):
    """What a library gives. A request and a response are whatever the skin takes for one."""

    def headers(self, request: Any) -> Headers:
        """The request's headers; asked once its body is read."""
        ...

    def response(self, request: Any, reply: Reply, body: Served, take: Take | None) -> Any:
        """The library's own response, with the reply's status and headers; reading it reads ``body``.

        What the client gets of it is told to ``take``, if there is one.
        """
        ...

    def fail(self, request: Any, error: Exception) -> Any:
        """Raise the error, as if no answer had come; or a response that will."""
        ...

    def watch(self, request: Any, response: Any, crossing: Crossing) -> Any:
        """A response of the world whose body tells a `LiveTake` of the crossing what the client reads."""
        ...

    def error(self, request: Any, failure: Failure) -> Exception:
        """A recorded error as an exception of this library; nothing else is ever looked up by its name."""
        ...

    def read_timeout(self, request: Any) -> float | None:
        """How many seconds the client waits for a piece of the answer; None: as long as it takes."""
        ...

    def failure_of(self, error: BaseException) -> Failure | None:
        """An error by the nearest name that the library exports, for a replay to find; None: cancelled."""
        ...


class Live:
    """A request on its way to the world: ``with live:`` around the library's sending, once or in parts.

    What runs within belongs to no run. An error that leaves it settles the crossing.

    Args:
        skin: the library.
        crossing: what to settle.
        headers: where to say ``Connection: close`` meanwhile; None: nowhere.
    """

    __slots__ = ("_answering", "_before", "_headers", "_skin", "crossing")

    def __init__(self, skin: Skin, crossing: Crossing, headers: _Headers | None = None) -> None:
        self.crossing = crossing
        self._skin = skin
        self._headers = headers

    def __enter__(self) -> None:
        if self._headers is not None:
            self._before = self._headers.get("connection")
            self._headers["connection"] = "close"
        self._answering = answering()
        self._answering.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._answering.__exit__(kind, error, trace)
        if self._headers is not None:
            if self._before is None:
                del self._headers["connection"]
            else:
                self._headers["connection"] = self._before
        if error is not None:
            self.broke(error)

    def broke(self, error: BaseException) -> None:
        """Settle, since there will be no answer."""
        failure = self._skin.failure_of(error)
        if failure is None:
            self.crossing.settle(None, complete=False)
        else:
            self.crossing.settle({"error": {"type": failure.type, "message": failure.message}})


def whole(
    skin: Skin, request: Any, contact: gate.Contact, *, alone: Callable[[], _Headers | None] | None = None
) -> Flow:
    """A request from its door to its response; for ``alone`` see `admit`."""
    admitted = yield from admit(skin, request, contact, alone=alone)
    if not isinstance(admitted, Live):
        return admitted
    with admitted:
        response = yield "send"
    return skin.watch(request, response, admitted.crossing)


def admit(
    skin: Skin, request: Any, contact: gate.Contact, *, alone: Callable[[], _Headers | None] | None = None
) -> Flow:
    """A request up to where the world begins: gives the response, or `Live` for one that must be sent.

    Args:
        skin: the library.
        request: what the skin's functions are given.
        contact: the request, for the gate.
        alone: gives the headers of a request that must have a connection which nobody uses again, or None where
            it must not: a client that is cached across event loops would find this connection in its pool, in
            the next loop, and die with "Event loop is closed". Not asked unless the request goes to the world.
    """
    met = gate.door(contact)
    if met is None:
        return (yield "pass")
    if isinstance(met, Reply):
        yield "pause"
        return _serve(skin, request, met)
    raw = yield "read"
    begun = gate.begin(met, contact, skin.headers(request), raw)
    if not isinstance(begun, Reply):
        return Live(skin, begun, None if alone is None else alone())
    try:
        yield "pause"
    except BaseException:  # cancelled before it got anything
        if begun.crossing is not None:
            begun.crossing.settle(None, complete=False)
        raise
    if begun.status is None and begun.patience is not None:
        return (yield from _unanswered(skin, request, begun, begun.patience))
    return _serve(skin, request, begun)


def drive(flow: Flow, steps: Mapping[Step, Callable[[], Any]]) -> Any:
    """Do a flow's steps in a thread."""
    result, error = None, None
    while True:
        try:
            step = flow.send(result) if error is None else flow.throw(error)
        except StopIteration as stop:
            return stop.value
        try:
            result, error = steps[step]() if isinstance(step, str) else step.hold(), None
        except BaseException as raised:  # noqa: BLE001 - the flow raises it again
            error = raised


async def drive_async(flow: Flow, steps: Mapping[Step, Callable[[], Awaitable[Any]]]) -> Any:
    """Do a flow's steps in a task."""
    result, error = None, None
    while True:
        try:
            step = flow.send(result) if error is None else flow.throw(error)
        except StopIteration as stop:
            return stop.value
        try:
            result, error = await (steps[step]() if isinstance(step, str) else step.wait()), None
        except BaseException as raised:  # noqa: BLE001 - the flow raises it again
            error = raised


def _unanswered(skin: Skin, request: Any, reply: Reply, patience: Patience) -> Flow:
    """No answer came before the recorded agent turned away: let this one do so, too."""
    try:
        is_over = yield patience
    finally:
        if reply.crossing is not None:
            reply.crossing.settle(None, complete=False)
    if not is_over:
        return skin.fail(request, _lost(skin, request, patience))
    return _serve(skin, request, reply)


def _serve(skin: Skin, request: Any, reply: Reply) -> Any:
    error = None if reply.failure is None else skin.error(request, reply.failure)
    crossing, patience = reply.crossing, reply.patience
    if reply.status is None:
        if crossing is not None:
            crossing.settle(crossing.fed or None, complete=bool(crossing.fed))
        return skin.fail(request, error or skin.error(request, Failure(type="ConnectError", message="")))
    lost = None if patience is None else functools.partial(_lost, skin, request, patience)
    body = Served(reply.chunks, error, patience, lost, _late(skin, request, reply.delay))
    take = None if crossing is None else FedTake(crossing, pieces=len(reply.chunks))
    return skin.response(request, reply, body, take)


def _late(skin: Skin, request: Any, seconds: float) -> Late | None:
    if not seconds:
        return None
    timed_out = Failure(type="ReadTimeout", message="The read operation timed out")
    return Late(
        seconds=seconds,
        limit=skin.read_timeout(request),
        error=functools.partial(skin.error, request, timed_out),
    )


def _lost(skin: Skin, request: Any, patience: Patience) -> Exception:
    return skin.error(request, Failure(type="ReadTimeout", message=str(patience.lost())))
