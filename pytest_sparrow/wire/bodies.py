"""Turns HTTP bodies into JSON that a person can read and compare, and back into bytes that a client reads the same.

Compressed content is decompressed by its content-encoding header.

A multipart/form-data body is kept by its parts: its boundary is new in every request and says nothing.
"""

from __future__ import annotations

import base64
import functools
import importlib
import itertools
import zlib
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_sparrow.events import jsontext
from pytest_sparrow.wire import sse
from pytest_sparrow.wire.spelling import spell_body, spelling_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pytest_sparrow.exchange import Json

_SERVED = {"sse": sse.serve, "lines": sse.line_chunks}
_CRLF = b"\r\n"


def parts_of(raw: bytes, boundary: str) -> list[tuple[dict[str, str], bytes]] | None:
    """The headers (names in lower case) and the content of each part (RFC 2046, 5.1; RFC 7578).

    Returns:
        None where the bytes aren't such a body, or not a whole one.
    """
    fence = b"--" + boundary.encode("utf-8", "replace")
    pieces = (_CRLF + raw).split(_CRLF + fence)
    if len(pieces) < 3:
        return None
    preamble, *parts, end = pieces
    if preamble or end.rstrip() != b"--":
        return None
    found = [_part(piece) for piece in parts]
    whole = [part for part in found if part is not None]
    return whole if len(whole) == len(found) else None


def _part(piece: bytes) -> tuple[dict[str, str], bytes] | None:
    # A piece starts with the line break after its boundary; a part without headers starts with two.
    head, blank, content = piece.partition(_CRLF + _CRLF)
    if not blank or (head and not head.startswith(_CRLF)):
        return None
    headers: dict[str, str] = {}
    for name, value in _header_lines(head):
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers, content


def _header_lines(head: bytes) -> Iterator[tuple[str, str]]:
    for line in head.split(_CRLF):
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if colon:
            yield name.strip().lower(), value.strip()


# Room for what lies around a body in its line of exchanges.jsonl, multipart included.
_DEEPEST = jsontext.MAX_DEPTH - 10


@functools.lru_cache(maxsize=256)
def media_type(content_type: str) -> tuple[str, Mapping[str, str]]:
    """A content-type header as the type in lower case and its parameters (RFC 9110, 8.3.1)."""
    kind, *parameters = content_type.split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    return kind.strip().lower(), {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def body_of(raw: bytes, content_type: str, *, answered: bool) -> dict[str, Json]:
    """A body in the richest shape of `Exchange` that loses nothing a client would see.

    JSON that some parser would silently change (duplicate keys, NaN), or that isn't what its type claims,
    is kept as text, byte for byte; what is no UTF-8 text as base64.

    Args:
        raw: the content, uncompressed.
        content_type: the header, or "".
        answered: False for a request, which is compared but never replayed: only requests are divided into the parts
            of multipart, and only answers, which a client may read as they come, into lines.
    """
    kind, parameters = media_type(content_type)
    body: dict[str, Json] | None = None
    if kind == sse.MEDIA_TYPE:
        body = sse.events_of(raw)
    elif kind in sse.LINE_TYPES and answered:
        body = sse.lines_of(raw)
    elif kind == "multipart/form-data" and not answered:
        body = _multipart(raw, parameters.get("boundary", ""))
    elif _may_be_json(kind, raw):
        body = _json(raw)
        if body is not None and answered:
            body.update(spelling_of(raw, body["json"]))
    return body or _text(raw) or {"base64": base64.b64encode(raw).decode("ascii")}


def stream_form(body: Json) -> str:
    """The key of a body that comes piece by piece, "sse" or "lines"; "" for any other body."""
    if isinstance(body, dict):
        for form in _SERVED:
            if form in body:
                return form
    return ""


def chunks_of(body: dict[str, Json]) -> list[bytes]:
    """The chunks that serve a recorded body: one for each event or line of a stream, else a single chunk.

    Raises:
        ValueError: the body is none that a recording has; the text says why.
    """
    chunks = _whole_chunks(body)
    pieces = body.get("pieces")
    return chunks if pieces is None else _cut(chunks, pieces)


def with_pieces(body: dict[str, Json], pieces: Sequence[bytes]) -> dict[str, Json]:
    """A recorded body with the sizes of the pieces in which it came, where a replay would cut it otherwise.

    A single JSON value has none: who reads such a body waits for its end.
    """
    if "json" in body:
        return body
    served, came = (set(itertools.accumulate(map(len, each))) for each in (chunks_of(body), pieces))
    if came <= served if stream_form(body) else came == served:
        return body  # events that came at once are served one by one, as they may come the next time
    return {**body, "pieces": [len(piece) for piece in pieces]}


def _cut(chunks: list[bytes], pieces: Json) -> list[bytes]:
    """The content in pieces of these sizes; as it was where they don't fit (a placeholder is shorter or longer)."""
    content = b"".join(chunks)
    if not isinstance(pieces, list) or not all(type(size) is int and size > 0 for size in pieces):
        raise ValueError("its pieces are no array of sizes")
    ends = list(itertools.accumulate(pieces))
    if not ends or ends[-1] != len(content):
        return chunks
    return [content[end - size : end] for end, size in zip(ends, pieces, strict=True)]


def _whole_chunks(body: dict[str, Json]) -> list[bytes]:
    if form := stream_form(body):
        _check_texts(body[form], form)
        return _SERVED[form](body)
    if "json" in body:
        return [spell_body(body)]
    if isinstance(body.get("text"), str):
        return [body["text"].encode()]
    if isinstance(body.get("base64"), str):
        try:
            return [base64.b64decode(body["base64"], validate=True)]
        except ValueError as error:  # binascii's own, or no ASCII
            raise ValueError(f"its base64 body can't be read ({error})") from error
    raise ValueError(f"its body has none of the keys json, sse, lines, text and base64, but {sorted(body)}")


def _check_texts(texts: Json, form: str) -> None:
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"its {form} is no array of texts")


def _may_be_json(kind: str, raw: bytes) -> bool:
    if kind in ("application/json", "text/json", "application/x-json") or kind.endswith("+json"):
        return True
    return not kind and raw.lstrip()[:1] in (b"{", b"[")


def _json(raw: bytes) -> dict[str, Json] | None:
    try:
        value = jsontext.decode(raw)
    except jsontext.BrokenJson:
        return None
    return None if jsontext.is_deeper(value, _DEEPEST, raw) else {"json": value}


def _text(raw: bytes) -> dict[str, Json] | None:
    # UTF-8 only: then the bytes are exact without the content-type header in a replay.
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else {"text": text}


def _multipart(raw: bytes, boundary: str) -> dict[str, Json] | None:
    parts = parts_of(raw, boundary) if boundary else None
    if parts is None:
        return None
    # A part without a type is plain text (RFC 7578, 4.4), even if it looks like JSON.
    return {
        "multipart": [
            {
                "headers": headers,
                "body": body_of(content, headers.get("content-type", "text/plain"), answered=False),
            }
            for headers, content in parts
        ]
    }


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


def compressed(chunks: Sequence[bytes], coding: str, *, ends: bool) -> list[bytes] | None:
    """A body under a ``content-encoding``, chunk by chunk, so that a client can read each as it comes.

    Args:
        chunks: the content.
        coding: the header's value.
        ends: whether the content ends here; else it was cut off.

    Returns:
        None for a coding that is unknown here or has no compressor installed.
    """
    make = _COMPRESSORS.get(coding.strip().lower())
    if make is None:
        return None
    try:
        compress, flush, finish = make()
    except ImportError:
        return None
    found = [compress(chunk) + flush() for chunk in chunks]
    if ends and found:
        found[-1] += finish()
    return found


_Compressor: TypeAlias = "tuple[Callable[[bytes], bytes], Callable[[], bytes], Callable[[], bytes]]"


def _zlib_compressor(window: int) -> _Compressor:
    stream = zlib.compressobj(wbits=window)
    return stream.compress, functools.partial(stream.flush, zlib.Z_SYNC_FLUSH), stream.flush


def _brotli_compressor() -> _Compressor:
    stream = _first_of("brotli", "brotlicffi").Compressor()
    return getattr(stream, "process", None) or stream.compress, stream.flush, stream.finish


def _zstd_compressor() -> _Compressor:
    module = _first_of("compression.zstd", "backports.zstd", "zstandard")
    stream = module.ZstdCompressor()
    if hasattr(stream, "compressobj"):
        stream = stream.compressobj()
        block = functools.partial(stream.flush, module.COMPRESSOBJ_FLUSH_BLOCK)
    else:
        block = functools.partial(stream.flush, stream.FLUSH_BLOCK)
    return stream.compress, block, stream.flush


_COMPRESSORS: dict[str, Callable[[], _Compressor]] = {
    "gzip": functools.partial(_zlib_compressor, zlib.MAX_WBITS | 16),
    "x-gzip": functools.partial(_zlib_compressor, zlib.MAX_WBITS | 16),
    "deflate": functools.partial(_zlib_compressor, zlib.MAX_WBITS),
    "br": _brotli_compressor,
    "zstd": _zstd_compressor,
}


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
