"""boto3, on urllib3: Bedrock's converse, its binary event stream, and S3-like calls."""

import binascii
import json
import struct
import time

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config

from boundaries.fakes import FakeRun, window
from boundaries.http.twice import twice
from pytest_sparrow.boundaries.http.retry_delays import SHORT_DELAY, skip_retry_delays
from pytest_sparrow.testing.loopback import loopback

MODEL = "anthropic.claude-x"
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Yes."}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
    "metrics": {"latencyMs": 7},
}
ASK = {"modelId": MODEL, "messages": [{"role": "user", "content": [{"text": "Hi."}]}]}
JSON = {"content_type": "application/json"}


def _client(service, url, **config):
    options = {"retries": {"max_attempts": 1, "mode": "standard"}, **config}
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="no-secret",
        config=Config(**options),
    )


def _without_metadata(answer):
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def _message(kind, payload):
    """One message of an AWS event stream: prelude, its checksum, headers, payload, checksum."""
    headers = b"".join(
        struct.pack("!B", len(name)) + name + struct.pack("!BH", 7, len(value)) + value
        for name, value in (
            (b":event-type", kind),
            (b":content-type", b"application/json"),
            (b":message-type", b"event"),
        )
    )
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    start = prelude + struct.pack("!I", binascii.crc32(prelude)) + headers + payload
    return start + struct.pack("!I", binascii.crc32(start))


STREAM = [
    _message(b"messageStart", b'{"role":"assistant"}'),
    _message(b"contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"Ye"}}'),
    _message(b"contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"s."}}'),
    _message(b"messageStop", b'{"stopReason":"end_turn"}'),
]


def _streaming(call):
    call.start(content_type="application/vnd.amazon.eventstream")
    for message in STREAM:
        call.chunk(message)
    call.end()


def test_converse_is_recorded_as_json_and_replayed_without_a_server():
    """Signatures and dates lie in headers: another moment, and other keys, ask for the same."""
    with loopback() as server:
        route = f"/model/{MODEL}/converse"
        server.routes[route] = lambda call: call.answer(json.dumps(ANSWER).encode(), **JSON)
        both = twice(server, lambda: _client("bedrock-runtime", server.url).converse(**ASK))
    (crossing,) = both.recorded.crossings
    assert crossing.asked["body"] == {"json": {"messages": ASK["messages"]}}
    assert crossing.answered["body"]["json"] == ANSWER
    assert _without_metadata(both.live) == _without_metadata(both.replayed) == ANSWER


def test_converse_stream_is_replayed_byte_for_byte():
    """The binary event stream keeps its checksums, so botocore's own parser reads it again."""
    with loopback() as server:
        server.routes[f"/model/{MODEL}/converse-stream"] = _streaming

        def ask():
            return list(_client("bedrock-runtime", server.url).converse_stream(**ASK)["stream"])

        both = twice(server, ask)
    assert both.live == both.replayed
    assert [next(iter(event)) for event in both.replayed] == [
        "messageStart",
        "contentBlockDelta",
        "contentBlockDelta",
        "messageStop",
    ]
    assert both.recorded.crossings[0].complete is True


def test_a_stream_that_is_left_early_is_incomplete_and_left_again():
    """Closing the stream after its first event."""
    with loopback() as server:
        server.routes[f"/model/{MODEL}/converse-stream"] = _streaming

        def ask():
            stream = _client("bedrock-runtime", server.url).converse_stream(**ASK)["stream"]
            first = next(iter(stream))
            stream.close()
            return first

        both = twice(server, ask)
    assert both.live == both.replayed
    assert both.recorded.crossings[0].complete is False


@pytest.fixture
def slept(monkeypatch):
    """What is slept by ``time.sleep``, in seconds: noted, and not slept."""
    seconds = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


@pytest.mark.parametrize("mode", ["legacy", "standard"])
@pytest.mark.parametrize("fault", ["status", "reset"])
def test_retries_cross_each_and_are_not_waited_for_again(mode, fault, slept):
    """Both of botocore's retry modes: the same tries, and a millisecond for what was slept."""
    tried = []

    def route(call):
        tried.append(call)
        if len(tried) == 3:
            call.answer(json.dumps(ANSWER).encode(), **JSON)
        elif fault == "reset":
            call.die()
        else:
            call.answer(b'{"message": "later"}', status=503, x_amzn_errortype="ServiceUnavailable", **JSON)

    with loopback() as server:
        server.routes[f"/model/{MODEL}/converse"] = route

        def ask():
            retries = {"total_max_attempts": 4, "mode": mode}
            return _client("bedrock-runtime", server.url, retries=retries).converse(**ASK)

        with window(FakeRun()) as recorded:
            live = ask()
        delays, slept[:] = len(slept), []
        with window(recorded.replay()) as replay_run, skip_retry_delays():
            replayed = ask()
    assert len(tried) == len(recorded.crossings) == len(replay_run.crossings) == 3
    assert _without_metadata(live) == _without_metadata(replayed) == ANSWER
    assert live["ResponseMetadata"]["RetryAttempts"] == replayed["ResponseMetadata"]["RetryAttempts"] == 2
    assert delays == len(slept) == 2
    assert all(delay <= SHORT_DELAY for delay in slept)


def test_an_error_of_the_service_is_its_exception_again():
    """A throttled call raises the modelled class."""
    with loopback() as server:
        server.routes[f"/model/{MODEL}/converse"] = lambda call: call.answer(
            b'{"message": "too many"}', status=429, x_amzn_errortype="ThrottlingException", **JSON
        )

        def ask():
            client = _client("bedrock-runtime", server.url, retries={"total_max_attempts": 1})
            with pytest.raises(client.exceptions.ThrottlingException) as caught:
                client.converse(**ASK)
            return str(caught.value)

        both = twice(server, ask)
    assert both.live == both.replayed


def test_an_error_of_the_transport_is_botocores_again():
    """A server that isn't there."""
    with loopback() as gone:
        url = gone.url

    def ask():
        client = _client("bedrock-runtime", url, retries={"total_max_attempts": 1})
        with pytest.raises(botocore.exceptions.EndpointConnectionError) as caught:
            client.converse(**ASK)
        return str(caught.value)

    with loopback() as server:
        both = twice(server, ask)
    assert both.live == both.replayed


def test_objects_are_put_and_got():
    """An upload with its checksum trailer and a 100-continue, and a download read in pieces, as S3 does it."""
    content = b"text of an object\n" * 4000

    def bucket(call):
        call.answer(content if call.method == "GET" else b"", content_type="text/plain", etag='"1"')

    with loopback() as server:
        server.routes["/bucket/key"] = bucket

        def ask():
            s3 = _client("s3", server.url, s3={"addressing_style": "path"})
            s3.put_object(Bucket="bucket", Key="key", Body=content)
            body = s3.get_object(Bucket="bucket", Key="key")["Body"]
            body.set_socket_timeout(5)
            head = s3.head_object(Bucket="bucket", Key="key")
            return body.read(10), b"".join(body.iter_chunks(1000)), head["ContentLength"]

        both = twice(server, ask)
        put = server.calls[0]
    assert both.live == both.replayed
    assert both.replayed[0] + both.replayed[1] == content
    assert content in put.body
    assert [c.asked["method"] for c in both.recorded.crossings] == ["PUT", "GET", "HEAD"]
