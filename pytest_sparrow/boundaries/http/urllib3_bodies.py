"""A request's body as urllib3 takes it, bytes, text, a file or an iterable: read, and still to be sent."""

from __future__ import annotations

import contextlib
import io
from typing import Any

__all__ = ["read_body"]

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
