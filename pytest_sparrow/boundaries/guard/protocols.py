"""Judges connections that Python's audit events do not show, or show too late to name: WebSockets, and uvloop's.

WebSockets of the ``websockets`` library (openai's realtime, Gemini live) are refused by name. Their sockets would be
refused all the same, but late, and as a name that is looked up. Every connection, sync or not, begins with
``parse_uri``, which each client module has as a name of its own. A test holds that; where it is gone, the refusal of
the socket stands. aiohttp's WebSockets, and httpx's, are refused by the HTTP boundary.

uvloop's loop opens sockets in C (libuv), so its methods are judged. A datagram endpoint that is not connected sends by
libuv as well, through an object that can't be replaced: not seen.
"""

from __future__ import annotations

import errno
import functools
import os
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.guard.addresses import host_text
from pytest_sparrow.boundaries.guard.network import judge, judge_lookup, judge_path
from pytest_sparrow.boundaries.guard.watcher import replaying_run
from pytest_sparrow.boundaries.patching import AttributePatch, Patches

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from pytest_sparrow.run.crossing import OpenRun


__all__ = ["UVLOOP_PATCHES", "WEBSOCKET_PATCHES"]


_CLIENTS = (
    "websockets.asyncio.client",
    "websockets.sync.client",
    "websockets.trio.client",
    "websockets.legacy.client",
)


def _websocket_patches_for(client: ModuleType) -> list[AttributePatch]:
    original = vars(client).get("parse_uri")
    if original is None:
        return []
    return [AttributePatch(client, "parse_uri", _judged_websocket(original))]


def _judged_websocket(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def parse_uri(uri: str, *args: Any, **kwargs: Any) -> Any:
        parsed = original(uri, *args, **kwargs)
        run = replaying_run()
        # What `unix_connect` names where no name counts: the guard sees the socket's path.
        if run is None or uri == "ws://localhost/":
            return parsed
        place = f"{parsed.host}:{parsed.port}"
        if not judge(run, parsed.host, parsed.port, what=f"a WebSocket to {place}"):
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"{place} is ignored while replaying")
        return parsed

    return parse_uri


WEBSOCKET_PATCHES = Patches(dict.fromkeys(_CLIENTS, _websocket_patches_for))


def _judge_host(run: OpenRun, host: Any, port: Any, *, udp: bool = False) -> None:
    if host is None:
        return  # a socket that is connected already
    name, number = str(host), int(port or 0)
    verb = "sending to" if udp else "connecting to"
    if not judge(run, name, number, what=f"{verb} {name}:{number}", udp=udp):
        raise ConnectionRefusedError(errno.ECONNREFUSED, f"{name}:{number} is ignored while replaying")


def _connection(run: OpenRun, _factory: Any, host: Any = None, port: Any = None, **_: Any) -> None:
    _judge_host(run, host, port)


def _datagrams(
    run: OpenRun,
    _factory: Any,
    local_addr: Any = None,  # noqa: ARG001 - may be given by position
    remote_addr: Any = None,
    **_: Any,
) -> None:
    if isinstance(remote_addr, tuple):
        _judge_host(run, *remote_addr[:2], udp=True)
    elif remote_addr is not None:
        judge_path(run, os.fsdecode(remote_addr))


def _unix(run: OpenRun, _factory: Any, path: Any = None, **_: Any) -> None:
    if path is not None:
        judge_path(run, os.fsdecode(path))


def _look_up(run: OpenRun, host: Any, port: Any = None, **_: Any) -> None:
    judge_lookup(run, host_text(host), port if isinstance(port, int) else None)


_JUDGED: dict[str, Callable[..., None]] = {
    "create_connection": _connection,
    "create_datagram_endpoint": _datagrams,
    "create_unix_connection": _unix,
    "getaddrinfo": _look_up,
}


def _uvloop_patches_for(library: ModuleType) -> list[AttributePatch]:
    loop = vars(library).get("Loop")
    if loop is None:
        return []
    return [
        AttributePatch(loop, name, _judged_uvloop(original, judge_call))
        for name, judge_call in _JUDGED.items()
        if (original := getattr(loop, name, None)) is not None
    ]


def _judged_uvloop(original: Callable[..., Any], judge_call: Callable[..., None]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def judged(loop: Any, *args: Any, **kwargs: Any) -> Any:
        run = replaying_run()
        if run is not None:
            judge_call(run, *args, **kwargs)
        return await original(loop, *args, **kwargs)

    return judged


UVLOOP_PATCHES = Patches({"uvloop": _uvloop_patches_for})
