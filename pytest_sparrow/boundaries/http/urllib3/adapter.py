"""Sends requests of urllib3, and so of requests and botocore, through the boundary, and maps urllib3's errors.

`HTTPConnectionPool._make_request` is patched: every redirect and every retry goes through it; the pools of botocore and
of proxies inherit it. The name is private; urllib3 1.26 and 2 both call it with a connection that is not opened yet. A
tunnel through a proxy is opened one step earlier, by ``HTTPSConnectionPool._prepare_proxy``, which is patched so that
the tunnel waits until the request goes to the world. Where a name is missing nothing is patched, and the network guard
refuses.

urllib3's own code reads a replayed answer, from a connection with the recorded bytes in place of a socket. So a
response has everything that a real one has, down to ``_original_response.msg``, where requests finds its cookies.

An error is recorded as urllib3 sees it before it counts retries, so that a replay counts retries alike: a reset
connection is a ProtocolError, a failed handshake an SSLError, a failure of a proxy a ProxyError.
"""

from __future__ import annotations

import functools
import http.client
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_sparrow.boundaries.http.adapter import Adapter, exported_name
from pytest_sparrow.boundaries.http.bodies import LiveBodyRecorder, Tee
from pytest_sparrow.boundaries.http.exchange import may_have_body
from pytest_sparrow.boundaries.http.flow import OutgoingRequest, cross, drive
from pytest_sparrow.boundaries.http.http_client.bodies import (
    Owners,
    ServedSocket,
    read_body,
    record_body,
)
from pytest_sparrow.boundaries.http.urllib3 import LIBRARY
from pytest_sparrow.boundaries.patching import AttributePatch
from pytest_sparrow.boundaries.world import isolated
from pytest_sparrow.exchange import TransportFailure
from pytest_sparrow.wire.asking import DEFAULT_PORTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.boundaries.http.bodies import BodyRecorder, ServedBody
    from pytest_sparrow.boundaries.http.exchange import Headers, Reply
    from pytest_sparrow.boundaries.http.flow import FlowStep
    from pytest_sparrow.run.crossing import Crossing

_RAISED = frozenset(
    {
        "ConnectTimeoutError",
        "DecodeError",
        "HTTPError",
        "NameResolutionError",
        "NewConnectionError",
        "ProtocolError",
        "ProxyError",
        "ReadTimeoutError",
        "SSLError",
        "TimeoutError",
    }
)
"""The errors that a recorded name may raise."""

_ABORTED = "Connection aborted."
_BROKEN = "Connection broken: "
_PROXY = "Unable to connect to proxy"


class _RecordedCause(OSError):
    """The cause of an error, of which a golden holds only the text."""

    def __str__(self) -> str:
        return str(self.args[0])

    __repr__ = __str__


def failure_of(error: BaseException, exceptions: Any, conn: Any) -> TransportFailure | None:
    """The failure to record for an error in place of an answer; None: the error does not come from the world.

    Args:
        error: the error that ``_make_request`` raised.
        exceptions: the module ``urllib3.exceptions``.
        conn: the connection.
    """
    if not isinstance(error, Exception):
        return None
    if isinstance(error, exceptions.ProxyError):
        return TransportFailure(type="ProxyError", message=f"{error.args[0]}: {error.args[-1]!r}")
    proxied = getattr(conn, "proxy", None) and not getattr(conn, "has_connected_to_proxy", True)
    if proxied and isinstance(error, OSError | http.client.HTTPException | exceptions.TimeoutError):
        return TransportFailure(type="ProxyError", message=f"{_PROXY}: {error!r}")
    if isinstance(error, ssl.SSLError):
        return TransportFailure(type="SSLError", message=repr(error))
    if isinstance(error, exceptions.HTTPError):
        return TransportFailure(
            type=exported_name(error, exceptions) or "HTTPError", message=_message(error, exceptions)
        )
    if isinstance(error, OSError | http.client.HTTPException):
        return TransportFailure(type="ProtocolError", message=f"{_ABORTED} {error!r}")
    return TransportFailure(type=type(error).__name__, message=str(error))


def failure_while_reading(error: BaseException) -> TransportFailure | None:
    """The failure to record for an error within the body; the text of an `EOFError` says what is missing."""
    if isinstance(error, TimeoutError) or (isinstance(error, ssl.SSLError) and "timed out" in str(error)):
        return TransportFailure(type="ReadTimeoutError", message="Read timed out.")
    if isinstance(error, ssl.SSLError):
        return TransportFailure(type="SSLError", message=repr(error))
    if isinstance(error, EOFError):
        missing = str(error)
        return TransportFailure(type="ProtocolError", message=_BROKEN * missing.startswith("Inc") + missing)
    if isinstance(error, OSError | http.client.HTTPException):
        return TransportFailure(type="ProtocolError", message=f"{_BROKEN}{error!r}")
    return (
        TransportFailure(type=type(error).__name__, message=str(error))
        if isinstance(error, Exception)
        else None
    )


def error_of(failure: TransportFailure, exceptions: Any, *, pool: Any, conn: Any, url: str) -> Exception:
    """A recorded failure as an error of urllib3; a NewConnectionError where its name may not be raised."""
    name = LIBRARY.errors.get(failure.type, failure.type)
    if name != failure.type and name == "ProtocolError" and "message body" not in failure.message:
        failure = TransportFailure(type=name, message=f"{_ABORTED} {failure.message}")
    kind = getattr(exceptions, name if name in _RAISED else "NewConnectionError")
    args = _args(kind.__name__, failure.message, exceptions, conn)
    # Not by the constructor: each class has its own, which would add words to the arguments.
    error: Exception = kind.__new__(kind, *args)
    error.args = args
    # The attributes that the classes' properties, and pickling, need.
    vars(error).update(pool=pool, conn=conn, url=url, _message=failure.message, _host="", _reason=None)
    if kind is exceptions.ProxyError:
        vars(error)["original_error"] = args[1]
    return error


def _args(name: str, message: str, exceptions: Any, conn: Any) -> tuple[Any, ...]:
    if name == "ConnectTimeoutError":
        return conn, message
    if name == "SSLError":
        return (_RecordedCause(message),)
    if name == "ProxyError":
        summary, _, cause = message.partition(": ")
        return summary, _cause(cause, exceptions)
    if name == "ProtocolError" and message.startswith(_ABORTED):
        return _ABORTED, _RecordedCause(message.removeprefix(_ABORTED).lstrip())
    if name == "ProtocolError" and message.startswith(_BROKEN):
        return message, _RecordedCause(message.removeprefix(_BROKEN))
    return (message,)


def _cause(text: str, exceptions: Any) -> Exception:
    """The cause of a proxy's error; whether the connection failed decides which retries urllib3 counts."""
    name, _, rest = text.partition("(")
    if name in ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError"):
        failure = TransportFailure(type="NewConnectionError", message=rest.rstrip(")").strip("'\""))
        return error_of(failure, exceptions, pool=None, conn=None, url="")
    return _RecordedCause(text)


def _message(error: Exception, exceptions: Any) -> str:
    """The error's text, without the connection that some errors show."""
    if isinstance(error, exceptions.SSLError):
        return repr(error.args[0]) if error.args else ""
    if type(error) is exceptions.ConnectTimeoutError and error.args:
        return str(error.args[-1])
    return str(error)


_TUNNEL_WAITS = "_sparrow_tunnel_waits"
"""The attribute of a connection whose tunnel is not open yet."""


def patches_for(library: Any) -> list[AttributePatch]:
    """The patches for a loaded urllib3 that lacks none of the needed names."""
    plain, secure = library.connectionpool.HTTPConnectionPool, library.connectionpool.HTTPSConnectionPool
    make, prepare = vars(plain)["_make_request"], vars(secure)["_prepare_proxy"]
    return [
        AttributePatch(secure, "_prepare_proxy", _wrap_prepare(prepare)),
        AttributePatch(plain, "_make_request", _wrap_make(make, prepare, library)),
    ]


def _wrap_prepare(original: Any) -> Any:
    @functools.wraps(original)
    def _prepare_proxy(pool: Any, conn: Any) -> None:  # noqa: ARG001 - urllib3's signature
        setattr(conn, _TUNNEL_WAITS, True)

    return _prepare_proxy


def _wrap_make(original: Any, prepare: Any, library: Any) -> Any:
    @functools.wraps(original)
    def _make_request(pool: Any, conn: Any, method: str, url: str, **options: Any) -> Any:
        def make(connection: Any, **kwargs: Any) -> Any:
            if vars(connection).pop(_TUNNEL_WAITS, False):
                prepare(pool, connection)
            return original(pool, connection, method, url, **kwargs)

        return _RequestAttempt(library, pool, conn, method, url, options, make).cross()

    return _make_request


class _RequestAttempt(Adapter):
    """One attempt of a request, and its adapter: the methods' argument ``request`` is the attempt itself."""

    def __init__(
        self,
        library: Any,
        pool: Any,
        conn: Any,
        method: str,
        url: str,
        options: dict[str, Any],
        make: Callable[..., Any],
    ) -> None:
        super().__init__(library)
        self._pool = pool
        self._conn = conn
        self._method = method.upper()
        self._url = url
        self._options = options
        self._make = make
        # urllib3 2 reads the body at once where the client wants it preloaded; 1.26 has no such option here.
        self._preload = bool(options.get("preload_content"))
        # Whether the client raises an error for content that is cut off: by default urllib3 2 does, 1.26 does not.
        self._is_strict = bool(options.get("enforce_content_length", "preload_content" in options))

    def cross(self) -> Any:
        """Send the attempt through the boundary; returns urllib3's response."""
        steps: dict[FlowStep, Callable[[], Any]] = {
            "read": self._read,
            "pass": lambda: self._make(self._conn, **self._options),
            "send": self._send,
        }
        return drive(cross(self, self, self._outgoing()), steps)

    def headers(self, request: Any) -> Headers:  # noqa: ARG002 - see the class
        headers = self._options.get("headers") or {}
        return [(_text(name), _text(value)) for name, value in headers.items()]

    def response(self, request: Any, reply: Reply, body: ServedBody, recorder: BodyRecorder | None) -> Any:  # noqa: ARG002
        has_body = self._method != "HEAD" and may_have_body(reply.status or 0)
        tee = Tee(body, recorder, failure_while_reading)
        conn = self._library.connection.HTTPConnection(self._pool.host, self._pool.port)
        conn.sock = served = ServedSocket(reply, tee, has_body=has_body)
        conn.is_verified = True  # or urllib3 would warn of an unverified certificate
        response = self._make(conn, **{**self._options, "body": None})
        served.owners.add(response, _http_client_response(response))
        return response

    def fail(self, request: Any, error: Exception) -> Any:  # noqa: ARG002
        if getattr(self._conn, "proxy", None):
            # Without this, urllib3 treats any error as a failed connection to the proxy.
            self._conn._has_connected_to_proxy = True  # noqa: SLF001
        raise error

    def watch(self, request: Any, response: Any, crossing: Crossing) -> Any:  # noqa: ARG002
        raw = _http_client_response(response)
        recorder = LiveBodyRecorder(
            crossing,
            method=self._method,
            status=response.status,
            headers=_pairs(response),
            reason=response.reason,
        )
        if raw is None:  # the response was read already
            recorder.add(response.data)
            recorder.exhausted()
            return response
        record_body(
            raw,
            self._method,
            recorder,
            failure_while_reading,
            owners=Owners(response, raw),
            strict=raw.chunked or self._is_strict,
        )
        if self._preload:
            response.read(cache_content=True)
        return response

    def error(self, request: Any, failure: TransportFailure) -> Exception:  # noqa: ARG002
        return error_of(failure, self._library.exceptions, pool=self._pool, conn=self._conn, url=self._url)

    def read_timeout(self, request: Any) -> float | None:  # noqa: ARG002
        limit = getattr(self._options.get("timeout"), "read_timeout", None)
        return limit if isinstance(limit, int | float) else None

    def failure_of(self, error: BaseException) -> TransportFailure | None:
        return failure_of(error, self._library.exceptions, self._conn)

    def _read(self) -> bytes:
        raw, body = read_body(self._options.get("body"))
        self._options = {**self._options, "body": body}
        return raw

    def _send(self) -> Any:
        options = {**self._options, "preload_content": False} if self._preload else self._options
        with isolated():
            return self._make(self._conn, **options)

    def _outgoing(self) -> OutgoingRequest:
        pool = self._pool
        # A request to a plain proxy names the whole URL.
        url = f"{self._origin()}{self._url}" if self._url.startswith("/") else self._url
        parts = urlsplit(url)
        headers = [(name.lower(), value) for name, value in self.headers(self)]
        upgrades = [value for name, value in headers if name == "upgrade"]
        # The host of a pool for a Unix socket (docker's, requests-unixsocket's) is the socket's path, without a port.
        path = getattr(pool, "socket_path", None)
        return OutgoingRequest.to(
            "" if hasattr(pool, "socket_path") else parts.scheme,
            path or parts.hostname or pool.host,
            None if hasattr(pool, "socket_path") else parts.port,
            method=self._method,
            url=url,
            upgrade=next((value for value in upgrades if value.lower() == "websocket"), ""),
            user_agent=next((value for name, value in headers if name == "user-agent"), ""),
        )

    def _origin(self) -> str:
        pool = self._pool
        host = f"[{pool.host}]" if ":" in pool.host else pool.host
        is_default = not pool.port or pool.port == DEFAULT_PORTS.get(pool.scheme)
        return f"{pool.scheme}://{host}" if is_default else f"{pool.scheme}://{host}:{pool.port}"


def _http_client_response(response: Any) -> Any:
    """http.client's response, which urllib3 1.26 returns for a request and urllib3 2 holds; None for HTTP/2."""
    is_bare = isinstance(response, http.client.HTTPResponse)
    return response if is_bare else getattr(response, "_original_response", None)


def _pairs(response: Any) -> Headers:
    return [(_text(name), _text(value)) for name, value in response.headers.items()]


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
