"""Decides when two requests are the same request, and which request continues which conversation.

When two requests are the same request. Pure.

Headers never count: they hold keys, versions and dates, and no provider's answer depends on the rest.

Which request continues which: a request repeats the conversation so far and adds to it. Pure.
"""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from pytest_sparrow.events.jsontext import canonical, digest
from pytest_sparrow.redact import strip_numbers
from pytest_sparrow.wire.jsonrpc import what_is_asked, without_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.exchange import Json


__all__ = ["Conversations", "host_of", "is_loopback", "prefixes", "request_key", "request_shape"]


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


def prefixes(conversation: Sequence[Json]) -> list[bytes]:
    """One digest for each prefix of a conversation: of its first message, its first two, … all of it."""
    running = hashlib.blake2b(digest_size=16)
    found = []
    for message in conversation:
        running.update(canonical(message))
        running.update(b"\n")
        found.append(running.digest())
    return found


class Conversations:
    """The conversations seen so far, each known by the exchange that last carried it, in each lane and in any."""

    def __init__(self) -> None:
        self._last: dict[tuple[bytes, str | None], int] = {}

    def predecessors(self, chain: list[bytes], lane: str) -> tuple[list[int], int]:
        """What the longest known proper prefix of this conversation belongs to.

        Agents side by side may begin with the same words: then the lane tells whose conversation goes on.

        Returns:
            The exchange that last carried it in this lane, then the one in any, and how many messages it has;
            none and 0 where the conversation is new.
        """
        for length in range(len(chain) - 1, 0, -1):
            anywhere = self._last.get((chain[length - 1], None))
            if anywhere is not None:
                own = self._last.get((chain[length - 1], lane), anywhere)
                return ([own] if own == anywhere else [own, anywhere]), length
        return [], 0

    def add(self, chain: list[bytes], exchange: int, lane: str) -> None:
        """Remember which exchange carried this conversation."""
        for place in (lane, None) if chain else ():
            self._last[chain[-1], place] = exchange
