"""Workers of pytest-xdist in an inner run: forked as well."""

from __future__ import annotations

import atexit
import os
import signal
import socket
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .protocol import Request, receive, send

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["fork_workers"]


class _Worker:
    """A worker of pytest-xdist that was forked; used as a ``subprocess.Popen`` is.

    Args:
        requests: the socket of the requests of whom to ask for it.
        command: its command.
        fds: its standard input and output.
    """

    def __init__(self, requests: socket.socket, command: list[str], fds: tuple[int, int]) -> None:
        request = Request(
            arguments=tuple(command[command.index("-c") :]),
            cwd=str(Path.cwd()),
            environ=dict(os.environ),
            fds=(0, 1, 2),
        )
        self._answers, theirs = socket.socketpair()
        with theirs:
            send(requests, asdict(request), (theirs.fileno(), *fds, 2))
        self._pid = receive(self._answers)[0]
        self._status: int | None = None

    def wait(self) -> int:
        if self._status is None:
            self._status = receive(self._answers)[0]
        return self._status

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)


def fork_workers(serve: Callable[[socket.socket], object]) -> None:
    """Have pytest-xdist's workers forked from a process that has loaded what this one has, and runs nothing.

    Args:
        serve: serves a socket of requests, and never returns.

    Raises:
        ImportError: there is no pytest-xdist.
    """
    from execnet import gateway_io

    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        serve(theirs)
    theirs.close()

    class Forked(gateway_io.Popen2IOMaster):
        def __init__(self, command: list[str], execmodel: Any) -> None:
            (read, to_worker), (from_worker, write) = os.pipe(), os.pipe()
            self.popen = _Worker(ours, command, (read, write))
            os.close(read)
            os.close(write)
            gateway_io.Popen2IO.__init__(self, open(to_worker, "wb"), open(from_worker, "rb"), execmodel)  # noqa: SIM115, PTH123

    gateway_io.Popen2IOMaster = Forked

    @atexit.register
    def end() -> None:
        ours.close()
        os.waitpid(pid, 0)
