"""WebSockets while replaying: refused by name, allowed where a setting says so, restored afterwards."""

import asyncio
import contextlib
import importlib
import threading

import pytest
from websockets.sync.client import unix_connect
from websockets.sync.server import serve, unix_serve

from boundaries.fakes import FakeRun, window
from pytest_sparrow.errors import ReplayDivergence

CLIENTS = ["asyncio", "sync"]


def _greet(client, url):
    """What a WebSocket says first, by one of the clients."""
    module = importlib.import_module(f"websockets.{client}.client")
    if client == "sync":
        with module.connect(url, proxy=None) as socket:
            return socket.recv()

    async def main():
        async with module.connect(url, proxy=None) as socket:
            return await socket.recv()

    return asyncio.run(main())


@contextlib.contextmanager
def _server():
    """A server in this process, which greets."""
    with serve(lambda socket: socket.send("hello"), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_websocket_is_refused_by_name_in_a_replay(client):
    """Protocol, host, port and the setting that keeps it reachable are named, and it is a violation."""
    with window(FakeRun([])) as run, pytest.raises(ReplayDivergence, match="a WebSocket to api"):
        _greet(client, "wss://api.example.com/v1/realtime?model=m")
    (refused,) = run.refused
    assert "a WebSocket to api.example.com:443 was refused" in refused
    assert "sparrow_allow_hosts = api.example.com:443" in refused


@pytest.mark.parametrize("client", CLIENTS)
def test_a_websocket_is_free_where_the_world_is_open(client):
    """A recording lets it pass, and so does a replay to a server of its own process."""
    with _server() as port:
        for golden in (None, []):
            with window(FakeRun(golden)) as run:
                assert _greet(client, f"ws://127.0.0.1:{port}/") == "hello"
            assert run.refused == run.crossings == []


@pytest.mark.parametrize("client", CLIENTS)
def test_an_allowed_host_is_reached(client, monkeypatch):
    """`allow_hosts` keeps a WebSocket reachable also where the guard would refuse it."""
    from pytest_sparrow.boundaries.guard import network

    monkeypatch.setattr(network, "session_listens_on_port", lambda *_, **__: False)
    with _server() as port:
        with window(FakeRun([], hosts={"127.0.0.1": "allow"})) as run:
            assert _greet(client, f"ws://127.0.0.1:{port}/") == "hello"
        assert run.refused == []
        with window(FakeRun([])), pytest.raises(ReplayDivergence, match="a WebSocket to 127"):
            _greet(client, f"ws://127.0.0.1:{port}/")


@pytest.mark.parametrize("client", CLIENTS)
def test_an_ignored_host_fails_as_if_nobody_listened(client):
    """Telemetry gets an ordinary network error, and no violation."""
    with window(FakeRun([], hosts={"t.example.com": "ignore"})) as run, pytest.raises(ConnectionRefusedError):
        _greet(client, "wss://t.example.com/")
    assert run.refused == []


def test_a_unix_socket_is_judged_by_its_path(tmp_path):
    """``unix_connect`` names a host that doesn't count; a server of this process is spared, others are refused."""
    path = str(tmp_path / "s")
    with unix_serve(lambda socket: socket.send("hello"), path) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with window(FakeRun([])) as run, unix_connect(path) as socket:
            assert socket.recv() == "hello"
        server.shutdown()
        thread.join()
    assert run.refused == []
    with window(FakeRun([])) as run, pytest.raises(ReplayDivergence):
        unix_connect(str(tmp_path / "other"))
    assert "other" in run.refused[0]


@pytest.mark.filterwarnings("ignore:websockets.legacy is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", ["asyncio", "sync", "legacy"])
def test_the_name_that_is_replaced_is_there_and_restored(name):
    """Each client module has a ``parse_uri`` of its own; if this fails, the guard refuses, but without the name."""
    module = importlib.import_module(f"websockets.{name}.client")
    before = vars(module)["parse_uri"]
    with window(FakeRun([])):
        assert vars(module)["parse_uri"] is not before
    assert vars(module)["parse_uri"] is before
