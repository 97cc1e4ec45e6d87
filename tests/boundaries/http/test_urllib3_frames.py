"""What frames a body on its connection is taken off, however its bytes are cut."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sparrow.boundaries.http.exchange import TransportFailure
from pytest_sparrow.boundaries.http.urllib3.bodies import Chunks, Owners, Plain, Watched

PIECES = st.lists(st.binary(min_size=1, max_size=40), max_size=6)


def _chunked(pieces):
    return b"".join(b"%x;a=b\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nt: x\r\n\r\n"


def _cut(wire, sizes):
    start = 0
    for size in sizes:
        yield wire[start : start + size]
        start += size
    yield wire[start:]


@settings(max_examples=100, deadline=None)
@given(pieces=PIECES, sizes=st.lists(st.integers(0, 9), max_size=40))
def test_chunks_cut_anywhere_give_their_content(pieces, sizes):
    """The content is that of the chunks, and the end is seen; before the end something is missing."""
    frames = Chunks()
    got = b"".join(piece for data in _cut(_chunked(pieces), sizes) for piece in frames.recorder(data))
    assert got == b"".join(pieces)
    assert frames.ended
    assert frames.missing() is None


@settings(max_examples=100, deadline=None)
@given(pieces=PIECES, until=st.integers(0, 300))
def test_chunks_that_break_off_say_so(pieces, until):
    """Cut before the last chunk, it hasn't ended, and what came is content of the chunks."""
    wire = _chunked(pieces)
    cut = wire[: min(until, wire.rindex(b"0\r\nt: x"))]
    frames = Chunks()
    assert b"".join(pieces).startswith(b"".join(frames.recorder(cut)))
    assert not frames.ended
    assert frames.missing()


def test_plain_content_ends_at_its_length_or_with_its_connection():
    """A length tells the end; without one whatever comes is content."""
    frames = Plain(5)
    assert list(frames.recorder(b"123")) == [b"123"]
    assert frames.missing() == "IncompleteRead(3 bytes read, 2 more expected)"
    assert list(frames.recorder(b"45")) == [b"45"]
    assert (frames.ended, frames.missing()) == (True, None)
    assert Plain(0).ended
    assert (Plain(None).ended, Plain(None).missing()) == (False, None)


class _Take:
    def __init__(self):
        self.said = []

    def add(self, chunk):
        self.said.append(chunk)

    def exhausted(self):
        self.said.append("exhausted")

    def closed(self):
        self.said.append("closed")

    def broke(self, failure):
        self.said.append(failure)


def _named(error):
    return TransportFailure(type=type(error).__name__, message=str(error))


@pytest.mark.parametrize("strict", [True, False])
def test_every_way_to_read_is_watched(strict):
    """read, read1, readline and readinto all tell the take, and the last byte tells the end."""
    recorder = _Take()
    watched = Watched(
        io.BufferedReader(io.BytesIO(b"aa\nbbccdd")),
        Plain(9),
        recorder,
        _named,
        owners=Owners(),
        strict=strict,
    )
    buffer = bytearray(2)
    assert watched.readline() == b"aa\n"
    assert watched.read(2) == b"bb"
    assert watched.readinto(buffer) == 2
    assert watched.peek(1)[:1] == b"d"
    assert watched.read1(9) == b"dd"
    watched.close()
    assert recorder.said == [b"aa\n", b"bb", b"cc", b"dd", "exhausted", "closed"]


def test_an_error_while_reading_breaks_the_take():
    """Whatever the connection raises is told by name, and raised."""

    class Reset(io.BytesIO):
        def read(self, size=-1):
            raise ConnectionResetError("gone")

    recorder = _Take()
    with pytest.raises(ConnectionResetError):
        Watched(Reset(), Chunks(), recorder, _named, owners=Owners(), strict=True).read(5)
    assert recorder.said == [TransportFailure(type="ConnectionResetError", message="gone")]
