"""Sends requests of http.client, and so of urllib.request, through the boundary, and maps its errors.

`HTTPConnection._send_output` is patched: there the head of a request is complete, and nothing is sent yet. Where the
body follows in calls of `send`, the request crosses when the client asks for the response. urllib3's connections are
left to urllib3's adapter.

A client may open a connection before it sends (httplib2 does). The connection is opened when a request goes to the
world, or when the client uses the socket in another way.

http.client's own code reads a replayed answer, from a socket that holds the recorded bytes.

A client meets an error where it did in the recording: while it sends (urllib.request makes a URLError of it), or when
it asks for the response.
"""

from __future__ import annotations

import contextlib
import functools
import re
import socket
import ssl
import sys
from http import client  # not "import http.client": it is being loaded, and http doesn't have it yet
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_sparrow.boundaries.http.adapter import Adapter
from pytest_sparrow.boundaries.http.bodies import LiveBodyRecorder, Tee
from pytest_sparrow.boundaries.http.exchange import Reply, header, may_have_body
from pytest_sparrow.boundaries.http.flow import LiveRequest, OutgoingRequest, drive, route
from pytest_sparrow.boundaries.http.http_client import LIBRARY
from pytest_sparrow.boundaries.http.http_client.bodies import (
    Owners,
    PostponedSocket,
    ServedSocket,
    read_body,
    record_body,
)
from pytest_sparrow.boundaries.patching import AttributePatch
from pytest_sparrow.boundaries.world import isolated
from pytest_sparrow.exchange import TransportErrorName, TransportFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sparrow.boundaries.http.bodies import BodyRecorder, ServedBody
    from pytest_sparrow.boundaries.http.exchange import Headers
    from pytest_sparrow.boundaries.http.flow import FlowStep
    from pytest_sparrow.run.crossing import Crossing

_RAISED: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        *(BrokenPipeError, ConnectionAbortedError, ConnectionRefusedError, ConnectionResetError, OSError),
        *(TimeoutError, socket.gaierror, ssl.SSLCertVerificationError, ssl.SSLError),
        *(client.BadStatusLine, client.HTTPException, client.IncompleteRead),
        *(client.LineTooLong, client.RemoteDisconnected),
    )
}
"""The errors that a recorded name may raise."""

_OF_ANSWERS = frozenset(
    {
        TransportErrorName.READ_ERROR,
        TransportErrorName.READ_TIMEOUT,
        TransportErrorName.REMOTE_PROTOCOL_ERROR,
        *("BadStatusLine", "ConnectionAbortedError", "ConnectionResetError", "HTTPException", "LineTooLong"),
        *("RemoteDisconnected", "TimeoutError"),
    }
)
"""Recorded names of errors that a client meets when it asks for the response; any other while it sends."""

_ERRNO = re.compile(r"\[Errno (-?\d+)\] (.*)", re.DOTALL)

_REQUEST = "_sparrow_request"
"""The attribute of a connection that holds its request between two methods of the connection."""

_SENDING = "_sparrow_sending"
"""The attribute of a connection that sends to the world now, and opens itself for that."""


def patches_for(library: Any) -> list[AttributePatch]:
    """The patches for the loaded http.client."""
    connection = library.HTTPConnection
    output, send, response = (vars(connection)[name] for name in ("_send_output", "send", "getresponse"))
    return [
        AttributePatch(connection, "_send_output", _wrap_output(output)),
        AttributePatch(connection, "send", _wrap_send(send)),
        AttributePatch(connection, "getresponse", _wrap_response(response)),
        *postponing(connection, getattr(library, "HTTPSConnection", None)),
    ]


def postponing(*connections: Any) -> list[AttributePatch]:
    """The patches for the connections' own ``connect``; None is no class."""
    return [
        AttributePatch(owner, "connect", _wrap_connect(vars(owner)["connect"]))
        for owner in connections
        if owner is not None
    ]


def _wrap_connect(original: Any) -> Any:
    @functools.wraps(original)
    def connect(conn: Any) -> None:
        if _is_urllib3s(conn) or hasattr(conn, _SENDING):
            original(conn)
        else:
            conn.sock = PostponedSocket(functools.partial(_open, conn, original))

    return connect


def _open(conn: Any, connect: Callable[[Any], None]) -> Any:
    """The connection's real socket."""
    conn.sock = None
    with _sending(conn):
        connect(conn)
    return conn.sock


@contextlib.contextmanager
def _sending(conn: Any) -> Iterator[None]:
    setattr(conn, _SENDING, True)
    try:
        yield
    finally:
        vars(conn).pop(_SENDING, None)


def _wrap_output(original: Any) -> Any:
    @functools.wraps(original)
    def _send_output(conn: Any, message_body: Any = None, **options: Any) -> None:
        if _is_urllib3s(conn):
            return original(conn, message_body, **options)  # type: ignore[no-any-return]
        request = _Request(conn, message_body, functools.partial(original, **options))
        if request.body_follows:
            setattr(conn, _REQUEST, request)
        else:
            request.cross()
        return None

    return _send_output


def _wrap_send(original: Any) -> Any:
    @functools.wraps(original)
    def send(conn: Any, data: Any) -> None:
        request: _Request | None = getattr(conn, _REQUEST, None)
        if request is None or not request.body_follows:
            return original(conn, data)  # type: ignore[no-any-return]
        request.pieces.append(read_body(data)[0])
        return None

    return send


def _wrap_response(original: Any) -> Any:
    @functools.wraps(original)
    def getresponse(conn: Any) -> Any:
        request: _Request | None = vars(conn).pop(_REQUEST, None)
        if request is not None and request.body_follows:
            request.cross()
            request = vars(conn).pop(_REQUEST, None)
        return original(conn) if request is None else request.answered(original)

    return getresponse


def failure_while_reading(error: BaseException) -> TransportFailure | None:
    """The failure to record for an error of an answer; the text of an `EOFError` says what is missing."""
    if not isinstance(error, Exception):
        return None
    if isinstance(error, EOFError):
        return TransportFailure(type="IncompleteRead", message=str(error))
    names = (kind.__name__ for kind in type(error).__mro__ if _RAISED.get(kind.__name__) is kind)
    return TransportFailure(type=next(names, type(error).__name__), message=str(error))


def _failure_while_sending(error: BaseException, *, connected: bool) -> TransportFailure | None:
    """The failure to record for an error before the client asked for the response."""
    failure = failure_while_reading(error)
    if failure is None or failure.type not in _OF_ANSWERS:
        return failure
    if isinstance(error, TimeoutError):
        name = TransportErrorName.WRITE_TIMEOUT if connected else TransportErrorName.CONNECT_TIMEOUT
    else:
        name = TransportErrorName.WRITE_ERROR if connected else TransportErrorName.CONNECT_ERROR
    return TransportFailure(type=name, message=failure.message)


def error_of(failure: TransportFailure) -> Exception:
    """A recorded failure as an error that http.client raises; an OSError where its name may not be raised."""
    kind = _RAISED.get(LIBRARY.errors.get(failure.type, failure.type), OSError)
    if kind is client.IncompleteRead:
        return client.IncompleteRead(b"")
    numbered = _ERRNO.fullmatch(failure.message)
    if numbered and issubclass(kind, OSError):
        return kind(int(numbered[1]), numbered[2])  # type: ignore[no-any-return]
    if issubclass(kind, ssl.SSLError):
        return kind(1, failure.message)  # type: ignore[no-any-return]
    # Not by the constructor: some of http.client's would add words.
    error: Exception = kind.__new__(kind, failure.message)
    error.args = (failure.message,)
    return error


def _is_urllib3s(conn: Any) -> bool:
    urllib3 = sys.modules.get("urllib3.connection")
    return urllib3 is not None and isinstance(conn, urllib3.HTTPConnection)


class _Request(Adapter):
    """One request of a connection, and its adapter: the methods' argument ``request`` is the object itself.

    Attributes:
        body_follows: whether the client sends the body by itself.
        pieces: what the client sent by itself.
    """

    def __init__(self, conn: Any, body: Any, send: Callable[..., None]) -> None:
        super().__init__(client)
        self._conn = conn
        self._body = body
        self._original = send
        line, *lines = [line.decode("latin-1") for line in conn._buffer]  # noqa: SLF001 - the head so far
        self._method, self._target, _ = line.split(" ", 2)
        self._headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        self.pieces: list[bytes] = []
        length = header(self._headers, "content-length") or "0"
        self.body_follows = body is None and (
            length != "0" or "chunked" in header(self._headers, "transfer-encoding").lower()
        )
        self._sent = False
        self._live: LiveRequest | None = None
        self._postponed: PostponedSocket | None = None
        self._of_answer: Exception | None = None
        self._error: Exception | None = None

    def cross(self) -> None:
        """Send the request through the boundary, up to where its response can be asked for."""
        self.body_follows = False
        if isinstance(self._conn.sock, ServedSocket):
            self._conn.sock = None  # that of the last answer
        if isinstance(self._conn.sock, PostponedSocket):
            self._postponed, self._conn.sock = self._conn.sock, None
        steps: dict[FlowStep, Callable[[], Any]] = {"read": self._read, "pass": self._send}
        live = drive(route(self, self, self._outgoing()), steps)
        if isinstance(live, LiveRequest):
            self._live = live
            with live, isolated():
                self._send()
            self._sent = True
        if live is not None:
            setattr(self._conn, _REQUEST, self)

    def answered(self, getresponse: Callable[[Any], Any]) -> Any:
        """The response to a request that has crossed."""
        if self._error is not None:
            self._conn.close()
            raise self._error
        if self._live is None:
            served = self._conn.sock
            response = getresponse(self._conn)
            served.owners.add(response)
            return response
        with self._live, isolated():
            response = getresponse(self._conn)
        return self.watch(self, response, self._live.crossing)

    def headers(self, request: Any) -> Headers:  # noqa: ARG002 - see the class
        return self._headers

    def response(self, request: Any, reply: Reply, body: ServedBody, recorder: BodyRecorder | None) -> Any:  # noqa: ARG002
        has_body = self._method != "HEAD" and may_have_body(reply.status or 0)
        tee = Tee(body, recorder, failure_while_reading)
        return self._send_to(ServedSocket(reply, tee, has_body=has_body))

    def fail(self, request: Any, error: Exception) -> Any:  # noqa: ARG002
        if self._of_answer is not error:
            raise error
        self._error = error
        return self._send_to(
            ServedSocket(Reply(status=None), Tee((), None, failure_while_reading), has_body=False)
        )

    def watch(self, request: Any, response: Any, crossing: Crossing) -> Any:  # noqa: ARG002
        recorder = LiveBodyRecorder(
            crossing,
            method=self._method,
            status=response.status,
            headers=response.getheaders(),
            reason=response.reason,
        )
        record_body(
            response,
            self._method,
            recorder,
            failure_while_reading,
            owners=Owners(response),
            strict=True,
        )
        return response

    def error(self, request: Any, failure: TransportFailure) -> Exception:  # noqa: ARG002
        error = error_of(failure)
        # Of an answer's body, too, which raises the error by itself.
        if failure.type in _OF_ANSWERS:
            self._of_answer = error
        return error

    def read_timeout(self, request: Any) -> float | None:  # noqa: ARG002
        limit = self._conn.timeout
        return limit if isinstance(limit, int | float) else socket.getdefaulttimeout()

    def failure_of(self, error: BaseException) -> TransportFailure | None:
        if self._sent:
            return failure_while_reading(error)
        return _failure_while_sending(error, connected=self._conn.sock is not None)

    def _read(self) -> bytes:
        if self.pieces:
            return b"".join(self.pieces)
        raw, self._body = read_body(self._body)
        return raw

    def _send(self) -> None:
        if self._postponed is not None:
            self._postponed.open()
        with _sending(self._conn):
            self._original(self._conn, self._body)
        for piece in self.pieces:
            self._conn.send(piece)

    def _send_to(self, served: ServedSocket) -> ServedSocket:
        """Send the head to a socket that discards it."""
        if self._conn.sock is not None:
            self._conn.sock.close()
        self._conn.sock = served
        self._original(self._conn)
        return served

    def _outgoing(self) -> OutgoingRequest:
        conn = self._conn
        scheme = "https" if conn.default_port == client.HTTPS_PORT else "http"
        host, port = conn._tunnel_host or conn.host, conn._tunnel_port if conn._tunnel_host else conn.port  # noqa: SLF001
        shown = f"[{host}]" if ":" in host else host
        shown = shown if port in (None, conn.default_port) else f"{shown}:{port}"
        # A request to a plain proxy names the whole URL.
        url = f"{scheme}://{shown}{self._target}" if self._target.startswith("/") else self._target
        parts = urlsplit(url)
        return OutgoingRequest.to(
            parts.scheme,
            parts.hostname or host,
            parts.port,
            method=self._method,
            url=url,
            upgrade=header(self._headers, "upgrade"),
            user_agent=header(self._headers, "user-agent"),
        )
