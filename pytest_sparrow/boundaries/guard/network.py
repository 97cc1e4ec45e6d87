"""Refuses connections while a run replays, and notes, while a run records, those that its replay will refuse.

Covered is what Python code does through the ``socket`` module (and `_socket`), asyncio included. C code that opens its
own sockets isn't seen.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import socket
import sys
import weakref
from typing import TYPE_CHECKING, Any, Literal

from pytest_sparrow.boundaries.guard.addresses import (
    host_text,
    is_loopback,
    is_multiprocessings,
    is_numeric,
    is_own_name,
    listens_on_port,
    session_listens_at_path,
    session_listens_on_port,
    spelled,
)
from pytest_sparrow.boundaries.guard.watcher import names_of, refuse_left_over, watching
from pytest_sparrow.boundaries.patching import AttributePatch, Patches
from pytest_sparrow.errors import ReplayDivergence
from pytest_sparrow.findings import Finding, Kind
from pytest_sparrow.run.context import carries
from pytest_sparrow.run.users_code import caller, is_users, package_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.crossing import OpenRun

# What may be reached.


Verdict = Literal["allow", "ignore", "refuse"]


def _verdict(run: OpenRun, host: str, port: int, *, udp: bool) -> Verdict:
    """Whether a replay of the run may reach a host; the session's own servers may be reached always."""
    verdicts = {run.passes_host(name, port) for name in (host, *names_of(host))}
    if "allow" in verdicts or (is_loopback(host) and session_listens_on_port(port, udp=udp)):
        return "allow"
    return "refuse" if verdicts == {"cross"} else "ignore"


def _verdict_of_path(run: OpenRun, path: str) -> Verdict:
    """Whether a replay of the run may reach a unix socket."""
    if run.passes_host(path, None) == "allow" or is_multiprocessings(path) or session_listens_at_path(path):
        return "allow"
    return "refuse"


def judge(run: OpenRun, host: str, port: int, *, act: str = "", udp: bool = False) -> bool:
    """Whether a host may be reached: False where it is ignored, which must look as if nobody listened there.

    Args:
        run: the replaying run.
        host: a name or an address.
        port: the port.
        act: what the code does: "connect", "send", "websocket" or "grpc"; by default it connects or sends.
        udp: whether a datagram is sent.

    Raises:
        ReplayDivergence: neither allowed nor ignored, nor a server that the session started.
    """
    verdict = _verdict(run, host, port, udp=udp)
    if verdict == "refuse":
        to = spelled(host, port)
        raise refused(run, act or ("send" if udp else "connect"), to, place=to)
    return verdict == "allow"


def judge_path(run: OpenRun, path: str, *, act: str = "connect") -> None:
    """Let a unix socket be connected to, or not; ``act`` as for `judge`.

    Raises:
        ReplayDivergence: neither allowed, nor a server that the session started, or of multiprocessing's own.
    """
    if _verdict_of_path(run, path) == "refuse":
        raise refused(run, act, path, place=path, unix=True)


def judge_lookup(run: OpenRun, name: str | None, port: int | None, *, is_address: bool = False) -> None:
    """Let a name (or an address, whose name is asked for) be looked up, or not.

    Raises:
        ReplayDivergence: it would ask someone, and isn't allowed.
        socket.gaierror: it is ignored, which must look as if there were no such name.
    """
    if not name or is_loopback(name) or is_own_name(name) or (is_numeric(name) and not is_address):
        return
    verdict = run.passes_host(name, port)
    if verdict in ("ignore", "telemetry"):
        raise socket.gaierror(socket.EAI_NONAME, f"{name} is ignored while replaying")
    if verdict != "allow":
        raise refused(run, "look-up", name, place=spelled(name, port))


def refused(run: OpenRun, act: str, to: str, *, place: str = "", unix: bool = False) -> Exception:
    """Add a refusal to the run's violations.

    Args:
        run: the replaying run.
        act: what the code does: "connect", "send", "look-up", "websocket" or "grpc".
        to: whom it does so to.
        place: what a user would allow; "" where no setting can.
        unix: whether ``to`` is the path of a unix socket.

    Returns:
        What to raise.
    """
    return run.refuse("shut", act=act, to=to, place=place, unix=unix)


# While a run replays.


def shut_sockets(run: OpenRun) -> watching:
    """While open, sockets of a replaying run reach nothing but what is allowed; see `guard.shut`."""
    refuse_left_over(_JUDGED)
    handlers = {event: functools.partial(judge_event, run) for event, judge_event in _JUDGED.items()}
    return watching(run, handlers, replaying=True)


def _sending(run: OpenRun, sock: Any, address: Any) -> None:
    """connect, connect_ex, sendto, sendmsg; without an address it goes where connect was judged."""
    if address is None:
        return
    try:
        _judge_address(run, sock, address)
        _note_judged(run, sock)
    except ReplayDivergence:
        # Callers close a socket upon an OSError only; left open, this one would be a ResourceWarning on top.
        # A datagram socket has a life after one refusal.
        if sock.type != socket.SOCK_DGRAM:
            sock.close()
        raise


def _writing(run: OpenRun, sock: Any) -> None:
    """send, sendall: on a connection that may have been opened before the run."""
    peer = _peer_opened_before(run, sock)
    if peer:
        # The connection stays open: it is a fixture's, which other tests use, too.
        _judge_address(run, sock, peer, "send")
    _note_judged(run, sock)


def _note_judged(run: OpenRun, sock: Any) -> None:
    with contextlib.suppress(TypeError):  # a socket of `_socket` has no weak references
        _judged_for[sock] = weakref.ref(run)


# Process-wide, as sockets are.
_judged_for: weakref.WeakKeyDictionary[Any, weakref.ref[OpenRun]] = weakref.WeakKeyDictionary()


_SYSTEM_LOGS = ("/dev/log", "/var/run/syslog", "/run/systemd/journal/dev-log", "/run/systemd/journal/socket")


def _peer_opened_before(run: OpenRun, sock: Any) -> Any:
    """Whom a connection leads to, where nobody has judged it for the run yet, and it may be judged; else None.

    Left alone are strands without context (a debugger's, say), pairs of sockets, the system's log, and the server's
    side of a connection.
    """
    known = _judged_for.get(sock)
    if not carries(run) or (known is not None and known() is run):
        return None
    try:
        peer, own = sock.getpeername(), sock.getsockname()
    except OSError:
        return None
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None if peer in _SYSTEM_LOGS else peer
    return None if listens_on_port(own[1]) else peer


def _judge_address(run: OpenRun, sock: Any, address: Any, act: str = "") -> None:
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        udp = sock.type == socket.SOCK_DGRAM
        host, port = str(host_text(address[0])), address[1]
        if not judge(run, host, port, act=act, udp=udp):
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"{host}:{port} is ignored while replaying")
    elif sock.family == _UNIX:
        judge_path(run, os.fsdecode(address), act=act or "connect")
    elif sock.family not in _KERNEL_FAMILIES:
        raise refused(run, "connect", repr(address))


def _looking_up(run: OpenRun, host: Any, port: Any = None, *_: Any) -> None:
    """getaddrinfo(host, port, …), gethostbyname(host)."""
    judge_lookup(run, host_text(host), port if isinstance(port, int) else None)


def _naming(run: OpenRun, address: Any) -> None:
    """gethostbyaddr(address), getnameinfo((address, port, …)): asks whose address it is."""
    host = str(address[0] if isinstance(address, tuple) else host_text(address))
    if is_numeric(host) and not is_loopback(host):
        judge_lookup(run, host, None, is_address=True)
    elif not is_numeric(host):
        judge_lookup(run, host, None)


_UNIX = getattr(socket, "AF_UNIX", None)

# Talk with the kernel, not with anyone else.
_KERNEL_FAMILIES = tuple(
    getattr(socket, name) for name in ("AF_NETLINK", "AF_ALG", "AF_SYSTEM") if hasattr(socket, name)
)

_JUDGED: dict[str, Callable[..., None]] = {
    "socket.connect": _sending,  # and connect_ex
    "socket.sendto": _sending,
    "socket.sendmsg": _sending,
    "socket.getaddrinfo": _looking_up,
    "socket.gethostbyname": _looking_up,  # and gethostbyname_ex
    "socket.gethostbyaddr": _naming,
    "socket.getnameinfo": _naming,
    "pytest_sparrow.sending": _writing,
}
"""Python's audit events of connecting, sending and looking up, and what judges their arguments."""


def _sending_methods(module: Any) -> list[AttributePatch]:
    kind = module.SSLSocket if module.__name__ == "ssl" else module.socket
    return [AttributePatch(kind, name, _announced(getattr(kind, name))) for name in ("send", "sendall")]


def _announced(original: Callable[..., Any]) -> Callable[..., Any]:
    """A method that raises the audit event that Python has of connecting, but not of sending on a connection."""

    @functools.wraps(original)
    def send(sock: Any, *args: Any, **kwargs: Any) -> Any:
        sys.audit("pytest_sparrow.sending", sock)
        return original(sock, *args, **kwargs)

    return send


SENDS = Patches({"socket": _sending_methods, "ssl": _sending_methods}, stays=True)
"""Let Python's audit events tell of sending on a connection, too."""


# While a run records.


_MOST = 5
"""Places that are named; the rest is counted."""


@contextlib.contextmanager
def noting_uncaptured(run: OpenRun, report: Callable[[Finding], object]) -> Iterator[None]:
    """While open, note the run's connections that no crossing made, and report each place once, at the end.

    Only what a replay would refuse is noted. May nest.

    Args:
        run: the run that records.
        report: gets a finding for each place.
    """
    notes = _Notes(run)
    try:
        handlers: dict[str, Callable[..., None]] = {
            "socket.connect": notes.connecting,
            "pytest_sparrow.sending": notes.writing,
        }
        with watching(run, handlers, replaying=False), SENDS:
            yield
    finally:
        for finding in notes.findings():
            report(finding)


class _Notes:
    """The uncaptured connections of one run, by place."""

    def __init__(self, run: OpenRun) -> None:
        self._run = run
        self._places: dict[str, dict[str, Json]] = {}
        self._passed: set[str] = set()

    def findings(self) -> Iterator[Finding]:
        notes = list(self._places.values())
        for detail in notes[:_MOST]:
            yield Finding(kind=Kind.UNCAPTURED, detail=detail)
        if len(notes) > _MOST:
            yield Finding(kind=Kind.UNCAPTURED, case="more", detail={"count": len(notes) - _MOST})

    def writing(self, sock: Any) -> None:
        """Note a connection that was opened before the run."""
        with contextlib.suppress(Exception):
            peer = _peer_opened_before(self._run, sock)
            _note_judged(self._run, sock)
            if peer:
                self.connecting(sock, peer)

    def connecting(self, sock: Any, address: Any) -> None:
        with contextlib.suppress(Exception):  # a note that fails must not stop the connection that it notes
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                host, port, udp = str(address[0]), int(address[1]), sock.type == socket.SOCK_DGRAM
                place = spelled((host, *names_of(host))[-1], port)
                self._note(place, lambda: _verdict(self._run, host, port, udp=udp))
            elif sock.family == _UNIX:
                path = os.fsdecode(address)
                self._note(path, lambda: _verdict_of_path(self._run, path))

    def _note(self, place: str, verdict: Callable[[], Verdict]) -> None:
        if place in self._places or place in self._passed:
            return
        if verdict() != "refuse":
            self._passed.add(place)
            return
        self._places[place] = {"place": place, "library": _library(), "line": caller()}


_PLUMBING = frozenset(
    {"anyio", "asyncio", "concurrent", "contextlib", "contextvars", "functools", "selectors", "socket", "ssl"}
    | {"threading", "trio", "uvloop"}
)


def _library() -> str:
    """The library that connects: the outermost one between the connection and the user's code; "" for none."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - what inspect.stack() uses, reading no files
    library = ""
    while frame is not None and not is_users(frame):
        name = package_name(frame)
        if name != "pytest_sparrow" and not frame.f_code.co_filename.startswith("<"):
            library = library if name in _PLUMBING else name
        frame = frame.f_back
    return library
