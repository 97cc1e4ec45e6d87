"""When two requests are the same request. Pure.

Headers never count: they hold keys, versions and dates, and no provider's answer depends on the rest.
"""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from pytest_sparrow.events.jsontext import canonical, digest
from pytest_sparrow.matching.jsonrpc import what_is_asked, without_id
from pytest_sparrow.redact import strip_numbers

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["host_of", "is_loopback", "request_key", "request_shape"]

LOOPBACK = "loopback"


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    return host in ("localhost", "::1", "[::1]") or host.startswith("127.") or host.endswith(".localhost")


def host_of(url: str) -> str:
    """Host and port as they count: the port is left out on loopback, where test servers draw a new one."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if is_loopback(host):
        return LOOPBACK
    port = parts.port
    return host if port is None else f"{host}:{port}"


def request_shape(asked: dict[str, Json]) -> tuple[str, str, str]:
    """Method, host and path of an ``http`` asked half: what must agree even where the request drifted.

    All that an MCP client asks goes to one path: there what it asks for, and of which tool, must agree, too.
    """
    url = asked["url"]
    return asked["method"].upper(), host_of(url), urlsplit(url).path + what_is_asked(asked)


def request_key(kind: str, asked: dict[str, Json]) -> str:
    """A digest that is equal for two asked halves exactly when they ask the same.

    HTTP: method, scheme, host, path, sorted query, decoded body. Tools and calls: name and arguments.
    The id of a JSON-RPC message is an address and counts for nothing. Placeholders of secrets count by their kind
    only, since their numbers depend on what came before.
    """
    if kind == "http":
        return _http_key(asked)
    significant = {key: value for key, value in asked.items() if key != "id"}
    return digest([kind, _unnumbered(significant).decode()])


def _http_key(asked: dict[str, Json]) -> str:
    # Canonical JSON holds no line break: joined by one, the parts can't run into one another.
    parts = (
        asked["method"].upper().encode(),
        _place(asked["url"]),
        _unnumbered(without_id(asked.get("body"))),
    )
    return hashlib.blake2b(b"\n".join(parts), digest_size=16).hexdigest()


# An agent asks at few URLs, a thousand times each.
@functools.lru_cache(maxsize=256)
def _place(address: str) -> bytes:
    url = urlsplit(address)
    query = sorted(parse_qsl(url.query, keep_blank_values=True))
    return _unnumbered([url.scheme, host_of(address), url.path, [list(pair) for pair in query]])


def _unnumbered(value: Json) -> bytes:
    return strip_numbers(canonical(value))
