"""urllib3's errors by name, and back. Nothing but the errors of `_RAISED` is ever raised by a recorded name.

What is recorded is what urllib3 makes of an error before it counts retries, so that a replay's retries are counted
alike: a reset connection is a ProtocolError, a failing handshake an SSLError, what a proxy can't do a ProxyError.
"""

from __future__ import annotations

import http.client
import ssl
from typing import Any

from pytest_sparrow.boundaries.http.reply import Failure

__all__ = ["error_of", "failure_of", "failure_while_reading"]

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


def failure_of(error: BaseException, exceptions: Any, conn: Any) -> Failure | None:
    """An error that came instead of an answer, as urllib3 would see it; None: none of the world's.

    Args:
        error: what `_make_request` raised.
        exceptions: the module ``urllib3.exceptions``.
        conn: the connection.
    """
    if not isinstance(error, Exception):
        return None
    if isinstance(error, exceptions.ProxyError):
        return Failure(type="ProxyError", message=f"{error.args[0]}: {error.args[-1]!r}")
    proxied = getattr(conn, "proxy", None) and not getattr(conn, "has_connected_to_proxy", True)
    if proxied and isinstance(error, OSError | http.client.HTTPException | exceptions.TimeoutError):
        return Failure(type="ProxyError", message=f"{_PROXY}: {error!r}")
    if isinstance(error, ssl.SSLError):
        return Failure(type="SSLError", message=repr(error))
    if isinstance(error, exceptions.HTTPError):
        return Failure(type=_name(error, exceptions), message=_message(error, exceptions))
    if isinstance(error, OSError | http.client.HTTPException):
        return Failure(type="ProtocolError", message=f"{_ABORTED} {error!r}")
    return Failure(type=type(error).__name__, message=str(error))


def failure_while_reading(error: BaseException) -> Failure | None:
    """An error that came with the body, as urllib3 would raise it; `EOFError` for one that says what is missing."""
    if isinstance(error, TimeoutError) or (isinstance(error, ssl.SSLError) and "timed out" in str(error)):
        return Failure(type="ReadTimeoutError", message="Read timed out.")
    if isinstance(error, ssl.SSLError):
        return Failure(type="SSLError", message=repr(error))
    if isinstance(error, EOFError):
        missing = str(error)
        return Failure(type="ProtocolError", message=_BROKEN * missing.startswith("Inc") + missing)
    if isinstance(error, OSError | http.client.HTTPException):
        return Failure(type="ProtocolError", message=f"{_BROKEN}{error!r}")
    return Failure(type=type(error).__name__, message=str(error)) if isinstance(error, Exception) else None


def error_of(failure: Failure, exceptions: Any, *, pool: Any, conn: Any, url: str) -> Exception:
    """A recorded error as one of urllib3's; a NewConnectionError if its name is none of those that may be raised."""
    name = _ELSEWHERE.get(failure.type, failure.type)
    if name != failure.type and name == "ProtocolError" and "message body" not in failure.message:
        failure = Failure(type=name, message=f"{_ABORTED} {failure.message}")
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
        failure = Failure(type="NewConnectionError", message=rest.rstrip(")").strip("'\""))
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
