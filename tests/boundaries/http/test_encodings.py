"""What a compressed answer says, as far as it came, and no more of it than fits."""

from __future__ import annotations

import gzip
import resource
import sys
import zlib

import pytest

from pytest_sparrow.wire import bodies
from pytest_sparrow.wire.bodies import uncompressed

TEXT = b'{"order": 1234}' * 50


def _zeros(compressor):
    return compressor.compress(bytes(bodies.MOST + 1)) + compressor.flush()


def _zstd(data):
    return pytest.importorskip("zstandard").ZstdCompressor().compress(data)


@pytest.mark.parametrize(
    ("coding", "compress"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: (c := zlib.compressobj(wbits=-15)).compress(data) + c.flush()),
        ("zstd", _zstd),
        ("zstd", lambda data: _zstd(data[:100]) + _zstd(data[100:])),
        ("gzip, gzip", lambda data: gzip.compress(gzip.compress(data))),
        ("identity", bytes),
    ],
)
def test_what_was_compressed_comes_back(coding, compress):
    """Each coding, with what each decoder must swallow; what can't be read is None."""
    assert uncompressed(compress(TEXT), coding) == TEXT
    assert uncompressed(b"\xff" * 100, coding) in (None, b"\xff" * 100)


def test_a_bomb_stays_as_it_came(monkeypatch):
    """One byte beyond the limit is too much, whatever the coding, also through two codings; memory is bounded."""
    monkeypatch.setattr(bodies, "MOST", 8 << 20)  # of 64, which take seconds
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    zeros = _zeros(zlib.compressobj(wbits=31))
    assert len(zeros) < 1 << 20
    assert uncompressed(zeros, "gzip") is None
    assert uncompressed(gzip.compress(zeros), "gzip, gzip") is None
    assert uncompressed(_zeros(zlib.compressobj()), "deflate") is None
    assert uncompressed(_zeros(zlib.compressobj(wbits=-15)), "deflate") is None
    assert (
        uncompressed(_zeros(pytest.importorskip("zstandard").ZstdCompressor().compressobj()), "zstd") is None
    )
    if sys.platform.startswith("linux"):
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 << 10  # KiB


def test_what_was_cut_off_is_read_as_far_as_it_came():
    """A gzip text that broke off gives its beginning; a zstd frame that did is unreadable, as it is to clients."""
    found = uncompressed(gzip.compress(TEXT)[:-12], "gzip")
    assert found
    assert TEXT.startswith(found)
    assert uncompressed(_zstd(TEXT)[:-3], "zstd") is None
