"""Judges connections that Python's audit events do not show, or show too late to name: WebSockets, uvloop's, gRPC's.

WebSockets of the ``websockets`` library (openai's realtime, Gemini live) are refused by name. Their sockets would be
refused all the same, but late, and as a name that is looked up. Every connection, sync or not, begins with
``parse_uri``, which each client module has as a name of its own. A test holds that; where it is gone, the refusal of
the socket stands. aiohttp's WebSockets, and httpx's, are refused by the HTTP boundary.

uvloop's loop opens sockets in C (libuv), so its methods are judged. A datagram endpoint that is not connected sends by
libuv as well, through an object that can't be replaced: not seen.

The C core of gRPC opens sockets that no audit event shows. Calls and waits for the connection are refused, not the
channel itself: a channel that nobody uses connects to nothing, and calls over a channel that was opened before the run
must be refused, too. That needs private classes of ``grpc._channel`` and ``grpc.aio._channel``, held by a test; where
one is gone, no channel can be opened.
"""

from __future__ import annotations

import errno
import functools
import importlib.util
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.guard.addresses import host_text
from pytest_sparrow.boundaries.guard.network import judge, judge_lookup, judge_path, refused
from pytest_sparrow.boundaries.guard.watcher import replaying_run
from pytest_sparrow.boundaries.patching import AttributePatch, Patches

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from pytest_sparrow.run.crossing import OpenRun

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
        if not judge(run, parsed.host, parsed.port, act="websocket"):
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"{place} is ignored while replaying")
        return parsed

    return parse_uri


def _judge_host(run: OpenRun, host: Any, port: Any, *, udp: bool = False) -> None:
    if host is None:
        return  # a socket that is connected already
    name, number = str(host), int(port or 0)
    if not judge(run, name, number, udp=udp):
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


CALLS: dict[str, dict[str, tuple[str, ...]]] = {
    "grpc._channel": {
        "_UnaryUnaryMultiCallable": ("__call__", "with_call", "future"),
        "_UnaryStreamMultiCallable": ("__call__",),
        "_SingleThreadedUnaryStreamMultiCallable": ("__call__",),
        "_StreamUnaryMultiCallable": ("__call__", "with_call", "future"),
        "_StreamStreamMultiCallable": ("__call__",),
        "Channel": ("subscribe",),
    },
    "grpc.aio._channel": {
        "UnaryUnaryMultiCallable": ("__call__",),
        "UnaryStreamMultiCallable": ("__call__",),
        "StreamUnaryMultiCallable": ("__call__",),
        "StreamStreamMultiCallable": ("__call__",),
        "Channel": ("get_state",),
    },
}
"""The methods that connect, by module and class. Those of a channel connect where ``try_to_connect`` is set."""

_CONNECTING = ("subscribe", "get_state")
_DEFAULT_PORT = 443
# Where each kind of target holds its places (gRPC's own naming.md); a target without a known kind is a DNS name.
_KIND = re.compile(
    r"(dns|ipv4|ipv6|unix|unix-abstract|vsock|xds|google-c2p|passthrough):(?!\d+\Z)(.*)", re.DOTALL
)
_PORT = re.compile(r"\[?(?P<host>[^\[\]]*?)\]?(?::(?P<port>\d+))?")


def places(target: str) -> list[tuple[str, int]] | str:
    """The hosts and ports that a channel's target names; or the path of a unix socket.

    Raises:
        ValueError: another kind of target, whose hosts only gRPC finds out.
    """
    kind, rest = found.groups() if (found := _KIND.fullmatch(target)) else ("dns", target)
    if kind == "unix":
        return rest.removeprefix("//")
    if kind not in ("dns", "ipv4", "ipv6"):
        raise ValueError(target)
    # "dns://authority/host:port"
    hosts = [rest.rpartition("/")[2]] if kind == "dns" else rest.split(",")
    return [_host_and_port(host) for host in hosts]


def _host_and_port(text: str) -> tuple[str, int]:
    if text.count(":") > 1 and not text.startswith("["):
        return text, _DEFAULT_PORT
    found = _PORT.fullmatch(text)
    if found is None:
        return text, _DEFAULT_PORT
    return found["host"], int(found["port"] or _DEFAULT_PORT)


def _calls(channels: ModuleType) -> list[AttributePatch]:
    wanted = CALLS[channels.__name__].items()
    owners = [(vars(channels).get(owner), names) for owner, names in wanted]
    if all(owner is not None and name in vars(owner) for owner, names in owners for name in names):
        return [_patch(owner, name, _judged) for owner, names in owners for name in names]
    return _openings(sys.modules[channels.__name__.rpartition(".")[0]])


def _without_calls(library: ModuleType) -> list[AttributePatch]:
    """Where the module of the calls is gone, it won't be loaded."""
    return [] if _is_there(f"{library.__name__}._channel") else _openings(library)


def _openings(library: ModuleType) -> list[AttributePatch]:
    return [
        _patch(library, name, _judged_opening)
        for name in ("insecure_channel", "secure_channel")
        if name in vars(library)
    ]


@functools.cache
def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _patch(owner: Any, name: str, wrap: Callable[[Any], Any]) -> AttributePatch:
    original = vars(owner)[name]
    return AttributePatch(owner, name, functools.wraps(original)(wrap(original)))


def _judged(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(caller: Any, *args: Any, **kwargs: Any) -> Any:
        run = replaying_run()
        if run is not None and _connects(original.__name__, args, kwargs):
            _judge(run, _target_of(caller))
        return original(caller, *args, **kwargs)

    return call


def _judged_opening(original: Callable[..., Any]) -> Callable[..., Any]:
    def open_channel(target: str, *args: Any, **kwargs: Any) -> Any:
        run = replaying_run()
        if run is not None:
            _judge(run, target)
        return original(target, *args, **kwargs)

    return open_channel


def _connects(method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    # subscribe(callback, try_to_connect), get_state(try_to_connect)
    return method not in _CONNECTING or bool(kwargs.get("try_to_connect", args and args[-1] is True))


def _target_of(caller: Any) -> str:
    """The target of a sync call or channel, which name it; of an aio call, whose C channel names it."""
    target = getattr(caller, "_target", None)
    if target is None:
        target = caller._channel.target  # noqa: SLF001 - held by a test
    return target.decode() if isinstance(target, bytes) else str(target)


def _judge(run: OpenRun, target: str) -> None:
    try:
        found = places(target)
    except ValueError:
        raise refused(run, "grpc", target) from None
    if isinstance(found, str):
        judge_path(run, found, act="grpc")
        return
    for host, port in found:
        if not judge(run, host, port, act="grpc"):
            raise _unavailable(f"{host}:{port} is ignored while replaying")


def _unavailable(details: str) -> Exception:
    """What a call raises where nobody listens."""
    grpc: Any = sys.modules["grpc"]

    class Unavailable(grpc.RpcError):  # type: ignore[misc]
        def code(self) -> Any:
            return grpc.StatusCode.UNAVAILABLE

        def details(self) -> str:
            return details

    return Unavailable(details)


PATCHES = Patches(
    {
        **dict.fromkeys(_CLIENTS, _websocket_patches_for),
        "uvloop": _uvloop_patches_for,
        **dict.fromkeys(CALLS, _calls),
        **dict.fromkeys(("grpc", "grpc.aio"), _without_calls),
    },
    stays=True,
)
