"""Reads request bodies as clients hold them, serves recorded answers to http.client, and records live answers.

A recorded answer stands on a connection whose socket is a `ServedSocket`. A live answer is read from a `RecordedFile`,
which removes the framing of what http.client reads.
"""

from __future__ import annotations

import contextlib
import io
import weakref
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.http.exchange import chunk_bytes, head_bytes, header

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from pytest_sparrow.boundaries.http.bodies import BodyRecorder, Tee
    from pytest_sparrow.boundaries.http.exchange import Reply
    from pytest_sparrow.exchange import TransportFailure


class Owners:
    """Distinguishes a client that closes its response from the garbage collector that closes the response's body.

    The collector may run anywhere, even while a run's journal is written, so a body that the collector closes must
    settle nothing. The run's end settles it (`Crossing.flush`).

    Args:
        owners: the objects whose end closes the body.
    """

    def __init__(self, *owners: Any) -> None:
        self._refs: list[weakref.ref[Any]] = []
        self.add(*owners)

    def add(self, *owners: Any) -> None:
        """Add owners; none is kept alive."""
        self._refs += [weakref.ref(owner) for owner in owners]

    def are_collected(self) -> bool:
        """Whether an owner is being collected: `io`'s finalizer marks it, or the weak reference to it is dead."""
        owners = [ref() for ref in self._refs]
        return any(owner is None or getattr(owner, "_finalizing", False) for owner in owners)


_BLOCK = 65_536


def read_body(body: Any) -> tuple[bytes, Any]:
    """A body's bytes, and the body to send in its place.

    A body that can be read only once is replaced by one of the same kind and pieces, so that the upload keeps its form:
    urllib3 sends a file and an iterable in chunks where no header says the length.

    Raises:
        TypeError: urllib3 does not accept such a body.
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
    # In blocks, as urllib3 does: some file-like objects (requests-toolbelt's) need a size.
    content = b"".join(_bytes(block) for block in iter(lambda: file.read(_BLOCK) or b"", b""))
    if start is None:
        return content, io.BytesIO(content)
    file.seek(start)
    return content, file


def _position(file: Any) -> Any:
    """The position to return to after reading; None: the file has no position, or cannot seek."""
    try:
        return file.tell() if not hasattr(file, "seekable") or file.seekable() else None
    except (AttributeError, OSError):
        return None


def _bytes(piece: Any) -> bytes:
    return piece.encode("utf-8") if isinstance(piece, str) else bytes(piece)


class PostponedSocket:
    """Stands in for the socket of a connection that a client opened before it sent anything.

    Args:
        open: opens the connection, and gives its socket; called where the socket is used, too.
    """

    def __init__(self, open: Callable[[], Any]) -> None:  # noqa: A002 - what it does
        self.open = open

    def close(self) -> None:
        """Do nothing: there is no connection yet."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.open(), name)


class ServedSocket:
    """Stands in for a connection's socket: accepts any request, and holds one answer.

    Args:
        reply: status, reason phrase and headers.
        body: the pieces of the body; each is read only when the client wants it.
        has_body: whether the answer can have a body (RFC 9112, 6.3).

    Attributes:
        owners: the objects that read from the socket.
    """

    def __init__(self, reply: Reply, body: Tee, *, has_body: bool) -> None:
        self.owners = Owners()
        self._pieces = _pieces(reply, body, has_body=has_body)
        self._body = body

    def makefile(self, *_: Any, **__: Any) -> io.BufferedIOBase:
        """The file from which http.client reads the answer.

        Made here, as a socket makes its file: the garbage collector closes what is older first, and a response that
        closes after its file raises an error, which Python 3.13 shows.
        """
        file = io.BufferedReader(_AnswerFile(self, self._pieces, self._body))
        self.owners.add(file)
        return file

    def sendall(self, data: Any, *_: Any) -> None:
        """Discard the request."""

    def settimeout(self, seconds: float | None) -> None:
        """Do nothing: the answer is there already."""

    def shutdown(self, how: int) -> None:
        """Do nothing: there is no connection."""

    def close(self) -> None:
        """Do nothing: the answer can still be read, as after the close of a real socket."""


class _AnswerFile(io.RawIOBase):
    """Reads the bytes of an answer, its body piece by piece."""

    def __init__(self, sock: ServedSocket, pieces: Generator[bytes], body: Tee) -> None:
        self._sock = sock  # botocore finds the socket here, to set a timeout
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


def _pieces(reply: Reply, body: Tee, *, has_body: bool) -> Generator[bytes]:
    """The head, then the body; in chunks where no length is known, so that each piece is read when it is served."""
    chunked = has_body and not header(reply.headers, "content-length")
    yield head_bytes(reply, chunked=chunked, encoding="latin-1")
    try:
        for piece in body:
            if piece:  # an empty chunk would be the last one
                yield chunk_bytes(piece) if chunked else piece
    except Exception:
        if not _ends_early(reply):
            raise
        return
    if chunked:
        yield chunk_bytes(b"")


def _ends_early(reply: Reply) -> bool:
    """Whether the connection ended within the body: the client says so by itself, or not, as it reads.

    Some ways to read from http.client do not look, and urllib3 has other words for each.
    """
    failure = reply.failure
    return failure is not None and (
        failure.type == "IncompleteRead"
        or _PREMATURE in failure.message
        or (_EXPECTED in failure.message and header(reply.headers, "content-length") != "")
    )


_PREMATURE = "Response ended prematurely"
_EXPECTED = "more expected"


class PlainFraming:
    """Follows content that is not framed.

    Args:
        length: the number of bytes; None: up to the end of the connection.
    """

    def __init__(self, length: int | None) -> None:
        self._got = 0
        self._length = length

    @property
    def ended(self) -> bool:
        """Whether the content has come to its end."""
        return self._length is not None and self._got >= self._length

    def content(self, data: bytes) -> Iterator[bytes]:
        """The pieces of content in the next bytes of the connection."""
        if data:
            self._got += len(data)
            yield data

    def missing(self) -> str | None:
        """What is missing where the connection ends now, in urllib3's words; None: nothing."""
        if self._length is None or self.ended:
            return None
        return f"IncompleteRead({self._got} bytes read, {self._length - self._got} {_EXPECTED})"


class ChunkedFraming:
    """Follows content in chunks (RFC 9112, 7.1), whose bytes may be cut anywhere."""

    def __init__(self) -> None:
        self.ended = False
        self._got = 0
        self._left = 0
        self._line = bytearray()
        self._wants_size = True

    def content(self, data: bytes) -> Iterator[bytes]:
        """The pieces of content in the next bytes of the connection."""
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
        """What is missing where the connection ends now, in urllib3's words; None: nothing."""
        if self.ended:
            return None
        if not self._left:
            return _PREMATURE
        return f"IncompleteRead({self._got} bytes read, {self._left} {_EXPECTED})"

    def _line_ends(self, line: bytes) -> None:
        if not self._wants_size:  # the line end after a chunk
            self._wants_size = True
            return
        try:
            self._left = int(line.partition(b";")[0], 16)
        except ValueError:
            return  # no size: the client raises its own error
        self.ended = self._left == 0
        self._wants_size = False


Framing = PlainFraming | ChunkedFraming


def _framing_of(response: Any, method: str) -> Framing:
    """How an `http.client.HTTPResponse` to a request of that method is framed."""
    if response.chunked and method != "HEAD":
        return ChunkedFraming()
    return PlainFraming(0 if method == "HEAD" else response.length)


class RecordedFile:
    """Stands in for the file from which an `http.client.HTTPResponse` reads its body; a recorder sees what is read.

    Args:
        file: the real file.
        framing: follows the framing of the content.
        recorder: the recorder.
        failure_of: gives the failure for an error of reading; None: the error does not come from the world.
        owners: the responses that read from the file.
        strict: whether the client raises an error where the content is cut off. Where not, `http.client` still raises
            one for a client that reads to the end at once, and then closes the file without reading on.
    """

    def __init__(
        self,
        file: Any,
        framing: Framing,
        recorder: BodyRecorder,
        failure_of: Callable[[BaseException], TransportFailure | None],
        *,
        owners: Owners,
        strict: bool,
    ) -> None:
        self._file = file
        self._framing = framing
        self._recorder = recorder
        self._failure_of = failure_of
        self._owners = owners
        self._strict = strict
        self._cut = ""
        if framing.ended:
            recorder.exhausted()

    def read(self, size: int | None = -1, /) -> bytes:
        """Read ``size`` bytes, or up to the end for -1."""
        data: bytes = self._read(self._file.read, size)
        return self._record(data, is_end=size is None or size < 0 or len(data) < size)

    def read1(self, size: int = -1, /) -> bytes:
        """Read the bytes that are there, at most ``size``."""
        data: bytes = self._read(self._file.read1, size)
        return self._record(data, is_end=not data and size != 0)

    def readline(self, limit: int = -1, /) -> bytes:
        """Read a line."""
        data: bytes = self._read(self._file.readline, limit)
        return self._record(data, is_end=not data and limit != 0)

    def readinto(self, buffer: Any, /) -> int:
        """Read into a buffer; returns the number of bytes."""
        count: int = self._read(self._file.readinto, buffer)
        self._record(bytes(memoryview(buffer)[:count]), is_end=not count and len(buffer) > 0)
        return count

    def close(self) -> None:
        """Close the file and settle: the client is done, at the end or before."""
        try:
            self._file.close()
        finally:
            if not self._owners.are_collected():
                if self._cut:
                    self._broke(EOFError(self._cut))
                self._recorder.closed()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def _read(self, read: Callable[[Any], Any], wanted: Any) -> Any:
        try:
            return read(wanted)
        except BaseException as error:
            self._broke(error)
            raise

    def _record(self, data: bytes, *, is_end: bool) -> bytes:
        for piece in self._framing.content(data):
            self._recorder.add(piece)
        if self._framing.ended:
            self._recorder.exhausted()
        elif is_end:
            self._ends(self._framing.missing(), final=self._strict or not data)
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


def record_body(
    response: Any,
    method: str,
    recorder: BodyRecorder,
    failure_of: Callable[[BaseException], TransportFailure | None],
    *,
    owners: Owners,
    strict: bool,
) -> None:
    """Let a recorder see what is read of an `http.client.HTTPResponse`.

    Args:
        response: the response.
        method: the request's method.
        recorder: the recorder.
        failure_of: see `RecordedFile`.
        owners: see `RecordedFile`.
        strict: see `RecordedFile`.
    """
    if response.fp is None:
        recorder.exhausted()
    else:
        response.fp = RecordedFile(
            response.fp, _framing_of(response, method), recorder, failure_of, owners=owners, strict=strict
        )
