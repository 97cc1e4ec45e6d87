"""Holds the facts of http.client; `adapter` patches its connections, `bodies` reads requests and serves answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.http.adapter import Library
from pytest_sparrow.exchange import TransportErrorName

if TYPE_CHECKING:
    from types import ModuleType

    from pytest_sparrow.boundaries.patching import AttributePatch

__all__ = ["CARRIED", "LIBRARY"]


def _patches(module: ModuleType) -> list[AttributePatch]:
    from pytest_sparrow.boundaries.http.http_client.adapter import patches_for

    return patches_for(module)


def _httplib2(module: ModuleType) -> list[AttributePatch]:
    from pytest_sparrow.boundaries.http.http_client.adapter import postponing

    names = ("HTTPConnectionWithTimeout", "HTTPSConnectionWithTimeout")
    return postponing(*(getattr(module, name, None) for name in names))


CARRIED = {"httplib2": _httplib2}
"""Patches for libraries whose connections open themselves in their own way, by module."""

LIBRARY = Library(
    name="http.client",
    oldest="3.11",
    covered="recorded and replayed, and with it urllib.request and httplib2",
    carries=("urllib.request", "httplib2"),
    needs=(
        "HTTPConnection._send_output",
        "HTTPConnection.connect",
        "HTTPConnection.send",
        "HTTPConnection.getresponse",
    ),
    errors={
        TransportErrorName.CONNECT_ERROR: "ConnectionRefusedError",
        TransportErrorName.PROXY_ERROR: "ConnectionRefusedError",
        TransportErrorName.CONNECT_TIMEOUT: "TimeoutError",
        TransportErrorName.POOL_TIMEOUT: "TimeoutError",
        TransportErrorName.READ_TIMEOUT: "TimeoutError",
        TransportErrorName.WRITE_TIMEOUT: "TimeoutError",
        TransportErrorName.READ_ERROR: "ConnectionResetError",
        TransportErrorName.WRITE_ERROR: "BrokenPipeError",
        TransportErrorName.REMOTE_PROTOCOL_ERROR: "RemoteDisconnected",
        TransportErrorName.LOCAL_PROTOCOL_ERROR: "HTTPException",
    },
    patches=_patches,
)
"""``_send_output`` is private: in it a request's head is complete, whichever methods the client built the head with."""
