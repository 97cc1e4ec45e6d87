"""Says what a request names that its server keeps: a conversation, a session, a container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.providers.registry import facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.exchange import Json

_SESSION = "mcp-session-id"


def named_state(asked: dict[str, Json]) -> Iterator[tuple[str, str]]:
    """What an ``http`` asked half names of its server's state: the key or header, and the id."""
    headers, body = asked.get("headers"), asked.get("body")
    if isinstance(headers, dict) and _SESSION in headers:
        yield _SESSION, headers[_SESSION]
    fields = body.get("json") if isinstance(body, dict) else None
    if not isinstance(fields, dict):
        return
    for key in facts().server_state_keys:
        value = fields.get(key)
        value = value.get("id") if isinstance(value, dict) else value
        if isinstance(value, str) and value:
            yield key, value
