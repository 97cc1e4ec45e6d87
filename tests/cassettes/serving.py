"""VCR cassettes, served in order by a loopback server to a real SDK.

``serve(cassette)`` gives the server's address and the bodies that came in. How each SDK is driven stands beside, in
``*_driving.py``; `split_parameters` is what they share.
"""

from __future__ import annotations

import inspect
import json
import os
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from pytest_sparrow.wire.sse import split_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_sparrow.exchange import Json

__all__ = [
    "CASSETTES_VARIABLE",
    "Cassette",
    "Interaction",
    "Served",
    "as_exchange",
    "as_interaction",
    "cassette_files",
    "load_cassette",
    "path_before",
    "serve",
    "split_parameters",
]

CASSETTES_VARIABLE = "SPARROW_TEST_CASSETTES"
"""Environment variable: the folder that holds the cassettes. They are no part of this repository."""

# What a server says about a connection or a length belongs to the recorded connection, not to ours.
_OWN_HEADERS = frozenset(
    {
        "alt-svc",
        "connection",
        "content-encoding",
        "content-length",
        "date",
        "server",
        "set-cookie",
        "transfer-encoding",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One recorded request and its answer.

    Attributes:
        method: the HTTP method.
        url: the recorded URL.
        request: the request's body, parsed.
        status: the answer's status.
        headers: the answer's headers, lower-case.
        events: the events of a streamed answer, each without its blank line; None for a whole answer.
        body: the bytes of a whole answer.
    """

    method: str = "POST"
    url: str = "https://api.example.com/v1/chat/completions"
    request: Json
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    events: Sequence[str] | None = None
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cassette:
    """A named list of interactions, in recorded order.

    Attributes:
        name: the file's, without its ending.
        interactions: those that are wanted.
        exchanges: how many the file holds; 0 where there is none.
    """

    name: str
    interactions: Sequence[Interaction]
    exchanges: int = 0


def cassette_files() -> list[Path]:
    """The cassettes of the folder that the environment names; none where it names none."""
    folder = os.environ.get(CASSETTES_VARIABLE)
    return sorted(Path(folder).glob("*.yaml")) if folder else []


def load_cassette(path: Path, wanted: Callable[[str], bool] = bool) -> Cassette | None:
    """Read a VCR v1 file whose bodies are JSON or SSE text: the interactions whose URL's path is wanted, or None."""
    raw = _raw(path)
    found = [each for each in raw if wanted(urlsplit(each["request"]["uri"]).path)]
    if not found:
        return None
    return Cassette(name=path.stem, interactions=[_interaction(each) for each in found], exchanges=len(raw))


@cache
def _raw(path: Path) -> list[Any]:
    """The interactions as they stand in the file; each driver asks for every file."""
    # The C loader is ten times faster; a PyYAML without it still works.
    content = yaml.load(path.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    interactions: list[Any] = content["interactions"]
    return interactions


def path_before(interaction: Interaction, path: str) -> str:
    """What an interaction's path has before this one: it belongs to a client's base URL."""
    return urlsplit(interaction.url).path.partition(path)[0]


def _interaction(raw: Any) -> Interaction:
    request, response = raw["request"], raw["response"]
    headers = {name.lower(): values[0] for name, values in (response.get("headers") or {}).items() if values}
    text = _text(response)
    streamed = "text/event-stream" in headers.get("content-type", "") or text.startswith(("data:", "event:"))
    return Interaction(
        method=request["method"],
        url=request["uri"],
        request=_json_or_text(_text(request) or "null"),
        status=response["status"]["code"],
        headers=headers,
        events=tuple(split_events(text)) if streamed else None,
        body=b"" if streamed else text.encode(),
    )


def _json_or_text(text: str) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        return text  # an uploaded file


def _text(half: Any) -> str:
    if "parsed_body" in half:
        return json.dumps(half["parsed_body"], ensure_ascii=False)
    body = half.get("body")
    content = body.get("string") if isinstance(body, dict) else body
    return content.decode() if isinstance(content, bytes) else content or ""


def as_exchange(interaction: Interaction) -> tuple[dict[str, Json], dict[str, Json]]:
    """The *asked* and *answered* halves that the HTTP boundary makes of an interaction."""
    asked: dict[str, Json] = {"method": interaction.method, "url": interaction.url, "headers": {}}
    if interaction.request is not None:
        asked["body"] = {"json": interaction.request}
    answered: dict[str, Json] = {"status": interaction.status, "headers": dict(interaction.headers)}
    if interaction.events is not None:
        answered["body"] = {"sse": list(interaction.events)}
    elif interaction.body:
        answered["body"] = {"json": json.loads(interaction.body)}
    return asked, answered


def as_interaction(asked: dict[str, Json], answered: dict[str, Json]) -> Interaction:
    """The other way round, for an answer that was built."""
    body = answered.get("body", {})
    return Interaction(
        method=asked["method"],
        url=asked["url"],
        request=asked.get("body", {}).get("json"),
        status=answered["status"],
        headers=answered["headers"],
        events=body.get("sse"),
        body=json.dumps(body.get("json")).encode(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server under way.

    Attributes:
        root: its address, without a path.
        requests: the bodies that came in, parsed, in order; grows as they come.
    """

    root: str
    requests: list[Json]


@contextmanager
def serve(cassette: Cassette) -> Iterator[Served]:
    """Serve a cassette on 127.0.0.1, one interaction a request, in order; a further request gets 410.

    Streams are sent chunked, one write an event. On leaving, the port is closed and every thread is gone.
    """
    server = _Server(cassette.interactions)
    # A thread of a test server must not end the test process, nor outlive it.
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield Served(root=f"http://127.0.0.1:{server.server_address[1]}", requests=server.requests)
    finally:
        server.shutdown()
        server.hang_up()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    # Joined in server_close, after hang_up: no socket is left for the garbage collector to complain about.
    daemon_threads = False
    # The standard 5 would refuse connections when many clients start at once.
    request_queue_size = 128

    def __init__(self, interactions: Sequence[Interaction]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[Json] = []
        self._left = iter(interactions)
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()

    def next(self, body: Json) -> Interaction | None:
        """The interaction that answers this request."""
        with self._lock:
            self.requests.append(body)
            return next(self._left, None)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._lock:
            self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that clients keep alive, whose threads wait for a next request."""
        with self._lock:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # the client was first
                    continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that breaks off a stream is part of what is tested."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # Small writes would wait 40 ms each for the client's delayed acknowledgement.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.do_POST()

    def do_DELETE(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        interaction = self.server.next(json.loads(self.rfile.read(length) or b"null"))
        if interaction is None:
            error = {"error": {"message": "the cassette has no further interaction", "type": "cassette_over"}}
            interaction = Interaction(request=None, status=410, body=json.dumps(error).encode())
        self.send_response(interaction.status)
        for name, value in interaction.headers.items():
            if name not in _OWN_HEADERS:
                self.send_header(name, value)
        if "content-type" not in interaction.headers:
            self.send_header(
                "content-type", "text/event-stream" if interaction.events else "application/json"
            )
        if interaction.events is None:
            self._send_whole(interaction.body)
        else:
            self._send_events(interaction.events)

    def _send_whole(self, body: bytes) -> None:
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_events(self, events: Sequence[str]) -> None:
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events:
            data = f"{event}\n\n".encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing on the test's stderr."""


def split_parameters(create: Any, body: dict[str, Json]) -> tuple[dict[str, Json], dict[str, Json]]:
    """What the SDK's method knows by name, and what other hosts have added to the format."""
    names = inspect.signature(create).parameters
    return (
        {key: value for key, value in body.items() if key in names},
        {key: value for key, value in body.items() if key not in names},
    )
