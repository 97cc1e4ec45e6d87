"""Holds the facts of aiohttp; `adapter` patches the loaded aiohttp, `bodies` reads requests and serves answers."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.http.adapter import Library
from pytest_sparrow.boundaries.patching import AttributePatch
from pytest_sparrow.exchange import TransportErrorName
from pytest_sparrow.run.context import serving_port
from pytest_sparrow.run.own_servers import port_of

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["LIBRARY", "SERVERS"]


def _patches(module: ModuleType) -> list[AttributePatch]:
    # The adapter imports aiohttp, so it is imported when aiohttp is loaded.
    from pytest_sparrow.boundaries.http.aiohttp.adapter import patches_for

    return patches_for(module)


def _servers(module: ModuleType) -> list[AttributePatch]:
    """From Python 3.12 on a server's task is made past the loop's `create_task`, where other servers are known by."""
    start = module.RequestHandler.start

    @functools.wraps(start)
    async def serve(handler: Any) -> None:
        serving_port.set(port_of(handler.transport))
        await start(handler)

    return [AttributePatch(module.RequestHandler, "start", serve)]


SERVERS = {"aiohttp.web_protocol": _servers}
"""Patches for aiohttp's own server, by module."""

LIBRARY = Library(
    name="aiohttp",
    oldest="3.11",
    covered="recorded and replayed; its WebSockets are refused in a replay",
    needs=(
        "BaseConnector.connect",
        "BaseConnector._release",
        "ClientRequest.send",
        "ClientResponse.start",
        "StreamReader._wait",
    ),
    errors={
        TransportErrorName.READ_TIMEOUT: "SocketTimeoutError",
        TransportErrorName.WRITE_TIMEOUT: "ServerTimeoutError",
        TransportErrorName.CONNECT_TIMEOUT: "ConnectionTimeoutError",
        TransportErrorName.POOL_TIMEOUT: "ConnectionTimeoutError",
        TransportErrorName.READ_ERROR: "ClientOSError",
        TransportErrorName.WRITE_ERROR: "ClientOSError",
        TransportErrorName.CONNECT_ERROR: "ClientConnectorError",
        TransportErrorName.REMOTE_PROTOCOL_ERROR: "ServerDisconnectedError",
    },
    patches=_patches,
)
"""Two of the needed names are private: ``StreamReader._wait``, in which all reading waits for data, and
``BaseConnector._release``, by which a connection goes back to its connector."""
