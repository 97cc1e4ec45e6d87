"""The adapter for httpx2 and httpx, which have the same classes: one adapter, made for each module.

`Client._transport_for_url` and `AsyncClient._transport_for_url` are patched: every request, redirect, mount and proxy
goes through one of them. They return the chosen transport within a proxy transport. The names are private. Where one is
missing, the public ``HTTPTransport.handle_request`` or ``AsyncHTTPTransport.handle_async_request`` is patched, which
custom transports do not go through.

Whether a transport leads to the world or to code of this process is decided by the first rule that matches:

1. MockTransport, ASGITransport, WSGITransport and their subclasses: in process.
2. HTTPTransport, AsyncHTTPTransport and their subclasses: the world.
3. A transport with a callable ``app``, or of a framework's test client: in process.
4. A transport that holds another transport (retries, caches, logging): what the other transport is.
5. Any other transport (openai's and litellm's aiohttp transports, curl): the world. A home-made fake that is taken for
   the world is only recorded; the opposite mistake would let a replay call the world.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.http.adapter import Adapter, Library
from pytest_sparrow.boundaries.http.bodies import LiveBodyRecorder, Tee
from pytest_sparrow.boundaries.http.flow import OutgoingRequest, sent, sent_async
from pytest_sparrow.boundaries.patching import AttributePatch
from pytest_sparrow.exchange import TransportErrorName, TransportFailure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from pytest_sparrow.boundaries.http.bodies import BodyRecorder, ServedBody
    from pytest_sparrow.boundaries.http.exchange import Headers, Reply
    from pytest_sparrow.run.crossing import Crossing

_IN_PROCESS = ("MockTransport", "ASGITransport", "WSGITransport")
_NETWORK = ("HTTPTransport", "AsyncHTTPTransport")
_TEST_CLIENTS = ("starlette.testclient", "litestar.testing")
_DEEPEST = 8


def is_in_process(transport: Any) -> bool:
    """Whether requests through this transport stay in this process."""
    return _decided(transport)[1] == "in process"


def _is_mocked(transport: Any, request: Any) -> bool:
    """Whether pytest-httpx answers a request: its fixture replaces the methods of both network transports."""
    kind: Any = type(transport)
    method: Any = getattr(kind, "handle_request", None) or getattr(kind, "handle_async_request", None)
    if getattr(method, "__module__", "") != "pytest_httpx":
        return False
    names = method.__code__.co_freevars
    held = dict(zip(names, method.__closure__ or (), strict=False))  # a private name
    options = held["options"].cell_contents if "options" in held else None
    return options is None or bool(options.should_mock(request))


def speaks_http2(transport: Any) -> bool:
    """Whether a transport may speak HTTP/2, where a ``Connection`` header is an error (RFC 9113, 8.2.2)."""
    return bool(getattr(getattr(_decided(transport)[0], "_pool", None), "_http2", False))


def _decided(transport: Any) -> tuple[Any, str]:
    """The transport that decides, the first that a rule knows, else the innermost; and what the rule says."""
    found, verdict = transport, _verdict(transport)
    for _ in range(_DEEPEST):
        inner = None if verdict else _inner(found)
        if inner is None:
            break
        found, verdict = inner, _verdict(inner)
    return found, verdict


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
    """The verdict of a class, which never changes: the library of the class is loaded."""
    if any(known in kind.__mro__ for known in _classes(_IN_PROCESS)):
        return "in process"
    return "world" if any(known in kind.__mro__ for known in _classes(_NETWORK)) else ""


def _classes(names: tuple[str, ...]) -> Iterator[type]:
    for library in LIBRARIES:
        module = sys.modules.get(library.name)
        for name in names:
            if module is not None and isinstance(kind := getattr(module, name, None), type):
                yield kind


def _inner(transport: Any) -> Any:
    """The transport that another transport holds in an attribute, or None."""
    # Not getattr(): a property may do work, and a __getattr__ may give transports without end.
    for value in getattr(transport, "__dict__", {}).values():
        if hasattr(type(value), "handle_request") or hasattr(type(value), "handle_async_request"):
            return value
    return None


class _HttpxAdapter(Adapter):
    """The adapter for one of the two modules."""

    def __init__(self, library: Any) -> None:
        super().__init__(library)
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
        """Send one request of a thread through the boundary."""
        return sent(
            self,
            request,
            _outgoing(request, transport),
            read=request.read,
            send=functools.partial(send, request),
        )

    async def cross_async(self, request: Any, transport: Any, send: Callable[[Any], Awaitable[Any]]) -> Any:
        """Send one request of a task through the boundary."""

        def alone() -> Any:
            return None if speaks_http2(transport) else request.headers

        return await sent_async(
            self,
            request,
            _outgoing(request, transport),
            read=request.aread,
            send=functools.partial(send, request),
            alone=alone,
        )

    def headers(self, request: Any) -> Headers:
        try:
            return [
                (name.decode("ascii").lower(), value.decode("ascii")) for name, value in request.headers.raw
            ]
        except UnicodeDecodeError:
            return request.headers.multi_items()  # type: ignore[no-any-return]

    def response(self, request: Any, reply: Reply, body: ServedBody, recorder: BodyRecorder | None) -> Any:
        stream = self._stream(body, recorder, self.failure_of)
        # As bytes: the library would encode text as ASCII, and a recorded header may hold other characters.
        headers = [
            (name.encode("utf-8", "replace"), value.encode("utf-8", "replace"))
            for name, value in reply.headers
        ]
        extensions = {"reason_phrase": reply.reason.encode("latin-1", "replace")}
        return self._library.Response(
            reply.status, headers=headers, stream=stream, request=request, extensions=extensions
        )

    def fail(self, request: Any, error: Exception) -> Any:  # noqa: ARG002 - the error holds the request
        raise error

    def watch(self, request: Any, response: Any, crossing: Crossing) -> Any:
        loaded = response.is_closed
        recorder = LiveBodyRecorder(
            crossing,
            method=request.method,
            status=response.status_code,
            headers=response.headers.multi_items(),
            decoded=loaded,
            reason=_reason_of(response),
        )
        if loaded:
            # The transport has read the whole body, so nobody will iterate the stream.
            recorder.add(response.content)
            recorder.exhausted()
        else:
            response.stream = self._stream(response.stream, recorder, self.failure_of)
        return response

    def read_timeout(self, request: Any) -> float | None:
        limit: float | None = request.extensions.get("timeout", {}).get("read")
        return limit

    def error(self, request: Any, failure: TransportFailure) -> Exception:
        exported = failure.type if failure.type in self._library.__all__ else TransportErrorName.CONNECT_ERROR
        kind = getattr(self._library, exported)
        if not (isinstance(kind, type) and issubclass(kind, self._library.RequestError)):
            kind = self._library.ConnectError
        error: Exception = kind(failure.message, request=request)
        return error


def _reason_of(response: Any) -> str | None:
    """The phrase behind the status, as httpcore gives it; HTTP/2 has none."""
    phrase = response.extensions.get("reason_phrase")
    return phrase.decode("latin-1") if isinstance(phrase, bytes) else None


class _ProxyTransport:
    """Sends a client's requests through the boundary; everything else is the wrapped transport's own."""

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


def _outgoing(request: Any, transport: Any) -> OutgoingRequest:
    url = str(request.url)
    # One walk over the raw headers: each look-up by name is ten calls of the library's.
    said = {name.lower(): value for name, value in request.headers.raw}
    address = _addresses.get(url)
    if address is None:
        if len(_addresses) >= _MOST_ADDRESSES:
            _addresses.clear()
        address = _addresses[url] = request.url.scheme, request.url.host, request.url.port
    decides, verdict = _decided(transport)
    return OutgoingRequest.to(
        *address,
        method=request.method,
        url=url,
        upgrade=said.get(b"upgrade", b"").decode("latin-1"),
        user_agent=said.get(b"user-agent", b"").decode("latin-1"),
        in_process=verdict == "in process" or _is_mocked(decides, request),
    )


_addresses: dict[str, tuple[str, str, int | None]] = {}
"""Scheme, host and port of URLs: an agent asks at few, a thousand times each."""
_MOST_ADDRESSES = 256


def patches_for(library: Any) -> list[AttributePatch]:
    """The patches for a loaded httpx2 or httpx; none where the module is only half loaded."""
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


LIBRARIES = tuple(
    Library(
        name=name,
        oldest=oldest,
        covered="recorded and replayed",
        needs=("Client._transport_for_url", "AsyncClient._transport_for_url"),
        patches=patches_for,
        falls_back=True,
    )
    for name, oldest in (("httpx", "0.28"), ("httpx2", "2.10"))
)
"""Both modules. Names of their transport errors are those of `TransportErrorName`."""
