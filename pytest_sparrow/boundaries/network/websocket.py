"""WebSockets of the ``websockets`` library, refused by name (openai's realtime, Gemini live).

Their sockets would be refused all the same, but late, and as a name that is looked up. Every connection, sync or not,
begins with ``parse_uri``, which each client module has as a name of its own. A test holds that; where it is gone, the
guard's refusal stands. aiohttp's WebSockets, and httpx's, are refused by the HTTP boundary.
"""

from __future__ import annotations

import errno
import functools
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.network.guard import feeding_run, judge
from pytest_sparrow.boundaries.patches import Patch, Patches

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["PATCHES"]

_CLIENTS = (
    "websockets.asyncio.client",
    "websockets.sync.client",
    "websockets.trio.client",
    "websockets.legacy.client",
)


def _patches_for(client: ModuleType) -> list[Patch]:
    original = vars(client).get("parse_uri")
    if original is None:
        return []
    return [Patch(owner=client, name="parse_uri", original=original, replacement=_judged(original))]


def _judged(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def parse_uri(uri: str, *args: Any, **kwargs: Any) -> Any:
        parsed = original(uri, *args, **kwargs)
        run = feeding_run()
        # What `unix_connect` names where no name counts: the guard sees the socket's path.
        if run is None or uri == "ws://localhost/":
            return parsed
        place = f"{parsed.host}:{parsed.port}"
        if not judge(run, parsed.host, parsed.port, what=f"a WebSocket to {place}"):
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"{place} is ignored while replaying")
        return parsed

    return parse_uri


PATCHES = Patches(dict.fromkeys(_CLIENTS, _patches_for))
