"""A server on this machine that answers in every shape that a transcript knows."""

from __future__ import annotations

import base64
import gzip
import json
import secrets
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["closed_port", "serve"]

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""

EVENTS = ["event: note\ndata: one\ndata: more", ": a comment", 'data: {"two": 2}']


@contextmanager
def serve():
    """Run the server; gives its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def closed_port():
    """A port of this machine on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        self.server_version = "shapes"
        path = self.path.partition("?")[0].strip("/").replace("/", "_").replace("-", "_")
        getattr(self, f"_{path}")(self.rfile.read(int(self.headers.get("content-length") or 0)))

    do_POST = do_HEAD = do_GET  # noqa: N815 - the names that http.server looks for

    def log_message(self, *args):
        """Say nothing."""

    def _send(self, body=b"", kind="application/json", status=200, length=None, **headers):
        self.send_response(status)
        if body:
            self.send_header("content-type", kind)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("content-length", str(length or len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, value, **more):
        self._send(json.dumps(value).encode(), **more)

    # Bodies.

    def _upload(self, body):
        self._json({"stored": len(body) > 0}, status=201, location="/photo")

    def _photo(self, body):
        self._send(PIXEL, "image/png")

    def _note(self, body):
        self._send("grün, 日本\u2028語\n".encode(), "text/plain; charset=utf-8")

    def _form(self, body):
        self._send(status=204)

    def _twice(self, body):
        self._send(b'{"a": 1, "a": 2}')

    def _numbers(self, body):
        body = b'{"big": 18446744073709551616, "small": 1e-7, "money": 39.99, "zero": -0.0}'
        self._send(body, etag='"n-1"')

    def _spelled(self, body):
        self._send(b'{ "a" :1,\n  "b": "\\u00fc"}')

    def _packed(self, body):
        self._send(gzip.compress(b'{"packed": true}'), content_encoding="gzip")

    # Streams.

    def _stream(self, *chunks):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            data = chunk.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _events(self, body):
        self._stream(*(f"{event}\n\n" for event in EVENTS), "data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _torn(self, body):
        self._stream("data: whole\n\n", "data: to")
        self.wfile.write(b"0\r\n\r\n")

    def _endless(self, body):
        self._stream("data: first\n\n")
        self.rfile.read(1)  # until the client turns away
        self.close_connection = True

    # What goes wrong.

    def _cut_off(self, body):
        self._send(b'{"cut": ', length=100)
        self.close_connection = True

    def _busy(self, body):
        self._json({"error": {"message": "come back later"}}, status=429, retry_after="7", x_request_id="r-1")

    # Secrets.

    def _login(self, body):
        self._json({"session": {"access_token": f"visit-{secrets.token_hex(12)}", "user": "ada"}})

    def _orders(self, body):
        self._json({"orders": [1234]}, set_cookie=f"sid={secrets.token_hex(8)}")

    # A model.

    def _v1_chat_completions(self, body):
        request = json.loads(body)
        if request["messages"][-1].get("content") == "fail":
            self._json({"error": {"message": "the model is not well", "type": "server_error"}}, status=500)
        elif request.get("stream"):
            self._stream(
                *(f"data: {json.dumps(chunk)}\n\n" for chunk in _chunks(request)), "data: [DONE]\n\n"
            )
            self.wfile.write(b"0\r\n\r\n")
        else:
            self._json(_completion(request))


def _completion(request):
    if any(message["role"] == "tool" for message in request["messages"]):
        message = {"role": "assistant", "content": "Order 1234 is in stock, and costs 39.99."}
    else:
        message = {
            "role": "assistant",
            "reasoning_content": "Stock and price, both at once.",
            "content": "One moment.",
            "tool_calls": [
                _call("stock", {"item": "lamp", "shop": "Berlin"}),
                _call("price", {"item": "lamp"}),
                _call("picture", {"item": "lamp"}),
            ],
        }
    return {
        "id": f"chatcmpl-{secrets.token_hex(6)}",
        "object": "chat.completion",
        "created": 1795340000,
        "model": request["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 21, "completion_tokens": 8, "total_tokens": 29},
    }


def _call(name, arguments):
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"id": f"call_{secrets.token_hex(8)}", "type": "function", "function": function}


def _chunks(request):
    envelope = {
        "id": f"chatcmpl-{secrets.token_hex(6)}",
        "object": "chat.completion.chunk",
        "model": request["model"],
    }
    for word in ("Good ", "bye."):
        yield {**envelope, "choices": [{"index": 0, "delta": {"content": word}}]}
    yield {**envelope, "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}
