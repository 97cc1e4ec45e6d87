"""The adapter for httpx2 and httpx: the same classes twice, so one adapter, given the module.

Telling the world from code of this process, by the transport that a client would use.

The rule, first match wins:

1. MockTransport, ASGITransport, WSGITransport, and subclasses: in process.
2. HTTPTransport, AsyncHTTPTransport, and subclasses: the world.
3. It has a callable ``app``, or belongs to a framework's test client: in process.
4. It holds another transport (retries, caches, logging): whatever that one is.
5. Anything else (openai's and litellm's aiohttp transports, curl): the world. Taking a home-made fake for the
   world only means that its answers are recorded; the other mistake would go live in a replay.

The skin for httpx2 and httpx: the same classes twice, so one skin, given the module.

What is patched: ``Client._transport_for_url`` and ``AsyncClient._transport_for_url``, which every request,
redirect, mount and proxy goes through. The name is private; where it is missing, the public
``HTTPTransport.handle_request`` and ``AsyncHTTPTransport.handle_async_request`` are, which miss custom
transports.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.http import flow
from pytest_sparrow.boundaries.http.bodies import LiveBodyRecorder, Tee, checkpoint
from pytest_sparrow.boundaries.http.exchange import TransportFailure
from pytest_sparrow.boundaries.http.flow import drive, drive_async, whole
from pytest_sparrow.boundaries.patching import AttributePatch
from pytest_sparrow.boundaries.world import isolated, stepped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from pytest_sparrow.boundaries.http.bodies import BodyRecorder, Served
    from pytest_sparrow.boundaries.http.exchange import Headers, Reply
    from pytest_sparrow.boundaries.http.flow import Step
    from pytest_sparrow.run.crossing import Crossing

__all__ = ["is_in_process", "patches_for", "speaks_http2"]


_LIBRARIES = ("httpx2", "httpx")
_IN_PROCESS = ("MockTransport", "ASGITransport", "WSGITransport")
_NETWORK = ("HTTPTransport", "AsyncHTTPTransport")
_TEST_CLIENTS = ("starlette.testclient", "litestar.testing")
_DEEPEST = 8


def is_in_process(transport: Any) -> bool:
    """Whether requests through this transport stay in this process."""
    return any(_verdict(found) == "in process" for found in _last(transport))


def speaks_http2(transport: Any) -> bool:
    """Whether it may speak HTTP/2, where a ``Connection`` header is an error (RFC 9113, 8.2.2)."""
    return any(getattr(getattr(found, "_pool", None), "_http2", False) for found in _last(transport))


def _last(transport: Any) -> Iterator[Any]:
    """The transport that decides, at most one: the first that is known, else the innermost."""
    found = transport
    for _ in range(_DEEPEST):
        inner = None if _verdict(found) else _inner(found)
        if inner is None:
            break
        found = inner
    yield found


def _verdict(transport: Any) -> str:
    kind: type = type(transport)
    by_class = _verdict_of_class(kind)
    if by_class:
        return by_class
    if callable(getattr(transport, "app", None)) or type(transport).__module__.startswith(_TEST_CLIENTS):
        return "in process"
    return ""


@functools.lru_cache(maxsize=256)
def _verdict_of_class(kind: type) -> str:
    """What a class says for good: the library that it comes from is loaded by now."""
    if any(known in kind.__mro__ for known in _classes(_IN_PROCESS)):
        return "in process"
    return "world" if any(known in kind.__mro__ for known in _classes(_NETWORK)) else ""


def _classes(names: tuple[str, ...]) -> Iterator[type]:
    for library in _LIBRARIES:
        module = sys.modules.get(library)
        for name in names:
            if module is not None and isinstance(kind := getattr(module, name, None), type):
                yield kind


def _inner(transport: Any) -> Any:
    """The transport that another one holds in an attribute, or None."""
    # vars(), not getattr(): a property may do work, and __getattr__ may find transports without end.
    for value in getattr(transport, "__dict__", {}).values():
        if hasattr(type(value), "handle_request") or hasattr(type(value), "handle_async_request"):
            return value
    return None


def patches_for(library: Any) -> list[AttributePatch]:
    """What to replace in a loaded httpx2 or httpx; nothing is changed yet."""
    if not hasattr(library, "Client"):
        return []
    adapter = _HttpxAdapter(library)
    found: list[AttributePatch] = []
    for client, transport, public, wrap in (
        ("Client", "HTTPTransport", "handle_request", adapter.wrap_handle),
        ("AsyncClient", "AsyncHTTPTransport", "handle_async_request", adapter.wrap_handle_async),
    ):
        owner, name, wrapper = getattr(library, client, None), "_transport_for_url", adapter.wrap_choice
        if owner is None or name not in vars(owner):
            owner, name, wrapper = getattr(library, transport, None), public, wrap
        if owner is not None and name in vars(owner):
            found.append(AttributePatch(owner, name, wrapper(vars(owner)[name])))
    return found


class _HttpxAdapter:
    """One library's side of the boundary."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._stream = type("SparrowStream", (Tee, library.SyncByteStream, library.AsyncByteStream), {})

    def wrap_choice(self, original: Any) -> Any:
        @functools.wraps(original)
        def _transport_for_url(client: Any, url: Any) -> Any:
            transport = original(client, url)
            return transport if isinstance(transport, _ProxyTransport) else _ProxyTransport(self, transport)

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
        steps: dict[Step, Callable[[], Any]] = {
            "read": request.read,
            "pause": _nothing,
            "pass": functools.partial(send, request),
            "send": functools.partial(_sent, send, request),
        }
        return drive(whole(self, request, _contact(request, transport)), steps)

    async def cross_async(self, request: Any, transport: Any, send: Callable[[Any], Awaitable[Any]]) -> Any:
        """One request, from a task."""
        steps: dict[Step, Callable[[], Awaitable[Any]]] = {
            "read": request.aread,
            "pause": checkpoint,
            "pass": functools.partial(send, request),
            "send": functools.partial(_sent_async, send, request),
        }

        def alone() -> Any:
            return None if speaks_http2(transport) else request.headers

        return await drive_async(whole(self, request, _contact(request, transport), alone=alone), steps)

    def headers(self, request: Any) -> Headers:
        """See `pytest_sparrow.boundaries.http.flow.Adapter`, also for the methods below."""
        return request.headers.multi_items()  # type: ignore[no-any-return]

    def response(self, request: Any, reply: Reply, body: Served, recorder: BodyRecorder | None) -> Any:
        stream = self._stream(body, recorder, self.failure_of)
        # Bytes: the library would encode text as ASCII, and a recorded header may hold more.
        headers = [
            (name.encode("utf-8", "replace"), value.encode("utf-8", "replace"))
            for name, value in reply.headers
        ]
        return self._library.Response(reply.status, headers=headers, stream=stream, request=request)

    def fail(self, request: Any, error: Exception) -> Any:  # noqa: ARG002 - the error holds it
        raise error

    def watch(self, request: Any, response: Any, crossing: Crossing) -> Any:
        loaded = response.is_closed
        recorder = LiveBodyRecorder(
            crossing,
            method=request.method,
            status=response.status_code,
            headers=response.headers.multi_items(),
            decoded=loaded,
        )
        if loaded:
            # The transport read it all already, so nobody will iterate its stream.
            recorder.add(response.content)
            recorder.exhausted()
        else:
            response.stream = self._stream(response.stream, recorder, self.failure_of)
        return response

    def read_timeout(self, request: Any) -> float | None:
        limit: float | None = request.extensions.get("timeout", {}).get("read")
        return limit

    def failure_of(self, error: BaseException) -> TransportFailure | None:
        if not isinstance(error, Exception):
            return None
        names = (k.__name__ for k in type(error).__mro__ if getattr(self._library, k.__name__, None) is k)
        return TransportFailure(type=next(names, type(error).__name__), message=str(error))

    def error(self, request: Any, failure: TransportFailure) -> Exception:
        exported = failure.type if failure.type in self._library.__all__ else "ConnectError"
        kind = getattr(self._library, exported)
        if not (isinstance(kind, type) and issubclass(kind, self._library.RequestError)):
            kind = self._library.ConnectError
        error: Exception = kind(failure.message, request=request)
        return error


class _ProxyTransport:
    """Stands before a transport for one request; everything but sending is the transport's own."""

    __slots__ = ("_adapter", "_transport")

    def __init__(self, adapter: _HttpxAdapter, transport: Any) -> None:
        self._adapter = adapter
        self._transport = transport

    def handle_request(self, request: Any) -> Any:
        return self._adapter.cross(request, self._transport, self._transport.handle_request)

    async def handle_async_request(self, request: Any) -> Any:
        return await self._adapter.cross_async(request, self._transport, self._transport.handle_async_request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def _contact(request: Any, transport: Any) -> flow.Contact:
    url = request.url
    return flow.Contact(
        method=request.method,
        url=str(url),
        host=url.host,
        port=url.port or _PORTS.get(url.scheme),
        in_process=is_in_process(transport),
        websocket=url.scheme in ("ws", "wss") or request.headers.get("upgrade", "").lower() == "websocket",
    )


def _sent(send: Callable[[Any], Any], request: Any) -> Any:
    with isolated():
        return send(request)


def _sent_async(send: Callable[[Any], Awaitable[Any]], request: Any) -> Awaitable[Any]:
    return stepped(send(request))


def _nothing() -> None:
    """A thread needs no pause: the system sees to it."""
