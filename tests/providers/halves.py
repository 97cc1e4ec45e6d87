"""The two halves of an exchange, as the HTTP boundary makes them."""

from __future__ import annotations

import json

URL = "https://api.example.com/v1/chat/completions"


def asked(messages, *, url=URL, model="gpt-test", method="POST", headers=None, **more):
    """The asked half of a chat request."""
    body = {"model": model, "messages": messages, **more}
    return {"method": method, "url": url, "headers": headers or {}, "body": {"json": body}}


def whole(*messages, status=200, **more):
    """The answered half of a whole answer, one choice a message."""
    choices = [{"index": index, "message": message} for index, message in enumerate(messages)]
    return {"status": status, "headers": {}, "body": {"json": {"choices": choices, **more}}}


def streamed(*chunks, status=200):
    """The answered half of a stream; a chunk is an event's text, or an object to be its data."""
    texts = [chunk if isinstance(chunk, str) else "data: " + json.dumps(chunk) for chunk in chunks]
    return {"status": status, "headers": {}, "body": {"sse": texts}}


def delta(index=0, **fields):
    """One chunk with one choice's delta."""
    return {"choices": [{"index": index, "delta": fields}]}


def piece(name=None, arguments=None, **more):
    """One entry of a delta's tool_calls."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {"function": function, **more}
