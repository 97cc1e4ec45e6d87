"""How a request of aiohttp crosses: while it connects, sends, and starts to read the answer.

How a request of aiohttp crosses: while it gets its connection, sends, and starts to read the answer.

The skin for aiohttp 3.11 and later.

What is patched is public: ``BaseConnector.connect``, which every hop of every request goes through behind the
client's middlewares and in front of any socket; ``ClientRequest.send`` and ``ClientResponse.start``, which come next.
So everything above (redirects, cookies, retries, tracing, the response class) is aiohttp's own. Two private names
are needed: ``StreamReader._wait`` (see `aiohttp_reader`), and ``BaseConnector._release``, by which a connection goes
back (see `aiohttp_served`). Where one is missing nothing is patched, and the network guard refuses.
"""

from __future__ import annotations

import asyncio
import functools
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import ConnectionTimeoutError

from pytest_sparrow.boundaries.http import flow
from pytest_sparrow.boundaries.http.aiohttp.bodies import (
    LiveSource,
    Reader,
    ReplayedSource,
    connection_with,
    head,
    is_chunked,
    read_body,
)
from pytest_sparrow.boundaries.http.aiohttp.errors import error_of, failure_of
from pytest_sparrow.boundaries.http.bodies import LiveBodyRecorder
from pytest_sparrow.boundaries.http.flow import Live, drive_async, route
from pytest_sparrow.boundaries.patching import AttributePatch
from pytest_sparrow.boundaries.world import stepped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager

    from pytest_sparrow.boundaries.http.bodies import BodyRecorder, Served
    from pytest_sparrow.boundaries.http.exchange import Headers, Reply, TransportFailure
    from pytest_sparrow.boundaries.http.flow import Step
    from pytest_sparrow.run.crossing import Crossing

__all__ = ["connecting", "patches_for", "sending", "starting"]


_REDIRECTS = (301, 302, 303, 307, 308)


def connecting(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """``BaseConnector.connect``: where a request is answered, refused, or on its way."""

    async def connect(connector: Any, req: Any, *args: Any, **kwargs: Any) -> Any:
        call = _RequestCall(connector=connector, request=req)
        go = functools.partial(original, connector, req, *args, **kwargs)
        steps: dict[Step, Callable[[], Awaitable[Any]]] = {
            "read": functools.partial(read_body, req),
            "pause": functools.partial(asyncio.sleep, 0),
            "pass": functools.partial(_passed, go, req),
        }
        contact = _contact(connector, req)
        admitted = await drive_async(route(_ADAPTER, call, contact), steps)
        if not isinstance(admitted, Live):
            return admitted
        with admitted:
            connection = await _connected(go, req)
        vars(connection)[_KEY] = _Going(call, admitted, connection.protocol)
        return connection

    return connect


def sending(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """``ClientRequest.send``: what it draws or calls belongs to the world."""

    async def send(request: Any, conn: Any) -> Any:
        crossing = vars(conn).get(_KEY)
        if crossing is None:
            return await original(request, conn)
        with crossing.sending():
            return await stepped(original(request, conn))

    return send


def starting(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """``ClientResponse.start``: from here on, what the client reads is watched."""

    async def start(response: Any, connection: Any) -> Any:
        crossing = vars(connection).pop(_KEY, None)
        if crossing is None:
            return await original(response, connection)
        with crossing.sending():
            started = await stepped(original(response, connection))
        crossing.started(response)
        return started

    return start


async def _passed(go: Callable[[], Awaitable[Any]], request: Any) -> Any:
    connection = await go()
    if request.headers.get("connection", "").lower() == "close":
        # httpx over aiohttp, while recording: aiohttp would keep a connection that it has just asked to be closed.
        connection.protocol.force_close()
    return connection


async def _connected(go: Callable[[], Awaitable[Any]], request: Any) -> Any:
    try:
        return await stepped(go())
    except TimeoutError as error:
        # What the client makes of it, which is what the agent sees.
        raise ConnectionTimeoutError(f"Connection timeout to host {request.url}") from error


@dataclass(slots=True, kw_only=True)
class _RequestCall:
    """One request.

    Attributes:
        connector: what would connect it.
        request: the ``ClientRequest``.
        auto_decompress: whether the client gets compressed content uncompressed.
    """

    connector: Any
    request: Any
    auto_decompress: bool = True


_KEY = "_sparrow"
"""Where a connection keeps what it is to us: `_Going` or `_Given`."""


class _Going:
    """A connection to the world."""

    def __init__(self, call: _RequestCall, live: Live, protocol: Any) -> None:
        self._call = call
        self._live = live
        # Used once: whether a kept connection is still good at the next request is chance, and aiohttp asks again
        # where it isn't; that would be one crossing more.
        protocol.force_close()
        set_params = protocol.set_response_params

        def set_response_params(**params: Any) -> None:
            # Only the client and the parser know whether content is uncompressed on its way.
            del protocol.set_response_params
            call.auto_decompress = params.get("auto_decompress", True)
            set_params(**params)

        protocol.set_response_params = set_response_params

    def sending(self) -> AbstractContextManager[None]:
        return self._live

    def started(self, response: Any) -> None:
        _ADAPTER.watch(self._call, response, self._live.crossing)


class _Given:
    """A connection that has an answer already."""

    def __init__(self, reply: Reply, body: Served, recorder: BodyRecorder | None) -> None:
        self._reply = reply
        self._body = body
        self._recorder = recorder

    def sending(self) -> AbstractContextManager[None]:
        return nullcontext()

    def started(self, response: Any) -> None:
        parsed = response.content
        if parsed.is_eof():
            if self._recorder is not None:
                self._recorder.exhausted()
            return
        protocol = response.connection.protocol
        chunked = is_chunked(self._reply)
        source = ReplayedSource(self._body, self._recorder, protocol, parsed, chunked=chunked)
        response.content = Reader(
            source,
            self._recorder,
            parsed,
            chunked=chunked,
            timer=protocol.timer,
            unread_is_whole=_is_redirect(response),
        )


class _AiohttpAdapter:
    """See `pytest_sparrow.boundaries.http.flow.Adapter`."""

    def headers(self, request: _RequestCall) -> Headers:
        return list(request.request.headers.items())

    def response(
        self, request: _RequestCall, reply: Reply, body: Served, recorder: BodyRecorder | None
    ) -> Any:
        given = connection_with(request.connector, request.request, head(request.request, reply))
        vars(given)[_KEY] = _Given(reply, body, recorder)
        return given

    def fail(self, request: _RequestCall, error: Exception) -> Any:
        # Not raised here: the client makes a timeout while connecting of any timeout.
        return connection_with(request.connector, request.request, error)

    def watch(self, request: _RequestCall, response: Any, crossing: Crossing) -> Any:
        recorder = LiveBodyRecorder(
            crossing,
            method=request.request.method,
            status=response.status,
            headers=[
                (n.decode("utf-8", "replace"), v.decode("utf-8", "replace")) for n, v in response.raw_headers
            ],
            decoded=request.auto_decompress and "content-encoding" in response.headers,
        )
        arriving = response.content
        if arriving.at_eof():
            recorder.exhausted()
            return response
        chunked = "chunked" in response.headers.get("transfer-encoding", "").lower()
        response.content = Reader(
            LiveSource(arriving, recorder),
            recorder,
            arriving,
            chunked=chunked,
            unread_is_whole=_is_redirect(response),
        )
        return response

    def error(self, request: _RequestCall, failure: TransportFailure) -> Exception:
        return error_of(failure, request.request)

    def read_timeout(self, request: _RequestCall) -> float | None:  # noqa: ARG002
        """Not known before the client reads: see `ReplayedSource`."""
        return None

    def failure_of(self, error: BaseException) -> TransportFailure | None:
        return failure_of(error)


_ADAPTER = _AiohttpAdapter()


def _is_redirect(response: Any) -> bool:
    """Whether the client may go on without having read the body, as it does when it follows."""
    return response.status in _REDIRECTS and "location" in response.headers


def _contact(connector: Any, request: Any) -> flow.Contact:
    url = request.url
    upgrade = request.headers.get("upgrade", "").lower()
    # A connector to a unix socket (or a named pipe) has its path: the URL's host says nothing then.
    path = getattr(connector, "path", None)
    return flow.Contact(
        method=request.method,
        url=str(url),
        host=path if isinstance(path, str) else url.raw_host or "",
        port=url.port,
        websocket=url.scheme in ("ws", "wss") or upgrade == "websocket",
    )


_NEEDED = (
    ("BaseConnector", "connect"),
    ("BaseConnector", "_release"),
    ("ClientRequest", "send"),
    ("ClientResponse", "start"),
    ("StreamReader", "_wait"),
)


def patches_for(library: Any) -> list[AttributePatch]:
    """What to replace in a loaded aiohttp; nothing is changed yet."""
    if not all(name in vars(getattr(library, owner, object)) for owner, name in _NEEDED):
        return []
    # Only now, since it imports aiohttp, which may have been half loaded.

    found = []
    for owner, name, wrapper in (
        (library.BaseConnector, "connect", connecting),
        (library.ClientRequest, "send", sending),
        (library.ClientResponse, "start", starting),
    ):
        original = vars(owner)[name]
        found.append(AttributePatch(owner, name, functools.wraps(original)(wrapper(original))))
    return found
