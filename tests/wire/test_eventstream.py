"""Amazon's binary event stream: frames out and in, torn and damaged ones, as botocore reads and writes them."""

import struct
import zlib

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.wire.eventstream import Frame, frame_bytes, frames_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FRAMES = st.builds(
    Frame, headers=st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=3), payload=st.binary(max_size=40)
)


@given(st.lists(FRAMES, max_size=4), st.binary(max_size=20))
def test_frames_come_back(frames, rest):
    """Written and read again they are the same; what follows the last whole frame is left."""
    raw = b"".join(map(frame_bytes, frames))
    assert list(frames_of(raw)) == frames
    assert list(frames_of(raw + rest))[: len(frames)] == frames


@given(st.lists(FRAMES, min_size=1, max_size=3))
def test_botocore_reads_them_too(frames):
    """Headers and payload, checksums and all."""
    buffer = EventStreamBuffer()
    buffer.add_data(b"".join(map(frame_bytes, frames)))
    assert [Frame(headers=event.headers, payload=event.payload) for event in buffer] == frames


@given(FRAMES, st.data())
def test_a_torn_or_damaged_frame_ends_the_stream(frame, data):
    """No event comes of the frame, and nothing raises."""
    raw = frame_bytes(frame)
    assert list(frames_of(raw[: data.draw(st.integers(0, len(raw) - 1))])) == []
    place = data.draw(st.integers(0, len(raw) - 1))
    damaged = bytearray(raw)
    damaged[place] ^= 1 << data.draw(st.integers(0, 7))
    assert list(frames_of(bytes(damaged))) == []


@pytest.mark.parametrize("kind", range(12))
def test_headers_of_other_types_are_passed_over(kind):
    """Only texts say anything here; a type that nobody knows can't be passed over."""
    sizes = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 6: 5, 7: 5, 8: 8, 9: 16}
    value = b"\0\3abc" if kind in (6, 7) else bytes(sizes.get(kind, 0))
    headers = b"\1n" + bytes([kind]) + value + frame_headers({"k": "v"})
    lengths = struct.pack(">II", 12 + len(headers) + 2 + 4, len(headers))
    message = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers + b"{}"
    raw = message + struct.pack(">I", zlib.crc32(message))
    found = {"n": "abc", "k": "v"} if kind == 7 else {"k": "v"}
    assert list(frames_of(raw)) == ([Frame(headers=found, payload=b"{}")] if kind in sizes else [])


def frame_headers(headers):
    """Only the headers' bytes of a frame."""
    return frame_bytes(Frame(headers=headers, payload=b""))[12:-4]
