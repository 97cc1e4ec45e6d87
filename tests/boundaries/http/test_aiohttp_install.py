"""Installing and uninstalling the adapter for aiohttp."""

import asyncio

import aiohttp
import pytest

from boundaries.fakes import FakeRun, window
from pytest_sparrow.errors import ReplayDivergence
from pytest_sparrow.testing.loopback import loopback

pytestmark = pytest.mark.usefixtures("new_patches")

PATCHED = [
    (aiohttp.BaseConnector, "connect"),
    (aiohttp.ClientRequest, "send"),
    (aiohttp.ClientResponse, "start"),
]
PRIVATE = [(aiohttp.StreamReader, "_wait"), (aiohttp.BaseConnector, "_release")]


def _now():
    return [vars(owner)[name] for owner, name in PATCHED]


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


def test_a_miss_is_answered_without_a_socket():
    """A replay opens no connection at all: the guard, which would refuse one, is never asked."""
    with loopback(x=lambda call: call.answer(b"x")) as server:
        with window(FakeRun([], hosts={})) as run:
            assert "the golden holds no answer" in asyncio.run(_get(f"{server.url}/x"))
        assert server.calls == run.refused == []
    assert len(run.misses) == 1
