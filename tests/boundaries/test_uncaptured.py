"""While recording, what no boundary sees and a replay would refuse is noted, once a place, and nothing else changes."""

import _socket
import contextlib
import logging.handlers
import multiprocessing
import smtplib
import socket
import urllib.error
import urllib.request

import httpx2
import pytest
import requests
import urllib3

from boundaries.fakes import FakeRun, window
from boundaries.http.callers import ALONE
from pytest_sparrow.boundaries.guard.network import noting_uncaptured
from pytest_sparrow.report.words import title
from pytest_sparrow.run.answering import answering
from pytest_sparrow.testing.loopback import loopback

SAVED = socket.socket.connect


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def _noting(run):
    reported = []
    with window(run), noting_uncaptured(run, lambda finding: reported.append(title(finding))):
        yield reported


def _by_logging(port):
    with pytest.raises(ConnectionRefusedError):
        logging.handlers.SocketHandler("127.0.0.1", port).makeSocket()


def test_a_connection_that_no_adapter_knows_is_reported_with_its_library_and_the_users_line():
    """However often it connects, a place is one line."""
    port = _free_port()
    with _noting(FakeRun()) as reported:
        _by_logging(port)
        _by_logging(port)
    (line,) = reported
    assert line.startswith(f"127.0.0.1:{port} (logging, ")
    assert "test_uncaptured.py:" in line
    hint = f"sparrow_allow_hosts = 127.0.0.1:{port} keeps it reachable"
    assert line.endswith(f": not recorded; a replay will refuse it ({hint})")


def test_a_name_is_reported_as_it_was_asked_for():
    """Not the address that it was resolved to; and the library is the one that the user's code called."""
    port = _free_port()
    with _noting(FakeRun()) as reported, pytest.raises(ConnectionRefusedError):
        smtplib.SMTP("localhost", port)
    assert [line.partition(", ")[0] for line in reported] == [f"localhost:{port} (smtplib"]


def test_what_crosses_or_is_the_worlds_is_not_reported():
    """Requests of known libraries are recorded; what code does that answers a crossing is part of its answer."""
    url = f"http://127.0.0.1:{_free_port()}/"
    with _noting(FakeRun()) as reported:
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(url, **ALONE)
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=5)
        with pytest.raises(urllib3.exceptions.MaxRetryError), urllib3.PoolManager() as pools:
            pools.request("GET", url, retries=0)
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(url)
        with answering():
            _by_logging(_free_port())
    assert reported == []


@pytest.mark.parametrize("verdict", ["allow", "ignore"])
def test_what_a_replay_does_not_refuse_is_not_reported(verdict):
    """Hosts that a setting names, and servers of this process."""
    with loopback(x=lambda call: call.answer(b"x")) as server, _noting(FakeRun()) as reported:
        socket.create_connection(("127.0.0.1", server.port)).close()
    assert reported == []
    with _noting(FakeRun(hosts={"127.0.0.1": verdict})) as reported:
        _by_logging(_free_port())
    assert reported == []


def test_a_unix_socket_is_reported_by_its_path(tmp_path):
    """As a replay would refuse it."""
    path = str(tmp_path / "gone.sock")
    with (
        _noting(FakeRun()) as reported,
        contextlib.closing(socket.socket(socket.AF_UNIX)) as sock,
        pytest.raises(FileNotFoundError),
    ):
        sock.connect(path)
    assert reported[0].startswith(path)


@pytest.mark.parametrize("connect", [_socket.socket.connect, SAVED], ids=["_socket", "saved"])
def test_no_socket_is_past_the_notes(connect):
    """Methods of the C class below ``socket``, and a method saved before, are noted, too."""
    with _noting(FakeRun()) as reported, socket.socket() as sock, pytest.raises(ConnectionRefusedError):
        connect(sock, ("127.0.0.1", _free_port()))
    assert len(reported) == 1


def test_multiprocessing_is_not_reported():
    """Sockets of multiprocessing connect processes of this very program, and a replay spares them."""
    with _noting(FakeRun()) as reported, multiprocessing.get_context("fork").Manager() as manager:
        assert manager.dict(x=1)["x"] == 1
    assert reported == []


def test_many_places_are_counted():
    """Five lines, and how many more there were."""
    with _noting(FakeRun()) as reported:
        for _ in range(7):
            _by_logging(_free_port())
    assert len(reported) == 6
    assert reported[-1] == "2 more places were connected to and not recorded"


def test_a_note_that_fails_breaks_nothing():
    """An address that can't be read, and a run that raises: the connection is what it was."""

    class Broken(FakeRun):
        def passes_host(self, host, port):
            raise RuntimeError("never mind")

    with _noting(Broken()) as reported:
        _by_logging(_free_port())
        with contextlib.closing(socket.socket()) as sock, pytest.raises(TypeError):
            sock.connect(object())
    assert reported == []


def test_a_replaying_run_and_no_run_are_not_watched():
    """In a replay the guard speaks; outside there is nothing to say."""
    reported = []
    run = FakeRun([])
    with noting_uncaptured(run, reported.append):
        _by_logging(_free_port())
        with window(run), contextlib.suppress(Exception):
            _by_logging(_free_port())
    assert reported == []


def test_everything_is_put_back():
    """Nested in any order, the very function comes back."""
    before = socket.getaddrinfo
    first, second = noting_uncaptured(FakeRun(), print), noting_uncaptured(FakeRun(), print)
    first.__enter__()
    second.__enter__()
    assert socket.getaddrinfo is not before
    first.__exit__(None, None, None)
    assert socket.getaddrinfo is not before
    second.__exit__(None, None, None)
    assert socket.getaddrinfo is before
