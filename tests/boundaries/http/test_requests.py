"""requests sends through urllib3; a replayed response has everything that requests shows."""

import contextlib
import gzip
import io
import threading

import pytest
import requests
import requests.adapters
import urllib3
from requests_toolbelt.multipart.encoder import MultipartEncoder

from boundaries.fakes import FakeRun, window
from boundaries.http.twice import twice
from pytest_sparrow.boundaries.http.retry_delays import skip_retry_delays
from pytest_sparrow.testing.loopback import loopback

SSE = {"content_type": "text/event-stream"}
EVENTS = [b'data: {"n": 1}\n\n', b'data: {"n": 2}\n\n', b"data: [DONE]\n\n"]


@contextlib.contextmanager
def _session(**adapter):
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", requests.adapters.HTTPAdapter(**adapter))
        yield session


def _ask(method, url, **options):
    with _session() as session:
        return session.request(method, url, **options)


def _seen(response):
    return (
        response.status_code,
        response.reason,
        response.text,
        response.encoding,
        response.url,
        response.ok,
    )


def _stream(call):
    call.start(**SSE)
    for event in EVENTS:
        call.chunk(event)
    call.end()


def test_a_request_crosses_once_and_is_replayed_equal():
    """Requests stands on urllib3, which is where it crosses."""
    with loopback(
        x=lambda call: call.answer(b'{"\xc3\xa9":1}', content_type="application/json; charset=utf-8")
    ) as server:
        both = twice(server, lambda: _ask("POST", f"{server.url}/x", params={"q": "ä b"}, json={"ask": [1]}))
    (crossing,) = both.recorded.crossings
    assert crossing.asked["url"] == f"{server.url}/x?q=%C3%A4+b"
    assert crossing.asked["body"] == {"json": {"ask": [1]}}
    assert _seen(both.replayed) == _seen(both.live)
    assert both.replayed.json() == {"é": 1}
    assert both.replayed.raw.version == both.live.raw.version == 11
    assert both.replayed.elapsed.total_seconds() >= 0


def test_redirects_leave_their_history_and_their_cookies():
    """Requests finds cookies in the wire's own headers, follows a hop by itself, and each hop is an exchange."""
    with loopback(
        old=lambda call: call.answer(
            status=302, location="/new", set_cookie="seen=1; Path=/; Expires=Wed, 21 Oct 2099 07:28:00 GMT"
        ),
        new=lambda call: call.answer(call.headers.get("cookie", "none").encode()),
    ) as server:

        def ask():
            with _session() as session:
                response = session.get(f"{server.url}/old")
                history = [hop.status_code for hop in response.history]
                return response.text, history, [(c.name, c.value, c.expires) for c in session.cookies]

        both = twice(server, ask)
    assert both.live == both.replayed
    assert both.replayed[:2] == ("seen=1", [302])
    assert len(both.recorded.crossings) == 2


def test_compressed_text_is_replayed_as_plain_text():
    """As for every library."""
    with loopback(
        z=lambda call: call.answer(
            gzip.compress(b"plain"), content_encoding="gzip", content_type="text/plain"
        )
    ) as server:
        both = twice(server, lambda: _ask("GET", f"{server.url}/z").text)
    assert both.live == both.replayed == "plain"
    assert both.recorded.crossings[0].answered["body"] == {"text": "plain"}


def test_a_session_keeps_its_connection_alive_while_recording():
    """Three requests, one connection."""
    with loopback(x=lambda call: call.answer(b"x")) as server:

        def ask():
            with _session() as session:
                return [session.get(f"{server.url}/x").content for _ in range(3)]

        both = twice(server, ask)
        assert len({id(call.handler) for call in server.calls}) == 1
    assert both.live == both.replayed == [b"x"] * 3


def _as_file(raw):
    raw.auto_close = False  # as urllib3's documentation has it
    return io.BufferedReader(raw)


READERS = {
    "content": lambda response: response.content,
    "iter_content": lambda response: b"".join(response.iter_content(3)),
    "iter_content as it comes": lambda response: b"".join(response.iter_content(None)),
    "iter_lines": lambda response: list(response.iter_lines()),
    "iter_lines decoded": lambda response: list(response.iter_lines(decode_unicode=True)),
    "raw.stream": lambda response: b"".join(response.raw.stream(5, decode_content=True)),
    "raw.read": lambda response: response.raw.read(),
    "raw as a file": lambda response: _as_file(response.raw).readlines(),
}


@pytest.mark.parametrize("path", ["page", "stream", "empty"])
@pytest.mark.parametrize("reader", READERS)
def test_however_a_stream_is_read_it_reads_the_same(reader, path):
    """With stream=True each way to read gives the live bytes, settles, and settles complete."""
    with loopback(
        page=lambda call: call.answer(b"one\ntwo\n", content_type="text/plain"),
        stream=_stream,
        empty=lambda call: call.answer(),
    ) as server:

        def ask():
            with _session() as session, session.get(f"{server.url}/{path}", stream=True) as response:
                return READERS[reader](response)

        both = twice(server, ask)
    assert both.live == both.replayed
    assert both.recorded.crossings[0].complete is True


def _uploads():
    return {
        "form": {"data": {"a": "1", "b": ["x", "y"]}},
        "file": {"data": io.BytesIO(b"streamed from a file")},
        "generator": {"data": (piece for piece in (b"one", b"two"))},
        "files": {"files": {"doc": ("a.txt", io.BytesIO(b"text"), "text/plain")}, "data": {"n": "1"}},
        "toolbelt": {"data": MultipartEncoder({"doc": ("a.txt", io.BytesIO(b"text"), "text/plain")}, "cut")},
    }


@pytest.mark.parametrize("kind", _uploads())
def test_uploads_arrive_whole_and_are_matched(kind):
    """Forms, files, generators and multipart, streamed too."""
    with loopback(x=lambda call: call.answer(str(len(call.body)).encode())) as server:

        def ask():
            options = _uploads()[kind]
            headers = {"content-type": "multipart/form-data; boundary=cut"} if kind == "toolbelt" else {}
            return _ask("POST", f"{server.url}/x", headers=headers, **options).text

        # Each multipart body that requests makes has a boundary of its own: equal only by its parts.
        if kind == "files":
            with window(FakeRun()) as run:
                ask()
            parts = run.crossings[0].asked["body"]["multipart"]
            assert [part["body"] for part in parts] == [{"text": "1"}, {"text": "text"}]
        else:
            both = twice(server, ask)
            assert both.live == both.replayed != "0"


def _raised(url, **options):
    with pytest.raises(requests.RequestException) as caught:
        _ask("GET", url, **options).content  # noqa: B018 - read to the end
    return type(caught.value)


def test_what_urllib3_raises_is_mapped_as_ever():
    """Requests makes its own errors of urllib3's, and so of recorded ones."""
    go_on = threading.Event()

    def torn(call):
        call.start(content_type="text/plain")
        call.chunk(b"some")
        call.handler.close_connection = True

    with loopback(die=lambda call: call.die(), slow=lambda call: go_on.wait(10), torn=torn) as server:
        cases = {
            f"{server.url}/die": requests.ConnectionError,
            f"{server.url}/slow": requests.ReadTimeout,
            f"{server.url}/torn": requests.exceptions.ChunkedEncodingError,
            f"https://127.0.0.1:{server.port}/": requests.exceptions.SSLError,
        }
        both = twice(server, lambda: [_raised(url, timeout=0.2) for url in cases])
        go_on.set()
    assert both.live == both.replayed == list(cases.values())


def test_retries_of_an_adapter_cross_each_and_wait_no_more():
    """HTTPAdapter(max_retries=Retry(...)) tries again as it did, without its back-off."""
    tried = []

    def route(call):
        tried.append(call)
        call.answer(b"ok" if len(tried) == 3 else b"no", status=200 if len(tried) == 3 else 503)

    with loopback(x=route) as server:

        def ask(backoff):
            retries = urllib3.Retry(4, status_forcelist=[503], backoff_factor=backoff)
            with _session(max_retries=retries) as session:
                return session.get(f"{server.url}/x").text

        with window(FakeRun()) as recorded:
            live = ask(0)
        with window(recorded.replay()) as replay_run, skip_retry_delays():
            replayed = ask(100)  # minutes, if they were waited
        assert len(tried) == 3
    assert live == replayed == "ok"
    assert (len(recorded.crossings), replay_run.unplayed) == (3, 0)


def test_a_miss_raises_for_status_and_says_what_it_is():
    """A miss is a 418 whose words reach whoever looks at the answer."""
    with window(FakeRun([])) as run:
        missed = _ask("GET", "http://far.example.com/x")
    with pytest.raises(requests.HTTPError, match="418"):
        missed.raise_for_status()
    assert "the golden holds no answer" in missed.json()["error"]["message"]
    assert len(run.misses) == 1
