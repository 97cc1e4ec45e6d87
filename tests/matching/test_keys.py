"""Which requests are the same request."""

import pytest

from pytest_sparrow.matching.counts import request_key, request_shape


def asked(**changes):
    half = {
        "method": "POST",
        "url": "https://api.example.com/v1/chat?b=2&a=1",
        "headers": {"content-type": "application/json"},
        "body": {"json": {"model": "m", "messages": [{"role": "user", "content": "hi"}], "n": 1}},
    }
    return {**half, **changes}


@pytest.mark.parametrize(
    "same",
    [
        asked(headers={"content-type": "application/json; charset=utf-8", "User-Agent": "x/2"}),
        asked(method="post"),
        asked(url="https://api.example.com/v1/chat?a=1&b=2"),
        asked(url="https://API.example.com/v1/chat?a=1&b=2"),
        asked(body={"json": {"n": 1.0, "messages": [{"content": "hi", "role": "user"}], "model": "m"}}),
    ],
)
def test_headers_query_order_and_spelling_do_not_count(same):
    """Headers of the SDK, the order of query and keys, and the spelling of numbers make no other request."""
    assert request_key("http", same) == request_key("http", asked())


@pytest.mark.parametrize(
    "other",
    [
        asked(method="PUT"),
        asked(url="http://api.example.com/v1/chat?b=2&a=1"),
        asked(url="https://api.example.com:8443/v1/chat?b=2&a=1"),
        asked(url="https://api.example.com/v2/chat?b=2&a=1"),
        asked(url="https://api.example.com/v1/chat?b=2"),
        asked(url="https://api.example.com/v1/chat?b=2&a=1&c="),
        asked(body={"json": {"model": "m", "messages": [{"role": "user", "content": "hi"}], "n": True}}),
        asked(body={"text": "hi"}),
    ],
)
def test_what_is_asked_counts(other):
    """Method, scheme, port, path, query and body make another request; true is not 1."""
    assert request_key("http", other) != request_key("http", asked())


def test_the_port_does_not_count_on_loopback():
    """A test server draws a new port each time: on loopback the port, and which name it has, mean nothing."""
    keys = {
        request_key("http", asked(url=url))
        for url in (
            "http://127.0.0.1:4000/x",
            "http://localhost:5000/x",
            "http://[::1]:1/x",
            "http://127.0.0.1/x",
            "http://app.localhost:3000/x",
        )
    }
    assert len(keys) == 1
    assert request_shape(asked(url="http://127.0.0.1:9/x")) == ("POST", "loopback", "/x")


def test_the_port_counts_elsewhere_and_a_host_may_be_missing():
    """Two ports of a host are two services; what names no host is a place of its own, and no crash."""
    urls = ("http://a.test:1/x", "http://a.test:2/x", "http://a.test/x", "http:/x", "http://localhost/x")
    assert len({request_shape(asked(url=url)) for url in urls}) == len(urls)


def test_placeholders_count_by_kind_only():
    """Which number a secret's placeholder has depends on what came before it, so it must not decide."""
    first = asked(body={"json": {"key": "<secret:openai-key:1>"}})
    second = asked(body={"json": {"key": "<secret:openai-key:7>"}})
    other = asked(body={"json": {"key": "<secret:github-token:1>"}})
    assert request_key("http", first) == request_key("http", second) != request_key("http", other)


def test_a_tools_id_does_not_count():
    """Tools match by name and arguments; the id differs from run to run."""
    one = request_key("tool", {"name": "refund", "args": {"amount": 39.99}, "id": "call_1"})
    assert one == request_key("tool", {"name": "refund", "args": {"amount": 39.99}, "id": "call_2"})
    assert one != request_key("tool", {"name": "refund", "args": {"amount": 139.99}, "id": "call_1"})
