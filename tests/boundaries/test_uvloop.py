"""uvloop opens sockets in C: its loop's own methods are judged as Python's sockets are."""

import asyncio
import socket

import pytest

from boundaries.fakes import FakeRun
from pytest_sparrow.boundaries import guard
from pytest_sparrow.errors import ReplayDivergence
from pytest_sparrow.run.context import close_window, open_window

uvloop = pytest.importorskip("uvloop")

FAR = ("10.255.255.1", 80)


async def _udp():
    await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=FAR)


REACHES = {
    "tcp": (lambda: asyncio.open_connection(*FAR), "connecting to 10.255.255.1:80"),
    "name": (lambda: asyncio.open_connection("db.example.com", 5432), "connecting to db.example.com:5432"),
    "udp": (_udp, "sending to 10.255.255.1:80"),
    "unix": (lambda: asyncio.open_unix_connection("/no/such"), "connecting to the unix socket '/no/such'"),
    "look-up": (
        lambda: asyncio.get_running_loop().getaddrinfo("db.example.com", 80),
        "looking up db.example.com",
    ),
}


def run(main, **settings):
    """Run a coroutine function on uvloop while a run replays; gives the run."""
    replaying = FakeRun([], **settings)
    with guard.shut(replaying):
        token = open_window(replaying)
        try:
            uvloop.run(main())
        finally:
            close_window(replaying, token)
    return replaying


@pytest.mark.parametrize("name", REACHES)
def test_what_its_loop_reaches_is_refused(name):
    """By host and port, name, path; nothing leaves."""
    reach, refusal = REACHES[name]

    async def main():
        with pytest.raises(ReplayDivergence):
            await reach()

    (refused,) = run(main).refused
    assert refused.startswith(refusal)


def test_servers_of_this_process_are_spared():
    """A server that listens in this process is reached as ever, and so is an allowed host."""

    async def main():
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.2", 1)

    assert run(main, hosts={"127.0.0.2": "allow"}).refused == []


def test_outside_a_replay_nothing_is_judged():
    """Afterwards the loop is as it was."""

    async def main():
        with socket.create_server(("127.0.0.1", 0)) as server:
            _, writer = await asyncio.open_connection(*server.getsockname())
            writer.close()

    run(main)
    uvloop.run(main())
