"""Bodies: readable where nothing is lost, exact otherwise."""

import base64
import gzip
import importlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.boundaries.http.bodies import is_last
from pytest_sparrow.events import jsontext
from pytest_sparrow.wire.bodies import body_of, chunks_of, media_type, uncompressed
from pytest_sparrow.wire.sse import events_of

TYPES = st.sampled_from(
    [
        "",
        "text/plain",
        "text/event-stream",
        "application/json",
        "application/octet-stream",
        "a/b+json",
        "multipart/form-data",
    ]
)
LINES = st.lists(st.sampled_from(["data: x", "event: y", "", "", ": c", "data", "\n", "é"]), max_size=12)


@given(st.binary(max_size=60), TYPES)
def test_any_bytes_come_back(raw, content_type):
    """Of any bytes under any type, a client gets the same bytes, or equal JSON, or equal lines of SSE."""
    body = body_of(raw, content_type, answered=True)
    served = b"".join(chunks_of(json.loads(json.dumps(body))))
    if "json" in body:
        assert jsontext.equal(json.loads(served), json.loads(raw))
    elif "sse" in body:
        assert served == raw
    else:
        assert served == raw


@given(LINES, st.sampled_from(["\n", "\r\n"]))
def test_event_streams_are_rejoined_exactly(lines, ending):
    """Split at blank lines and joined again, a stream is the same, whatever blank lines it holds."""
    raw = ending.join(lines).encode()
    body = body_of(raw, "text/event-stream; charset=utf-8", answered=True)
    assert b"".join(chunks_of(body)) == raw


def test_a_stream_that_cannot_be_rejoined_is_text_or_bytes():
    """A lone carriage return, or no UTF-8, is not split."""
    assert events_of(b"data: a\rdata: b\n\n") is None
    assert events_of(b"data: \xff\n\n") is None
    assert body_of(b"data: \xff\n\n", "text/event-stream", answered=True) == {
        "base64": base64.b64encode(b"data: \xff\n\n").decode()
    }


def test_done_is_the_last_line_only():
    """Only a stream that ends with [DONE] has said everything."""
    assert is_last(b"data: 1\n\ndata: [DONE]\n\n")
    assert is_last(b"data:[DONE]")
    assert not is_last(b"data: [DONE]\n\ndata: 1\n\n")
    assert not is_last(b"[DONE]")
    assert not is_last(b"")


@pytest.mark.parametrize(
    "raw", [b'{"a":1,"a":2}', b"[NaN]", b"[1e999]", b'"\\ud800"', b"\xef\xbb\xbf{}", b"[" * 95 + b"]" * 95]
)
def test_json_that_some_reader_would_change_stays_text(raw):
    """JSON is kept parsed only if nothing is lost and a line can hold it."""
    body = body_of(raw, "application/json", answered=True)
    assert body == {"text": raw.decode()}
    jsontext.encode({"answered": {"body": body}})


def test_deep_json_that_fits_is_json_and_can_be_written():
    """The limit leaves room for the line around a body, multipart too; brackets in strings don't count."""
    deep = b"[" * 90 + b"]" * 90
    assert "json" in body_of(deep, "application/json", answered=True)
    jsontext.encode(
        {"asked": {"body": {"multipart": [{"body": body_of(deep, "application/json", answered=False)}]}}}
    )
    assert "json" in body_of(json.dumps("[" * 500).encode(), "application/json", answered=True)


def _form(*parts, boundary=b"B", end=b"--\r\n"):
    fence = b"--" + boundary
    return b"".join(fence + b"\r\n" + part + b"\r\n" for part in parts) + fence + end


PART = b'Content-Disposition: form-data; name="a"\r\n\r\n1'


def test_multipart_is_split_without_its_boundary():
    """The same parts under another boundary are the same body; a part without headers has none."""
    one = body_of(_form(PART, b"\r\nplain"), "multipart/form-data; boundary=B", answered=False)
    two = body_of(
        _form(PART, b"\r\nplain", boundary=b"zz"), 'multipart/form-data; boundary="zz"', answered=False
    )
    assert one == two
    assert one["multipart"] == [
        {"headers": {"content-disposition": 'form-data; name="a"'}, "body": {"text": "1"}},
        {"headers": {}, "body": {"text": "plain"}},
    ]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"--B--",
        _form(PART, end=b""),
        _form(PART)[5:],
        _form(b"no blank line"),
        b"junk\r\n" + _form(PART),
    ],
)
def test_broken_multipart_is_kept_as_it_is(raw):
    """A body that isn't whole multipart is text, as it came."""
    assert body_of(raw, "multipart/form-data; boundary=B", answered=False) == {"text": raw.decode()}


def test_text_with_a_nul_is_bytes():
    """A NUL means binary, whatever else the bytes could be read as."""
    assert body_of(b"a\0b", "text/plain", answered=True) == {"base64": base64.b64encode(b"a\0b").decode()}


def test_media_types():
    """Type and parameters, whatever their case and quotes."""
    assert media_type('Text/HTML; Charset="utf-8" ;x') == ("text/html", {"charset": "utf-8", "x": ""})
    assert media_type("") == ("", {})


def test_a_cut_gzip_text_gives_what_it_holds():
    """Truncated gzip is uncompressed as far as it came; damage isn't."""
    raw = gzip.compress(b"0123456789" * 500)
    assert uncompressed(raw, "gzip") == b"0123456789" * 500
    cut = uncompressed(raw[:-12], "x-gzip")
    assert cut is not None
    assert (b"0123456789" * 500).startswith(cut)
    assert uncompressed(b"not gzip", "gzip") is None


def test_codings_are_undone_in_reverse_order():
    """Several codings are undone from the last to the first; an unknown one isn't guessed at."""
    raw = gzip.compress(gzip.zlib.compress(b"text"))
    assert uncompressed(raw, "deflate, gzip") == b"text"
    assert uncompressed(raw, "gzip, snappy") is None
    assert uncompressed(b"text", "identity") == b"text"


@pytest.mark.parametrize(
    ("coding", "modules"), [("br", ["brotli"]), ("zstd", ["compression.zstd", "backports.zstd", "zstandard"])]
)
def test_optional_codings(coding, modules):
    """Brotli and zstd are read where a decoder is installed, and kept raw where none is."""
    found = None
    for name in modules:
        try:
            found = found or importlib.import_module(name)
        except ImportError:
            continue
    if found is None:
        assert uncompressed(b"x", coding) is None
    else:
        assert uncompressed(found.compress(b"text"), coding) == b"text"
        assert uncompressed(b"x", coding) is None
