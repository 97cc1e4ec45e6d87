"""When the first piece of a streamed answer reaches the client while it is recorded."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import httpx2
from loopback import Model, serving
from peers import require_vcrpy
from rows import Row
from runs import recording
from timing import in_turns, sized

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

__all__ = ["TITLE", "rows"]

_CHUNKS = 10
_EVERY = 0.02
"""Seconds between the chunks that the server sends; the first comes after one of them."""
_ROUNDS = sized(1, 10, 15)
_AIM = 1.2
TITLE = f"Streaming: the first of {_CHUNKS} chunks, one every {_EVERY * 1e3:.0f} ms, while recording"


def rows() -> Iterator[Row]:
    """The section's rows."""
    vcr = require_vcrpy()
    with tempfile.TemporaryDirectory() as folder, serving(_Model) as url:
        for library in (httpx2, httpx):

            def ours(library: ModuleType = library) -> float:
                with recording(Path(folder)):
                    return _first_chunk(library, url)

            def theirs(library: ModuleType = library) -> float:
                with vcr.use_cassette(f"{folder}/{time.monotonic_ns()}.yaml"):
                    return _first_chunk(library, url)

            def alone(library: ModuleType = library) -> float:
                return _first_chunk(library, url)

            taken = in_turns({"ours": ours, "theirs": theirs, "alone": alone}, rounds=_ROUNDS)
            ratio = taken["ours"].over(taken["alone"])
            yield Row(
                what=f"through {library.__name__}",
                ours=taken["ours"].median * 1e3,
                unit="ms",
                peer=f"alone {taken['alone'].median * 1e3:.0f}, vcrpy {taken['theirs'].median * 1e3:.0f} ms",
                ratio=ratio,
                most=_AIM,
            )


def _first_chunk(library: ModuleType, url: str) -> float:
    with library.Client() as client:
        start = time.perf_counter()
        with client.stream("POST", url, json={"model": "m", "messages": [], "stream": True}) as response:
            chunks = response.iter_raw()
            next(chunks)
            taken = time.perf_counter() - start
            for _ in chunks:
                pass
    return taken


class _Model(Model):
    def answer(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for _ in range(_CHUNKS):
            time.sleep(_EVERY)
            data = b'data: {"choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")
