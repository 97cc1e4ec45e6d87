"""Telling the world from code of this process, by the transport that a client would use.

The rule, first match wins:

1. MockTransport, ASGITransport, WSGITransport, and subclasses: in process.
2. HTTPTransport, AsyncHTTPTransport, and subclasses: the world.
3. It has a callable ``app``, or belongs to a framework's test client: in process.
4. It holds another transport (retries, caches, logging): whatever that one is.
5. Anything else (openai's and litellm's aiohttp transports, curl): the world. Taking a home-made fake for the
   world only means that its answers are recorded; the other mistake would go live in a replay.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["is_in_process", "speaks_http2"]

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
