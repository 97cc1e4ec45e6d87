"""The server that the edges' agents ask: its answers are numbered, so that equal questions get different answers."""

from __future__ import annotations

import collections
import contextlib
import gzip
import itertools
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count(1)


class _Turns:
    """Lets ``/turn/TAG/NUMBER`` wait until ``/next/TAG`` was asked so often."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._over: collections.Counter[str] = collections.Counter()

    def keep(self, path: str) -> None:
        kind, tag, number = (*path.split("/")[1:], "", "")[:3]
        with self._news:
            if kind == "next":
                self._over[tag] += 1
                self._news.notify_all()
            elif kind == "turn":
                self._news.wait_for(lambda: self._over[tag] >= int(number), 60)


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _World)
        self.turns = _Turns()


class _World(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        number = next(_numbers)
        if self.path.startswith("/stream"):
            self._stream()
            return
        if self.path.startswith("/slow"):
            time.sleep((number * 7 % 5) / 100)
        self.server.turns.keep(self.path)
        said = {"n": number, "token": f"page-{number}", "hits": [number, 1.0, None]}
        if self.path.startswith("/v1/chat"):
            message = {"role": "assistant", "content": f"answer {number}"}
            said = {"id": f"c{number}", "model": "m", "choices": [{"index": 0, "message": message}]}
        body = json.dumps(said).encode()
        if self.path.startswith("/spelled"):  # as a library writes it, and as none does
            lines = json.dumps({**said, "é": 1.5}, indent=2)
            body = (lines + "\n" if number % 2 else lines.replace("1.5", " 1.50")).encode()
        self.send_response(201 if self.path.startswith("/made") else 200)
        self.send_header("content-type", "application/json")
        self.send_header("x-cursor", f"cursor-{number}")
        self.send_header("x-ratelimit-remaining", str(number))
        self.send_header("set-cookie", f"basket=b{number}; Path=/")
        if self.path.startswith("/gzip"):
            body = gzip.compress(body, mtime=0)
            self.send_header("content-encoding", "gzip")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = do_PATCH = _answer  # noqa: N815 - what the library calls

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        with contextlib.suppress(OSError):  # the client went
            for number in range(8):
                chunk = {"model": "m", "choices": [{"index": 0, "delta": {"content": f"word{number} "}}]}
                data = f"data: {json.dumps(chunk)}\n\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The server's URL, while the server runs."""
    with _Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
