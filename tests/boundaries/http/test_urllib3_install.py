"""The adapter for urllib3 is installed while a run is open; uninstalling puts back the very functions."""

import requests
import requests.adapters
import urllib3
from botocore.awsrequest import AWSHTTPConnectionPool, AWSHTTPSConnectionPool
from inner_runs import fresh_python

from boundaries.fakes import FakeRun, window
from pytest_sparrow.boundaries import http
from pytest_sparrow.testing.loopback import loopback

PLACES = [(urllib3.HTTPConnectionPool, "_make_request"), (urllib3.HTTPSConnectionPool, "_prepare_proxy")]


def _now():
    return [vars(owner)[name] for owner, name in PLACES]


def test_the_private_names_are_still_there():
    """The patched names exist, and botocore's pools inherit them; without them the guard refuses in a replay."""
    assert all(name in vars(owner) for owner, name in PLACES)
    for pool in (AWSHTTPConnectionPool, AWSHTTPSConnectionPool):
        assert pool._make_request is urllib3.HTTPConnectionPool._make_request


class _InProcess(requests.adapters.BaseAdapter):
    """As requests-mock, responses and WSGI adapters do: an answer that no connection gave."""

    def send(self, request, **_):
        response = requests.Response()
        response.status_code, response.url, response._content = 200, request.url, b"in process"
        return response

    def close(self):
        pass


def test_adapters_of_this_process_never_cross():
    """What answers in front of urllib3 isn't the world, recording and replaying."""
    for golden in (None, []):
        with window(FakeRun(golden)) as run, requests.Session() as session:
            session.mount("mock://", _InProcess())
            assert session.get("mock://app/").content == b"in process"
        assert run.crossings == run.misses == []


def test_those_who_patch_urllib3_themselves_keep_their_patch(monkeypatch):
    """A wrapper that came later stays after uninstall, and lets everything through."""
    original = vars(urllib3.HTTPConnectionPool)["_make_request"]
    http.install()
    ours = vars(urllib3.HTTPConnectionPool)["_make_request"]

    def theirs(*args, **kwargs):
        return ours(*args, **kwargs)

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "_make_request", theirs)
    http.uninstall()
    assert vars(urllib3.HTTPConnectionPool)["_make_request"] is theirs
    with loopback(x=lambda call: call.answer(b"x")) as server:
        with window(FakeRun()) as run, urllib3.PoolManager() as pools:
            pools.request("GET", f"{server.url}/x")
        with urllib3.PoolManager() as pools:
            assert pools.request("GET", f"{server.url}/x").data == b"x"
        assert len(server.calls) == 2
    assert len(run.crossings) == 1
    monkeypatch.undo()
    urllib3.HTTPConnectionPool._make_request = original


def test_a_urllib3_without_the_private_name_is_left_alone():
    """A version that we don't know isn't half patched: nothing is, and the guard refuses what it connects to.

    Nor is urllib3-future, which has all but http.client's connections.
    """
    fresh_python(
        """
        import urllib3
        from pytest_sparrow.boundaries import http
        before = vars(urllib3.HTTPSConnectionPool)["_prepare_proxy"]
        for owner, name in (urllib3.connection, "_HTTPConnection"), (urllib3.HTTPConnectionPool, "_make_request"):
            there = vars(owner)[name]
            delattr(owner, name)
            http.install()
            assert vars(urllib3.HTTPSConnectionPool)["_prepare_proxy"] is before
            http.uninstall()
            setattr(owner, name, there)
        http.install()
        assert vars(urllib3.HTTPSConnectionPool)["_prepare_proxy"] is not before
        print("fine")
        """
    )
