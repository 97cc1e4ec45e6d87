"""Says what becomes of traffic to a host, and which requests a client makes by chance."""

from __future__ import annotations

import functools
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from pytest_sparrow.matching.server_state import is_pipe
from pytest_sparrow.providers.reading import header
from pytest_sparrow.settings import TELEMETRY_HOSTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.settings import Settings

Passage = Literal["cross", "ignore", "telemetry", "allow"]

CLIENT = "user-agent:"
"""Begins a pattern of ``ignore_hosts`` that names a client, whatever host it sends to."""


def passage(host: str, port: int | None, *, allow: Iterable[str], ignore: Iterable[str]) -> Passage:
    """What happens to traffic to a host.

    "allow" goes to the real world in every mode and is never recorded; "ignore" is never recorded, and answered 204 in
    a replay; "telemetry" is ignored by default, and may also serve content; "cross" is the run's. Allowing wins over
    ignoring: a user says it of one host, against a default list.

    Args:
        host: a host's name or address, or the path of a unix socket.
        port: its port, or None.
        allow: patterns; ``*`` matches any part of a name, and a pattern with a port matches that port only.
        ignore: patterns of the same kind.
    """
    return _passage(host, port, tuple(allow), tuple(ignore))


@functools.lru_cache(maxsize=256)
def _is_look_up(method: str, host: str, path: str, patterns: tuple[str, ...]) -> bool:
    """Whether a pattern of setting ``look_ups`` (``host/path`` or ``POST host/path``, with ``*``) names a request."""
    address = f"{host}{path}".lower()
    # A pattern without a method means reading.
    named = address if method in _READING else f"{method.lower()} {address}"
    return any(fnmatchcase(named, pattern.lower()) for pattern in patterns)


_READING = frozenset({"GET", "HEAD"})
"""Methods that only read."""


# An agent talks to few hosts, a thousand times each: matching them anew is 20 µs a request.
@functools.lru_cache(maxsize=256)
def _passage(host: str, port: int | None, allow: tuple[str, ...], ignore: tuple[str, ...]) -> Passage:
    if _matches(host, port, allow):
        return "allow"
    if _matches(host, port, tuple(pattern for pattern in ignore if pattern not in TELEMETRY_HOSTS)):
        return "ignore"
    return "telemetry" if _matches(host, port, ignore) else "cross"


def _matches(host: str, port: int | None, patterns: tuple[str, ...]) -> bool:
    name = host.lower().strip("[]")
    names = [name] if port is None else [name, f"{name}:{port}", f"[{name}]:{port}"]
    return any(fnmatchcase(candidate, pattern.lower()) for pattern in patterns for candidate in names)


def is_by_chance(asked: dict[str, Json], settings: Settings) -> bool:
    """Whether it is chance that a client asks: it reads from a telemetry host, or what it reads once a day.

    Args:
        asked: the *asked* half of an HTTP request that no model answers.
        settings: what the user said of hosts and look-ups.
    """
    url, method = urlsplit(asked["url"]), asked["method"]
    host = url.hostname or ""
    if (is_pipe(asked) and method == "GET") or _is_look_up(method, host, url.path, settings.look_ups):
        return True
    hosts = (host, url.port), (f"{CLIENT}{header(asked, 'user-agent')}", None)
    return method in _READING and any(
        passage(name, port, allow=settings.allow_hosts, ignore=settings.ignore_hosts) == "telemetry"
        for name, port in hosts
    )
