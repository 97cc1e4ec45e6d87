"""Says what a request names that its server keeps: a conversation, a session, a container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.providers.registry import facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.exchange import Json


def named_state(asked: dict[str, Json]) -> Iterator[tuple[str, str]]:
    """What an ``http`` asked half names of its server's state: the key or header, and the id."""
    headers, body = asked.get("headers"), asked.get("body")
    if isinstance(headers, dict):
        yield from ((name, headers[name]) for name in sorted(facts().session_headers) if name in headers)
    fields = body.get("json") if isinstance(body, dict) else None
    if not isinstance(fields, dict):
        return
    for key in facts().server_state_keys:
        value = fields.get(key)
        value = value.get("id") if isinstance(value, dict) else value
        if isinstance(value, str) and value:
            yield key, value


def is_pipe(asked: dict[str, Json]) -> bool:
    """Whether a message goes over a pipe to a program; what comes unasked there is asked for by GET."""
    return str(asked.get("url")).startswith("stdio:")


def listens(asked: dict[str, Json]) -> bool:
    """Whether a request only hears, by GET, what a server may send in a session, as MCP's does.

    How far a client reads the answer before it ends the session is chance.
    """
    headers = asked.get("headers")
    in_session = isinstance(headers, dict) and not facts().session_headers.isdisjoint(headers)
    return in_session and asked.get("method") == "GET"
