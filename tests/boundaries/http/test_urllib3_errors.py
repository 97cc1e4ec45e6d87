"""What urllib3 raises is recorded, and raised again: the same classes with the same words, counted alike."""

import socket
import threading

import pytest
import urllib3
from urllib3 import exceptions

from boundaries.fakes import FakeCrossing, FakeRun, window
from boundaries.http.twice import twice
from pytest_sparrow.boundaries.http.urllib3.adapter import error_of
from pytest_sparrow.exchange import TransportFailure
from pytest_sparrow.testing.loopback import loopback


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _raised(method, url, pools=urllib3.PoolManager, **options):
    """What asking and reading raises: the error, and what it says it came of."""
    with pools() as manager, pytest.raises(exceptions.HTTPError) as caught:
        manager.request(method, url, **{"retries": 1, **options})
    error = caught.value
    return error, [type(error), type(getattr(error, "reason", None))], str(error)


def _words(text):
    """Without the address of an object, which some of urllib3's own texts show."""
    return text.partition(" at 0x")[0] if " at 0x" in text else text


def _same(server, ask):
    both = twice(server, ask)
    assert both.replayed[1] == both.live[1]
    assert _words(both.replayed[2]) == _words(both.live[2])
    return both


@pytest.mark.parametrize("retries", [0, 1, False])
def test_a_refused_connection_is_refused_again(retries):
    """NewConnectionError, inside urllib3's own MaxRetryError where it retries; each try crosses."""
    with loopback() as server:
        url = f"http://127.0.0.1:{_free_port()}/"
        both = _same(server, lambda: _raised("GET", url, retries=retries))
    answers = [crossing.answered["error"]["type"] for crossing in both.recorded.crossings]
    assert answers == ["NewConnectionError"] * (int(retries) + 1)


@pytest.mark.parametrize("retries", [0, 1, False])
def test_a_reset_connection_is_reset_again(retries):
    """A ProtocolError with the words of what it came of."""
    with loopback(x=lambda call: call.die()) as server:
        both = _same(server, lambda: _raised("GET", f"{server.url}/x", retries=retries))
    assert both.recorded.crossings[0].answered["error"]["type"] == "ProtocolError"
    assert "Connection aborted." in both.replayed[2]


@pytest.mark.parametrize("retries", [0, False])
def test_a_timeout_times_out_again_without_waiting(retries):
    """ReadTimeoutError, and the server isn't asked."""
    go_on = threading.Event()
    with loopback(slow=lambda call: go_on.wait(10)) as server:
        both = _same(server, lambda: _raised("GET", f"{server.url}/slow", timeout=0.05, retries=retries))
        go_on.set()
    assert both.recorded.crossings[0].answered["error"]["type"] == "ReadTimeoutError"


def test_a_failing_handshake_fails_again():
    """An SSLError, from a server that speaks no TLS."""
    with loopback() as server:
        both = _same(server, lambda: _raised("GET", f"https://127.0.0.1:{server.port}/", retries=0))
    assert both.recorded.crossings[0].answered["error"]["type"] == "SSLError"


def test_a_name_that_is_not_found_is_not_found_again():
    """NameResolutionError, and in a replay nobody is asked for the name."""
    with loopback() as server:
        both = _same(server, lambda: _raised("GET", "http://nowhere.invalid/", retries=0))
    assert both.recorded.crossings[0].answered["error"]["type"] == "NameResolutionError"


@pytest.mark.parametrize("cut", ["length", "chunk", "between chunks", "reset"])
@pytest.mark.parametrize("preload", [True, False])
def test_a_body_that_breaks_off_breaks_off_again(cut, preload):
    """What came is kept with the error; a replay serves it, and then raises the same class."""
    has_some = threading.Event()

    def route(call):
        if cut == "length":
            call.handler.send_response(200)
            call.handler.send_header("content-length", "10")
            call.handler.end_headers()
            call.handler.wfile.write(b"12345")
        else:
            call.start(content_type="text/plain")
            call.handler.wfile.write(b"a\r\n12345" if cut == "chunk" else b"5\r\n12345\r\n")
        call.handler.wfile.flush()
        if cut == "reset":
            has_some.wait(0 if preload else 10)
            call.die()
        else:
            call.handler.close_connection = True

    def ask():
        got = []
        with urllib3.PoolManager() as pools:
            try:
                response = pools.request("GET", f"{server.url}/x", retries=False, preload_content=preload)
                for piece in response.stream(5):
                    got.append(piece)
                    has_some.set()
            except exceptions.ProtocolError:
                return got
        raise AssertionError("it came whole")

    with loopback(x=route) as server:
        both = twice(server, ask)
    (crossing,) = both.recorded.crossings
    assert both.live == both.replayed
    assert crossing.answered["status"] == 200
    assert crossing.complete is False
    if not preload:
        assert crossing.answered["body"] == {"text": "12345"}


def test_a_body_that_broke_off_before_anything_came_breaks_off_again():
    """An empty piece isn't the end of the content."""
    answered = {"status": 200, "body": {"text": ""}, "error": {"type": "ProtocolError", "message": "torn"}}
    asked = {"method": "GET", "url": "http://far.example.com/x"}
    golden = [FakeCrossing("http", asked, answered=answered)]
    with (
        window(FakeRun(golden)),
        urllib3.PoolManager() as pools,
        pytest.raises(exceptions.ProtocolError, match="torn"),
    ):
        pools.request("GET", asked["url"], retries=False)


class _Impatient(FakeRun):
    """Replays answers that the recorded agent cancelled."""

    def ask(self, kind, asked):
        crossing = super().ask(kind, asked)
        crossing.cancellation_wait = 0.0
        return crossing


@pytest.mark.parametrize("answered", [{}, {"status": 200, "body": {"sse": ["data: 1"]}}])
def test_more_of_an_answer_than_the_recorded_agent_waited_for_is_a_timeout(answered):
    """The recorded part is replayed; then, since nobody cancels, comes a ReadTimeoutError and a violation."""
    asked = {"method": "GET", "url": "http://far.example.com/x"}
    run = _Impatient([FakeCrossing("http", asked, answered=answered, complete=False)])
    got = []

    def ask(pools):
        response = pools.request("GET", asked["url"], retries=False, preload_content=False)
        got.extend(response.stream())

    with window(run), urllib3.PoolManager() as pools, pytest.raises(exceptions.ReadTimeoutError):
        ask(pools)
    assert got == ([b"data: 1\n\n"] if answered else [])
    assert "more of the answer" in run.refused[0]


@pytest.mark.parametrize("pieces", [True, False])
def test_a_body_shorter_than_it_says_is_well_where_the_client_says_so(pieces):
    """Without enforce_content_length one that reads in pieces gets what there is; http.client raises for the whole."""

    def route(call):
        call.cut(b"12345", length=10)

    with loopback(x=route) as server:

        def ask():
            with urllib3.PoolManager() as pools:
                options = {"enforce_content_length": False, "preload_content": False}
                response = pools.request("GET", f"{server.url}/x", **options)
                try:
                    return b"".join(response.stream(100)) if pieces else response.read()
                except exceptions.ProtocolError as error:
                    return str(error)

        both = twice(server, ask)
    assert both.live == both.replayed
    assert (both.live == b"12345") is pieces


def test_a_plain_proxy_is_asked_for_the_whole_url():
    """The exchange names the host that was meant, and a replay needs no proxy."""
    with loopback() as server:
        server.routes["http://far.example.com/x"] = lambda call: call.answer(b"by proxy")

        def ask():
            with urllib3.ProxyManager(server.url) as pools:
                return pools.request("GET", "http://far.example.com/x").data

        both = twice(server, ask)
    assert both.live == both.replayed == b"by proxy"
    assert both.recorded.crossings[0].asked["url"] == "http://far.example.com/x"


@pytest.mark.parametrize("target", ["http://far.example.com/x", "https://far.example.com/x"])
@pytest.mark.parametrize("retries", [1, False])
def test_a_proxy_that_is_gone_is_gone_again(target, retries):
    """Before a tunnel as before a plain request: a ProxyError, one crossing an attempt, and no contact in a replay."""
    proxy = f"http://127.0.0.1:{_free_port()}"
    with loopback() as server:
        both = _same(
            server,
            lambda: _raised("GET", target, pools=lambda: urllib3.ProxyManager(proxy), retries=retries),
        )
    assert [c.asked["url"] for c in both.recorded.crossings] == [target] * (int(retries) + 1)
    assert {c.answered["error"]["type"] for c in both.recorded.crossings} == {"ProxyError"}


def test_a_proxy_that_refuses_the_tunnel_refuses_again():
    """CONNECT gets an error: the server of the URL was never reached."""
    with loopback() as server:
        both = _same(
            server,
            lambda: _raised(
                "GET",
                "https://far.example.com/x",
                pools=lambda: urllib3.ProxyManager(server.url),
                retries=False,
            ),
        )
    assert both.recorded.crossings[0].answered["error"]["type"] == "ProxyError"


def test_a_timeout_behind_a_proxy_is_no_proxy_error():
    """The proxy was reached: the class stays what it was."""
    go_on = threading.Event()
    with loopback() as server:
        server.routes["http://far.example.com/x"] = lambda call: go_on.wait(10)
        both = _same(
            server,
            lambda: _raised(
                "GET",
                "http://far.example.com/x",
                pools=lambda: urllib3.ProxyManager(server.url),
                retries=False,
                timeout=0.05,
            ),
        )
        go_on.set()
    assert both.live[1][0] is exceptions.ReadTimeoutError


@pytest.mark.parametrize("retries", [urllib3.Retry(connect=1, read=0), urllib3.Retry(connect=0, read=1)])
@pytest.mark.parametrize("what", ["refused", "reset", "proxy"])
def test_retries_are_counted_alike(retries, what):
    """A recorded error is a connection's, or a reading's, as the real one was."""
    with loopback(x=lambda call: call.die()) as server:
        gone = f"http://127.0.0.1:{_free_port()}/"
        url = {"refused": gone, "reset": f"{server.url}/x", "proxy": "http://far.example.com/"}[what]
        pools = (lambda: urllib3.ProxyManager(gone)) if what == "proxy" else urllib3.PoolManager
        _same(server, lambda: _raised("GET", url, pools=pools, retries=retries))


@pytest.mark.parametrize(
    "name", ["NoSuchError", "MaxRetryError", "LocationParseError", "socket", "__doc__", ""]
)
def test_an_error_of_an_unknown_name_is_a_failing_connection(name):
    """Only urllib3's own transport errors are raised by a name that a golden holds."""
    url = f"http://127.0.0.1:{_free_port()}/"
    with window(FakeRun()) as recorded:
        _raised("GET", url, retries=False)
    golden = recorded.replay()
    golden._golden[0].answered["error"]["type"] = name
    with window(golden):
        assert _raised("GET", url, retries=False)[1][0] is exceptions.NewConnectionError


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("ReadTimeout", "ReadTimeoutError"),
        ("ConnectError", "NewConnectionError"),
        ("ReadError", "ProtocolError"),
    ],
)
def test_what_httpx_recorded_is_raised_by_its_meaning(type_, kind):
    """A golden outlives a change of library."""
    failure = TransportFailure(type=type_, message="as it was")
    error = error_of(failure, exceptions, pool=None, conn=None, url="/x")
    assert type(error) is getattr(exceptions, kind)
    assert "as it was" in str(error)
