"""Watching a body on its way to the client, and settling the crossing once the client has what it wants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pytest_sparrow.boundaries.http import lines, sse
from pytest_sparrow.boundaries.http.core import Headers, answered_of, header

if TYPE_CHECKING:
    from pytest_sparrow.boundaries.http.reply import Failure
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.recording.crossing import Crossing

__all__ = ["FedTake", "LiveTake", "Take"]


class Take(Protocol):
    """One body on its way; of the last three methods the first call counts."""

    def add(self, chunk: bytes) -> None:
        """The client is about to get this."""
        ...

    def exhausted(self) -> None:
        """The body came to its end."""
        ...

    def closed(self) -> None:
        """The client closed it, perhaps before the end."""
        ...

    def broke(self, failure: Failure | None) -> None:
        """The transport raised, or (None) the client was cancelled."""
        ...


class LiveTake:
    """Keeps what the world says and settles with it.

    Args:
        crossing: what to settle.
        method: the request's method.
        status: the response's status.
        headers: the response's headers.
        decoded: whether the chunks are uncompressed already.
    """

    def __init__(
        self, crossing: Crossing, *, method: str, status: int, headers: Headers, decoded: bool = False
    ) -> None:
        self._crossing = crossing
        self._method = method
        self._status = status
        self._headers = headers
        self._decoded = decoded
        self._chunks: list[bytes] = []
        self._settled = False
        self._peeked = 0
        crossing.flush = self.closed
        crossing.peek = self._so_far

    def _so_far(self) -> dict[str, Json] | None:
        if len(self._chunks) == self._peeked:
            return None
        self._peeked = len(self._chunks)
        return answered_of(self._status, self._headers, b"".join(self._chunks), decoded=self._decoded)

    def add(self, chunk: bytes) -> None:
        """See `Take`."""
        self._chunks.append(chunk)

    def exhausted(self) -> None:
        """See `Take`."""
        self._settle(ended=True)

    def closed(self) -> None:
        """See `Take`."""
        self._settle(ended=False)

    def broke(self, failure: Failure | None) -> None:
        """See `Take`."""
        self._settle(ended=False, broken=True, failure=failure)

    def _settle(self, *, ended: bool, broken: bool = False, failure: Failure | None = None) -> None:
        if self._settled:
            return
        self._settled = True
        raw = b"".join(self._chunks)
        self._chunks.clear()
        answered = answered_of(self._status, self._headers, raw, decoded=self._decoded, failure=failure)
        complete = ended or (not broken and (self._has_all(len(raw)) or _says_done(answered)))
        self._crossing.settle(answered, complete=complete)

    def _has_all(self, size: int) -> bool:
        """Whether a client that closes now has left nothing unread."""
        if self._method == "HEAD" or self._status in (204, 304):
            return True
        return not self._decoded and header(self._headers, "content-length") == str(size)


class FedTake:
    """Watches a served body; settles with what was fed.

    Args:
        crossing: what to settle.
        pieces: how many chunks there are to serve.
    """

    def __init__(self, crossing: Crossing, *, pieces: int) -> None:
        self._crossing = crossing
        self._pieces = pieces
        self._left = pieces
        self._last = b""
        self._settled = False
        self._peeked = pieces
        crossing.flush = self.closed
        crossing.peek = self._so_far

    def _so_far(self) -> dict[str, Json] | None:
        if self._left == self._peeked:
            return None
        self._peeked = self._left
        fed = self._crossing.fed
        assert fed is not None
        body = fed.get("body")
        form = _form(body)
        if not form or not isinstance(body, dict):
            return fed
        return {**fed, "body": {form: body[form][: self._pieces - self._left]}}

    def add(self, chunk: bytes) -> None:
        """See `Take`."""
        self._left -= 1
        self._last = chunk

    def exhausted(self) -> None:
        """See `Take`."""
        self._settle(complete=True)

    def closed(self) -> None:
        """See `Take`."""
        self._settle(complete=self._left <= 0 or _is_last(self._last))

    def broke(self, failure: Failure | None) -> None:  # noqa: ARG002 - the golden has it already
        """See `Take`."""
        self._settle(complete=False)

    def _settle(self, *, complete: bool) -> None:
        if not self._settled:
            self._settled = True
            self._crossing.settle(self._crossing.fed, complete=complete)


def _says_done(answered: dict[str, object]) -> bool:
    body = answered.get("body")
    form = _form(body)
    if not form or not isinstance(body, dict):
        return False
    last = str(body.get("torn") or (body[form][-1] if body[form] else ""))
    return _is_last(last.encode())


def _form(body: object) -> str:
    """The key of a body that comes piece by piece, or ""."""
    return next((form for form in ("sse", "lines") if isinstance(body, dict) and form in body), "")


def _is_last(piece: bytes) -> bool:
    return sse.is_done(piece) or lines.is_done(piece)
