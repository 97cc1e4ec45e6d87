"""Installing and uninstalling the adapters."""

import sys

import httpx
import httpx2
import pytest
from inner_runs import fresh_python

from boundaries.fakes import FakeRun, window
from boundaries.http.callers import ALONE
from pytest_sparrow.boundaries import http
from pytest_sparrow.testing.loopback import loopback

pytestmark = pytest.mark.usefixtures("new_patches")

PATCHED = [
    (owner, "_transport_for_url")
    for library in (httpx2, httpx)
    for owner in (library.Client, library.AsyncClient)
]


def _now():
    return [vars(owner)[name] for owner, name in PATCHED]


def test_the_private_name_is_still_there():
    """The names that the adapter patches exist; if this fails, the fallback works but misses custom transports."""
    assert all(name in vars(owner) for owner, name in PATCHED)


def test_uninstall_restores_the_very_functions():
    """Installing may nest; the last uninstall puts the same objects back, and one more does nothing."""
    before, finders = _now(), list(sys.meta_path)
    http.install()
    http.install()
    assert not any(a is b for a, b in zip(_now(), before, strict=True))
    http.uninstall()
    assert not any(a is b for a, b in zip(_now(), before, strict=True))
    http.uninstall()
    assert all(a is b for a, b in zip(_now(), before, strict=True))
    http.uninstall()
    assert all(a is b for a, b in zip(_now(), before, strict=True))
    assert sys.meta_path == finders


def test_a_wrapper_that_came_later_is_left_alone(monkeypatch):
    """Whoever wrapped us keeps the wrapper after uninstall, and a second install doesn't cross twice."""
    original = vars(httpx2.Client)["_transport_for_url"]
    http.install()
    ours = vars(httpx2.Client)["_transport_for_url"]

    def theirs(client, url):
        return ours(client, url)

    monkeypatch.setattr(httpx2.Client, "_transport_for_url", theirs)
    http.uninstall()
    assert vars(httpx2.Client)["_transport_for_url"] is theirs
    with (
        loopback(x=lambda call: call.answer(b"x")) as server,
        window(FakeRun()) as run,
        httpx2.Client(**ALONE) as client,
    ):
        client.get(f"{server.url}/x")
        mock = httpx2.MockTransport(lambda request: httpx2.Response(200))
        with httpx2.Client(transport=mock) as inside:
            inside.get("http://app/")
    assert len(run.crossings) == 1
    monkeypatch.undo()
    httpx2.Client._transport_for_url = original


def test_without_the_private_name_the_public_transports_are_patched(httpx_caller, monkeypatch):
    """The fallback records and replays plain clients, and is uninstalled again."""
    caller = httpx_caller
    library = caller.library
    client = library.AsyncClient if caller.is_async else library.Client
    transport = library.AsyncHTTPTransport if caller.is_async else library.HTTPTransport
    public = "handle_async_request" if caller.is_async else "handle_request"
    before = vars(transport)[public]
    private = vars(client)["_transport_for_url"]
    monkeypatch.delattr(client, "_transport_for_url")
    monkeypatch.setattr(client, "_chosen", private, raising=False)
    # The client itself still needs to find its transport: by a name that we don't know.
    monkeypatch.setattr(client, "__getattr__", lambda self, name: _renamed(self, name), raising=False)
    with loopback(x=lambda call: call.answer(b"public")) as server:
        with window(FakeRun()) as recorded:
            assert vars(transport)[public] is not before
            caller.request("GET", f"{server.url}/x")
        with window(recorded.replay()):
            assert caller.request("GET", f"{server.url}/x").content == b"public"
        assert len(server.calls) == 1
    assert len(recorded.crossings) == 1
    assert vars(transport)[public] is before


def _renamed(client, name):
    if name == "_transport_for_url":
        return client._chosen
    raise AttributeError(name)


PRELUDE = """
    import sys
    from pytest_sparrow.boundaries import http
    from pytest_sparrow.errors import ReplayDivergence
    from pytest_sparrow.run.context import open_window
    from pytest_sparrow.run.own_servers import OwnServers

    class Run:
        run_id, in_process, replaying, asked, own_servers = "r", False, True, 0, OwnServers()
        def ask(self, kind, asked):
            self.asked += 1
            raise ReplayDivergence("a miss")
        def passes_host(self, host, port):
            return "cross"

    run = Run()
    open_window(run)
    http.install()
    libraries = {"httpx", "httpx2", "urllib3", "requests", "aiohttp"}
    theirs = {"asyncio", "anyio", "http.client", "ssl", "yarl"}
    assert not (libraries | theirs) & set(sys.modules), "imported for nothing"
"""


def test_libraries_that_are_loaded_later_are_patched_then():
    """Installing imports none; a later import is patched, keeps its loader, and is restored; one that fails still does.

    All in one process, which takes longer to start than to do all of this.
    """
    fresh_python(
        PRELUDE
        + """
    import inspect
    path, sys.path[:] = list(sys.path), []
    try:
        import httpx2
    except ModuleNotFoundError as error:
        assert error.name == "httpx2"
    else:
        raise AssertionError("found without a path")
    sys.path[:] = path

    for name in ("httpx2", "httpx"):
        lib = __import__(name)
        asked = run.asked
        assert lib.Client().get("http://127.0.0.1:9/").status_code == 418
        assert run.asked == asked + 1
        assert "exec_module" not in vars(lib.__spec__.loader)
        assert inspect.getsource(lib)

    import requests
    with requests.Session() as session:
        session.trust_env = False
        assert session.get("https://far.example.com/").status_code == 418
    assert run.asked == 3

    import asyncio
    import aiohttp

    async def main():
        async with aiohttp.ClientSession() as session, session.get("http://127.0.0.1:9/") as response:
            return response.status, (await response.json())["error"]["message"]

    assert asyncio.run(main()) == (418, "a miss")
    assert run.asked == 4

    import httpx, httpx2, urllib3
    patched = [
        (httpx.Client, "_transport_for_url"),
        (httpx2.Client, "_transport_for_url"),
        (urllib3.HTTPConnectionPool, "_make_request"),
        (aiohttp.BaseConnector, "connect"),
    ]
    wrapped = [getattr(owner, name) for owner, name in patched]
    http.uninstall()
    for (owner, name), ours in zip(patched, wrapped):
        assert getattr(owner, name) is ours.__wrapped__
    print("fine")
    """
    )


def test_aliased_libraries_are_patched_once():
    """After httpx2.alias_httpx() both names are one module: one request, one crossing."""
    fresh_python(
        PRELUDE
        + """
    import httpx2
    httpx2.alias_httpx()
    import httpx
    assert httpx is httpx2
    http.uninstall()
    original = httpx2.Client._transport_for_url
    assert not hasattr(original, "__wrapped__")
    http.install()
    assert httpx.Client._transport_for_url.__wrapped__ is original
    assert httpx.get("http://127.0.0.1:9/").status_code == 418
    assert run.asked == 1
    http.uninstall()
    assert httpx2.Client._transport_for_url is original
    print("fine")
    """
    )
