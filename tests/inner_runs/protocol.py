"""What those who start runs and a server say to each other."""

from __future__ import annotations

import array
import os
import pickle
import socket
import struct
from dataclasses import dataclass
from typing import Any

__all__ = ["Request", "hand_on", "receive", "send"]


@dataclass(kw_only=True)
class Request:
    """A run to start. The first descriptor that comes with it is the socket of the answers.

    Attributes:
        load: the modules that it has loaded at its start, in steps: each step is a server that was forked from the
            one of the step before.
        arguments: what stands after ``python``; ``-m MODULE …`` or ``-c CODE …``.
        cwd: its folder.
        environ: its whole environment.
        fds: the numbers under which it has the further descriptors, standard streams first.
    """

    load: tuple[tuple[str, ...], ...] = ()
    arguments: tuple[str, ...]
    cwd: str
    environ: dict[str, str]
    fds: tuple[int, ...]


_FLAGS = socket.MSG_WAITALL | getattr(socket, "MSG_CMSG_CLOEXEC", 0)


def send(to: socket.socket, value: object, fds: tuple[int, ...] = ()) -> None:
    """Send a value, and descriptors with it."""
    data = pickle.dumps(value)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    to.sendmsg([struct.pack("!I", len(data))], rights)
    to.sendall(data)


def receive(source: socket.socket) -> tuple[Any, list[int]]:
    """Receive what `send` sent.

    Raises:
        EOFError: nothing more will come.
    """
    head, rights, _, _ = source.recvmsg(4, socket.CMSG_SPACE(64 * 4), _FLAGS)
    if len(head) < 4:
        raise EOFError
    source.settimeout(None)
    fds = array.array("i")
    for _, _, data in rights:
        fds.frombytes(data[: len(data) // fds.itemsize * fds.itemsize])
    with source.makefile("rb", buffering=0) as file:
        data = b""
        while len(data) < struct.unpack("!I", head)[0]:
            piece = file.read(struct.unpack("!I", head)[0] - len(data))
            if not piece:
                raise EOFError
            data += piece
    return pickle.loads(data), list(fds)


def hand_on(to: socket.socket, value: object, fds: list[int]) -> None:
    """Send what was received, and keep nothing."""
    send(to, value, tuple(fds))
    for fd in fds:
        os.close(fd)
