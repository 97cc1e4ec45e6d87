"""Installing and uninstalling the adapter for aiohttp."""

import asyncio
import subprocess
import sys
import textwrap

import aiohttp
import pytest

from boundaries.fakes import FakeRun, window
from boundaries.http.loopback import loopback
from pytest_sparrow.boundaries import http
from pytest_sparrow.errors import ReplayDivergence

PATCHED = [
    (aiohttp.BaseConnector, "connect"),
    (aiohttp.ClientRequest, "send"),
    (aiohttp.ClientResponse, "start"),
]
PRIVATE = [(aiohttp.StreamReader, "_wait"), (aiohttp.BaseConnector, "_release")]


def _now():
    return [vars(owner)[name] for owner, name in PATCHED]


def test_the_names_are_there():
    """The names that the adapter needs exist; if this fails, requests of aiohttp are refused in a replay."""
    assert all(name in vars(owner) for owner, name in PATCHED + PRIVATE)


def test_uninstall_restores_the_very_functions():
    """The last uninstall puts the same objects back."""
    before = _now()
    http.install()
    assert not any(a is b for a, b in zip(_now(), before, strict=True))
    http.uninstall()
    assert all(a is b for a, b in zip(_now(), before, strict=True))


async def _get(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()


@pytest.mark.parametrize(("owner", "name"), PRIVATE)
def test_without_a_private_name_nothing_is_patched_and_the_guard_refuses(owner, name, monkeypatch):
    """The fallback fails closed: real while recording, refused by the network guard in a replay."""
    kept = vars(owner)[name]
    monkeypatch.delattr(owner, name)
    # aiohttp itself still needs the name, and finds it where the adapter does not look.
    base = type("Base", (), {name: kept})
    finder = lambda self, asked: getattr(base, asked).__get__(self)  # noqa: E731
    monkeypatch.setattr(owner, "__getattr__", finder, raising=False)
    before = _now()
    with window(FakeRun([])) as run:
        assert all(a is b for a, b in zip(_now(), before, strict=True))
        with pytest.raises(ReplayDivergence, match=r"10\.255\.255\.1:80"):
            asyncio.run(_get("http://10.255.255.1/"))
    assert len(run.refused) == 1


def test_a_library_that_is_loaded_later_is_patched_then():
    """Installing doesn't import aiohttp; a later import is patched, and restored."""
    script = """
        import asyncio, sys
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
        assert not {"aiohttp", "asyncio", "yarl"} & (set(sys.modules) - {"asyncio"}), "imported for nothing"
        import aiohttp

        async def main():
            async with aiohttp.ClientSession() as session, session.get("http://127.0.0.1:9/") as response:
                return response.status, (await response.json())["error"]["message"]

        assert asyncio.run(main()) == (418, "a miss")
        assert run.asked == 1
        http.uninstall()
        assert not hasattr(aiohttp.BaseConnector.connect, "__wrapped__")
        print("fine")
    """
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.stdout.strip(), ran.stderr) == ("fine", "")


def test_a_miss_is_answered_without_a_socket():
    """A replay opens no connection at all: the guard, which would refuse one, is never asked."""
    with loopback(x=lambda call: call.answer(b"x")) as server:
        with window(FakeRun([], hosts={})) as run:
            assert "the golden holds no answer" in asyncio.run(_get(f"{server.url}/x"))
        assert server.calls == run.refused == []
    assert len(run.misses) == 1
