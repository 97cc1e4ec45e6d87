"""uvloop's connections: its loop opens sockets in C (libuv), past Python's audit events, so its methods are judged.

A datagram endpoint that is not connected sends by libuv as well, through an object that can't be replaced: not seen.
"""

from __future__ import annotations

import errno
import functools
import os
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.network.guard import feeding_run, judge, judge_lookup, judge_path
from pytest_sparrow.boundaries.patches import Patch, Patches

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from pytest_sparrow.recording.crossing import OpenRun

__all__ = ["PATCHES"]


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
    name = host.decode("idna") if isinstance(host, bytes) else host
    judge_lookup(run, name, port if isinstance(port, int) else None)


_JUDGED: dict[str, Callable[..., None]] = {
    "create_connection": _connection,
    "create_datagram_endpoint": _datagrams,
    "create_unix_connection": _unix,
    "getaddrinfo": _look_up,
}


def _patches_for(library: ModuleType) -> list[Patch]:
    loop = vars(library).get("Loop")
    if loop is None:
        return []
    return [
        Patch(owner=loop, name=name, original=original, replacement=_judged(original, judge_call))
        for name, judge_call in _JUDGED.items()
        # Inherited from a class of C, which takes no patches; put back, it stands in the subclass.
        if (original := getattr(loop, name, None)) is not None
    ]


def _judged(original: Callable[..., Any], judge_call: Callable[..., None]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def reach(loop: Any, *args: Any, **kwargs: Any) -> Any:
        run = feeding_run()
        if run is not None:
            judge_call(run, *args, **kwargs)
        return await original(loop, *args, **kwargs)

    return reach


PATCHES = Patches({"uvloop": _patches_for})
