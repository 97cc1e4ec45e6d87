"""The skin for httpx2 and httpx: the same classes twice, so one skin, given the module.

What is patched: ``Client._transport_for_url`` and ``AsyncClient._transport_for_url``, which every request,
redirect, mount and proxy goes through. The name is private; where it is missing, the public
``HTTPTransport.handle_request`` and ``AsyncHTTPTransport.handle_async_request`` are, which miss custom
transports.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pytest_sparrow.boundaries.http import gate
from pytest_sparrow.boundaries.http.reply import Failure, Reply
from pytest_sparrow.boundaries.http.streams import Served, Tee, checkpoint
from pytest_sparrow.boundaries.http.take import FedTake, LiveTake
from pytest_sparrow.boundaries.http.transports import is_in_process, speaks_http2
from pytest_sparrow.boundaries.randomness import aside, stepped
from pytest_sparrow.recording.window import answering

if TYPE_CHECKING:
    from pytest_sparrow.boundaries.patience import Patience

__all__ = ["Patch", "patches_for"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """One attribute of a class, replaced.

    Attributes:
        owner: the class.
        name: the attribute.
        original: what stood there.
        replacement: what stands there now.
    """

    owner: type
    name: str
    original: Any
    replacement: Any


def patches_for(library: Any) -> list[Patch]:
    """What to replace in a loaded httpx2 or httpx; nothing is changed yet."""
    skin = _Skin(library)
    found: list[Patch] = []
    for client, transport, public, wrap in (
        ("Client", "HTTPTransport", "handle_request", skin.wrap_handle),
        ("AsyncClient", "AsyncHTTPTransport", "handle_async_request", skin.wrap_handle_async),
    ):
        owner, name, wrapper = getattr(library, client, None), "_transport_for_url", skin.wrap_choice
        if owner is None or name not in vars(owner):
            owner, name, wrapper = getattr(library, transport, None), public, wrap
        if owner is not None and name in vars(owner):
            original = vars(owner)[name]
            found.append(Patch(owner=owner, name=name, original=original, replacement=wrapper(original)))
    return found


_Step: TypeAlias = Literal["read", "pause", "pass", "send"]
"""What a crossing needs done by the sync or the async world around it: read the request's body; let other
tasks run; pass the request on, since it doesn't cross; send it into the world. (No enum: hashing its members
is slow.)"""

_Flow: TypeAlias = Generator["_Step | Patience", Any, Any]
"""A step may also be patience: wait as long."""


class _Skin:
    """One library's side of the boundary."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._stream = type("SparrowStream", (Tee, library.SyncByteStream, library.AsyncByteStream), {})

    def wrap_choice(self, original: Any) -> Any:
        @functools.wraps(original)
        def _transport_for_url(client: Any, url: Any) -> Any:
            transport = original(client, url)
            return transport if isinstance(transport, _Door) else _Door(self, transport)

        return _transport_for_url

    def wrap_handle(self, original: Any) -> Any:
        @functools.wraps(original)
        def handle_request(transport: Any, request: Any) -> Any:
            return self.cross(request, transport, functools.partial(original, transport))

        return handle_request

    def wrap_handle_async(self, original: Any) -> Any:
        @functools.wraps(original)
        async def handle_async_request(transport: Any, request: Any) -> Any:
            return await self.cross_async(request, transport, functools.partial(original, transport))

        return handle_async_request

    def cross(self, request: Any, transport: Any, send: Callable[[Any], Any]) -> Any:
        """One request, from a thread."""
        flow = self._flow(request, transport, asynchronous=False)
        steps: dict[_Step, Callable[[], Any]] = {
            "read": request.read,
            "pause": _nothing,
            "pass": functools.partial(send, request),
            "send": functools.partial(_sent, send, request),
        }
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

    async def cross_async(self, request: Any, transport: Any, send: Callable[[Any], Awaitable[Any]]) -> Any:
        """One request, from a task."""
        flow = self._flow(request, transport, asynchronous=True)
        steps: dict[_Step, Callable[[], Awaitable[Any]]] = {
            "read": request.aread,
            "pause": checkpoint,
            "pass": functools.partial(send, request),
            "send": functools.partial(_sent_async, send, request),
        }
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

    def _flow(self, request: Any, transport: Any, *, asynchronous: bool) -> _Flow:
        contact = _contact(request, transport)
        met = gate.door(contact)
        if met is None:
            return (yield "pass")
        if isinstance(met, Reply):
            yield "pause"
            return self._serve(met, request)
        yield "read"
        begun = gate.begin(met, contact, request.headers.multi_items(), request.content)
        if isinstance(begun, Reply):
            yield "pause"
            if begun.status is None and begun.patience is not None:
                return (yield from self._unanswered(begun, begun.patience, request))
            return self._serve(begun, request)
        return (yield from self._live(begun, request, alone=asynchronous and not speaks_http2(transport)))

    def _unanswered(self, reply: Reply, patience: Patience, request: Any) -> _Flow:
        """No answer came before the recorded agent turned away: let this one do so, too."""
        try:
            is_over = yield patience
        finally:
            if reply.crossing is not None:
                reply.crossing.settle(None, complete=False)
        if not is_over:
            raise self._lost(patience, request)
        return self._serve(reply, request)

    def _lost(self, patience: Patience, request: Any) -> Exception:
        return self._error(Failure(type="ReadTimeout", message=str(patience.lost())), request)

    def _live(self, crossing: Any, request: Any, *, alone: bool) -> _Flow:
        """Send a request and watch its answer; ``alone``: on a connection that nobody uses again."""
        before = request.headers.get("connection")
        if alone:
            # A client that is cached across event loops would find this connection in its pool, in the next
            # loop, and die with "Event loop is closed".
            request.headers["connection"] = "close"
        try:
            with answering():
                response = yield "send"
        except BaseException as error:
            failure = self._failure_of(error)
            if failure is None:
                crossing.settle(None, complete=False)
            else:
                crossing.settle({"error": {"type": failure.type, "message": failure.message}})
            raise
        finally:
            if alone:
                _set_or_remove(request.headers, "connection", before)
        loaded = response.is_closed
        take = LiveTake(
            crossing,
            method=request.method,
            status=response.status_code,
            headers=response.headers.multi_items(),
            decoded=loaded,
        )
        if loaded:
            # The transport read it all already, so nobody will iterate its stream.
            take.add(response.content)
            take.exhausted()
        else:
            response.stream = self._stream(response.stream, take, self._failure_of)
        return response

    def _serve(self, reply: Reply, request: Any) -> Any:
        error = None if reply.failure is None else self._error(reply.failure, request)
        if reply.status is None:
            if reply.crossing is not None:
                reply.crossing.settle(reply.crossing.fed or None, complete=bool(reply.crossing.fed))
            raise error or self._library.ConnectError("", request=request)
        take = None if reply.crossing is None else FedTake(reply.crossing, pieces=len(reply.chunks))
        patience = reply.patience
        lost = None if patience is None else functools.partial(self._lost, patience, request)
        stream = self._stream(Served(reply.chunks, error, patience, lost), take, self._failure_of)
        # Bytes: the library would encode text as ASCII, and a recorded header may hold more.
        headers = [
            (name.encode("utf-8", "replace"), value.encode("utf-8", "replace"))
            for name, value in reply.headers
        ]
        return self._library.Response(reply.status, headers=headers, stream=stream, request=request)

    def _failure_of(self, error: BaseException) -> Failure | None:
        """An error by the nearest name that the library exports, for a replay to find; None: cancelled."""
        if not isinstance(error, Exception):
            return None
        names = (k.__name__ for k in type(error).__mro__ if getattr(self._library, k.__name__, None) is k)
        return Failure(type=next(names, type(error).__name__), message=str(error))

    def _error(self, failure: Failure, request: Any) -> Exception:
        """A recorded error as an exception of this library; nothing else is ever looked up by that name."""
        exported = failure.type if failure.type in self._library.__all__ else "ConnectError"
        kind = getattr(self._library, exported)
        if not (isinstance(kind, type) and issubclass(kind, self._library.RequestError)):
            kind = self._library.ConnectError
        error: Exception = kind(failure.message, request=request)
        return error


class _Door:
    """Stands before a transport for one request; everything but sending is the transport's own."""

    __slots__ = ("_skin", "_transport")

    def __init__(self, skin: _Skin, transport: Any) -> None:
        self._skin = skin
        self._transport = transport

    def handle_request(self, request: Any) -> Any:
        return self._skin.cross(request, self._transport, self._transport.handle_request)

    async def handle_async_request(self, request: Any) -> Any:
        return await self._skin.cross_async(request, self._transport, self._transport.handle_async_request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def _contact(request: Any, transport: Any) -> gate.Contact:
    url = request.url
    return gate.Contact(
        method=request.method,
        url=str(url),
        host=url.host,
        port=url.port or _PORTS.get(url.scheme),
        in_process=is_in_process(transport),
        websocket=url.scheme in ("ws", "wss") or request.headers.get("upgrade", "").lower() == "websocket",
    )


def _set_or_remove(headers: Any, name: str, value: str | None) -> None:
    if value is None:
        del headers[name]
    else:
        headers[name] = value


def _sent(send: Callable[[Any], Any], request: Any) -> Any:
    with aside():
        return send(request)


def _sent_async(send: Callable[[Any], Awaitable[Any]], request: Any) -> Awaitable[Any]:
    return stepped(send(request))


def _nothing() -> None:
    """A thread needs no pause: the system sees to it."""
