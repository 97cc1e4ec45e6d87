"""A small real HTTP/1.1 server on 127.0.0.1, one thread a connection, whose routes are plain functions."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Call:
    """A received request, and the means to answer it."""

    handler: BaseHTTPRequestHandler
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def answer(self, body: bytes = b"", *, status: int = 200, **headers: str) -> None:
        """Answer whole; underscores in header names become dashes."""
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.send_header("content-length", str(len(body)))
        self.handler.end_headers()
        if self.method != "HEAD":
            self.handler.wfile.write(body)

    def start(self, *, status: int = 200, **headers: str) -> None:
        """Begin a chunked answer."""
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.send_header("transfer-encoding", "chunked")
        self.handler.end_headers()

    def chunk(self, data: bytes) -> None:
        """Send a chunk at once."""
        self.handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.handler.wfile.flush()

    def end(self) -> None:
        """The end of a chunked answer."""
        self.handler.wfile.write(b"0\r\n\r\n")

    def cut(self, body: bytes, *, length: int) -> None:
        """Answer with the beginning of a body that should be longer, and end the connection."""
        self.handler.send_response(200)
        self.handler.send_header("content-length", str(length))
        self.handler.end_headers()
        self.handler.wfile.write(body)
        self.handler.close_connection = True

    def die(self) -> None:
        """Reset the connection."""
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.handler.connection.close()
        self.handler.close_connection = True


Route = Callable[[Call], None]


@dataclass
class Loopback:
    """The server as a test sees it: its routes, and the requests that came."""

    port: int
    routes: dict[str, Route] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def loopback(**routes: Route) -> Iterator[Loopback]:
    """Serve ``/name`` by the function given for it; 404 otherwise."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.loopback = Loopback(
        server.server_address[1], {f"/{name}": route for name, route in routes.items()}
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.loopback
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    loopback: Loopback

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("transfer-encoding") == "chunked":
            body = self._chunked()
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(self, self.command, self.path, headers, body)
        self.server.loopback.calls.append(call)
        route = self.server.loopback.routes.get(self.path.partition("?")[0])
        if route is None:
            call.answer(b"no such route", status=404)
        else:
            route(call)

    def _chunked(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _serve  # noqa: N815 - http.server names them

    def log_message(self, *args: Any) -> None:
        """Nothing on stderr."""
