"""A loopback server that answers as a chat-completions provider does: recording needs no key and no network.

Its answers come from the conversation that it is sent, whole or streamed, with new random ids on every call.
``python provider.py`` runs it alone.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["serve"]

Message = dict[str, Any]


@contextmanager
def serve() -> Iterator[str]:
    """Run the server; gives the base URL for ``OPENAI_BASE_URL``."""
    server = _Server(("127.0.0.1", 0), _Provider)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is none of our business."""


# What the model says.


def reply(messages: list[Message]) -> Message:
    """The assistant's next message, from what the conversation holds so far."""
    results = _results(messages)
    if "refund" in results:
        return _say(_report(results["refund"]))
    if "lookup_customer" in results:
        return _decide(results["lookup_customer"], results.get("refund_policy", {}))
    order = re.search(r"\d{3,}", _last_user_text(messages))
    if order is None:
        return _say("Which order is it about?")
    return _call(("lookup_customer", {"order_id": order[0]}), ("refund_policy", {"topic": "refund"}))


def _decide(customer: Message, policy: Message) -> Message:
    if {"paid", "days_since_delivery"} - customer.keys() or "days" not in policy:
        return _say("I can't see the order and the policy, so I opened a ticket for a colleague.")
    if customer["days_since_delivery"] > policy["days"]:
        return _say(f"Order {customer['order_id']} is older than {policy['days']} days; a ticket is open.")
    call = _call(("refund", {"order_id": customer["order_id"], "amount": customer["paid"]}))
    return {**call, "content": f"{customer['name']} is within the {policy['days']} days."}


def _report(receipt: Message) -> str:
    if "ticket" not in receipt:
        return f"The refund failed ({receipt.get('error')}), so I opened a ticket for a colleague."
    paid = f"I refunded {receipt['amount']:.2f} for order {receipt['order_id']}."
    return f"{paid} Your ticket is {receipt['ticket']}."


def _results(messages: list[Message]) -> dict[str, Message]:
    """What each tool gave, by the tool's name."""
    names = {call["id"]: call["function"]["name"] for one in messages for call in one.get("tool_calls") or ()}
    results = {}
    for message in messages:
        if message["role"] == "tool":
            text = message["content"]
            result = json.loads(text) if text.startswith("{") else {"error": text}
            results[names.get(message["tool_call_id"], "")] = result
    return results


def _last_user_text(messages: list[Message]) -> str:
    return next((str(one["content"]) for one in reversed(messages) if one["role"] == "user"), "")


def _say(text: str) -> Message:
    return {"role": "assistant", "content": text, "refusal": None, "annotations": []}


def _call(*calls: tuple[str, Message]) -> Message:
    tool_calls = [
        {
            "id": f"call_{secrets.token_hex(12)}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)},
        }
        for name, arguments in calls
    ]
    return {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "tool_calls": tool_calls,
    }


# How the provider wraps it.


def completion(body: Message) -> Message:
    """A whole answer: the ``chat.completion`` object."""
    message = reply(body["messages"])
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    return {**_envelope(body, "chat.completion"), "choices": [choice], "usage": _usage(body, message)}


def chunks(body: Message) -> Iterator[Message]:
    """A streamed answer: ``chat.completion.chunk`` objects of one id."""
    message = reply(body["messages"])
    envelope = _envelope(body, "chat.completion.chunk")

    def chunk(delta: Message, finish: str | None = None) -> Message:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**envelope, "choices": [choice]}

    calls = message.get("tool_calls", [])
    yield chunk({"role": "assistant", "content": "" if message["content"] else None, "refusal": None})
    for word in re.findall(r"\S+\s*", message["content"] or ""):
        yield chunk({"content": word})
    for index, call in enumerate(calls):
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        yield chunk({"tool_calls": [{**call, "index": index, "function": {"name": name, "arguments": ""}}]})
        for start in range(0, len(arguments), 8):
            yield chunk(
                {"tool_calls": [{"index": index, "function": {"arguments": arguments[start : start + 8]}}]}
            )
    yield chunk({}, "tool_calls" if calls else "stop")
    if (body.get("stream_options") or {}).get("include_usage"):
        yield {**envelope, "choices": [], "usage": _usage(body, message)}


def _envelope(body: Message, kind: str) -> Message:
    return {
        "id": f"chatcmpl-{secrets.token_hex(14)}",
        "object": kind,
        "created": int(time.time()),
        "model": f"{body['model']}-2026-07-18",
        "service_tier": "default",
        "system_fingerprint": f"fp_{secrets.token_hex(5)}",
    }


def _usage(body: Message, message: Message) -> Message:
    """Four characters a token, roughly as a tokenizer counts."""
    prompt, answer = (len(json.dumps(part)) // 4 for part in (body["messages"], message))
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


class _Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Small writes would wait 40 ms each for the client's delayed acknowledgement.
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path != "/v1/chat/completions":
            self._fail(404, f"Unknown path {self.path}", "invalid_request_error")
        elif not self.headers.get("authorization", "").startswith("Bearer "):
            self._fail(401, "You didn't provide an API key.", "invalid_request_error")
        else:
            body = json.loads(raw)
            if body.get("stream"):
                self._stream(chunks(body))
            else:
                self._send(200, completion(body))

    def _begin(self, status: int, kind: str, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (
            ("content-type", kind),
            ("x-request-id", f"req_{secrets.token_hex(16)}"),
            *headers,
        ):
            self.send_header(name, value)
        self.end_headers()

    def _send(self, status: int, answer: Message) -> None:
        body = json.dumps(answer).encode()
        self._begin(status, "application/json", ("content-length", str(len(body))))
        self.wfile.write(body)

    def _fail(self, status: int, message: str, kind: str) -> None:
        self._send(status, {"error": {"message": message, "type": kind, "param": None, "code": None}})

    def _stream(self, answer: Iterator[Message]) -> None:
        self._begin(200, "text/event-stream; charset=utf-8", ("transfer-encoding", "chunked"))
        for text in (*map(json.dumps, answer), "[DONE]"):
            event = f"data: {text}\n\n".encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing on the test's stderr."""


if __name__ == "__main__":
    with serve() as base_url:
        print(f"OPENAI_BASE_URL={base_url}")
        threading.Event().wait()
