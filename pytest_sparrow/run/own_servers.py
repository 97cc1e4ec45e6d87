"""Tells apart the servers of the test's own process: the app under test, and what stands in for the world.

Both listen on loopback. A mock provider answers by itself, so requests to it are recorded and replayed like any other.
An app under test asks a model, a tool or another service while it serves; so a server counts as the app as soon as a
strand that serves its port crosses a boundary. The run's requests to an app always pass and are no part of the run:
what the app asks for is.

A server of tools (MCP) also asks others while it serves, and so may one that speaks a model's format. A replay answers
in place of these servers and never reaches them, so what they ask for is the world's.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_sparrow.matching.counts import address_of
from pytest_sparrow.providers.codec import ToolRequest
from pytest_sparrow.wire.asking import DEFAULT_PORTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.crossing import Crossing

_MOST = 100
"""Kinds of requests that a golden notes: the first ones lead to the port, and the port to all others."""


class OwnServers:
    """The servers of this process that one run asks.

    Args:
        noted: a golden's note of the requests to apps (`note`), of any shape.

    Attributes:
        are_known: whether a request may be for an app at all.
    """

    def __init__(self, noted: Json = None) -> None:
        self._shapes = frozenset(map(str, noted)) if isinstance(noted, list) else frozenset[str]()
        self._apps: set[int] = set()
        self._asked: dict[int, list[tuple[float, str]]] = {}
        self._models: set[int] = set()
        self._tools: set[int] = set()
        self.are_known = bool(self._shapes)

    def asked(self, crossing: Crossing) -> None:
        """Remember a request that is recorded, as far as it is for this machine."""
        url = str(crossing.asked["url"])
        if address_of(url).host != "loopback":
            return
        port = _port(url)
        if crossing.model is not None:
            is_tools = isinstance(crossing.model.request, ToolRequest)
            (self._tools if is_tools else self._models).add(port)
        self._asked.setdefault(port, []).append((crossing.began, _shape(str(crossing.asked["method"]), url)))

    def crossed_by(self, port: int) -> None:
        """A strand that serves a port has crossed, in a recording."""
        if port not in self._models and port not in self._tools:
            self._apps.add(port)
            self.are_known = True

    def stand_in(self, port: int) -> bool:
        """Whether what the server at a port asks for is the world's: a replay answers in place of such a server."""
        return port in self._tools or port in self._models

    def speaks_as_model(self, port: int) -> bool:
        """Whether the server at a port was asked as a model is."""
        return port in self._models

    def is_app(self, method: str, url: str, listens: Callable[[int], bool]) -> bool:
        """Whether a request is for the app under test.

        Args:
            method: in upper case.
            url: the whole URL.
            listens: whether this process listens on a port.
        """
        if address_of(url).host != "loopback":
            return False
        port, shape = _port(url), _shape(method, url)
        if port not in self._apps:
            if shape not in self._shapes or not listens(port):
                return False
            self._apps.add(port)
        self._asked.setdefault(port, []).append((-1.0, shape))
        return True

    @property
    def recorded(self) -> frozenset[float]:
        """When those requests to apps began that were recorded before the server was known as an app."""
        return frozenset(began for port in self._apps for began, _ in self._asked.get(port, ()))

    @property
    def note(self) -> list[Json]:
        """The requests to apps by method and path, for ``config_snapshot``."""
        shapes = (shape for port in self._apps for _, shape in self._asked.get(port, ()))
        return [*sorted(islice(dict.fromkeys(shapes), _MOST))]


def port_of(transport: Any) -> int | None:
    """The port of this process that a connection of asyncio came to; None for a socket without one."""
    own = getattr(transport, "get_extra_info", lambda _: None)("sockname")
    return own[1] if isinstance(own, tuple) else None


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or DEFAULT_PORTS.get(parts.scheme, 80)


def _shape(method: str, url: str) -> str:
    return f"{method} {urlsplit(url).path}"
