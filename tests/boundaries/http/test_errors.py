"""A replay raises recorded transport errors, and skips the retry delays that servers ask for."""

import socket
import threading
from types import SimpleNamespace

import pytest

from boundaries.fakes import FakeCrossing, FakeRun, window
from pytest_sparrow.boundaries.http.exchange import reply_of
from pytest_sparrow.testing.loopback import loopback


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_a_connection_that_fails_fails_again_in_the_same_class(caller):
    """A refused connection is recorded as an error and raised again as that library's own error."""
    url = f"http://127.0.0.1:{_free_port()}/"
    with window(FakeRun()) as recorded, pytest.raises(caller.errors.connect) as was:
        caller.request("GET", url)
    with window(recorded.replay()) as replay_run, pytest.raises(caller.errors.connect) as now:
        caller.request("GET", url)
    (crossing,) = recorded.crossings
    assert crossing.answered == {"error": {"type": was.type.__name__, "message": str(was.value)}}
    assert (now.type, str(now.value)) == (was.type, str(was.value))
    assert str(getattr(now.value, "request", SimpleNamespace(url=url)).url) == url
    assert (crossing.settled, replay_run.crossings[0].settled) == (1, 1)


def test_a_timeout_times_out_again_without_waiting(caller):
    """A read timeout is replayed as a read timeout, without a request to the server."""
    go_on = threading.Event()
    with loopback(slow=lambda call: go_on.wait(10)) as server:
        with window(FakeRun()) as recorded, pytest.raises(caller.errors.timeout):
            caller.request("GET", f"{server.url}/slow", client={"timeout": 0.05})
        with window(recorded.replay()), pytest.raises(caller.errors.timeout):
            caller.request("GET", f"{server.url}/slow")
        go_on.set()
        assert len(server.calls) == 1


@pytest.mark.parametrize("name", ["NoSuchError", "HTTPStatusError", "Client", "__doc__", "InvalidURL", ""])
def test_an_error_of_an_unknown_name_is_a_connect_error(caller, name):
    """Only the library's own request errors are looked up by a name that a golden holds."""
    with window(FakeRun()) as recorded, pytest.raises(caller.errors.connect):
        caller.request("GET", f"http://127.0.0.1:{_free_port()}/")
    golden = recorded.replay()
    golden._golden[0].answered["error"]["type"] = name
    with window(golden), pytest.raises(caller.errors.connect):
        caller.request("GET", golden._golden[0].asked["url"])


def test_a_wait_before_a_retry_is_not_waited_for_again(caller):
    """A replayed 429 asks an SDK for one millisecond where the recorded one asked for 20 seconds."""
    with loopback(x=lambda call: call.answer(b"{}", status=429, retry_after="20")) as server:
        with window(FakeRun()) as recorded:
            assert caller.request("GET", f"{server.url}/x").headers["retry-after"] == "20"
        with window(recorded.replay()):
            replayed = caller.request("GET", f"{server.url}/x", headers={"user-agent": "OpenAI/Python 3"})
    assert (replayed.status_code, replayed.headers["retry-after-ms"], replayed.headers["retry-after"]) == (
        429,
        "1",
        "0",
    )
    assert recorded.crossings[0].answered["headers"].count(["retry-after", "20"]) == 1


def _served(status, user_agent="OpenAI/Python 3", **headers):
    answered, crossing = {"status": status, "headers": headers}, FakeCrossing("http", {})
    return dict(reply_of(answered, method="GET", crossing=crossing, user_agent=user_agent).headers)


def test_which_answers_have_their_wait_shortened():
    """Only statuses that SDKs retry change; delays too long for any SDK are replayed as recorded."""
    assert _served(503)["retry-after-ms"] == "1"
    assert _served(429, **{"retry-after-ms": "1500"})["retry-after-ms"] == "1"
    assert _served(429, **{"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"})["retry-after"] == "0"
    assert _served(429, **{"retry-after": "86400"}) == {"retry-after": "86400", "content-length": "0"}
    assert "retry-after-ms" not in _served(200)
    assert _served(301, **{"retry-after": "5"})["retry-after"] == "5"


@pytest.mark.parametrize("library", ["python-requests/2.34", "python-httpx/0.28", "Python/3.11 aiohttp/3.14"])
def test_without_an_sdk_an_answer_gets_no_header_that_it_had_not(library):
    """A tool may show the headers of a failing answer to the model."""
    assert _served(500, library) == {"content-length": "0"}
    assert _served(503, library, **{"retry-after": "5"})["retry-after"] == "0"
    assert _served(429, library, **{"retry-after-ms": "500"})["retry-after-ms"] == "1"


@pytest.mark.parametrize(
    "part",
    [
        {"status": "200"},
        {"body": []},
        {"body": {"sse": 1}},
        {"body": {"sse": ["data: x", None]}},
        {"body": {"lines": {"a": 1}}},
        {"body": {"base64": "é"}},
        {"headers": 5},
        {"headers": [1]},
        {"headers": [["a"]]},
    ],
    ids=str,
)
def test_an_answer_that_nobody_wrote_is_refused(part):
    """A malformed answer of any kind raises a ValueError, which the flow turns into a reply for the agent."""
    with pytest.raises(ValueError, match=r"^its "):
        reply_of({"status": 200, "headers": {}, **part}, method="GET", crossing=FakeCrossing("http", {}))
