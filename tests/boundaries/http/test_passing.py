"""What doesn't cross: other hosts, code of this process, requests outside every window."""

import gzip

import pytest

from boundaries.fakes import FakeRun, window
from boundaries.http.callers import ALONE
from pytest_sparrow.boundaries import http
from pytest_sparrow.testing.loopback import loopback

APP_SAYS = b'{"from": "the app"}'


async def _asgi_app(scope, receive, send):
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": APP_SAYS})


def _wsgi_app(environ, start_response):
    start_response("200 OK", [("content-type", "application/json")])
    return [APP_SAYS]


def _transport(caller):
    return (
        caller.library.ASGITransport(_asgi_app)
        if caller.is_async
        else caller.library.WSGITransport(_wsgi_app)
    )


def _mock(caller):
    return caller.library.MockTransport(lambda request: caller.library.Response(200, content=APP_SAYS))


@pytest.mark.parametrize("make", [_transport, _mock])
@pytest.mark.parametrize("replaying", [False, True])
def test_code_of_this_process_is_not_the_world(httpx_caller, make, replaying):
    """ASGI, WSGI and mock transports pass through, recording and replaying, and nothing is asked."""
    with window(FakeRun([] if replaying else None)) as run:
        response = httpx_caller.request("GET", "http://app/", client={"transport": make(httpx_caller)})
    assert response.content == APP_SAYS
    assert run.crossings == run.misses == []


@pytest.mark.parametrize("make", [_transport, _mock])
def test_code_of_this_process_crosses_where_a_setting_says_so(httpx_caller, make):
    """With in_process the app is recorded, and replayed without running."""
    with window(FakeRun(in_process=True)) as recorded:
        httpx_caller.request("GET", "http://app/", client={"transport": make(httpx_caller)})
    with window(recorded.replay(in_process=True)) as replay_run:
        response = httpx_caller.request("GET", "http://app/", client={"transport": make(httpx_caller)})
    assert response.json() == {"from": "the app"}
    assert recorded.crossings[0].answered["body"] in (
        {"json": {"from": "the app"}, "spelled": "spaced"},
        {"text": APP_SAYS.decode()},
    )
    assert len(replay_run.crossings) == 1
    assert replay_run.crossings[0].settled == 1


def test_a_response_that_was_loaded_at_once_is_recorded_uncompressed(httpx_caller):
    """A transport may hand over a response that was read and uncompressed already."""
    library = httpx_caller.library
    headers = {"content-encoding": "gzip", "content-type": "text/plain"}
    transport = library.MockTransport(
        lambda request: library.Response(200, headers=headers, content=gzip.compress(b"zipped"))
    )
    with window(FakeRun(in_process=True)) as recorded:
        httpx_caller.request("GET", "http://app/", client={"transport": transport})
    assert recorded.crossings[0].answered["body"] == {"text": "zipped"}
    with window(recorded.replay(in_process=True)):
        assert httpx_caller.request("GET", "http://app/", client={"transport": transport}).text == "zipped"


@pytest.mark.parametrize("replaying", [False, True])
def test_starlette_test_client_runs_the_app_and_what_the_app_asks_crosses(replaying):
    """The app under test runs in replay; the model call that it makes is replayed."""
    import httpx2
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from starlette.testclient import TestClient

    with loopback(model=lambda call: call.answer(b"from the model")) as server:

        async def ask_model(request):
            async with httpx2.AsyncClient(**ALONE) as client:
                return PlainTextResponse("app: " + (await client.get(f"{server.url}/model")).text)

        def use_app():
            with TestClient(Starlette(routes=[Route("/", ask_model)])) as client:
                return client.get("/").text

        with window(FakeRun()) as run:
            assert use_app() == "app: from the model"
        if replaying:
            with window(run.replay()) as run:
                assert use_app() == "app: from the model"
        assert len(server.calls) == 1
    assert [crossing.asked["url"] for crossing in run.crossings] == [f"{server.url}/model"]


def test_allowed_hosts_stay_reachable_and_are_never_recorded(caller):
    """An allowed host is the real one, recording and replaying."""
    with loopback(x=lambda call: call.answer(b"real")) as server:
        for golden in (None, []):
            with window(FakeRun(golden, hosts={"127.0.0.1": "allow"})) as run:
                assert caller.request("GET", f"{server.url}/x").content == b"real"
            assert run.crossings == run.refused == []
        assert len(server.calls) == 2


def test_ignored_hosts_are_real_when_recording_and_204_in_replay(caller):
    """Telemetry is never recorded: let through live, answered with nothing in replay."""
    with loopback(x=lambda call: call.answer(b"real")) as server:
        with window(FakeRun(hosts={"127.0.0.1": "ignore"})) as run:
            assert caller.request("GET", f"{server.url}/x").content == b"real"
        with window(FakeRun([], hosts={"127.0.0.1": "ignore"})) as replay:
            response = caller.request("POST", f"{server.url}/x", json={"spans": []})
        assert len(server.calls) == 1
    assert (response.status_code, response.content) == (204, b"")
    assert run.crossings == replay.crossings == replay.misses == []


def test_the_scheme_has_its_own_port(caller):
    """A host is judged with the port that will be used, also where the URL names none."""
    with window(FakeRun([], hosts={"api.example.com:443": "ignore"})) as run:
        assert caller.request("GET", "https://api.example.com/").status_code == 204
        assert caller.request("GET", "http://api.example.com/").status_code == 418
    assert len(run.misses) == 1


def test_outside_every_window_requests_pass_untouched(caller):
    """With no run open the boundary does nothing."""
    with loopback(x=lambda call: call.answer(b"real")) as server:
        http.install()
        try:
            assert caller.request("GET", f"{server.url}/x").content == b"real"
        finally:
            http.uninstall()
        assert server.calls[0].headers.get("connection") != "close"


def test_outside_every_window_the_plugin_may_refuse(httpx_caller):
    """A policy may refuse a request that belongs to no run; its words reach the client."""
    asked = []

    def policy(host, port, what):
        asked.append((host, port, what))
        return None if host == "127.0.0.1" else RuntimeError("fixture 'db' reaches out\nwhile replaying")

    with loopback(x=lambda call: call.answer(b"real")) as server:
        before = http.set_outside_policy(policy)
        http.install()
        try:
            assert httpx_caller.request("GET", f"{server.url}/x").content == b"real"
            refused = httpx_caller.request("GET", "http://db.example.com/setup?key=1")
            inside = httpx_caller.request(
                "GET", "http://app/", client={"transport": _transport(httpx_caller)}
            )
        finally:
            http.uninstall()
            http.set_outside_policy(before)
    assert refused.status_code == 418
    assert refused.json()["error"]["message"] == "fixture 'db' reaches out while replaying"
    assert asked[1] == ("db.example.com", 80, "GET http://db.example.com/setup")
    assert len(asked) == 2
    assert inside.content == APP_SAYS


WEBSOCKET = {"upgrade": "websocket", "connection": "upgrade"}


def test_websockets_pass_when_recording_and_are_refused_by_name_in_replay(caller):
    """A WebSocket isn't recorded, so a replay must not pretend: refused, naming host and setting."""
    with loopback(ws=lambda call: call.answer(b"no upgrade", status=400)) as server:
        with window(FakeRun()) as run:
            assert caller.request("GET", f"{server.url}/ws", headers=WEBSOCKET).status_code == 400
        with window(FakeRun([])) as replay:
            assert caller.request("GET", f"{server.url}/ws", headers=WEBSOCKET).status_code == 418
        assert len(server.calls) == 1
    assert run.crossings == replay.crossings == []
    assert "WebSocket to 127.0.0.1" in replay.refused[0]
    assert "allow_hosts" in replay.refused[0]
