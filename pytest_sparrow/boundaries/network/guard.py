"""Refusing connections: the few functions of ``socket`` that reach out, replaced while a run feeds."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.network.addresses import is_loopback, is_numeric, is_own_name
from pytest_sparrow.boundaries.network.listeners import listens_at_path, listens_on_port
from pytest_sparrow.errors import ReplayDivergence, UsageError
from pytest_sparrow.recording.window import current_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sparrow.recording.crossing import OpenRun

__all__ = ["feeding_run", "judge", "refused", "shut_sockets"]

_MISSING: Any = object()


@contextlib.contextmanager
def shut_sockets(run: OpenRun) -> Iterator[None]:
    """While open, sockets of a feeding run reach nothing but what is allowed; see `network.shut.shut`."""
    _GUARD.enter(run)
    try:
        yield
    finally:
        _GUARD.leave(run)


class _Guard:
    """What is replaced, for which runs, and which names its addresses were resolved from."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: list[OpenRun] = []
        self._originals: list[tuple[Any, str, Any, Any]] = []
        self._names: dict[str, set[str]] = {}

    def enter(self, run: OpenRun) -> None:
        with self._lock:
            self._runs.append(run)
            if len(self._runs) > 1:
                return
            for name, place in _SENDERS.items():
                self._replace(socket.socket, name, functools.partial(self._guarded, place=place))
            self._replace(socket, "getaddrinfo", self._guarded_lookup)

    def leave(self, run: OpenRun) -> None:
        with self._lock:
            self._runs.remove(run)
            if self._runs:
                return
            for owner, name, original, replacement in reversed(self._originals):
                if vars(owner).get(name) is not replacement:
                    continue  # someone wrapped it since; with no run left, ours lets everything through
                if original is _MISSING:
                    delattr(owner, name)
                else:
                    setattr(owner, name, original)
            self._originals.clear()
            self._names.clear()

    def _replace(self, owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
        inherited = getattr(owner, name, None)
        if inherited is None:  # sendmsg, on Windows
            return
        replacement = wrap(inherited)
        self._originals.append((owner, name, vars(owner).get(name, _MISSING), replacement))
        setattr(owner, name, replacement)

    def _guarded(self, original: Any, *, place: Callable[..., Any]) -> Any:
        @functools.wraps(original)
        def guarded(sock: socket.socket, *args: Any, **kwargs: Any) -> Any:
            run = feeding_run()
            address = None if run is None else place(*args, **kwargs)
            if run is not None and address is not None:
                try:
                    self._judge(run, sock, address)
                except ReplayDivergence:
                    # Callers close a socket upon an OSError only; left open, this one would be a
                    # ResourceWarning on top. A datagram socket has a life after one refusal.
                    if sock.type != socket.SOCK_DGRAM:
                        sock.close()
                    raise
            return original(sock, *args, **kwargs)

        return guarded

    def _guarded_lookup(self, original: Any) -> Any:
        @functools.wraps(original)
        def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            run = feeding_run()
            name = _text(host)
            if run is None or not name or is_numeric(name) or is_loopback(name) or is_own_name(name):
                return original(host, port, *args, **kwargs)
            number = port if isinstance(port, int) else None
            verdict = run.passes_host(name, number)
            if verdict == "ignore":
                raise socket.gaierror(socket.EAI_NONAME, f"{name} is ignored while replaying")
            if verdict != "allow":
                raise refused(run, f"looking up {name}", _place(name, number))
            found = original(host, port, *args, **kwargs)
            for *_, address in found:
                self._names.setdefault(str(address[0]), set()).add(name)
            return found

        return getaddrinfo

    def any_run(self) -> OpenRun | None:
        """The oldest run for which the world is shut."""
        return next(iter(self._runs), None)

    def names_of(self, address: str) -> set[str]:
        """The names that an address was resolved from."""
        return self._names.get(address, set())

    def _judge(self, run: OpenRun, sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            udp = sock.type == socket.SOCK_DGRAM
            verb = "sending to" if udp else "connecting to"
            host, port = str(_text(address[0])), address[1]
            if not judge(run, host, port, what=f"{verb} {_place(host, port)}", udp=udp):
                raise ConnectionRefusedError(errno.ECONNREFUSED, f"{host}:{port} is ignored while replaying")
        elif sock.family == getattr(socket, "AF_UNIX", None):
            path = os.fsdecode(address)
            if run.passes_host(path, None) != "allow" and not listens_at_path(path):
                raise refused(run, f"connecting to the unix socket {path!r}", path)
        elif sock.family not in _KERNEL_FAMILIES:
            raise refused(run, f"connecting to {address!r}", "")


def feeding_run() -> OpenRun | None:
    """The feeding run that a connection made here belongs to, if any."""
    try:
        run = current_run()
    except UsageError:
        # A thread without context, and several runs: asyncio resolves names in one. Any of ours will do.
        return _GUARD.any_run()
    return run if run is not None and run.feeding else None


def judge(run: OpenRun, host: str, port: int, *, what: str, udp: bool = False) -> bool:
    """Whether a host may be reached: False where it is ignored, which must look as if nobody listened there.

    Raises:
        ReplayDivergence: neither allowed nor ignored, nor a server of this very process.
    """
    verdicts = {run.passes_host(name, port) for name in (host, *_GUARD.names_of(host))}
    if "allow" in verdicts or (is_loopback(host) and listens_on_port(port, udp=udp)):
        return True
    if "ignore" in verdicts:
        return False
    raise refused(run, what, _place(host, port))


def refused(run: OpenRun, what: str, place: str) -> Exception:
    """Write a refusal into the ledger, and return what to raise; ``place`` is what a user would allow."""
    hint = f"sparrow_allow_hosts = {place} keeps it reachable" if place else ""
    return run.refuse(f"{what} was refused: the world is shut while replaying", hint)


def _place(host: str, port: int | None) -> str:
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port is None else f"{bracketed}:{port}"


def _text(host: Any) -> Any:
    return host.decode("idna") if isinstance(host, bytes | bytearray) else host


def _first(address: Any, *_: Any) -> Any:
    """connect(address), connect_ex(address)."""
    return address


def _last(*args: Any) -> Any:
    """sendto(data, address), sendto(data, flags, address)."""
    return args[-1] if len(args) > 1 else None


def _fourth(buffers: Any, ancdata: Any = (), flags: int = 0, address: Any = None) -> Any:  # noqa: ARG001
    """sendmsg(buffers, ancdata, flags, address); without an address it goes where connect was judged."""
    return address


_SENDERS: dict[str, Callable[..., Any]] = {
    "connect": _first,
    "connect_ex": _first,
    "sendto": _last,
    "sendmsg": _fourth,
}
"""What sends a socket somewhere, and how to find the address among its arguments."""

# Talk with the kernel, not with anyone else.
_KERNEL_FAMILIES = tuple(
    getattr(socket, name) for name in ("AF_NETLINK", "AF_ALG", "AF_SYSTEM") if hasattr(socket, name)
)

# Process-wide, as the functions that it replaces are; empty while nothing is shut.
_GUARD = _Guard()
