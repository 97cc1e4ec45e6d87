"""The skin for aiohttp 3.11 and later.

What is patched is public: ``BaseConnector.connect``, which every hop of every request goes through behind the
client's middlewares and in front of any socket; ``ClientRequest.send`` and ``ClientResponse.start``, which come next.
So everything above (redirects, cookies, retries, tracing, the response class) is aiohttp's own. Two private names
are needed: ``StreamReader._wait`` (see `aiohttp_reader`), and ``BaseConnector._release``, by which a connection goes
back (see `aiohttp_served`). Where one is missing nothing is patched, and the network guard refuses.
"""

from __future__ import annotations

import functools
from typing import Any

from pytest_sparrow.boundaries.patches import Patch

__all__ = ["patches_for"]

_NEEDED = (
    ("BaseConnector", "connect"),
    ("BaseConnector", "_release"),
    ("ClientRequest", "send"),
    ("ClientResponse", "start"),
    ("StreamReader", "_wait"),
)


def patches_for(library: Any) -> list[Patch]:
    """What to replace in a loaded aiohttp; nothing is changed yet."""
    if not all(name in vars(getattr(library, owner, object)) for owner, name in _NEEDED):
        return []
    # Only now, since it imports aiohttp, which may have been half loaded.
    from pytest_sparrow.boundaries.http import aiohttp_crossing

    found = []
    for owner, name, wrapper in (
        (library.BaseConnector, "connect", aiohttp_crossing.connecting),
        (library.ClientRequest, "send", aiohttp_crossing.sending),
        (library.ClientResponse, "start", aiohttp_crossing.starting),
    ):
        original = vars(owner)[name]
        replacement = functools.wraps(original)(wrapper(original))
        found.append(Patch(owner=owner, name=name, original=original, replacement=replacement))
    return found
