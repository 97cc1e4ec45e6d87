"""Each hop and each attempt of aiohttp crosses; its own parser reads a replayed answer into its own response."""

import asyncio
import contextlib
import gc
import gzip
import json
import threading

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer as AiohttpServer

from boundaries.fakes import FakeRun, window
from boundaries.http.twice import twice
from pytest_sparrow.testing.loopback import loopback

JSON = {"content_type": "application/json"}
SSE = {"content_type": "text/event-stream"}
EVENTS = [b'data: {"n": 1}\n\n', b'data: {"n": 2}\n\n', b"data: [DONE]\n\n"]


def _running(ask, *, keep_cookies=False, **options):
    """What runs ``ask(session)`` in a session and an event loop of its own."""

    async def main():
        if keep_cookies:  # of addresses, too
            options["cookie_jar"] = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(**options) as session:
            return await ask(session)

    return lambda: asyncio.run(main())


def _stream(call):
    call.start(**SSE)
    for event in EVENTS:
        call.chunk(event)
    call.end()


def _dies(call):
    call.start(**SSE)
    call.chunk(EVENTS[0])
    call.die()


def test_a_replayed_response_is_aiohttps_own():
    """Status, reason, version, headers, cookies and request are there as in the live one, in the same class."""

    async def ask(session):
        async with session.post(f"{server.url}/x?q=1", json={"a": 1}) as response:
            assert type(response) is aiohttp.ClientResponse
            return (
                response.status,
                response.reason,
                response.version,
                response.content_type,
                response.method,
                str(response.url),
                response.request_info.headers.get("content-type"),
                response.cookies["c"].value,
                await response.json(),
            )

    with loopback(x=lambda call: call.answer(b'{"n": 1}', set_cookie="c=v; Path=/", **JSON)) as server:
        both = twice(server, _running(ask))
    assert both.live == both.replayed
    (crossing,) = both.recorded.crossings
    assert (crossing.asked["method"], crossing.asked["url"]) == ("POST", f"{server.url}/x?q=1")
    assert crossing.asked["body"] == {"json": {"a": 1}}
    assert crossing.answered["body"]["json"] == {"n": 1}


def test_each_hop_crosses_and_cookies_are_kept_between_them():
    """A cookie that a redirect sets is sent to the redirect's target, live and replayed; the history is whole."""

    async def ask(session):
        async with session.get(f"{server.url}/a") as response:
            return await response.text(), [hop.status for hop in response.history]

    with loopback(
        a=lambda call: call.answer(b"moved", status=302, location="/b", set_cookie="c=v"),
        b=lambda call: call.answer(call.headers["cookie"].encode()),
    ) as server:
        both = twice(server, _running(ask, keep_cookies=True))
    assert both.live == both.replayed == ("c=v", [302])
    asked = [dict(crossing.asked["headers"]).get("Cookie") for crossing in both.replay_run.crossings]
    assert asked == [None, "c=v"]
    assert [crossing.complete for crossing in both.recorded.crossings] == [True, True]


def test_raise_for_status_middlewares_and_tracing_are_aiohttps_own():
    """Everything above the connection runs in a replay as it runs live."""
    noted = []

    async def retry_once(request, handler):
        response = await handler(request)
        if response.status == 503:
            noted.append("again")
            response.release()
            response = await handler(request)
        return response

    async def ended(session, context, params):
        noted.append(("ended", params.response.status))

    async def ask(session):
        with pytest.raises(aiohttp.ClientResponseError) as caught:
            async with session.get(f"{server.url}/x", middlewares=[retry_once], raise_for_status=True):
                pass
        return caught.value.status, caught.value.message

    def route(call):
        call.answer(b"no", status=503)

    def run():
        noted.clear()
        trace = aiohttp.TraceConfig()
        trace.on_request_exception.append(_noop)
        trace.on_request_end.append(ended)
        result = _running(ask, trace_configs=[trace])()
        return result, list(noted)

    with loopback(x=route) as server:
        both = twice(server, run)
    assert both.live == both.replayed == ((503, "Service Unavailable"), ["again"])
    assert len(both.recorded.crossings) == 2


async def _noop(*_):
    """Hears of something."""


async def _lines(content):
    return [line async for line in content]


async def _pieces(content):
    got = []
    while not content.at_eof():
        got.append(await content.read(5))
    return b"".join(got)


async def _whole_and_end(content):
    first = await content.readuntil(b"\n\n")
    exact = await content.readexactly(6)
    await content.wait_eof()
    return first, exact, await content.read()


async def _chunked(content):
    return b"".join([piece async for piece in content.iter_chunked(7)])


@pytest.mark.parametrize("read", [_lines, _pieces, _whole_and_end, _chunked])
def test_every_way_to_read_gives_the_same_live_and_replayed(read):
    """Lines, pieces of a size, up to a separator, exactly so many bytes, to the end."""

    async def ask(session):
        async with session.get(f"{server.url}/s") as response:
            return await read(response.content)

    with loopback(s=_stream) as server:
        both = twice(server, _running(ask))
    assert both.live == both.replayed
    assert [run.crossings[0].complete for run in (both.recorded, both.replay_run)] == [True, True]


def test_a_stream_is_replayed_an_event_at_a_time_however_it_is_read():
    """Each event is an HTTP chunk of its own, and a read for more bytes than it has gives one event."""

    async def ask(session):
        async with session.get(f"{server.url}/s") as first, session.get(f"{server.url}/s") as second:
            return [c async for c in first.content.iter_chunks()], [
                c async for c in second.content.iter_chunked(1024)
            ]

    with loopback(s=_stream) as server:
        both = twice(server, _running(ask))
    assert both.replayed == ([(event, True) for event in EVENTS], EVENTS)


def test_a_read_that_is_given_up_and_tried_again_loses_nothing():
    """``wait_for(readline())`` in a loop is how aiohttp's users poll: cancelling a read is not leaving."""
    go_on = threading.Event()

    def route(call):
        call.start(**SSE)
        assert go_on.wait(10)
        call.chunk(EVENTS[0])
        call.end()

    async def ask(session):
        async with session.get(f"{server.url}/s") as response:
            reading = asyncio.ensure_future(response.content.readline())
            await asyncio.sleep(0)
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
            go_on.set()
            return await response.content.read()

    with loopback(s=route) as server:
        both = twice(server, _running(ask))
    assert both.live == both.replayed == EVENTS[0]
    assert both.recorded.crossings[0].complete is True


def test_two_reads_at_once_are_refused_as_ever():
    """The second coroutine that waits for data is refused, by aiohttp itself."""
    go_on = threading.Event()

    def route(call):
        call.start(**SSE)
        assert go_on.wait(10)
        call.chunk(EVENTS[0])
        call.end()

    async def ask(session):
        async with session.get(f"{server.url}/s") as response:
            one, other = (asyncio.ensure_future(response.content.readline()) for _ in range(2))
            with pytest.raises(RuntimeError, match="another coroutine"):
                await asyncio.gather(one, other)
            go_on.set()
            return await one

    with loopback(s=route) as server:
        assert twice(server, _running(ask)).replayed == EVENTS[0][:-1]


def test_a_response_that_nobody_reads_is_settled_by_the_run():
    """The end of a run settles what the client got: nothing of the body, so it is incomplete."""

    async def ask(session):
        response = await session.get(f"{server.url}/s")
        (crossing,) = run.crossings
        assert crossing.settled == 0
        crossing.flush()
        response.close()

    with loopback(s=_stream) as server, window(FakeRun()) as run:
        _running(ask)()
    (crossing,) = run.crossings
    assert (crossing.settled, crossing.complete) == (1, False)
    assert crossing.answered["status"] == 200


def test_a_replayed_response_that_is_forgotten_warns_of_nothing():
    """A replayed response has no connection that could have been left open."""

    async def forget(session):
        await session.get(f"{server.url}/s")

    with loopback(s=_stream) as server:
        with window(FakeRun()) as recorded:
            _running(lambda session: _whole(session, server.url))()
        with window(recorded.replay()) as replay_run:
            _running(forget)()
            gc.collect()
            replay_run.crossings[0].flush()
    assert replay_run.crossings[0].complete is False


def test_compressed_answers_are_uncompressed_in_the_recording_whoever_uncompresses():
    """With ``auto_decompress`` off the client gets compressed bytes, live and in a replay."""

    async def ask(session):
        async with session.get(f"{server.url}/z") as response:
            return await response.read()

    zipped = gzip.compress(b'{"z": 1}')
    with loopback(z=lambda call: call.answer(zipped, content_encoding="gzip", **JSON)) as server:
        both = twice(server, _running(ask, auto_decompress=False))
    assert both.live == zipped
    assert json.loads(gzip.decompress(both.replayed)) == {"z": 1}
    assert both.recorded.crossings[0].answered["body"]["json"] == {"z": 1}


def test_a_429_is_replayed_without_its_retry_delay():
    """The replay says a millisecond where the server said twenty seconds."""

    async def ask(session):
        async with session.get(f"{server.url}/x") as response:
            return response.status, response.headers["retry-after"]

    with loopback(x=lambda call: call.answer(b"{}", status=429, retry_after="20")) as server:
        both = twice(server, _running(ask))
    assert (both.live, both.replayed) == ((429, "20"), (429, "0"))


def test_a_request_that_aiohttp_tries_again_crosses_twice():
    """Aiohttp repeats a GET whose connection was dropped: two crossings, live and replayed, and the second answers."""
    tries = []

    def route(call):
        tries.append(call)
        call.die() if len(tries) == 1 else call.answer(b"ok")

    async def ask(session):
        async with session.get(f"{server.url}/x") as response:
            return await response.text()

    with loopback(x=route) as server:
        both = twice(server, _running(ask))
    assert both.live == both.replayed == "ok"
    first, second = both.recorded.crossings
    assert set(first.answered) == {"error"}
    assert second.answered["status"] == 200


def test_a_total_timeout_in_the_middle_of_a_body_comes_again():
    """The client's own clock is an error of the answer: what came is kept, then TimeoutError, without a wait."""
    go_on = threading.Event()

    def route(call):
        call.start(**SSE)
        call.chunk(EVENTS[0])
        go_on.wait(10)

    async def ask(session):
        got = []
        async with session.get(f"{server.url}/s") as response:
            got.append(await response.content.readany())
            with pytest.raises(TimeoutError):
                await response.content.readany()
        return got

    with loopback(s=route) as server:
        both = twice(server, _running(ask, timeout=aiohttp.ClientTimeout(total=0.2)))
        go_on.set()
    assert both.live == both.replayed == EVENTS[:1]
    assert both.recorded.crossings[0].answered["error"]["type"] == "TimeoutError"


def test_several_requests_of_one_session():
    """A session that asks again and again has each answer, on connections that are used once while recording."""

    async def ask(session):
        got = []
        for n in range(3):
            async with session.get(f"{server.url}/x?{n}") as response:
                got.append(await response.text())
        return got, sum(map(len, session.connector._conns.values()))

    with loopback(x=lambda call: call.answer(call.path.encode())) as server:
        both = twice(server, _running(ask))
    assert both.live == both.replayed == (["/x?0", "/x?1", "/x?2"], 0)


def test_outside_every_window_connections_are_kept():
    """What aiohttp does where no run is open is its own business."""

    async def ask(session):
        async with session.get(f"{server.url}/x") as response:
            await response.read()
        return sum(map(len, session.connector._conns.values()))

    with loopback(x=lambda call: call.answer(b"x")) as server:
        with window(FakeRun(hosts={"127.0.0.1": "allow"})):
            assert _running(ask)() == 1
        assert _running(ask)() == 1


def test_a_server_in_the_same_event_loop_is_the_world():
    """Aiohttp's test server is a real server on loopback: recorded, and not asked again."""
    asked = []

    async def handler(request):
        asked.append(await request.text())
        return web.json_response({"you": asked[-1]})

    async def main():
        app = web.Application()
        app.router.add_post("/", handler)
        async with (
            AiohttpServer(app, port=port) as server,
            aiohttp.ClientSession() as session,
            session.post(server.make_url("/"), data="hi") as response,
        ):
            return await response.json()

    with loopback() as free:
        port = free.port
    with window(FakeRun()) as run:
        assert asyncio.run(main()) == {"you": "hi"}
    with window(run.replay()) as replay_run:
        assert asyncio.run(main()) == {"you": "hi"}
    assert (asked, replay_run.unplayed) == (["hi"], 0)


def test_websockets_pass_when_recording_and_are_refused_by_name_in_a_replay():
    """``ws_connect`` is an upgrade of a request: not recorded, and in a replay refused with host and setting."""

    async def handler(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("hello")
        await socket.close()
        return socket

    async def main():
        app = web.Application()
        app.router.add_get("/", handler)
        async with (
            AiohttpServer(app) as server,
            aiohttp.ClientSession() as session,
            session.ws_connect(server.make_url("/")) as socket,
        ):
            return await socket.receive_str()

    with window(FakeRun()) as run:
        assert asyncio.run(main()) == "hello"
    assert run.crossings == []
    with window(FakeRun([])) as replay_run, pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        asyncio.run(main())
    assert caught.value.status == 418
    assert "a WebSocket to 127.0.0.1" in replay_run.refused[0]
    assert "allow_hosts" in replay_run.refused[0]


def test_a_unix_socket_is_allowed_by_its_path():
    """A connector to a unix socket goes to its path, whatever host the URL names."""

    async def main():
        connector = aiohttp.UnixConnector(path="/run/some.sock")
        async with aiohttp.ClientSession(connector=connector) as session, session.get("http://docker/"):
            pass

    with (
        window(FakeRun([], hosts={"/run/some.sock": "allow"})) as run,
        pytest.raises(Exception, match=r"some\.sock"),
    ):
        asyncio.run(main())
    assert run.misses == run.crossings == []


def test_a_request_that_expects_100_continue_is_answered():
    """A client that sends its body only after 100 Continue gets that answer in a replay."""

    async def handler(request):
        return web.Response(text=await request.text())

    async def main():
        app = web.Application()
        app.router.add_post("/", handler)
        async with (
            AiohttpServer(app, port=port) as server,
            aiohttp.ClientSession() as session,
            session.post(server.make_url("/"), data=b"late", expect100=True) as response,
        ):
            return await response.text()

    with loopback() as free:
        port = free.port
    with window(FakeRun()) as run:
        assert asyncio.run(main()) == "late"
    with window(run.replay()):
        assert asyncio.run(main()) == "late"
    assert run.crossings[0].asked["body"] == {"text": "late"}


def test_an_answer_without_a_body_has_no_framing():
    """A replayed 204 has no length and no chunks."""

    async def ask(session):
        async with session.delete(f"{server.url}/x") as response:
            return response.status, await response.read(), "transfer-encoding" in response.headers

    with loopback(x=lambda call: call.answer(status=204)) as server:
        both = twice(server, _running(ask))
    assert both.live == both.replayed == (204, b"", False)


def test_a_recorded_header_of_two_lines_is_one_header():
    """What a golden holds can't add headers or end them."""

    async def ask(session):
        async with session.get(f"{server.url}/x") as response:
            return response.headers.get("x-note"), response.headers.get("x-more"), await response.text()

    with loopback(x=lambda call: call.answer(b"hi")) as server:
        with window(FakeRun()) as recorded:
            _running(ask)()
        golden = recorded.replay()
        golden._golden[0].answered["headers"]["x-note"] = "a\r\nx-more: b\r\n\r\nc"
        with window(golden):
            assert _running(ask)() == ("a x-more: b  c", None, "hi")


class _Slow(aiohttp.TCPConnector):
    """Never gets a connection."""

    async def _create_connection(self, *_, **__):
        raise TimeoutError


def test_a_timeout_while_connecting_is_recorded_as_what_the_client_makes_of_it():
    """Live and replayed, the client raises aiohttp's own ConnectionTimeoutError with its text."""

    async def main():
        async with aiohttp.ClientSession(connector=_Slow()) as session:
            with pytest.raises(aiohttp.ConnectionTimeoutError) as caught:
                await session.get("http://api.example.com/x")
            return str(caught.value)

    with loopback() as server:
        both = twice(server, lambda: asyncio.run(main()))
    assert both.live == both.replayed == "Connection timeout to host http://api.example.com/x"
    assert both.recorded.crossings[0].answered["error"]["type"] == "ConnectionTimeoutError"


class _Patient(FakeRun):
    """Replays answers that the recorded agent cancelled before their end."""

    def ask(self, kind, asked):
        crossing = super().ask(kind, asked)
        crossing.cancellation_wait = 5.0
        return crossing


def test_a_total_timeout_ends_a_wait_for_more_than_was_recorded():
    """The client's own timeout cancels a replayed answer, as in the recording."""

    async def ask(session):
        async with session.get(f"{server.url}/s") as response:
            got = [await response.content.readany() for _ in EVENTS]
            with pytest.raises(TimeoutError):
                await response.content.readany()
        return got

    with loopback(s=_stream) as server:
        with window(FakeRun()) as recorded:
            assert b"".join(_running(lambda s: _whole(s, server.url))()) == b"".join(EVENTS)
        replay_run = _Patient(recorded.replay()._golden)
        with window(replay_run):
            assert _running(ask, timeout=aiohttp.ClientTimeout(total=0.1))() == EVENTS
    assert replay_run.refused == []


async def _whole(session, url):
    async with session.get(f"{url}/s") as response:
        return [piece async for piece in response.content.iter_any()]
