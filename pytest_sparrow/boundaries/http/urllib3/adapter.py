"""How a request of urllib3 crosses, and urllib3's errors by name.

urllib3's errors by name, and back. Nothing but the errors of `_RAISED` is ever raised by a recorded name.

What is recorded is what urllib3 makes of an error before it counts retries, so that a replay's retries are counted
alike: a reset connection is a ProtocolError, a failing handshake an SSLError, what a proxy can't do a ProxyError.

The skin for urllib3, and so for requests and botocore, which stand on it.

What is patched: ``HTTPConnectionPool._make_request``, which every redirect and every retry goes through, each on its
own; botocore's pools and those of proxies inherit it. The name is private, and both urllib3 1.26 and 2 call it with a
connection that isn't opened yet. Tunnels through a proxy are opened one step before, by
``HTTPSConnectionPool._prepare_proxy``: that waits until it is known whether the request goes to the world. Where a name
is missing nothing is patched, and the network guard refuses.

A fed answer is read by urllib3's own code, from a connection with the recorded bytes in place of a socket: what a
response has, down to ``_original_response.msg``, where requests finds its cookies, is the real thing.
"""

from __future__ import annotations

import functools
import http.client
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_sparrow.boundaries.http import flow
from pytest_sparrow.boundaries.http.bodies import LiveBodyRecorder, Tee
from pytest_sparrow.boundaries.http.exchange import TransportFailure
from pytest_sparrow.boundaries.http.flow import drive, whole
from pytest_sparrow.boundaries.http.urllib3.bodies import (
    Chunks,
    Frames,
    Owners,
    Plain,
    ServedSocket,
    Watched,
    read_body,
)
from pytest_sparrow.boundaries.patching import AttributePatch
from pytest_sparrow.boundaries.world import isolated

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.boundaries.http.bodies import BodyRecorder, Served
    from pytest_sparrow.boundaries.http.exchange import Headers, Reply
    from pytest_sparrow.boundaries.http.flow import Step
    from pytest_sparrow.run.crossing import Crossing

__all__ = ["error_of", "failure_of", "failure_while_reading", "patches_for"]


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

_ELSEWHERE = {
    "ConnectTimeout": "ConnectTimeoutError",
    "ReadError": "ProtocolError",
    "ReadTimeout": "ReadTimeoutError",
    "RemoteProtocolError": "ProtocolError",
}
"""What httpx2 and httpx call the same: for a golden that was recorded through them."""

_ABORTED = "Connection aborted."
_BROKEN = "Connection broken: "
_PROXY = "Unable to connect to proxy"


class _Told(OSError):
    """The cause of an error, of which only the text is known."""

    def __str__(self) -> str:
        return str(self.args[0])

    __repr__ = __str__


def failure_of(error: BaseException, exceptions: Any, conn: Any) -> TransportFailure | None:
    """An error that came instead of an answer, as urllib3 would see it; None: none of the world's.

    Args:
        error: what `_make_request` raised.
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
        return TransportFailure(type=_name(error, exceptions), message=_message(error, exceptions))
    if isinstance(error, OSError | http.client.HTTPException):
        return TransportFailure(type="ProtocolError", message=f"{_ABORTED} {error!r}")
    return TransportFailure(type=type(error).__name__, message=str(error))


def failure_while_reading(error: BaseException) -> TransportFailure | None:
    """An error that came with the body, as urllib3 would raise it; `EOFError` for one that says what is missing."""
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
    """A recorded error as one of urllib3's; a NewConnectionError if its name is none of those that may be raised."""
    name = _ELSEWHERE.get(failure.type, failure.type)
    if name != failure.type and name == "ProtocolError" and "message body" not in failure.message:
        failure = TransportFailure(type=name, message=f"{_ABORTED} {failure.message}")
    kind = getattr(exceptions, name if name in _RAISED else "NewConnectionError")
    args = _args(kind.__name__, failure.message, exceptions, conn)
    # Each class has a constructor of its own, which would put its words around these.
    error: Exception = kind.__new__(kind, *args)
    error.args = args
    # What their properties, and pickling, look for.
    vars(error).update(pool=pool, conn=conn, url=url, _message=failure.message, _host="", _reason=None)
    if kind is exceptions.ProxyError:
        vars(error)["original_error"] = args[1]
    return error


def _args(name: str, message: str, exceptions: Any, conn: Any) -> tuple[Any, ...]:
    if name == "ConnectTimeoutError":
        return conn, message
    if name == "SSLError":
        return (_Told(message),)
    if name == "ProxyError":
        said, _, cause = message.partition(": ")
        return said, _cause(cause, exceptions)
    if name == "ProtocolError" and message.startswith(_ABORTED):
        return _ABORTED, _Told(message.removeprefix(_ABORTED).lstrip())
    if name == "ProtocolError" and message.startswith(_BROKEN):
        return message, _Told(message.removeprefix(_BROKEN))
    return (message,)


def _cause(text: str, exceptions: Any) -> Exception:
    """What a proxy's error came of: whether the connection failed decides which retries are counted."""
    name, _, rest = text.partition("(")
    if name in ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError"):
        failure = TransportFailure(type="NewConnectionError", message=rest.rstrip(")").strip("'\""))
        return error_of(failure, exceptions, pool=None, conn=None, url="")
    return _Told(text)


def _name(error: Exception, exceptions: Any) -> str:
    names = (k.__name__ for k in type(error).__mro__ if getattr(exceptions, k.__name__, None) is k)
    return next(names, "HTTPError")


def _message(error: Exception, exceptions: Any) -> str:
    """Its text; where that shows an object beside it, without the object."""
    if isinstance(error, exceptions.SSLError):
        return repr(error.args[0]) if error.args else ""
    if type(error) is exceptions.ConnectTimeoutError and error.args:
        return str(error.args[-1])
    return str(error)


_PORTS = {"http": 80, "https": 443}
_TUNNEL_WAITS = "_sparrow_tunnel_waits"


def patches_for(library: Any) -> list[AttributePatch]:
    """What to replace in a loaded urllib3; nothing is changed yet."""
    pools: Any = getattr(library, "connectionpool", None)
    if not hasattr(library, "exceptions") or not hasattr(pools, "HTTPSConnectionPool"):
        return []  # half loaded
    plain, secure = pools.HTTPConnectionPool, pools.HTTPSConnectionPool
    if "_make_request" not in vars(plain) or "_prepare_proxy" not in vars(secure):
        return []
    make, prepare = vars(plain)["_make_request"], vars(secure)["_prepare_proxy"]
    return [
        AttributePatch(secure, "_prepare_proxy", _wrap_prepare(prepare)),
        AttributePatch(plain, "_make_request", _wrap_make(make, prepare, library)),
    ]


def _wrap_prepare(original: Any) -> Any:
    @functools.wraps(original)
    def _prepare_proxy(pool: Any, conn: Any) -> None:  # noqa: ARG001 - its own signature
        setattr(conn, _TUNNEL_WAITS, True)

    return _prepare_proxy


def _wrap_make(original: Any, prepare: Any, library: Any) -> Any:
    @functools.wraps(original)
    def _make_request(pool: Any, conn: Any, method: str, url: str, **options: Any) -> Any:
        def make(connection: Any, **kwargs: Any) -> Any:
            if vars(connection).pop(_TUNNEL_WAITS, False):
                prepare(pool, connection)
            return original(pool, connection, method, url, **kwargs)

        return _Try(library, pool, conn, method, url, options, make).cross()

    return _make_request


class _Try:
    """One try of a request; also what the flow knows of the library (see `flow.Adapter`): its request is this one."""

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
        self._library = library
        self._pool = pool
        self._conn = conn
        self._method = method.upper()
        self._url = url
        self._options = options
        self._make = make
        # urllib3 2 reads the body at once where it is to be preloaded; 1.26 doesn't say so here.
        self._preload = bool(options.get("preload_content"))
        # Whether the client raises for content that is cut off: by default urllib3 2 does, 1.26 doesn't.
        self._is_strict = bool(options.get("enforce_content_length", "preload_content" in options))

    def cross(self) -> Any:
        """To the world, to a run, or back."""
        steps: dict[Step, Callable[[], Any]] = {
            "read": self._read,
            "pause": _nothing,
            "pass": lambda: self._make(self._conn, **self._options),
            "send": self._send,
        }
        return drive(whole(self, self, self._contact()), steps)

    def headers(self, request: Any) -> Headers:  # noqa: ARG002 - see the class
        """See `pytest_sparrow.boundaries.http.flow.Adapter`, also for the methods below."""
        given = self._options.get("headers") or {}
        return [(_text(name), _text(value)) for name, value in given.items()]

    def response(self, request: Any, reply: Reply, body: Served, recorder: BodyRecorder | None) -> Any:  # noqa: ARG002
        has_body = self._method != "HEAD" and (reply.status or 0) >= 200 and reply.status not in (204, 304)
        tee = Tee(body, recorder, failure_while_reading)
        conn = self._library.connection.HTTPConnection(self._pool.host, self._pool.port)
        conn.sock = served = ServedSocket(reply.status or 0, reply.headers, tee, has_body=has_body)
        conn.is_verified = True  # or urllib3 warns of a certificate that nobody asked for
        response = self._make(conn, **{**self._options, "body": None})
        served.owners.add(response, _wire(response))
        return response

    def fail(self, request: Any, error: Exception) -> Any:  # noqa: ARG002
        if getattr(self._conn, "proxy", None):
            # Else urllib3 takes any error for one of connecting to the proxy.
            self._conn._has_connected_to_proxy = True  # noqa: SLF001
        raise error

    def watch(self, request: Any, response: Any, crossing: Crossing) -> Any:  # noqa: ARG002
        wire = _wire(response)
        recorder = LiveBodyRecorder(
            crossing, method=self._method, status=response.status, headers=_pairs(response)
        )
        if wire is None:  # read already
            recorder.add(response.data)
            recorder.exhausted()
            return response
        if wire.fp is None:
            recorder.exhausted()
        else:
            wire.fp = Watched(
                wire.fp,
                self._frames(wire),
                recorder,
                failure_while_reading,
                owners=Owners(response, wire),
                strict=wire.chunked or self._is_strict,
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

    def _contact(self) -> flow.Contact:
        pool = self._pool
        port = pool.port or _PORTS.get(pool.scheme)
        place = _netloc(pool.host, None if port == _PORTS.get(pool.scheme) else port)
        # A plain proxy is asked for the whole URL.
        url = f"{pool.scheme}://{place}{self._url}" if self._url.startswith("/") else self._url
        parts = urlsplit(url)
        upgrades = [value for name, value in self.headers(self) if name.lower() == "upgrade"]
        return flow.Contact(
            method=self._method,
            url=url,
            # Pools for unix sockets (docker's, requests-unixsocket's) name their path so.
            host=getattr(pool, "socket_path", None) or parts.hostname or pool.host,
            port=None if hasattr(pool, "socket_path") else parts.port or _PORTS.get(parts.scheme),
            websocket="websocket" in [value.lower() for value in upgrades],
        )

    def _frames(self, wire: Any) -> Frames:
        if wire.chunked and self._method != "HEAD":
            return Chunks()
        return Plain(0 if self._method == "HEAD" else wire.length)


def _wire(response: Any) -> Any:
    """http.client's response: urllib3 1.26 gives it for a request, 2 one that holds it, or (HTTP/2) none."""
    is_bare = isinstance(response, http.client.HTTPResponse)
    return response if is_bare else getattr(response, "_original_response", None)


def _pairs(response: Any) -> Headers:
    return [(_text(name), _text(value)) for name, value in response.headers.items()]


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _netloc(host: str, port: int | None) -> str:
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port is None else f"{bracketed}:{port}"


def _nothing() -> None:
    """A thread needs no pause: the system sees to it."""
