"""Classifies addresses without asking anyone: this machine's own, and those where this test session listens.

Whether anything listens somewhere is asked only when a connection would be refused otherwise. The kernel's tables
are asked first (Linux: exact, with the sockets that C code opened), then the socket objects that Python's garbage
collector knows (any system). Sockets are never opened by their file descriptor: with a default timeout set, that alone
would change them.
"""

from __future__ import annotations

import contextlib
import gc
import ipaddress
import os
import re
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


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


def session_listens_on_port(port: int, *, udp: bool = False) -> bool:
    """Whether this process, or (Linux) one that this test session started, has the port; see `listens_on_port`."""
    return listens_on_port(port, udp=udp) or _session_holds(_listening_inodes(port, udp=udp))


def session_listens_at_path(path: str) -> bool:
    """Whether this process, or (Linux) one that this test session started, listens at the path of a unix socket."""
    listening = any(
        own.family == _UNIX and os.fsdecode(own.getsockname()) == path for own in _python_sockets(udp=False)
    )
    return listening or _session_holds(_inodes_at(path))


def _session_holds(sockets: Iterable[str]) -> bool:
    wanted = set(sockets)
    return bool(wanted) and any(
        not wanted.isdisjoint(_inodes_of(process)) for process in _session_processes()
    )


def _session_processes() -> Iterator[Path]:
    """The processes that this session started: those below this one, daemons, and what another worker started.

    Daemons (``pg_ctl start``) are below this process no more, but have pytest's variables, and are younger.
    """
    yield from _below(_PROC)
    begun = _start_of(_PROC)
    for process in _PROC.parent.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended meanwhile, or another user's
            if _start_of(process) > begun and _OF_PYTEST.search((process / "environ").read_bytes()):
                yield process


_OF_PYTEST = re.compile(rb"(?:\A|\0)PYTEST_(?:VERSION|CURRENT_TEST)=")


def _start_of(process: Path) -> int:
    """When a process was started: field 22 of proc(5)'s stat; the name before it may hold spaces and brackets."""
    return int((process / "stat").read_bytes().rpartition(b")")[2].split()[19])


def _below(process: Path) -> Iterator[Path]:
    """The processes below one, as folders of /proc."""
    for table in process.glob("task/*/children"):
        with contextlib.suppress(OSError):  # ended meanwhile
            for pid in table.read_text("ascii").split():
                yield Path("/proc", pid)
                yield from _below(Path("/proc", pid))


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
    inodes = set(_listening_inodes(port, udp=udp))
    return bool(inodes) and not inodes.isdisjoint(_inodes_of(_PROC))


def _listening_inodes(port: int, *, udp: bool) -> Iterator[str]:
    wanted = f":{port:04X}"
    for fields in _proc_table("udp" if udp else "tcp"):
        if fields[1].endswith(wanted) and (udp or fields[3] == _LISTENING):
            yield fields[9]


_LISTENS = 0x10000  # __SO_ACCEPTCON


def _inodes_at(path: str) -> Iterator[str]:
    """Who listens at a path: flags, inode and path are fields 3, 6 and 7 of /proc/net/unix."""
    with contextlib.suppress(OSError):
        for row in (_PROC / "net" / "unix").read_bytes().splitlines()[1:]:
            fields = row.split(maxsplit=7)
            if len(fields) == 8 and os.fsdecode(fields[7]) == path and int(fields[3], 16) & _LISTENS:
                yield fields[6].decode("ascii")


def _proc_table(protocol: str) -> Iterator[list[str]]:
    """The rows of /proc/net/tcp and its like (proc(5)): local address, state and inode are 1, 3 and 9."""
    for name in (protocol, f"{protocol}6"):
        with contextlib.suppress(OSError):
            rows = (_PROC / "net" / name).read_text("ascii").splitlines()[1:]
            yield from (fields for row in rows if len(fields := row.split()) > 9)


def _inodes_of(process: Path) -> Iterator[str]:
    """The sockets that a process holds, given as its folder of /proc."""
    with contextlib.suppress(OSError):
        for entry in (process / "fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                target = str(entry.readlink())
                if target.startswith("socket:["):
                    yield target[len("socket:[") : -1]


_OF_MULTIPROCESSING = re.compile(r"(?:\A\0|/pymp-[^/]+/)listener-[^/]+\Z")


def is_multiprocessings(path: str) -> bool:
    """Whether `multiprocessing` made a unix socket, to talk with processes that it started: fork servers, managers.

    It names them all alike (``util.get_temp_dir`` and ``connection.arbitrary_address``), in whichever process.
    """
    return "multiprocessing" in sys.modules and _OF_MULTIPROCESSING.search(path) is not None


def host_text(host: Any) -> Any:
    """A host as text, where it is given as bytes; anything else as it is."""
    return host.decode("idna") if isinstance(host, bytes | bytearray) else host


def spelled(host: str, port: int | None) -> str:
    """``db.example.com:5432``, ``[2001:db8::1]:443``; without a port the host alone."""
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port is None else f"{bracketed}:{port}"
