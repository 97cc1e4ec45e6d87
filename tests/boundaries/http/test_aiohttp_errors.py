"""aiohttp's errors are recorded by name and raised again in their own class, with their own text."""

import asyncio
import errno
import ssl

import aiohttp
import pytest
from yarl import URL

from pytest_sparrow.boundaries.http.aiohttp.adapter import ADAPTER, error_of
from pytest_sparrow.exchange import TransportFailure


@pytest.fixture
def request_():
    """A request as aiohttp makes it."""

    async def main():
        return aiohttp.ClientRequest(
            "GET", URL("http://api.example.com/x"), loop=asyncio.get_running_loop(), session=None
        )

    return asyncio.run(main())


def _errors(request):
    key = request.connection_key
    refused = OSError(errno.ECONNREFUSED, "Connect call failed ('1.2.3.4', 80)")
    return [
        aiohttp.ClientConnectionError("Connection closed"),
        aiohttp.ClientConnectorError(key, refused),
        aiohttp.ClientConnectorDNSError(key, OSError(errno.ENOENT, "Name or service not known")),
        aiohttp.ClientProxyConnectionError(key, refused),
        aiohttp.ClientConnectorSSLError(key, OSError(1, "certificate verify failed [why]")),
        aiohttp.ClientOSError(104, "Connection reset by peer"),
        aiohttp.ClientOSError("no number"),
        aiohttp.ClientPayloadError("Response payload is not completed"),
        aiohttp.ClientResponseError(request.request_info, (), status=400, message='it\'s "bad"'),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ServerTimeoutError("late"),
        aiohttp.SocketTimeoutError("Timeout on reading data from socket"),
        aiohttp.ConnectionTimeoutError("Connection timeout to host http://api.example.com/x"),
        TimeoutError(),
    ]


def test_every_error_comes_back_in_its_class_with_its_text(request_):
    """What an agent catches and what it prints are the same in a replay."""
    for error in _errors(request_):
        failure = ADAPTER.failure_of(error)
        again = error_of(failure, request_)
        assert (type(again), str(again)) == (type(error), str(error))


def test_a_certificate_that_was_refused_is_one_again(request_):
    """The class is the same; the text holds an exception's repr, which a golden has as text only."""
    error = aiohttp.ClientConnectorCertificateError(request_.connection_key, ssl.CertificateError("expired"))
    again = error_of(ADAPTER.failure_of(error), request_)
    assert type(again) is type(error)
    assert "expired" in str(again)


def test_an_error_of_a_subclass_has_the_nearest_name():
    """What a program derives is recorded as what aiohttp exports; a cancellation is no error."""
    mine = type("Mine", (aiohttp.ServerDisconnectedError,), {})
    assert ADAPTER.failure_of(mine("gone")) == TransportFailure(
        type="ServerDisconnectedError", message="gone"
    )
    assert ADAPTER.failure_of(asyncio.CancelledError()) is None
    assert ADAPTER.failure_of(ValueError("x")) == TransportFailure(type="ValueError", message="x")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ReadTimeout", aiohttp.SocketTimeoutError),
        ("RemoteProtocolError", aiohttp.ServerDisconnectedError),
        ("ReadError", aiohttp.ClientOSError),
        ("ConnectError", aiohttp.ClientConnectorError),
    ],
)
def test_an_error_that_httpx_recorded_has_its_like(request_, name, kind):
    """A golden may have been recorded with another library."""
    assert type(error_of(TransportFailure(type=name, message="m"), request_)) is kind


@pytest.mark.parametrize("name", ["InvalidURL", "ClientSession", "SystemExit", "__doc__", "Nothing", ""])
def test_nothing_else_is_looked_up_by_name(request_, name):
    """Only what asking and reading raise; anything else is a connection error."""
    again = error_of(TransportFailure(type=name, message="m"), request_)
    assert (type(again), str(again)) == (aiohttp.ClientConnectionError, "m")


def test_an_error_whose_parts_a_golden_does_not_hold_is_its_base(request_):
    """A class that can't be made from a text is replaced by the nearest that can."""
    again = error_of(TransportFailure(type="ServerFingerprintMismatch", message="m"), request_)
    assert type(again) is aiohttp.ServerConnectionError or type(again) is aiohttp.ClientConnectionError
    assert str(again) == "m"
