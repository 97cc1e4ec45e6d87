"""The framing of a body is removed, however the bytes of the connection are cut."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.boundaries.http.http_client.bodies import (
    ChunkedFraming,
    Owners,
    PlainFraming,
    RecordedFile,
)
from pytest_sparrow.exchange import TransportFailure

PIECES = st.lists(st.binary(min_size=1, max_size=40), max_size=6)


def _chunked(pieces):
    return b"".join(b"%x;a=b\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nt: x\r\n\r\n"


def _cut(wire, sizes):
    start = 0
    for size in sizes:
        yield wire[start : start + size]
        start += size
    yield wire[start:]


@given(pieces=PIECES, sizes=st.lists(st.integers(0, 9), max_size=40))
def test_chunks_cut_anywhere_give_their_content(pieces, sizes):
    """The content is that of the chunks, and after the last chunk nothing is missing."""
    framing = ChunkedFraming()
    got = b"".join(piece for data in _cut(_chunked(pieces), sizes) for piece in framing.content(data))
    assert got == b"".join(pieces)
    assert framing.ended
    assert framing.missing() is None


@given(pieces=PIECES, until=st.integers(0, 300))
def test_chunks_that_break_off_are_incomplete(pieces, until):
    """A body that is cut before the last chunk has not ended; its content so far is that of the chunks."""
    wire = _chunked(pieces)
    cut = wire[: min(until, wire.rindex(b"0\r\nt: x"))]
    framing = ChunkedFraming()
    assert b"".join(pieces).startswith(b"".join(framing.content(cut)))
    assert not framing.ended
    assert framing.missing()


def test_plain_content_ends_at_its_length_or_with_its_connection():
    """Content with a length ends there; without one every byte is content."""
    framing = PlainFraming(5)
    assert list(framing.content(b"123")) == [b"123"]
    assert framing.missing() == "IncompleteRead(3 bytes read, 2 more expected)"
    assert list(framing.content(b"45")) == [b"45"]
    assert (framing.ended, framing.missing()) == (True, None)
    assert PlainFraming(0).ended
    assert (PlainFraming(None).ended, PlainFraming(None).missing()) == (False, None)


class _ListRecorder:
    """Keeps the calls that a body recorder gets."""

    def __init__(self):
        self.calls = []

    def add(self, chunk):
        self.calls.append(chunk)

    def exhausted(self):
        self.calls.append("exhausted")

    def closed(self):
        self.calls.append("closed")

    def broke(self, failure):
        self.calls.append(failure)


def _named(error):
    return TransportFailure(type=type(error).__name__, message=str(error))


@pytest.mark.parametrize("strict", [True, False])
def test_every_way_to_read_is_recorded(strict):
    """read, read1, readline and readinto all reach the recorder, and the last byte is the end."""
    recorder = _ListRecorder()
    file = RecordedFile(
        io.BufferedReader(io.BytesIO(b"aa\nbbccdd")),
        PlainFraming(9),
        recorder,
        _named,
        owners=Owners(),
        strict=strict,
    )
    buffer = bytearray(2)
    assert file.readline() == b"aa\n"
    assert file.read(2) == b"bb"
    assert file.readinto(buffer) == 2
    assert file.peek(1)[:1] == b"d"
    assert file.read1(9) == b"dd"
    file.close()
    assert recorder.calls == [b"aa\n", b"bb", b"cc", b"dd", "exhausted", "closed"]


def test_an_error_of_reading_is_recorded():
    """An error of the connection reaches the recorder by name, and the client as it is."""

    class Reset(io.BytesIO):
        def read(self, size=-1):
            raise ConnectionResetError("gone")

    recorder = _ListRecorder()
    with pytest.raises(ConnectionResetError):
        RecordedFile(Reset(), ChunkedFraming(), recorder, _named, owners=Owners(), strict=True).read(5)
    assert recorder.calls == [TransportFailure(type="ConnectionResetError", message="gone")]
