"""Which headers of a request count."""

import pytest

from pytest_sparrow.wire.headers import content_headers, is_of_content

COUNT = """
    x-amz-target anthropic-beta anthropic-version openai-beta soapaction x-http-method-override range
    if-match prefer accept accept-language content-type x-tenant x-github-api-version
    mcp-protocol-version content-encoding x-acme-client
"""
NOISE = """
    host content-length connection accept-encoding transfer-encoding expect date traceparent baggage
    x-request-id x-amz-date amz-sdk-invocation-id amz-sdk-request x-amz-content-sha256
    x-amz-checksum-crc32 x-b3-traceid user-agent x-amz-user-agent x-stainless-retry-count
    x-goog-api-client x-fern-sdk-version x-sdk-version x-acme-timestamp x-hub-signature-256
    signature-input max-forwards x-amzn-trace-id x-amz-sdk-checksum-algorithm
"""


@pytest.mark.parametrize("name", COUNT.split())
def test_what_decides_counts(name):
    """A header that nobody listed may decide what a server does."""
    assert is_of_content(name)


@pytest.mark.parametrize("name", NOISE.split())
def test_transport_moment_and_sdk_do_not_count(name):
    """An unchanged agent sends these anew on another day and with another SDK."""
    assert not is_of_content(name)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"Content-Type": "application/json"}, {"content-type": "Application/JSON; charset=UTF-8"}, True),
        (
            {"content-type": "multipart/form-data; boundary=a"},
            {"content-type": "multipart/form-data; boundary=b"},
            True,
        ),
        ({"content-type": "application/json"}, {"content-type": "text/plain"}, False),
        ({"accept": "*/*"}, {}, True),
        ({"accept": "text/csv"}, {}, False),
        ({"idempotency-key": "k-" + "0f" * 8}, {"idempotency-key": "k-" + "1e" * 8}, True),
        ({"idempotency-key": "order-1"}, {"idempotency-key": "order-2"}, False),
        ({"referer": "http://127.0.0.1:1/a"}, {"referer": "http://127.0.0.1:2/a"}, True),
        ({"referer": "http://127.0.0.1:1/a"}, {"referer": "http://127.0.0.1:1/b"}, False),
    ],
)
def test_values_as_they_count(one, other, same):
    """Boundaries, the default charset, drawn keys and loopback ports say nothing; the rest does."""
    assert (content_headers(one, has_body=True) == content_headers(other, has_body=True)) is same


def test_a_content_type_without_content_does_not_count():
    """SDKs send it with every GET, or don't."""
    assert content_headers({"content-type": "application/json"}, has_body=False) == {}
