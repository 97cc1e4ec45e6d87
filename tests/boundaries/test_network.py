"""The network guard: nothing leaves while a run replays, but what a setting allows or this process serves."""

import _socket
import asyncio
import contextlib
import contextvars
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import urllib.request

import pytest

from boundaries.fakes import FakeRun
from pytest_sparrow.boundaries import guard
from pytest_sparrow.boundaries.guard import watcher
from pytest_sparrow.boundaries.guard.network import noting_uncaptured
from pytest_sparrow.boundaries.guard.processes import naming_children
from pytest_sparrow.errors import ReplayDivergence
from pytest_sparrow.run.context import close_window, open_window
from pytest_sparrow.testing.loopback import loopback

FAR = ("10.255.255.1", 80)


@contextlib.contextmanager
def _shut(run=None, **settings):
    run = run or FakeRun([], **settings)
    with guard.shut(run):
        token = open_window(run)
        try:
            yield run
        finally:
            close_window(run, token)


_SERVER = """if True:
    import os, socket, sys
    path, daemon = sys.argv[1:]
    if path:
        server = socket.socket(socket.AF_UNIX); server.bind(path); server.listen()
    else:
        server = socket.create_server(("127.0.0.1", 0))
    if daemon and os.fork():
        os._exit(0)
    print(server.getsockname()[1], flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def _elsewhere(path="", *, daemon=False, env=None):
    """A port that another process listens on, or the path of a unix socket: a child of this one, or a daemon."""
    command = [sys.executable, "-c", _SERVER, path, "daemon" if daemon else ""]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as other:
        line = other.stdout.readline()
        yield path or int(line)
        other.stdin.close()


def _strangers():
    """A server that no test session started, as far as anyone can tell."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return _elsewhere(daemon=True, env=own)


@pytest.mark.parametrize("name", ["connect", "connect_ex"])
def test_a_connection_is_refused_by_host_port_and_setting(name):
    """The refusal is raised, is a violation, nothing was sent, and the socket is closed."""
    with _shut() as run, socket.socket() as sock:
        sock.setblocking(False)  # a connect that went out would say "in progress"
        with pytest.raises(ReplayDivergence, match=r"10\.255\.255\.1:80"):
            getattr(sock, name)(FAR)
        assert sock.fileno() == -1
    assert run.refused == [
        "connecting to 10.255.255.1:80 was refused: the world is shut while replaying"
        " | sparrow_allow_hosts = 10.255.255.1:80 keeps it reachable"
    ]


def test_create_connection_is_refused():
    """What goes through connect in the end is refused there."""
    with _shut() as run, pytest.raises(ReplayDivergence):
        socket.create_connection(FAR, timeout=1)
    assert len(run.refused) == 1


def test_names_are_not_looked_up():
    """A look-up is a contact with the world, too."""
    with _shut() as run:
        with pytest.raises(ReplayDivergence, match=r"looking up db\.example\.com"):
            socket.create_connection(("db.example.com", 5432), timeout=1)
        with pytest.raises(ReplayDivergence, match=r"example\.org"):
            socket.getaddrinfo(b"example.org", None)
        assert socket.getaddrinfo("localhost", 80)
        assert socket.getaddrinfo(None, 80)
        assert socket.getaddrinfo("10.1.2.3", 80)
        assert socket.getaddrinfo("::1", 80)
    assert "sparrow_allow_hosts = db.example.com:5432" in run.refused[0]
    assert len(run.refused) == 2


def test_datagrams_are_refused():
    """UDP by sendto, sendmsg and connect; without an address they go where connect was judged."""
    with _shut() as run, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for send in (
            lambda: sock.sendto(b"x", FAR),
            lambda: sock.sendto(b"x", 0, FAR),
            lambda: sock.sendmsg([b"x"], [], 0, FAR),
            lambda: sock.connect(FAR),
        ):
            with pytest.raises(ReplayDivergence, match=r"10\.255\.255\.1:80"):
                send()
    assert len(run.refused) == 4


def test_ipv6_is_refused():
    """An IPv6 address is named in brackets."""
    with _shut() as run, socket.socket(socket.AF_INET6) as sock, pytest.raises(ReplayDivergence):
        sock.connect(("2001:db8::1", 443))
    assert "[2001:db8::1]:443" in run.refused[0]


@pytest.mark.skipif(sys.platform != "linux", reason="other processes are looked up in Linux's tables")
@pytest.mark.parametrize("daemon", [False, True], ids=["child", "daemon"])
@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_servers_that_the_session_started_in_another_process_are_spared(tmp_path, unix, daemon):
    """A database of a fixture, be it a daemon, and by a new connection or by one from before the run."""
    with _elsewhere(str(tmp_path / "s") if unix else "", daemon=daemon) as place:
        address = place if unix else ("127.0.0.1", place)
        family = socket.AF_UNIX if unix else socket.AF_INET
        with socket.socket(family) as pool, socket.socket(family) as client:
            pool.connect(address)
            with _shut() as run:
                client.connect(address)
                pool.sendall(b"a")
        assert run.refused == []


def test_loopback_of_a_strangers_process_is_refused():
    """A server that the session did not start needs allow_hosts."""
    with _strangers() as port:
        with _shut() as run, pytest.raises(ReplayDivergence):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        assert len(run.refused) == 1
        with _shut(hosts={f"127.0.0.1:{port}": "allow"}) as run:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        assert run.refused == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_servers_of_this_process_are_spared(host):
    """An app under test may run on a loopback server in this process."""
    with loopback(x=lambda call: call.answer(b"own")) as server, _shut() as run:
        assert urllib.request.urlopen(f"http://{host}:{server.port}/x").read() == b"own"
    assert run.refused == []


def test_servers_of_this_process_are_found_without_proc(monkeypatch, tmp_path):
    """Where the kernel's tables can't be read, Python's own sockets are enough."""
    from pytest_sparrow.boundaries.guard import addresses

    monkeypatch.setattr(addresses, "_PROC", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as own:
        port = own.getsockname()[1]
        assert addresses.listens_on_port(port)
        assert not addresses.listens_on_port(port, udp=True)
    assert not addresses.listens_on_port(port)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's tables are Linux's")
def test_servers_that_python_does_not_know_are_found_in_proc(monkeypatch):
    """A listening socket of C code is found in the kernel's tables; a connected one isn't listening."""
    from pytest_sparrow.boundaries.guard import addresses

    monkeypatch.setattr(addresses.gc, "get_objects", list)
    with socket.create_server(("127.0.0.1", 0)) as own:
        assert addresses.listens_on_port(own.getsockname()[1])
        with socket.create_connection(own.getsockname()) as client:
            assert not addresses.listens_on_port(client.getsockname()[1])
    with _elsewhere() as port:
        assert not addresses.listens_on_port(port)
        assert addresses.session_listens_on_port(port)


def test_own_udp_ports_are_spared():
    """A UDP port that this process has bound on loopback is its own."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        _shut() as run,
    ):
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        client.sendto(b"x", server.getsockname())
        assert server.recv(1) == b"x"
    assert run.refused == []


def test_asyncio_runs_and_is_refused():
    """Event loops start (their socketpair is spared), serve, and are refused by name or by address."""

    async def main():
        async def serve(reader, writer):
            writer.write(b"hi")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            assert await reader.read() == b"hi"
            writer.close()
            await writer.wait_closed()
        with pytest.raises(ReplayDivergence):
            await asyncio.open_connection(*FAR)
        with pytest.raises(ReplayDivergence):
            await asyncio.open_connection("db.example.com", 5432)

    with _shut() as run:
        asyncio.run(main())
    assert len(run.refused) == 2


def test_unix_sockets(tmp_path):
    """A unix socket is refused by its path, allowed by its path, and spared where this process listens."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as client, _shut() as run, pytest.raises(ReplayDivergence):
        client.connect(path)
    assert f"sparrow_allow_hosts = {path}" in run.refused[0]
    with (
        socket.socket(socket.AF_UNIX) as client,
        _shut(hosts={path: "allow"}),
        pytest.raises(FileNotFoundError),
    ):
        client.connect(path)
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client, _shut() as run:
        server.bind(path)
        server.listen()
        client.connect(path)
    assert run.refused == []


def test_an_allowed_name_works_though_connect_sees_an_address(monkeypatch):
    """What an allowed name was resolved to is allowed under that name."""
    with _strangers() as port:

        def resolve(host, port, *args, **kwargs):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        with _shut(hosts={"db.test": "allow"}) as run:
            socket.create_connection(("db.test", port), timeout=5).close()
        assert run.refused == []
        # What one run looked up is forgotten with it.
        with _shut(hosts={"db.test": "allow"}), socket.socket() as sock, pytest.raises(ReplayDivergence):
            sock.connect(("127.0.0.1", port))
        assert socket.getaddrinfo is resolve


def test_ignored_hosts_fail_as_if_nobody_listened():
    """Telemetry gets an ordinary network error and no violation."""
    with _shut(hosts={"t.example.com": "ignore", "10.255.255.1": "ignore"}) as run:
        with pytest.raises(socket.gaierror):
            socket.create_connection(("t.example.com", 443))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(FAR)
    assert run.refused == []


def test_a_thread_without_context_is_refused_in_the_open_run():
    """No thread escapes; with several runs open one of them gets the blame."""
    with _shut() as first, _shut() as second:
        caught = []

        def reach():
            try:
                socket.create_connection(FAR, timeout=1)
            except ReplayDivergence as error:
                caught.append(error)

        thread = threading.Thread(target=contextvars.Context().run, args=(reach,))
        thread.start()
        thread.join()
    assert len(caught) == 1
    assert len(first.refused) + len(second.refused) == 1


def test_a_recording_run_is_not_shut():
    """Only connections of a replaying run are refused."""
    with guard.shut(FakeRun([])), _elsewhere() as port:
        recording = FakeRun()
        token = open_window(recording)
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        finally:
            close_window(recording, token)


def test_everything_is_restored():
    """After the last run nothing is replaced, and nothing is refused."""
    before = dict(vars(socket.socket)), socket.getaddrinfo
    with _shut(), _shut():
        assert socket.getaddrinfo is not before[1]
    assert (dict(vars(socket.socket)), socket.getaddrinfo) == before
    with _elsewhere() as port:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()


SAVED = socket.socket.connect


@pytest.mark.parametrize(
    "connect",
    [
        lambda sock: _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM, 0).connect(FAR),
        lambda sock: _socket.socket.connect(sock, FAR),
        lambda sock: SAVED(sock, FAR),
    ],
    ids=["_socket", "base method", "saved"],
)
def test_no_socket_is_past_the_guard(connect):
    """The C class below ``socket``, its methods, and a method saved before don't evade the guard."""
    with _shut() as run, socket.socket() as sock:
        sock.setblocking(False)
        with pytest.raises(ReplayDivergence, match=r"10\.255\.255\.1:80"):
            connect(sock)
    assert len(run.refused) == 1


@pytest.mark.parametrize(
    "look_up",
    [
        lambda: socket.gethostbyname("db.example.com"),
        lambda: socket.gethostbyname_ex("db.example.com"),
        lambda: _socket.getaddrinfo("db.example.com", 80),
        lambda: socket.gethostbyaddr("10.1.2.3"),
        lambda: socket.getnameinfo(("10.1.2.3", 80), 0),
    ],
    ids=["gethostbyname", "gethostbyname_ex", "_socket", "gethostbyaddr", "getnameinfo"],
)
def test_every_way_of_looking_up_is_refused(look_up):
    """By name or by address: either asks a name server."""
    with _shut() as run, pytest.raises(ReplayDivergence, match=r"looking up (db\.example\.com|10\.1\.2\.3)"):
        look_up()
    assert len(run.refused) == 1
    with _shut() as run:
        socket.gethostbyname("localhost")
        socket.getnameinfo(("127.0.0.1", 80), 0)
    assert run.refused == []


def test_multiprocessing_may_talk_with_its_own():
    """The unix sockets of managers and fork servers are between processes of this very program."""
    context = multiprocessing.get_context("fork")
    with _shut() as run, context.Manager() as manager:
        shared = manager.dict(x=1)
        assert shared["x"] == 1
    assert run.refused == []


def test_one_hook_serves_every_run_and_watch(monkeypatch):
    """However many runs are shut, noted or watched, the process gets one audit hook: it can't be taken off again."""
    hooks = []
    monkeypatch.setattr(sys, "addaudithook", hooks.append)
    monkeypatch.setattr(watcher, "_WATCHER", watcher._Watcher())
    for _ in range(2):
        with _shut() as run, naming_children(run, print), noting_uncaptured(FakeRun(), print):
            pass
    assert len(hooks) == 1


def test_an_idle_hook_does_nothing():
    """The audit hook stays when no run replays: then, and outside a replaying run, nothing is judged."""
    with _shut():
        pass
    with socket.socket() as sock:
        sock.setblocking(False)
        assert sock.connect_ex(FAR) != 0


def test_a_connection_from_before_the_run_is_refused_when_it_is_written_to():
    """A session fixture's pool: seen by whom it leads to, kept open, and reached by the same setting as a new one."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port)) as pool:
        server, _ = listener.accept()
        with server:
            with _shut():
                pool.sendall(b"a")  # this very process listens
            listener.close()
            with _shut(hosts={f"127.0.0.1:{port}": "allow"}):
                pool.sendall(b"b")
            for owner, name in ((pool, "send"), (pool, "sendall"), (pool.makefile("wb", 0), "write")):
                with (
                    _shut() as run,
                    pytest.raises(ReplayDivergence, match=f"sending to 127.0.0.1:{port}"),
                ):
                    getattr(owner, name)(b"never")
                assert len(run.refused) == 1
            assert server.recv(99) == b"ab"
    assert "send" not in vars(socket.socket)
