"""The two halves of a responses exchange, as the HTTP boundary makes them."""

from __future__ import annotations

import json

from pytest_sparrow.providers import OpenAIResponses

__all__ = ["CODEC", "URL", "asked", "event", "failed", "fetched", "read", "streamed", "whole"]

CODEC = OpenAIResponses()
URL = "https://api.example.com/v1/responses"


def asked(given="Hello", *, url=URL, method="POST", model="gpt-test", **more):
    """The asked half of a request that creates a response."""
    body = {"model": model, "input": given, **more}
    return {"method": method, "url": url, "headers": {}, "body": {"json": body}}


def fetched(response_id="resp_0123456789", *, method="GET", query=""):
    """The asked half of a request about a response that exists."""
    return {"method": method, "url": f"{URL}/{response_id}{query}", "headers": {}}


def whole(*items, **more):
    """The answered half of a whole answer that holds these items."""
    body = {"object": "response", "status": "completed", "output": list(items), **more}
    return {"status": 200, "headers": {}, "body": {"json": body}}


def event(kind, **fields):
    """One event of a stream."""
    return f"event: {kind}\ndata: " + json.dumps({"type": kind, **fields})


def streamed(*events):
    """The answered half of a stream of these events."""
    return {"status": 200, "headers": {}, "body": {"sse": list(events)}}


def failed(message, status=400):
    """The answered half of an error."""
    return {"status": status, "headers": {}, "body": {"json": {"error": {"message": message}}}}


def read(*items, **more):
    """The parts of a whole answer that holds these items."""
    return CODEC.answer(asked(), whole(*items, **more)).parts
