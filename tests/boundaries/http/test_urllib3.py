"""Each hop and each attempt of urllib3 crosses; a replayed answer is urllib3's own response."""

import gc
import gzip
import io
import json
import threading
import time
import zlib

import pytest
import urllib3
from urllib3.response import BaseHTTPResponse

from boundaries.fakes import FakeCrossing, FakeRun, window
from boundaries.http.twice import twice
from pytest_sparrow.boundaries import http
from pytest_sparrow.boundaries.http.retry_delays import SHORT_DELAY, skip_retry_delays
from pytest_sparrow.errors import ReplayDivergence
from pytest_sparrow.testing.loopback import loopback

JSON = {"content_type": "application/json"}
SSE = {"content_type": "text/event-stream"}
EVENTS = [b'data: {"n": 1}\n\n', b'data: {"n": 2}\n\n', b"data: [DONE]\n\n"]


def _ask(method, url, **options):
    """A response and the pool manager's own reading of it, through a manager of its own."""
    with urllib3.PoolManager(retries=options.pop("manager_retries", None)) as pools:
        response = pools.request(method, url, **options)
        response.data  # noqa: B018 - read to the end
        return response


def _seen(response):
    return (response.status, response.reason, response.version, response.data, response.geturl())


def _stream(call):
    call.start(**SSE)
    for event in EVENTS:
        call.chunk(event)
    call.end()


def test_json_is_recorded_as_json_and_replayed_as_urllib3s_own_response():
    """A JSON exchange is kept parsed, both ways; the replayed response has the real class over the recorded bytes."""
    with loopback(chat=lambda call: call.answer(b'{"n":1.5}', **JSON)) as server:
        url = f"{server.url}/chat?q=1"
        both = twice(server, lambda: _ask("POST", url, json={"ask": ["x", 1]}))
    (crossing,) = both.recorded.crossings
    assert (crossing.asked["method"], crossing.asked["url"]) == ("POST", url)
    assert crossing.asked["body"] == {"json": {"ask": ["x", 1]}}
    assert crossing.answered["body"]["json"] == {"n": 1.5}
    assert type(both.replayed) is urllib3.HTTPResponse
    assert _seen(both.replayed) == _seen(both.live)
    assert both.replayed.json() == {"n": 1.5}
    assert both.replayed.headers["Content-Type"] == "application/json"
    assert int(both.replayed.headers["content-length"]) == len(both.replayed.data)
    assert both.replayed.version_string == both.live.version_string


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_every_hop_of_a_redirect_crosses_on_its_own(status):
    """Each hop is one exchange, with the hop's method."""
    with loopback(
        old=lambda call: call.answer(status=status, location="/new"),
        new=lambda call: call.answer(call.method.encode() + call.body),
    ) as server:
        both = twice(server, lambda: _ask("POST", f"{server.url}/old", body=b"text"))
    assert [crossing.answered["status"] for crossing in both.recorded.crossings] == [status, 200]
    assert [c.asked["url"] for c in both.recorded.crossings] == [f"{server.url}/old", f"{server.url}/new"]
    assert _seen(both.replayed) == _seen(both.live)
    assert both.replayed.retries.history == both.live.retries.history


@pytest.fixture
def slept(monkeypatch):
    """What is slept by ``time.sleep``, in seconds: noted, and not slept."""
    seconds = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


@pytest.mark.parametrize(
    ("status", "headers"), [(429, {"retry_after": "20"}), (503, {}), (503, {"retry_after": "1"})]
)
def test_every_retry_crosses_on_its_own_and_its_wait_is_not_waited_again(status, headers, slept):
    """urllib3's own Retry decides again, by the same answers; Retry-After and back-off take a millisecond."""
    tried = []

    def route(call):
        tried.append(call)
        if len(tried) % 3:
            call.answer(b"later", status=status, **headers)
        else:
            call.answer(b"now")

    retries = urllib3.Retry(5, status_forcelist=[503], backoff_factor=8)
    with loopback(x=route) as server, skip_retry_delays():
        url = f"{server.url}/x"
        both = twice(server, lambda: (list(slept), slept.clear(), _ask("GET", url, retries=retries))[2])
    assert [crossing.answered["status"] for crossing in both.recorded.crossings] == [status, status, 200]
    assert (both.live.data, both.replayed.data) == (b"now", b"now")
    assert len(both.replayed.retries.history) == len(both.live.retries.history) == 2
    assert all(wait <= SHORT_DELAY for wait in slept)


def test_a_wait_before_a_redirect_is_not_waited_again(slept):
    """Retry-After on a redirect is honoured by urllib3; a replay doesn't sleep it."""
    with (
        loopback(
            old=lambda call: call.answer(status=301, location="/new", retry_after="7"),
            new=lambda call: call.answer(b"new"),
        ) as server,
        urllib3.connection_from_url(server.url) as pool,
        skip_retry_delays(),
    ):
        twice(server, lambda: pool.urlopen("GET", "/old"))
    assert slept == [7, SHORT_DELAY]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("decode_content", [True, False])
def test_compressed_answers_are_kept_as_what_they_say(coding, decode_content):
    """Recorded uncompressed, whether the client decodes or not, and replayed under the coding."""
    squeeze = {"gzip": gzip.compress, "deflate": zlib.compress}[coding]
    expand = {"gzip": gzip.decompress, "deflate": zlib.decompress}[coding]
    with loopback(z=lambda call: call.answer(squeeze(b'{"a":1}'), content_encoding=coding, **JSON)) as server:
        both = twice(server, lambda: _ask("GET", f"{server.url}/z", decode_content=decode_content))
    assert both.recorded.crossings[0].answered["body"]["json"] == {"a": 1}
    data = both.replayed.data
    assert (data if decode_content else expand(data)) == b'{"a":1}'
    assert both.replayed.headers["content-encoding"] == coding


def test_a_connection_is_kept_alive_while_recording():
    """The tee leaves the connection to its pool: two requests, one connection; in a replay, none."""
    with loopback(x=lambda call: call.answer(b"x"), s=_stream) as server:

        def ask():
            with urllib3.PoolManager() as pools:
                return [pools.request("GET", f"{server.url}/{path}").data for path in "xsx"]

        both = twice(server, ask)
        assert len({id(call.handler) for call in server.calls}) == 1
    assert both.live == both.replayed == [b"x", b"".join(EVENTS), b"x"]


READERS = {
    "data": lambda response: [response.data],
    "read": lambda response: [response.read(5), response.read(), response.read()],
    "read1": lambda response: [response.read1(5), b"".join(iter(response.read1, b""))],
    "stream": lambda response: [b"".join(response.stream(4))],
    "stream-all": lambda response: [b"".join(response.stream())],
    "readinto": lambda response: [io.BufferedReader(response).read(9)],
    "lines": lambda response: list(response),
    "text": lambda response: io.TextIOWrapper(response, "utf-8").read().splitlines(),
}


@pytest.mark.parametrize("path", ["page", "stream", "empty", "none", "zip"])
@pytest.mark.parametrize("reader", READERS)
def test_however_a_client_reads_it_reads_the_same(reader, path):
    """Length given or chunks, empty or compressed: each way to read gives the live bytes, and settles once."""
    body = b"one line\nanother\n" * 700
    with loopback(
        page=lambda call: call.answer(body, content_type="text/plain"),
        stream=_stream,
        empty=lambda call: call.answer(),
        none=lambda call: call.answer(status=204),
        zip=lambda call: call.answer(gzip.compress(body), content_encoding="gzip"),
    ) as server:

        def ask():
            with urllib3.PoolManager() as pools:
                response = pools.request("GET", f"{server.url}/{path}", preload_content=False)
                read = READERS[reader](response)
                response.close()
                return read

        both = twice(server, ask)
    assert both.live == both.replayed


def test_chunks_are_replayed_an_event_at_a_time():
    """An SSE answer is chunked in a replay, one event a chunk, where events came at once."""
    blob = b"".join(EVENTS)

    def route(call):
        call.start(**SSE)
        call.chunk(blob)
        call.end()

    with loopback(s=route) as server:
        both = twice(
            server,
            lambda: list(
                urllib3.PoolManager().request("GET", f"{server.url}/s", preload_content=False).read_chunked()
            ),
        )
    assert both.replayed == EVENTS
    assert both.recorded.crossings[0].complete is True


@pytest.mark.parametrize("in_a_cycle", [False, True])
def test_the_garbage_collector_settles_nothing(in_a_cycle):
    """Garbage may be collected while a journal is written; what the collector closes is settled when the run ends."""
    with loopback(s=_stream) as server, urllib3.PoolManager() as pools:
        with window(FakeRun()) as recorded:
            pools.request("GET", f"{server.url}/s")
        for run in (FakeRun(), recorded.replay()):
            with window(run):
                response = pools.request("GET", f"{server.url}/s", preload_content=False)
                response.read(len(EVENTS[0]))
                connection = response._connection  # which warns of itself if it is collected open
                if in_a_cycle:
                    response.itself = response
                del response
                gc.collect()
                connection.close()
                (crossing,) = run.crossings
                assert crossing.settled == 0
                crossing.flush()
            assert (crossing.settled, crossing.complete) == (1, False)


def test_a_response_that_is_never_read_is_settled_when_the_run_ends():
    """Held on to, unread: the run's end flushes it, live and replayed."""
    with loopback(s=_stream) as server, urllib3.PoolManager() as pools:
        with window(FakeRun()) as recorded:
            pools.request("GET", f"{server.url}/s")
        for run in (FakeRun(), recorded.replay()):
            with window(run):
                response = pools.request("GET", f"{server.url}/s", preload_content=False)
                (crossing,) = run.crossings
                assert crossing.settled == 0
                crossing.flush()
                assert (crossing.settled, crossing.complete) == (1, False)
            response.close()
            assert crossing.settled == 1


def test_releasing_the_connection_ends_nothing():
    """release_conn of a body that is unread leaves the crossing open; what is read afterwards is recorded."""
    with loopback(x=lambda call: call.answer(b"later")) as server:

        def ask():
            with urllib3.PoolManager() as pools:
                response = pools.request("GET", f"{server.url}/x", preload_content=False)
                response.release_conn()
                return response.read()

        both = twice(server, ask)
    assert both.live == both.replayed == b"later"
    assert both.recorded.crossings[0].complete is True


class _Unseekable(io.BytesIO):
    def seekable(self):
        return False

    def tell(self):
        raise OSError("no position")

    def seek(self, *_):
        raise OSError("can't go back")


def _opened(content):
    file = io.BytesIO(b"skipped" + content)
    file.seek(len(b"skipped"))
    return file


BODIES = {
    "none": lambda: None,
    "bytes": lambda: b"bytes",
    "bytearray": lambda: bytearray(b"bytes"),
    "text": lambda: "tëxt",
    "file": lambda: _opened(b"in a file" * 20_000),
    "pipe": lambda: _Unseekable(b"once only"),
    "text file": lambda: io.StringIO("tëxt file"),
    "generator": lambda: (piece for piece in (b"one", "zwö", b"", b"three")),
    "list": lambda: [b"one", b"two"],
}


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_captured_and_sent_as_it_would_have_been(kind, chunked):
    """The server gets the same bytes in the same framing as without us; the exchange and the replay hold them."""
    framing = ("content-length", "transfer-encoding")
    with loopback(x=lambda call: call.answer(b"got it")) as server:

        def ask():
            return _ask("POST", f"{server.url}/x", body=BODIES[kind](), chunked=chunked).data

        ask()
        twice_asked = twice(server, ask)
        plain, ours = server.calls
        assert (plain.body, [plain.headers.get(name) for name in framing]) == (
            ours.body,
            [ours.headers.get(name) for name in framing],
        )
    (crossing,) = twice_asked.recorded.crossings
    assert crossing.asked.get("body", {"text": ""}) == {"text": ours.body.decode()}


def test_a_file_is_sent_again_at_a_retry():
    """A retry rewinds the file, after our reading as after its own."""
    tried = []

    def route(call):
        tried.append(call.body)
        call.answer(status=200 if len(tried) == 2 else 503)

    with loopback(x=route) as server:
        retries = urllib3.Retry(2, status_forcelist=[503], allowed_methods=None)
        both = twice(
            server, lambda: _ask("POST", f"{server.url}/x", body=_opened(b"file"), retries=retries).status
        )
    assert tried == [b"file", b"file"]
    assert both.live == both.replayed == 200


def test_two_threads_with_a_pool_each_and_with_one_for_both():
    """Each thread gets its own answers."""
    with loopback(echo=lambda call: call.answer(call.body)) as server, urllib3.PoolManager() as shared:

        def ask():
            got = {}

            def work(name, pools):
                for number in range(5):
                    said = f"{name}{number}".encode()
                    got[said] = pools.request("POST", f"{server.url}/echo", body=said).data

            threads = [
                threading.Thread(target=work, args=(name, pools))
                for name, pools in (("a", urllib3.PoolManager()), ("b", shared), ("c", shared))
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return got

        both = twice(server, ask)
    assert both.live == both.replayed
    assert all(said == got for said, got in both.replayed.items())
    assert len(both.replayed) == 15


def test_a_miss_is_a_418_that_retries_leave_alone():
    """What the golden doesn't hold is answered, not raised, and not tried again."""
    with window(FakeRun([])) as run:
        missed = _ask("GET", "http://far.example.com/x", manager_retries=urllib3.Retry(3, backoff_factor=9))
    assert missed.status == 418
    assert "the golden holds no answer" in json.loads(missed.data)["error"]["message"]
    assert len(run.misses) == 1
    assert run.refused == []


def test_a_far_host_is_replayed_without_a_socket_a_name_or_a_certificate():
    """HTTPS, an unknown name, an IPv6 address: nothing is looked up, connected or warned of."""
    urls = ["https://far.example.com/x", "http://far.example.com:81/x", "https://[2001:db8::1]:8443/x"]
    golden = [
        FakeCrossing("http", {"method": "GET", "url": url}, answered={"status": 200, "body": {"text": "far"}})
        for url in urls
    ]
    with window(FakeRun(golden)) as run, urllib3.PoolManager(cert_reqs="CERT_NONE") as pools:
        assert [pools.request("GET", url).data for url in urls] == [b"far"] * 3
    assert run.refused == run.misses == []


def test_allowed_ignored_and_outside():
    """Hosts and windows are judged as for every library."""
    with loopback(x=lambda call: call.answer(b"real")) as server:
        url = f"{server.url}/x"
        for golden in (None, []):
            with window(FakeRun(golden, hosts={"127.0.0.1": "allow"})) as run:
                assert _ask("GET", url).data == b"real"
            assert run.crossings == run.refused == []
        with window(FakeRun([], hosts={"127.0.0.1": "ignore"})):
            ignored = _ask("GET", url)
        http.install()
        before = http.set_outside_policy(lambda host, port, what: RuntimeError(f"{what} belongs to no run"))
        try:
            outside = _ask("GET", url)
        finally:
            http.set_outside_policy(before)
            http.uninstall()
        assert len(server.calls) == 2
    assert (ignored.status, ignored.data) == (204, b"")
    assert outside.status == 418
    assert b"belongs to no run" in outside.data


def test_a_unix_socket_is_judged_by_its_path():
    """Pools as docker's client has them name a path: a setting that allows it lets its requests through."""

    class Pool(urllib3.HTTPConnectionPool):
        socket_path = "/run/some.sock"

    with (
        window(FakeRun([], hosts={"/run/some.sock": "allow"})) as run,
        Pool("localhost", 9) as pool,
        pytest.raises(ReplayDivergence, match="connecting to"),
    ):
        pool.request("GET", "/version", retries=0)
    assert run.crossings == []


def test_websockets_are_refused_by_name_in_a_replay():
    """An upgrade isn't recorded, so a replay must not pretend."""
    with window(FakeRun([])) as run:
        refused = _ask("GET", "http://127.0.0.1:9/ws", headers={"Upgrade": "websocket"})
    assert refused.status == 418
    assert "WebSocket to 127.0.0.1" in run.refused[0]


class _ReadAlready(BaseHTTPResponse):
    """A response that urllib3 has read whole and that has no connection, as those of its HTTP/2 are."""

    def __init__(self, response):
        given = {"decode_content": False, "request_url": None, "version_string": "HTTP/2", "version": 20}
        super().__init__(status=response.status, reason=None, headers=response.headers, **given)
        self._read, self.length_remaining = response.read(decode_content=False), 0

    @property
    def data(self):
        return self._read

    def release_conn(self):
        pass

    def close(self):
        pass


class _Connection(urllib3.connection.HTTPConnection):
    def getresponse(self):
        return _ReadAlready(super().getresponse())


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


def test_a_response_that_is_read_already_is_recorded():
    """The recorded bytes are the bytes that came, compressed or not."""
    route = {"content_encoding": "gzip", "content_type": "text/plain"}
    with (
        loopback(x=lambda call: call.answer(gzip.compress(b"two"), **route)) as server,
        window(FakeRun()) as run,
        _Pool("127.0.0.1", server.port) as pool,
    ):
        assert gzip.decompress(pool.urlopen("GET", "/x").data) == b"two"
    (crossing,) = run.crossings
    assert (crossing.answered["body"], crossing.complete, crossing.settled) == ({"text": "two"}, True, 1)
