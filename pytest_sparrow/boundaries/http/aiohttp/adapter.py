"""Sends requests of aiohttp through the boundary while aiohttp connects, sends, and starts to read the answer.

The patched names are public: ``BaseConnector.connect``, which every hop of every request goes through, behind the
client's middlewares and in front of any socket; then ``ClientRequest.send`` and ``ClientResponse.start``. So redirects,
cookies, retries, tracing and the response class stay aiohttp's own.
"""

from __future__ import annotations

import ast
import asyncio
import errno
import functools
import re
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from pytest_sparrow.boundaries.http.adapter import Adapter
from pytest_sparrow.boundaries.http.aiohttp import LIBRARY
from pytest_sparrow.boundaries.http.aiohttp.bodies import (
    BodyReader,
    LiveSource,
    ReplayedSource,
    is_chunked,
    read_body,
    replay_connection,
)
from pytest_sparrow.boundaries.http.bodies import LiveBodyRecorder
from pytest_sparrow.boundaries.http.flow import LiveRequest, OutgoingRequest, drive_async, route
from pytest_sparrow.boundaries.patching import AttributePatch
from pytest_sparrow.boundaries.world import stepped
from pytest_sparrow.exchange import TransportErrorName, TransportFailure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager

    from pytest_sparrow.boundaries.http.bodies import BodyRecorder, ServedBody
    from pytest_sparrow.boundaries.http.exchange import Headers, Reply
    from pytest_sparrow.boundaries.http.flow import FlowStep
    from pytest_sparrow.run.crossing import Crossing

_REDIRECTS = (301, 302, 303, 307, 308)


def _wrap_connect(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Wrap ``BaseConnector.connect``, which gives a request its connection: to the world, or with an answer on it."""

    async def connect(connector: Any, req: Any, *args: Any, **kwargs: Any) -> Any:
        request = _ConnectingRequest(connector=connector, request=req)
        go = functools.partial(original, connector, req, *args, **kwargs)
        steps: dict[FlowStep, Callable[[], Awaitable[Any]]] = {
            "read": functools.partial(read_body, req),
            "pause": functools.partial(asyncio.sleep, 0),
            "pass": functools.partial(_passed, go, req),
        }
        routed = await drive_async(route(ADAPTER, request, _outgoing(connector, req)), steps)
        if not isinstance(routed, LiveRequest):
            return routed
        with routed:
            connection = await _connected(go, req)
        vars(connection)[_KEY] = _LiveConnection(request, routed, connection.protocol)
        return connection

    return connect


def _wrap_send(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Wrap ``ClientRequest.send``: the random numbers and calls within belong to the world."""

    async def send(request: Any, conn: Any) -> Any:
        known = vars(conn).get(_KEY)
        if known is None:
            return await original(request, conn)
        with known.sending():
            return await stepped(original(request, conn))

    return send


def _wrap_start(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Wrap ``ClientResponse.start``, after which the client reads the body: the response gets a `BodyReader`."""

    async def start(response: Any, connection: Any) -> Any:
        known = vars(connection).pop(_KEY, None)
        if known is None:
            return await original(response, connection)
        with known.sending():
            started = await stepped(original(response, connection))
        known.started(response)
        return started

    return start


async def _passed(go: Callable[[], Awaitable[Any]], request: Any) -> Any:
    connection = await go()
    if request.headers.get("connection", "").lower() == "close":
        # httpx over aiohttp while recording: aiohttp would keep a connection although the request asks to close it.
        _use_once(connection.protocol)
    return connection


def _use_once(protocol: Any) -> None:
    """See to it that no other request gets the connection."""
    if hasattr(protocol, "force_close"):
        protocol.force_close()
    else:  # aiohttp 3.11.0
        protocol._should_close = True  # noqa: SLF001


async def _connected(go: Callable[[], Awaitable[Any]], request: Any) -> Any:
    try:
        return await stepped(go())
    except TimeoutError as error:
        # The client raises this error, so the agent sees it.
        raise aiohttp.ConnectionTimeoutError(f"Connection timeout to host {request.url}") from error


@dataclass(slots=True, kw_only=True)
class _ConnectingRequest:
    """One request that asks for a connection.

    Attributes:
        connector: the client's connector.
        request: the ``ClientRequest``.
        auto_decompress: whether aiohttp uncompresses content for the client.
    """

    connector: Any
    request: Any
    auto_decompress: bool = True


_KEY = "_sparrow"
"""The attribute of a connection that holds a `_LiveConnection` or an `_AnsweredConnection`."""


class _LiveConnection:
    """Watches a connection to the world."""

    def __init__(self, request: _ConnectingRequest, live: LiveRequest, protocol: Any) -> None:
        self._request = request
        self._live = live
        # Used once: whether a kept connection is still open at the next request is chance, and aiohttp sends again
        # where it is not, which would be one more crossing.
        _use_once(protocol)
        set_params = protocol.set_response_params

        def set_response_params(**params: Any) -> None:
            # Only the client and the parser know whether aiohttp uncompresses content.
            del protocol.set_response_params
            request.auto_decompress = params.get("auto_decompress", True)
            set_params(**params)

        protocol.set_response_params = set_response_params

    def sending(self) -> AbstractContextManager[None]:
        return self._live

    def started(self, response: Any) -> None:
        ADAPTER.watch(self._request, response, self._live.crossing)


class _AnsweredConnection:
    """Serves the answer that a connection without a socket holds."""

    def __init__(self, reply: Reply, body: ServedBody, recorder: BodyRecorder | None) -> None:
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
        response.content = BodyReader(
            source,
            self._recorder,
            parsed,
            ADAPTER.failure_of,
            chunked=chunked,
            timer=protocol.timer,
            unread_is_whole=_is_redirect(response),
        )


class _AiohttpAdapter(Adapter):
    """The adapter; its requests are `_ConnectingRequest`, its responses connections, until aiohttp reads the answer."""

    def headers(self, request: _ConnectingRequest) -> Headers:
        return list(request.request.headers.items())

    def response(
        self, request: _ConnectingRequest, reply: Reply, body: ServedBody, recorder: BodyRecorder | None
    ) -> Any:
        connection = replay_connection(request.connector, request.request, reply)
        vars(connection)[_KEY] = _AnsweredConnection(reply, body, recorder)
        return connection

    def fail(self, request: _ConnectingRequest, error: Exception) -> Any:
        if isinstance(error, aiohttp.ClientConnectorError):
            raise error  # aiohttp 3.11 would ask again, had it got a connection
        # Not raised here: the client would turn any timeout into a timeout while connecting.
        return replay_connection(request.connector, request.request, error)

    def watch(self, request: _ConnectingRequest, response: Any, crossing: Crossing) -> Any:
        recorder = LiveBodyRecorder(
            crossing,
            method=request.request.method,
            status=response.status,
            headers=[
                (n.decode("utf-8", "replace"), v.decode("utf-8", "replace")) for n, v in response.raw_headers
            ],
            decoded=request.auto_decompress and "content-encoding" in response.headers,
            reason=response.reason,
        )
        arriving = response.content
        if arriving.at_eof():
            recorder.exhausted()
            return response
        chunked = "chunked" in response.headers.get("transfer-encoding", "").lower()
        response.content = BodyReader(
            LiveSource(arriving, recorder),
            recorder,
            arriving,
            self.failure_of,
            chunked=chunked,
            unread_is_whole=_is_redirect(response),
        )
        return response

    def error(self, request: _ConnectingRequest, failure: TransportFailure) -> Exception:
        return error_of(failure, request.request)

    def read_timeout(self, request: _ConnectingRequest) -> float | None:  # noqa: ARG002
        return None  # not known before the client reads: `ReplayedSource` asks then


ADAPTER = _AiohttpAdapter(aiohttp)


def _is_redirect(response: Any) -> bool:
    """Whether the client may follow the answer without reading its body."""
    return response.status in _REDIRECTS and "location" in response.headers


def _outgoing(connector: Any, request: Any) -> OutgoingRequest:
    url = request.url
    # A connector to a Unix socket or a named pipe has a path; then the URL's host means nothing.
    path = getattr(connector, "path", None)
    return OutgoingRequest.to(
        url.scheme,
        path if isinstance(path, str) else url.raw_host or "",
        url.port,
        method=request.method,
        url=str(url),
        upgrade=request.headers.get("upgrade", ""),
        user_agent=request.headers.get("user-agent"),
    )


# Errors of sending and reading; the other exported errors say that the request itself is wrong.
_RAISED = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, aiohttp.ClientResponseError)


def error_of(failure: TransportFailure, request: Any) -> Exception:
    """A recorded failure as the error that aiohttp raises for this request."""
    if failure.type == "TimeoutError":
        # The client's total timeout raises asyncio's error.
        return TimeoutError(failure.message) if failure.message else TimeoutError()
    name = LIBRARY.errors.get(failure.type, failure.type)
    if failure.type == TransportErrorName.REMOTE_PROTOCOL_ERROR and "message body" in failure.message:
        name = "ClientPayloadError"  # httpx has one name for both errors; the message differs
    kind = getattr(aiohttp, name) if name in aiohttp.__all__ else None
    if isinstance(kind, type) and issubclass(kind, _RAISED):
        for base in kind.__mro__:
            try:
                return _new_error(base, failure.message, request)
            except TypeError:
                # The class needs arguments that a golden does not hold; its base needs fewer.
                continue
    return aiohttp.ClientConnectionError(failure.message)


def _new_error(kind: Any, message: str, request: Any) -> Exception:
    error: Exception
    if issubclass(kind, aiohttp.ClientConnectorError):
        # The text is "Cannot connect to host … [why]", made from the request and the system's error.
        why = re.search(r"\[(.*)\]$", message, re.DOTALL)
        error = kind(request.connection_key, OSError(errno.ECONNREFUSED, why[1] if why else message))
    elif issubclass(kind, aiohttp.ClientOSError):
        numbered = re.fullmatch(r"\[Errno (\d+)\] (.*)", message, re.DOTALL)
        error = kind(int(numbered[1]), numbered[2]) if numbered else kind(message)
    elif issubclass(kind, aiohttp.ClientResponseError):
        shown = re.match(r"(\d+), message=('.*'|\".*\"), url=", message, re.DOTALL)
        status, text = (int(shown[1]), _unquoted(shown[2])) if shown else (0, message)
        error = kind(request.request_info, (), status=status, message=text)
    else:
        error = kind(message)
    return error


def _unquoted(literal: str) -> str:
    try:
        return str(ast.literal_eval(literal))
    except (ValueError, SyntaxError):
        return literal


def patches_for(library: Any) -> list[AttributePatch]:
    """The patches for a loaded aiohttp that lacks none of the needed names."""
    found = []
    for owner, name, wrapper in (
        (library.BaseConnector, "connect", _wrap_connect),
        (library.ClientRequest, "send", _wrap_send),
        (library.ClientResponse, "start", _wrap_start),
    ):
        original = vars(owner)[name]
        found.append(AttributePatch(owner, name, functools.wraps(original)(wrapper(original))))
    return found
