"""The world is distinguished from code of this process; wrappers cross exactly once."""

import asyncio

import httpx
import httpx2
import pytest

from boundaries.fakes import FakeRun, window
from boundaries.http.callers import ALONE, Caller
from pytest_sparrow.boundaries.http.httpx import is_in_process, speaks_http2
from pytest_sparrow.run.answering import is_answering
from pytest_sparrow.testing.loopback import loopback


class _Retries(httpx2.BaseTransport):
    def __init__(self, inner, tries=3):
        self.inner = inner
        self.tries = tries

    def handle_request(self, request):
        for _ in range(self.tries):
            response = self.inner.handle_request(request)
            if response.status_code < 500:
                return response
            response.close()
        return response

    def close(self):
        self.inner.close()


class _Loop(httpx2.BaseTransport):
    def __init__(self):
        self.inner = self


class _Fake(httpx.BaseTransport):
    def handle_request(self, request):
        return httpx.Response(200, text="fake")


class _OwnClient(httpx2.BaseTransport):
    def handle_request(self, request):
        with httpx2.Client(**ALONE) as client:
            return client.send(client.build_request(request.method, request.url))


def _ok(request):
    return httpx2.Response(200)


@pytest.mark.parametrize(
    ("make", "in_process"),
    [
        (lambda: httpx2.HTTPTransport(), False),
        (lambda: httpx.AsyncHTTPTransport(), False),
        (lambda: type("Mine", (httpx.HTTPTransport,), {})(), False),
        (lambda: httpx2.MockTransport(_ok), True),
        (lambda: httpx.ASGITransport(lambda *_: None), True),
        (lambda: httpx.WSGITransport(lambda *_: []), True),
        (lambda: type("Mine", (httpx2.ASGITransport,), {})(lambda *_: None), True),
        (lambda: _Retries(httpx2.HTTPTransport()), False),
        (lambda: _Retries(_Retries(httpx2.MockTransport(_ok))), True),
        (lambda: _Fake(), False),
        (lambda: _Loop(), False),
    ],
)
def test_the_rule(make, in_process):
    """Known transports by class, wrappers by what they hold, anything else is the world."""
    assert is_in_process(make()) is in_process


def test_http2_is_seen_through_wrappers():
    """Only a pool that may speak HTTP/2 says so."""
    pool = type("Pool", (), {"_http2": True})()
    transport = httpx2.HTTPTransport()
    assert not speaks_http2(_Retries(transport))
    transport._pool = pool
    assert speaks_http2(_Retries(transport))


def test_a_wrapper_that_retries_crosses_once():
    """What a retrying transport does inside is its own: one exchange, with the answer that the client saw."""
    answers = iter([503, 503, 200])
    with loopback(x=lambda call: call.answer(b"at last", status=next(answers))) as server:

        def ask():
            transport = _Retries(httpx2.HTTPTransport())
            return Caller("httpx2-sync").request("GET", f"{server.url}/x", client={"transport": transport})

        with window(FakeRun()) as recorded:
            assert ask().content == b"at last"
        with window(recorded.replay()):
            assert ask().content == b"at last"
        assert len(server.calls) == 3
    assert len(recorded.crossings) == 1


def test_a_transport_with_a_client_of_its_own_crosses_once():
    """A client inside a transport belongs to the crossing of the outer request."""
    with loopback(x=lambda call: call.answer(b"inner")) as server, window(FakeRun()) as run:
        client = {"transport": _OwnClient()}
        assert Caller("httpx2-sync").request("GET", f"{server.url}/x", client=client).content == b"inner"
    assert len(run.crossings) == 1
    assert run.crossings[0].answered["body"] == {"text": "inner"}
    assert run.crossings[0].settled == 1


def test_what_a_transport_does_is_the_world_s(httpx_caller):
    """Looking up a name in an executor, or calling a tool: a replay never gets there, so it is no part of a run."""
    seen = []

    class Transport(httpx_caller.library.BaseTransport, httpx_caller.library.AsyncBaseTransport):
        def handle_request(self, request):
            seen.append(is_answering())
            return httpx_caller.library.Response(200)

        async def handle_async_request(self, request):
            seen.append(is_answering())
            seen.append(await asyncio.to_thread(is_answering))
            return httpx_caller.library.Response(200)

    with window(FakeRun()):
        httpx_caller.request("GET", "http://far/", client={"transport": Transport()})
        assert not is_answering()
    assert seen == [True, True][: 1 + httpx_caller.is_async]


def test_a_mounted_transport_crosses(httpx_caller):
    """Requests by mounts are requests."""
    library = httpx_caller.library
    transport = library.AsyncHTTPTransport() if httpx_caller.is_async else library.HTTPTransport()
    with loopback(x=lambda call: call.answer(b"mounted")) as server, window(FakeRun()) as run:
        httpx_caller.request("GET", f"{server.url}/x", client={"mounts": {"http://": transport}})
    assert len(run.crossings) == 1
