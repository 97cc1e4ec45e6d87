"""Decompresses HTTP content by its content-encoding header."""

from __future__ import annotations

import importlib
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MOST", "uncompressed"]

MOST = 64 << 20
"""The most bytes that content may expand to, since kilobytes may expand to terabytes; longer content is kept as is."""

_SLICE = 256
"""Bytes passed at once to a decoder without an output limit: bounds what one slice can expand to."""


def uncompressed(raw: bytes, content_encoding: str) -> bytes | None:
    """The content under a ``content-encoding`` header, as far as it came.

    Like the clients' own decoders, one member of a gzip file is read, and a gzip, deflate or brotli text
    that was cut off yields what it holds.

    Returns:
        None where it can't be read here: an unknown coding, a decoder that isn't installed, damage, or more
        than `MOST` bytes.
    """
    content = raw
    for coding in reversed([name.strip().lower() for name in content_encoding.split(",")]):
        decode = _DECODERS.get(coding)
        if decode is None:
            return None
        try:
            content = decode(content) if content else content
        except Exception:  # noqa: BLE001 - each optional decoder has an error class of its own
            return None
    return content


def _gzip(raw: bytes) -> bytes:
    return _zlib(raw, zlib.MAX_WBITS | 16)


def _deflate(raw: bytes) -> bytes:
    # RFC 9110, 8.4.1.2 means zlib's format; some servers send the bare stream.
    try:
        return _zlib(raw, zlib.MAX_WBITS)
    except zlib.error:
        return _zlib(raw, -zlib.MAX_WBITS)


def _zlib(raw: bytes, window: int) -> bytes:
    stream = zlib.decompressobj(window)
    content = stream.decompress(raw, MOST + 1)
    _check(content)
    return content + stream.flush()


def _brotli(raw: bytes) -> bytes:
    decompressor = _first_of("brotli", "brotlicffi").Decompressor()
    process = getattr(decompressor, "decompress", None) or decompressor.process
    content = bytearray()
    for at in range(0, len(raw), _SLICE):
        content += process(raw[at : at + _SLICE])
        _check(content)
    return bytes(content)


def _zstd(raw: bytes) -> bytes:
    decompressor = _first_of("compression.zstd", "backports.zstd", "zstandard").ZstdDecompressor
    content = bytearray()
    stream = None
    for at in range(0, len(raw), _SLICE):
        rest = raw[at : at + _SLICE]
        while rest:
            if stream is None:
                stream = decompressor()
                stream = stream.decompressobj() if hasattr(stream, "decompressobj") else stream
            content += stream.decompress(rest)
            _check(content)
            rest, stream = (stream.unused_data, None) if stream.eof else (b"", stream)
    if stream is not None:
        raise EOFError("the frame was cut off")  # as the clients' own decoders say
    return bytes(content)


def _check(content: bytes | bytearray) -> None:
    if len(content) > MOST:
        raise OverflowError(f"more than {MOST} bytes")


def _first_of(*names: str) -> Any:
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ImportError(" or ".join(names))


def _identity(raw: bytes) -> bytes:
    return raw


_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "": _identity,
    "identity": _identity,
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
