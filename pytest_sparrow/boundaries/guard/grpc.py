"""Refuses gRPC calls by name: the C core of gRPC opens sockets that no audit event shows.

Calls and waits for the connection are refused, not the channel itself: a channel that nobody uses connects to nothing,
and calls over a channel that was opened before the run must be refused, too. That needs private classes of
``grpc._channel`` and ``grpc.aio._channel``, held by a test; where one is gone, no channel can be opened.
"""

from __future__ import annotations

import functools
import importlib.util
import re
import sys
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.guard.network import judge, judge_path, refused
from pytest_sparrow.boundaries.guard.watcher import replaying_run
from pytest_sparrow.boundaries.patching import AttributePatch, Patches

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from pytest_sparrow.run.crossing import OpenRun

__all__ = ["CALLS", "PATCHES", "places"]

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
    """Of a sync call or channel, which say it; of one of aio, whose C channel does."""
    target = getattr(caller, "_target", None)
    if target is None:
        target = caller._channel.target  # noqa: SLF001 - held by a test
    return target.decode() if isinstance(target, bytes) else str(target)


def _judge(run: OpenRun, target: str) -> None:
    try:
        found = places(target)
    except ValueError:
        raise refused(run, f"a gRPC call to {target}", "") from None
    if isinstance(found, str):
        judge_path(run, found, what=f"a gRPC call to the unix socket {found!r}")
        return
    for host, port in found:
        if not judge(run, host, port, what=f"a gRPC call to {host}:{port}"):
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
    {**dict.fromkeys(CALLS, _calls), **dict.fromkeys(("grpc", "grpc.aio"), _without_calls)},
)
