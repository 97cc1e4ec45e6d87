"""The content of a response as it is read off its connection: what `http.client` reads, without what frames it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sparrow.boundaries.http.reply import Failure
    from pytest_sparrow.boundaries.http.take import Take
    from pytest_sparrow.boundaries.http.urllib3_owners import Owners

__all__ = ["Chunks", "Frames", "Plain", "Watched"]


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

    def take(self, data: bytes) -> Iterator[bytes]:
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

    def take(self, data: bytes) -> Iterator[bytes]:
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
        take: who watches.
        failure_of: names an error that reading raised; None for one that is none of the world's.
        owners: the responses that read from it.
        strict: whether the client raises where the content is cut off. Where not, `http.client` still does for one
            that reads to the end in one go: then it closes without asking for more.
    """

    def __init__(
        self,
        file: Any,
        frames: Frames,
        take: Take,
        failure_of: Callable[[BaseException], Failure | None],
        *,
        owners: Owners,
        strict: bool,
    ) -> None:
        self._file = file
        self._frames = frames
        self._take = take
        self._failure_of = failure_of
        self._owners = owners
        self._strict = strict
        self._cut = ""
        if frames.ended:
            take.exhausted()

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
                self._take.closed()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def _tried(self, read: Callable[[Any], Any], wanted: Any) -> Any:
        try:
            return read(wanted)
        except BaseException as error:
            self._broke(error)
            raise

    def _seen(self, data: bytes, *, is_end: bool) -> bytes:
        for piece in self._frames.take(data):
            self._take.add(piece)
        if self._frames.ended:
            self._take.exhausted()
        elif is_end:
            self._ends(self._frames.missing(), final=self._strict or not data)
        return data

    def _ends(self, missing: str | None, *, final: bool) -> None:
        if missing is None or (final and not self._strict):
            self._take.exhausted()
        elif final:
            self._broke(EOFError(missing))
        else:
            self._cut = missing

    def _broke(self, error: BaseException) -> None:
        self._take.broke(self._failure_of(error))
