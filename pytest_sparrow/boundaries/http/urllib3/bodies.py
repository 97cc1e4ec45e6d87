"""Request bodies as urllib3 takes them, and answers as `http.client` reads them.

Telling a client that closes its response from the garbage collector that does.

A request's body as urllib3 takes it, bytes, text, a file or an iterable: read, and still to be sent.

A recorded answer as bytes on a connection that isn't there: `http.client` and urllib3 read it as ever.

The content of a response as it is read off its connection: what `http.client` reads, without what frames it.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from pytest_sparrow.boundaries.http.bodies import BodyRecorder, Tee
    from pytest_sparrow.boundaries.http.exchange import Headers, TransportFailure

__all__ = ["Chunks", "Frames", "Owners", "Plain", "ServedSocket", "Watched", "read_body"]


class Owners:
    """The objects whose end closes a body.

    The collector may strike anywhere, in the middle of writing a run's journal, too: what it closes must settle
    nothing. The run's end does (`Crossing.flush`).
    """

    def __init__(self, *owners: Any) -> None:
        self._refs: list[weakref.ref[Any]] = []
        self.add(*owners)

    def add(self, *owners: Any) -> None:
        """More of them; none is kept alive."""
        self._refs += [weakref.ref(owner) for owner in owners]

    def are_collected(self) -> bool:
        """Whether one of them is on its way out: `io`'s finalizer marks it, the collector forgets references to it."""
        owners = [ref() for ref in self._refs]
        return any(owner is None or getattr(owner, "_finalizing", False) for owner in owners)


_BLOCK = 65_536


def read_body(body: Any) -> tuple[bytes, Any]:
    """A body's bytes, and what to send in its place.

    What can be read once only is replaced by what says the same, in the same pieces, so that the upload has the form
    that it would have had: urllib3 sends a file and an iterable in chunks where no length is given.

    Raises:
        TypeError: it is none of what urllib3 takes.
    """
    if body is None:
        return b"", None
    if isinstance(body, str):
        return body.encode("utf-8"), body  # as urllib3 2 encodes it (to_bytes in its util)
    if hasattr(body, "read"):
        return _file(body)
    with contextlib.suppress(TypeError):
        return bytes(memoryview(body)), body
    pieces = [_bytes(piece) for piece in body]
    return b"".join(pieces), pieces


def _file(file: Any) -> tuple[bytes, Any]:
    start = _position(file)
    # In blocks, as urllib3 does: some file-likes (requests-toolbelt's) want a size.
    content = b"".join(_bytes(block) for block in iter(lambda: file.read(_BLOCK) or b"", b""))
    if start is None:
        return content, io.BytesIO(content)
    file.seek(start)
    return content, file


def _position(file: Any) -> Any:
    """Where to go back to after reading; None: it can't be told, or can't be gone to."""
    try:
        return file.tell() if not hasattr(file, "seekable") or file.seekable() else None
    except (AttributeError, OSError):
        return None


def _bytes(piece: Any) -> bytes:
    return piece.encode("utf-8") if isinstance(piece, str) else bytes(piece)


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


class Plain:
    """Content that nothing frames.

    Args:
        length: how many bytes there will be; None: as many as come.
    """

    def __init__(self, length: int | None) -> None:
        self._got = 0
        self._length = length

    @property
    def ended(self) -> bool:
        """Whether it has come to its end."""
        return self._length is not None and self._got >= self._length

    def recorder(self, data: bytes) -> Iterator[bytes]:
        """The content that some bytes of the connection hold."""
        if data:
            self._got += len(data)
            yield data

    def missing(self) -> str | None:
        """What is missing where the connection ends here, in urllib3's words; None: nothing."""
        if self._length is None or self.ended:
            return None
        return f"IncompleteRead({self._got} bytes read, {self._length - self._got} more expected)"


class Chunks:
    """Content in chunks (RFC 9112, 7.1), whose bytes may be cut anywhere."""

    def __init__(self) -> None:
        self.ended = False
        self._got = 0
        self._left = 0
        self._line = bytearray()
        self._wants_size = True

    def recorder(self, data: bytes) -> Iterator[bytes]:
        """See `Plain`."""
        while data and not self.ended:
            if self._left:
                piece, data = data[: self._left], data[self._left :]
                self._left -= len(piece)
                self._got += len(piece)
                yield piece
                continue
            line, newline, data = data.partition(b"\n")
            self._line += line
            if newline:
                self._line_ends(bytes(self._line).strip())
                self._line.clear()

    def missing(self) -> str | None:
        """See `Plain`."""
        if self.ended:
            return None
        if not self._left:
            return "Response ended prematurely"
        return f"IncompleteRead({self._got} bytes read, {self._left} more expected)"

    def _line_ends(self, line: bytes) -> None:
        if not self._wants_size:  # the line end after a chunk
            self._wants_size = True
            return
        try:
            self._left = int(line.partition(b";")[0], 16)
        except ValueError:
            return  # no size: the client finds that out by itself
        self.ended = self._left == 0
        self._wants_size = False


Frames = Plain | Chunks


class Watched:
    """The file that an `http.client.HTTPResponse` reads its body from; a take watches what is read.

    Args:
        file: the real one.
        frames: how the content is framed.
        recorder: who watches.
        failure_of: names an error that reading raised; None for one that is none of the world's.
        owners: the responses that read from it.
        strict: whether the client raises where the content is cut off. Where not, `http.client` still does for one
            that reads to the end in one go: then it closes without asking for more.
    """

    def __init__(
        self,
        file: Any,
        frames: Frames,
        recorder: BodyRecorder,
        failure_of: Callable[[BaseException], TransportFailure | None],
        *,
        owners: Owners,
        strict: bool,
    ) -> None:
        self._file = file
        self._frames = frames
        self._recorder = recorder
        self._failure_of = failure_of
        self._owners = owners
        self._strict = strict
        self._cut = ""
        if frames.ended:
            recorder.exhausted()

    def read(self, size: int | None = -1, /) -> bytes:
        """Read so many bytes; all, for -1."""
        data: bytes = self._tried(self._file.read, size)
        return self._seen(data, is_end=size is None or size < 0 or len(data) < size)

    def read1(self, size: int = -1, /) -> bytes:
        """Read what there is."""
        data: bytes = self._tried(self._file.read1, size)
        return self._seen(data, is_end=not data and size != 0)

    def readline(self, limit: int = -1, /) -> bytes:
        """Read a line."""
        data: bytes = self._tried(self._file.readline, limit)
        return self._seen(data, is_end=not data and limit != 0)

    def readinto(self, buffer: Any, /) -> int:
        """Read into a buffer; returns how many bytes."""
        count: int = self._tried(self._file.readinto, buffer)
        self._seen(bytes(memoryview(buffer)[:count]), is_end=not count and len(buffer) > 0)
        return count

    def close(self) -> None:
        """The client is done, at the end or before."""
        try:
            self._file.close()
        finally:
            if not self._owners.are_collected():
                if self._cut:
                    self._broke(EOFError(self._cut))
                self._recorder.closed()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def _tried(self, read: Callable[[Any], Any], wanted: Any) -> Any:
        try:
            return read(wanted)
        except BaseException as error:
            self._broke(error)
            raise

    def _seen(self, data: bytes, *, is_end: bool) -> bytes:
        for piece in self._frames.recorder(data):
            self._recorder.add(piece)
        if self._frames.ended:
            self._recorder.exhausted()
        elif is_end:
            self._ends(self._frames.missing(), final=self._strict or not data)
        return data

    def _ends(self, missing: str | None, *, final: bool) -> None:
        if missing is None or (final and not self._strict):
            self._recorder.exhausted()
        elif final:
            self._broke(EOFError(missing))
        else:
            self._cut = missing

    def _broke(self, error: BaseException) -> None:
        self._recorder.broke(self._failure_of(error))
