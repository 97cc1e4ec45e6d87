"""Requests of http.client and urllib.request cross; a replayed answer is http.client's own response."""

import contextlib
import gc
import gzip
import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
import xmlrpc.client

import pytest

from boundaries.fakes import FakeRun, window
from boundaries.http.twice import twice
from pytest_sparrow.boundaries.http.http_client.adapter import error_of
from pytest_sparrow.exchange import TransportFailure
from pytest_sparrow.testing.loopback import loopback


def _stream(call):
    call.start(content_type="text/event-stream")
    for number in range(3):
        call.chunk(b"data: %d\n\n" % number)
    call.end()


def _cut(call):
    call.cut(b"abc", length=100)


def _silent(call):
    call.handler.close_connection = True


def _slow(call):
    time.sleep(0.5)
    call.die()


@pytest.fixture
def server():
    with loopback(
        echo=lambda call: call.answer(json.dumps([call.method, call.body.decode()]).encode(), x_kept="yes"),
        gone=lambda call: call.answer(b"gone", status=404),
        old=lambda call: call.answer(status=302, location="/echo"),
        zipped=lambda call: call.answer(gzip.compress(b"zipped"), content_encoding="gzip"),
        rpc=lambda call: call.answer(xmlrpc.client.dumps((3,), methodresponse=True).encode()),
        stream=_stream,
        cut=_cut,
        silent=_silent,
        slow=_slow,
    ) as server:
        yield server


def _steps(server, *, length=True):
    """The step by step interface: one connection, three requests, the body in pieces."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    seen = []
    for number in range(3):
        connection.putrequest("POST", f"/echo?{number}")
        connection.putheader("content-length", "6") if length else connection.putheader("x-none", "1")
        connection.endheaders()
        if length:
            connection.send(b"abc")
            connection.send(b"def")
        seen.append(connection.getresponse().read())
    connection.request("HEAD", "/echo")
    response = connection.getresponse()
    connection.close()
    return [*seen, response.read(), response.getheader("content-length"), response.getheader("x-kept")]


def _open(path, data=None, **headers):
    def ask(server):
        with urllib.request.urlopen(urllib.request.Request(f"{server.url}/{path}", data, headers)) as answer:
            return answer.status, answer.url, answer.headers.get("x-kept"), answer.read()

    return ask


def _failing(path, timeout=5.0):
    """The error that a client gets, and where: urllib.request makes a URLError of one that comes before the answer."""

    def ask(server):
        with (
            pytest.raises((OSError, http.client.HTTPException)) as caught,
            urllib.request.urlopen(f"{server.url}/{path}", timeout=timeout) as answer,
        ):
            answer.read()
        reason = getattr(caught.value, "reason", None)
        body = caught.value.read() if isinstance(caught.value, urllib.error.HTTPError) else b""
        return type(caught.value), type(reason), getattr(reason, "errno", None), body

    return ask


def _lines(server):
    with urllib.request.urlopen(f"{server.url}/stream") as answer:
        return list(answer)


def _procedure(server):
    with xmlrpc.client.ServerProxy(f"{server.url}/rpc") as proxy:
        return proxy.add(1, 2)


def _in_pieces(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("POST", "/echo", body=iter([b"ab", b"cd"]))
    response = connection.getresponse()
    pieces = [response.read(4), response.read1(3), response.read()]
    connection.close()
    return pieces


WAYS = {
    "get": (_open("echo?x=1"), 1),
    "post": (_open("echo", b'{"a": 1}', **{"content-type": "application/json"}), 1),
    "redirect": (_open("old"), 2),
    "compressed": (lambda server: gzip.decompress(_open("zipped")(server)[-1]), 1),
    "an HTTP error": (_failing("gone"), 1),
    "no answer": (_failing("silent"), 1),
    "a time-out": (_failing("slow", timeout=0.1), 1),
    "an answer that is cut off": (_failing("cut"), 1),
    "a stream": (_lines, 1),
    "a body and an answer in pieces": (_in_pieces, 1),
    "step by step": (_steps, 4),
    "step by step, without a body": (lambda server: _steps(server, length=False), 4),
    "XML-RPC": (_procedure, 1),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_a_client_gets_is_what_it_got(server, way):
    """With the server's answers gone: the same status, headers, bytes, pieces and errors."""
    ask, crossings = WAYS[way]
    both = twice(server, lambda: ask(server))
    assert len(both.recorded.crossings) == crossings
    assert both.replayed == both.live


def test_a_request_is_kept_whole(server):
    """Method, address, headers that the client set, and the body, however it is sent."""
    both = twice(server, lambda: (_steps(server), _open("echo", b'{"a": 1}', **{"x-tenant": "a"})(server)))
    *steps, last = [
        crossing.asked for crossing in both.recorded.crossings if crossing.asked["method"] == "POST"
    ]
    assert [asked["body"] for asked in steps] == [{"text": "abcdef"}] * 3
    assert steps[2]["url"] == f"{server.url}/echo?2"
    assert ["X-Tenant", "a"] in last["headers"]


def test_a_refused_connection_is_met_while_sending():
    """As it was live, so urllib.request makes the same URLError of it."""
    error = error_of(
        TransportFailure(type="ConnectionRefusedError", message="[Errno 111] Connection refused")
    )
    assert (type(error), error.errno, str(error)) == (
        ConnectionRefusedError,
        111,
        "[Errno 111] Connection refused",
    )


def test_no_class_but_a_known_one_is_raised():
    """A golden is data."""
    assert type(error_of(TransportFailure(type="SystemExit", message="why"))) is OSError


@pytest.mark.parametrize("in_a_cycle", [False, True])
def test_the_garbage_collector_settles_nothing(server, in_a_cycle):
    """Garbage may be collected while a journal is written; what the collector closes is settled when the run ends."""
    with window(FakeRun()) as recorded:
        _lines(server)
    for run in (FakeRun(), recorded.replay()):
        with (
            window(run),
            contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection,
        ):
            connection.request("GET", "/stream", headers={"user-agent": "any"})
            response = connection.getresponse()
            response.read(5)
            connection._HTTPConnection__response = None  # which holds a response that is not read to its end
            if in_a_cycle:
                response.itself = response
            del response
            gc.collect()
            (crossing,) = run.crossings
            assert crossing.settled == 0
            crossing.flush()
        assert (crossing.settled, crossing.complete) == (1, False)


def test_a_connection_that_is_opened_first_is_opened_when_it_is_needed(server):
    """By a request that goes to the world, or by a client that uses the socket; with TLS, too."""
    place = server.url.removeprefix("http://")

    def ask(connection=http.client.HTTPConnection):
        with contextlib.closing(connection(place, timeout=10)) as opened:
            opened.connect()
            opened.request("GET", "/gone")
            return opened.getresponse().read()

    def fail():
        with pytest.raises(ssl.SSLError) as raised:
            ask(http.client.HTTPSConnection)
        return str(raised.value)

    both = twice(server, lambda: (ask(), fail()))
    assert both.live == both.replayed
    with window(FakeRun()) as run:
        opened = http.client.HTTPConnection(place)
        opened.connect()
        assert opened.sock.getpeername()[1] == server.port
        opened.close()
    assert run.crossings == []
