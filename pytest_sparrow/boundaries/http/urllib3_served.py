"""A recorded answer as bytes on a connection that isn't there: `http.client` and urllib3 read it as ever."""

from __future__ import annotations

import http.client
import io
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.http.urllib3_owners import Owners

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_sparrow.boundaries.http.core import Headers
    from pytest_sparrow.boundaries.http.streams import Tee

__all__ = ["ServedSocket"]


class ServedSocket:
    """In place of a connection's socket: takes any request, and holds one answer.

    Args:
        status: the status code.
        headers: name and value, in order.
        body: the pieces of the body, each asked for only when the client wants it.
        has_body: whether there can be one (RFC 9112, 6.3).

    Attributes:
        owners: who reads from it.
    """

    def __init__(self, status: int, headers: Headers, body: Tee, *, has_body: bool) -> None:
        self.owners = Owners()
        self._file = io.BufferedReader(_Wire(self, _pieces(status, headers, body, has_body=has_body), body))
        self.owners.add(self._file)

    def makefile(self, *_: Any, **__: Any) -> io.BufferedIOBase:
        """What the answer is read from."""
        return self._file

    def sendall(self, data: Any, *_: Any) -> None:
        """The request goes nowhere."""

    def settimeout(self, seconds: float | None) -> None:
        """Nothing is waited for."""

    def shutdown(self, how: int) -> None:
        """There is no connection."""

    def close(self) -> None:
        """There is no connection; the answer can still be read, as from a real one."""


class _Wire(io.RawIOBase):
    """The bytes of an answer, a piece of its body at a time."""

    def __init__(self, sock: ServedSocket, pieces: Generator[bytes], body: Tee) -> None:
        self._sock = sock  # botocore looks for it here, to set a timeout
        self._pieces = pieces
        self._body = body
        self._rest = b""
        sock.owners.add(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = next(self._pieces, b"")
        piece, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._pieces.close()
            if not self._sock.owners.are_collected():
                self._body.close()


def _pieces(status: int, headers: Headers, body: Tee, *, has_body: bool) -> Generator[bytes]:
    """The head, then the content: in chunks where no length is known, since then each is read as it is served."""
    chunked = has_body and not any(name.lower() == "content-length" for name, _ in headers)
    coding = [("transfer-encoding", "chunked")] if chunked else []
    lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, '')}"]
    lines += [f"{name}: {' '.join(value.splitlines())}" for name, value in [*headers, *coding]]
    yield "\r\n".join([*lines, "\r\n"]).encode("latin-1", "replace")
    for piece in body:
        if piece:  # an empty chunk would be the last one
            yield b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece
    if chunked:
        yield b"0\r\n\r\n"
