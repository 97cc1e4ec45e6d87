"""Content codings: what a compressed answer says."""

from __future__ import annotations

import importlib
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["uncompressed"]


def uncompressed(raw: bytes, content_encoding: str) -> bytes | None:
    """The content under a ``content-encoding`` header, as far as it came.

    Like the clients' own decoders, one member of a gzip file is read, and a gzip, deflate or brotli text
    that was cut off gives what it holds.

    Returns:
        None where it can't be read here: an unknown coding, a decoder that isn't installed, damage.
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
    stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
    return stream.decompress(raw) + stream.flush()


def _deflate(raw: bytes) -> bytes:
    # RFC 9110, 8.4.1.2 means zlib's format; some servers send the bare stream.
    try:
        stream = zlib.decompressobj()
        return stream.decompress(raw) + stream.flush()
    except zlib.error:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        return stream.decompress(raw) + stream.flush()


def _brotli(raw: bytes) -> bytes:
    decompressor = _first_of("brotli", "brotlicffi").Decompressor()
    process = getattr(decompressor, "decompress", None) or decompressor.process
    return bytes(process(raw))


def _zstd(raw: bytes) -> bytes:
    module = _first_of("compression.zstd", "backports.zstd", "zstandard")
    if hasattr(module, "decompress"):
        # Raises on a frame that was cut off, as the clients' own decoder does.
        return bytes(module.decompress(raw))
    return bytes(module.ZstdDecompressor().decompressobj().decompress(raw))


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
