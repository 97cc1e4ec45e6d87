"""A request's body as aiohttp takes it (bytes, forms, files, iterables): read for a crossing, and still to be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import BytesPayload, ClientConnectionError, ClientOSError, Payload
from aiohttp.abc import AbstractStreamWriter

if TYPE_CHECKING:
    from multidict import CIMultiDict

__all__ = ["read_body"]


async def read_body(request: Any) -> bytes:
    """The bytes that a ``ClientRequest`` would send, before any compression; what can be read once is replaced.

    Raises:
        ClientConnectionError: the body could not be read; as it is when it can't be sent.
    """
    body = request.body
    if not isinstance(body, Payload):
        return bytes(body or b"")
    gathered = _Gathered()
    try:
        await body.write(gathered)
    except OSError as error:
        raise ClientOSError(error.errno, f"Can not write request body for {request.url}") from error
    except Exception as error:
        raise ClientConnectionError(
            f"Failed to send bytes into the underlying connection: {error!r}"
        ) from error
    raw = b"".join(gathered.chunks)
    if not isinstance(body, BytesPayload):
        # The attribute, not the property: its setter warns, and closes what we close in the end.
        setattr(request, "_body" if "_body" in vars(request) else "body", _Read(raw, body))
    return raw


class _Gathered(AbstractStreamWriter):
    """Takes what a payload writes."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self.chunks.append(bytes(chunk))

    async def write_eof(self, chunk: bytes = b"") -> None:
        self.chunks.append(chunk)

    async def drain(self) -> None:
        """Nothing is waited for."""

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        """What is recorded is not compressed."""

    def enable_chunking(self) -> None:
        """What is recorded is not framed."""

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        """A payload writes none."""


class _Read(Payload):
    """A payload that was read, in place of it: with its headers, and closing it.

    Not a `BytesPayload`, which warns of large bodies.
    """

    def __init__(self, raw: bytes, payload: Payload) -> None:
        super().__init__(raw, headers=payload.headers)
        self._raw = raw
        self._payload = payload

    @property
    def size(self) -> int:
        return len(self._raw)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._raw.decode(encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:  # noqa: ARG002 - theirs
        return self._raw

    async def write(self, writer: AbstractStreamWriter) -> None:
        await writer.write(self._raw)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        await writer.write(self._raw if content_length is None else self._raw[:content_length])

    async def close(self) -> None:
        # Before 3.12 payloads weren't closed.
        close = getattr(self._payload, "close", None)
        if close is not None:
            await close()
