"""The server that an HTTP library's clients ask: each route is what one behaviour needs."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from pytest_sparrow.testing.loopback import loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.testing.loopback import Call, Loopback, Route

KEY = "sk-test-0123456789abcdef0123456789abcdef"
"""What the secrets of clients and server begin with."""

_ANSWERS: tuple[tuple[bytes, dict[str, Any]], ...] = (
    (b'{"said": "yes", "n": 1.50}', {"content_type": "application/json", "x_own": "1"}),
    (
        "na\u00efve".encode("latin-1"),
        {"status": 201, "content_type": "text/plain; charset=latin-1", "set_cookie": "a=1; Path=/"},
    ),
    (bytes(range(256)), {"content_type": "application/octet-stream"}),
    (gzip.compress(b"plain", mtime=0), {"content_type": "text/plain", "content_encoding": "gzip"}),
    (b"", {"status": 204}),
    (b"no such thing", {"status": 404, "content_type": "text/plain"}),
    (b'{"error": "busy"}', {"status": 503, "content_type": "application/json", "retry_after": "20"}),
)


class _World:
    """The routes, and what they wait for."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self._steps: defaultdict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(0))
        self._both = threading.Barrier(2)
        self._busy = itertools.count()

    def routes(self) -> dict[str, Route]:
        """By their paths."""
        whole = {f"answers/{number}": _whole(*answer) for number, answer in enumerate(_ANSWERS)}
        moved = _whole(b"moved", {"status": 302, "location": "/there", "set_cookie": "step=1"})
        plain = {name: _whole(name.encode(), {}) for name in ("there", "opened", "kept")}
        own = (self.echo, self.stream, self.broken, self.go, self.slow, self.both, self.busy, self.secrets)
        return {**whole, **plain, "moved": moved, **{route.__name__: route for route in own}}

    def echo(self, call: Call) -> None:
        said = {"method": call.method, "path": call.path, "body": call.body.hex()}
        headers = {"type": call.headers.get("content-type"), "own": call.headers.get("x-own")}
        call.answer(json.dumps({**said, **headers}).encode(), content_type="application/json")

    def stream(self, call: Call, most: int = 3) -> None:
        """Chunks of which each is sent when the client has the one before."""
        call.start(content_type="text/event-stream")
        for number in range(1, 4):
            call.chunk(b"data: %d\n\n" % number)
            # The client has left, or the library keeps the chunk back, if nothing comes.
            if not self._steps[_query(call)].acquire(timeout=2) or number == most:
                break
        if number == 3:
            call.end()
        else:
            call.die()

    def broken(self, call: Call) -> None:
        self.stream(call, most=1)

    def go(self, call: Call) -> None:
        self._steps[_query(call)].release()
        call.answer()

    def slow(self, call: Call) -> None:
        self.over.wait(10)
        call.die()

    def both(self, call: Call) -> None:
        """Answer when two are asking."""
        self._both.wait(10)
        call.answer(_query(call).encode())

    def busy(self, call: Call) -> None:
        """Answer each third request."""
        number = next(self._busy) % 3 + 1
        call.answer(b"%d" % number, status=200 if number == 3 else 503)

    def secrets(self, call: Call) -> None:
        body = json.dumps({"api_key": f"{KEY}5"}).encode()
        call.answer(body, content_type="application/json", set_cookie=f"session={KEY}6; HttpOnly")


def _query(call: Call) -> str:
    return call.path.partition("?")[2]


def _whole(body: bytes, options: dict[str, Any]) -> Route:
    return lambda call: call.answer(body, **options)


@contextlib.contextmanager
def world() -> Iterator[Loopback]:
    """Serve all routes."""
    routes = _World()
    with loopback(**routes.routes()) as server:
        yield server
        routes.over.set()
