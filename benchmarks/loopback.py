"""A model that answers on loopback."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Model", "serving"]


class Model(BaseHTTPRequestHandler):
    """Answers as a chat model does.

    Attributes:
        says: the text of each answer.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    says = "You asked."

    def do_POST(self) -> None:
        """Read the request, and answer."""
        self.rfile.read(int(self.headers["content-length"]))
        self.answer()

    def answer(self) -> None:
        """Say the text."""
        choice = {"index": 0, "message": {"role": "assistant", "content": self.says}}
        body = json.dumps({"object": "chat.completion", "model": "m", "choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(model: type[Model] = Model) -> Iterator[str]:
    """The URL of a model while it answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), model) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1/chat/completions"
        finally:
            server.shutdown()
