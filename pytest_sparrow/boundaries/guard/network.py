"""Refuses connections while a run replays: what sockets do is audited, and judged by address.

Telling addresses apart without asking anyone.

Whether this very process listens at an address: then a connection there stays inside it.

Asked only when a connection would be refused otherwise. The kernel's tables first (Linux: exact, with the
sockets that C code opened), then the socket objects that Python's garbage collector knows (any system).
Sockets are never opened by their file descriptor: with a default timeout set, that alone would change them.

Refusing connections: what sockets do is audited, and refused while a run feeds.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import gc
import ipaddress
import os
import re
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_sparrow.errors import ReplayDivergence, UsageError
from pytest_sparrow.run.context import current_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sparrow.run.crossing import OpenRun

__all__ = [
    "is_loopback",
    "is_numeric",
    "is_own_name",
    "judge",
    "judge_lookup",
    "judge_path",
    "listens_at_path",
    "listens_on_port",
    "refused",
    "replaying_run",
    "shut_sockets",
]


def is_numeric(host: str) -> bool:
    """Whether a host is an address already, so that resolving it asks no one."""
    return _address(host) is not None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine's loopback: ``localhost`` and names below it (RFC 6761, 6.3) count."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(host)
    if address is None:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    # Linux connects the unspecified address to this machine.
    return bool(mapped.is_loopback or mapped.is_unspecified)


def is_own_name(host: str) -> bool:
    """Whether a host is this machine's own name, which stands in its own tables."""
    return host.lower() == socket.gethostname().lower()


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


_UNIX = getattr(socket, "AF_UNIX", None)
_LISTENING = "0A"
_PROC = Path("/proc/self")


def listens_on_port(port: int, *, udp: bool = False) -> bool:
    """Whether this process listens on a TCP port, or has bound a UDP port, of any interface."""
    return _proc_port(port, udp=udp) or any(
        _port_of(own) == port for own in _python_sockets(udp=udp) if own.family != _UNIX
    )


def listens_at_path(path: str) -> bool:
    """Whether this process listens at the path of a unix socket."""
    return any(
        own.family == _UNIX and os.fsdecode(own.getsockname()) == path for own in _python_sockets(udp=False)
    )


def _python_sockets(*, udp: bool) -> Iterator[socket.socket]:
    for found in gc.get_objects():
        # type(), not isinstance(): that would ask lazy proxies for their __class__, and so wake them.
        if issubclass(type(found), socket.socket):
            with contextlib.suppress(OSError):
                if _waits(found, udp=udp):
                    yield found


def _waits(found: socket.socket, *, udp: bool) -> bool:
    if found.fileno() < 0:
        return False
    if udp:
        return found.type == socket.SOCK_DGRAM
    return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _port_of(own: socket.socket) -> int | None:
    name = own.getsockname()
    return name[1] if isinstance(name, tuple) and len(name) > 1 else None


def _proc_port(port: int, *, udp: bool) -> bool:
    wanted = f":{port:04X}"
    inodes = {
        fields[9]
        for fields in _proc_table("udp" if udp else "tcp")
        if fields[1].endswith(wanted) and (udp or fields[3] == _LISTENING)
    }
    return bool(inodes) and not inodes.isdisjoint(_own_inodes())


def _proc_table(protocol: str) -> Iterator[list[str]]:
    """The rows of /proc/net/tcp and its like (proc(5)): local address, state and inode are 1, 3 and 9."""
    for name in (protocol, f"{protocol}6"):
        with contextlib.suppress(OSError):
            rows = (_PROC / "net" / name).read_text("ascii").splitlines()[1:]
            yield from (fields for row in rows if len(fields := row.split()) > 9)


def _own_inodes() -> Iterator[str]:
    with contextlib.suppress(OSError):
        for entry in (_PROC / "fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                target = str(entry.readlink())
                if target.startswith("socket:["):
                    yield target[len("socket:[") : -1]


@contextlib.contextmanager
def shut_sockets(run: OpenRun) -> Iterator[None]:
    """While open, sockets of a feeding run reach nothing but what is allowed; see `network.shut.shut`."""
    _GUARD.enter(run)
    try:
        yield
    finally:
        _GUARD.leave(run)


class _Guard:
    """What is refused, for which runs, and which names its addresses were resolved from.

    Refusing is an audit hook's (PEP 578): the C code behind every socket asks it, so that no saved method and no
    `_socket.socket` goes past it. It can't be taken off again; with no run it does nothing. `getaddrinfo` alone is
    replaced as well: what an allowed name was resolved to, no audit tells.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: list[OpenRun] = []
        self._hooked = False
        self._lookup: tuple[Any, Any] | None = None
        self._names: dict[str, set[str]] = {}

    def enter(self, run: OpenRun) -> None:
        with self._lock:
            self._runs.append(run)
            if not self._hooked:
                self._hooked = True
                sys.addaudithook(self._audit)
            if len(self._runs) == 1:
                original = socket.getaddrinfo
                noting = self._noting(original)
                self._lookup = original, noting
                socket.getaddrinfo = noting

    def leave(self, run: OpenRun) -> None:
        with self._lock:
            self._runs.remove(run)
            if self._runs or self._lookup is None:
                return
            original, noting = self._lookup
            if socket.getaddrinfo is noting:  # else someone wrapped it since; ours only passes on
                socket.getaddrinfo = original
            self._lookup = None
            self._names.clear()

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._runs:
            return
        judge_event = _AUDITED.get(event)
        if judge_event is None:
            return
        run = replaying_run()
        if run is not None:
            judge_event(run, *args)

    def _noting(self, original: Any) -> Any:
        @functools.wraps(original)
        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
            found = original(host, *args, **kwargs)
            name = _text(host)
            if name and self._runs and not is_numeric(name) and replaying_run() is not None:
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


def _sending(run: OpenRun, sock: Any, address: Any) -> None:
    """connect, connect_ex, sendto, sendmsg; without an address it goes where connect was judged."""
    if address is None:
        return
    try:
        _judge_address(run, sock, address)
    except ReplayDivergence:
        # Callers close a socket upon an OSError only; left open, this one would be a ResourceWarning on top.
        # A datagram socket has a life after one refusal.
        if sock.type != socket.SOCK_DGRAM:
            sock.close()
        raise


def _judge_address(run: OpenRun, sock: Any, address: Any) -> None:
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        udp = sock.type == socket.SOCK_DGRAM
        verb = "sending to" if udp else "connecting to"
        host, port = str(_text(address[0])), address[1]
        if not judge(run, host, port, what=f"{verb} {_place(host, port)}", udp=udp):
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"{host}:{port} is ignored while replaying")
    elif sock.family == getattr(socket, "AF_UNIX", None):
        judge_path(run, os.fsdecode(address))
    elif sock.family not in _KERNEL_FAMILIES:
        raise refused(run, f"connecting to {address!r}", "")


def _looking_up(run: OpenRun, host: Any, port: Any = None, *_: Any) -> None:
    """getaddrinfo(host, port, …), gethostbyname(host)."""
    judge_lookup(run, _text(host), port if isinstance(port, int) else None)


def _naming(run: OpenRun, address: Any) -> None:
    """gethostbyaddr(address), getnameinfo((address, port, …)): asks whose address it is."""
    host = str(address[0] if isinstance(address, tuple) else _text(address))
    if is_numeric(host) and not is_loopback(host):
        judge_lookup(run, host, None, is_address=True)
    elif not is_numeric(host):
        judge_lookup(run, host, None)


def judge_lookup(run: OpenRun, name: str | None, port: int | None, *, is_address: bool = False) -> None:
    """Let a name (or an address, whose name is asked for) be looked up, or not.

    Raises:
        ReplayDivergence: it would ask someone, and isn't allowed.
        socket.gaierror: it is ignored, which must look as if there were no such name.
    """
    if not name or is_loopback(name) or is_own_name(name) or (is_numeric(name) and not is_address):
        return
    verdict = run.passes_host(name, port)
    if verdict == "ignore":
        raise socket.gaierror(socket.EAI_NONAME, f"{name} is ignored while replaying")
    if verdict != "allow":
        raise refused(run, f"looking up {name}", _place(name, port))


def judge_path(run: OpenRun, path: str, *, what: str = "") -> None:
    """Let a unix socket be connected to, or not.

    Raises:
        ReplayDivergence: neither allowed, nor a server of this very process or of multiprocessing's own.
    """
    if (
        run.passes_host(path, None) != "allow"
        and not listens_at_path(path)
        and not _is_multiprocessings(path)
    ):
        raise refused(run, what or f"connecting to the unix socket {path!r}", path)


def _is_multiprocessings(path: str) -> bool:
    """Whether `multiprocessing` made this socket, to talk with processes that it started: fork servers, managers.

    It names them all alike (``util.get_temp_dir`` and ``connection.arbitrary_address``), in whichever process.
    """
    return "multiprocessing" in sys.modules and _OF_MULTIPROCESSING.search(path) is not None


def replaying_run() -> OpenRun | None:
    """The feeding run that a connection made here belongs to, if any."""
    try:
        run = current_run()
    except UsageError:
        # A thread without context, and several runs: asyncio resolves names in one. Any of ours will do.
        return _GUARD.any_run()
    return run if run is not None and run.replaying else None


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


_OF_MULTIPROCESSING = re.compile(r"(?:\A\0|/pymp-[^/]+/)listener-[^/]+\Z")

# Talk with the kernel, not with anyone else.
_KERNEL_FAMILIES = tuple(
    getattr(socket, name) for name in ("AF_NETLINK", "AF_ALG", "AF_SYSTEM") if hasattr(socket, name)
)

_AUDITED: dict[str, Callable[..., None]] = {
    "socket.connect": _sending,  # and connect_ex
    "socket.sendto": _sending,
    "socket.sendmsg": _sending,
    "socket.getaddrinfo": _looking_up,
    "socket.gethostbyname": _looking_up,  # and gethostbyname_ex
    "socket.gethostbyaddr": _naming,
    "socket.getnameinfo": _naming,
}
"""Python's audit events that reach out (its manual: "Audit events table"), and who judges their arguments."""

# Process-wide, as what it hooks is; empty while nothing is shut.
_GUARD = _Guard()
