"""A recorded answer is replayed, equal, without a request to the server."""

import gzip
import json
import zlib

import aiohttp
import pytest

from boundaries.fakes import FakeRun, window
from pytest_sparrow.testing.loopback import loopback

JSON = {"content_type": "application/json"}


def _both(caller, server, *args, **kwargs):
    """The recorded and the replayed response of one request, and both runs."""
    with window(FakeRun()) as recorded:
        live = caller.request(*args, **kwargs)
    count = len(server.calls)
    with window(recorded.replay()) as replay_run:
        replayed = caller.request(*args, **kwargs)
    assert len(server.calls) == count
    assert (replay_run.misses, replay_run.refused, replay_run.unplayed) == ([], [], 0)
    assert all(crossing.settled == 1 for crossing in [*recorded.crossings, *replay_run.crossings])
    return live, replayed, recorded, replay_run


def test_json_is_recorded_as_json_and_replayed_equal(caller):
    """A JSON exchange is kept parsed, both ways, and the replayed response equals the live one."""
    with loopback(chat=lambda call: call.answer(b'{"text": "h\xc3\xa9",  "n": 1.50}', **JSON)) as server:
        live, replayed, recorded, replay_run = _both(
            caller, server, "POST", f"{server.url}/chat?q=1", json={"ask": ["x", 1]}
        )
    (crossing,) = recorded.crossings
    assert crossing.asked["method"] == "POST"
    assert crossing.asked["url"] == f"{server.url}/chat?q=1"
    assert crossing.asked["body"] == {"json": {"ask": ["x", 1]}}
    assert crossing.answered["body"]["json"] == {"text": "hé", "n": 1.5}
    assert (live.status_code, live.json()) == (replayed.status_code, replayed.json())
    assert replayed.headers["content-type"] == "application/json"
    assert int(replayed.headers["content-length"]) == len(replayed.content)
    assert replay_run.crossings[0].answered == replay_run.crossings[0].replayed
    assert crossing.complete is True
    assert replay_run.crossings[0].complete is True


def test_compressed_text_is_replayed_as_plain_text(caller):
    """Text that was compressed is kept as text, and no longer said to be compressed."""
    with loopback(
        z=lambda call: call.answer(
            gzip.compress(b"plain"), content_encoding="gzip", content_type="text/plain"
        )
    ) as server:
        live, replayed, recorded, _ = _both(caller, server, "GET", f"{server.url}/z")
    assert recorded.crossings[0].answered["body"] == {"text": "plain"}
    assert live.text == replayed.text == "plain"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed_answers_are_kept_as_what_they_say(caller, coding):
    """A compressed answer is recorded uncompressed, and replayed under its coding."""
    squeeze = {"gzip": gzip.compress, "deflate": zlib.compress}[coding]
    body = squeeze(b'{"zipped": true}')
    with loopback(z=lambda call: call.answer(body, content_encoding=coding, **JSON)) as server:
        live, replayed, recorded, _ = _both(caller, server, "GET", f"{server.url}/z")
    assert recorded.crossings[0].answered["body"]["json"] == {"zipped": True}
    assert live.json() == replayed.json() == {"zipped": True}
    assert replayed.headers["content-encoding"] == live.headers["content-encoding"] == coding


def test_what_cannot_be_uncompressed_fails_in_the_same_way_again(caller):
    """Content under a coding that it isn't in is kept raw, and the client's decoding error comes again."""
    with loopback(
        z=lambda call: call.answer(b"\xff\x00 not gzip", content_encoding="gzip", **JSON)
    ) as server:
        with window(FakeRun()) as recorded, pytest.raises(caller.errors.decoding):
            caller.request("GET", f"{server.url}/z")
        with window(recorded.replay()), pytest.raises(caller.errors.decoding):
            caller.request("GET", f"{server.url}/z")
    answered = recorded.crossings[0].answered
    # aiohttp uncompresses before anybody reads, so its error is what came.
    assert "error" in answered if caller.library is aiohttp else set(answered["body"]) == {"base64"}


@pytest.mark.parametrize(
    ("content_type", "raw", "key"),
    [
        ("application/json", b'{"a": 1, "a": 2}', "text"),
        ("application/json", b'{"cut of', "text"),
        ("application/json", b"\xff\xfe{", "base64"),
        ("application/octet-stream", bytes(range(256)), "base64"),
        ("text/plain", "naïve".encode(), "text"),
        ("text/plain; charset=latin-1", "naïve".encode("latin-1"), "base64"),
        ("text/event-stream", b"data: a\rdata: b\r\r", "text"),
        ("", b'{"untyped": true}', "json"),
    ],
)
def test_bodies_that_are_not_what_they_claim_come_back_as_bytes(caller, content_type, raw, key):
    """Any body is recorded without a crash and replayed as the same bytes."""
    with loopback(x=lambda call: call.answer(raw, content_type=content_type)) as server:
        live, replayed, recorded, _ = _both(caller, server, "GET", f"{server.url}/x")
    assert set(recorded.crossings[0].answered["body"]) - {"spelled"} == {key}
    assert live.content == replayed.content == raw
    assert replayed.text == live.text


def test_no_body_is_no_body(caller):
    """An empty answer has no body key, and HEAD keeps its content-length."""
    with loopback(
        nothing=lambda call: call.answer(status=204), page=lambda call: call.answer(b"12345")
    ) as server:
        _, replayed, recorded, _ = _both(caller, server, "DELETE", f"{server.url}/nothing")
        live_head, replayed_head, heads, _ = _both(caller, server, "HEAD", f"{server.url}/page")
    assert (replayed.status_code, replayed.content) == (204, b"")
    assert "body" not in recorded.crossings[0].answered
    assert "body" not in recorded.crossings[0].asked
    assert live_head.headers["content-length"] == replayed_head.headers["content-length"] == "5"
    assert heads.crossings[0].complete is True


def test_each_redirect_is_a_crossing_of_its_own(caller):
    """A followed redirect is two exchanges, live and replayed."""
    with loopback(
        a=lambda call: call.answer(b"moved", status=302, location="/b"),
        b=lambda call: call.answer(b'{"b": 1}', **JSON),
    ) as server:
        live, replayed, recorded, _ = _both(
            caller, server, "GET", f"{server.url}/a", client={"follow_redirects": True}
        )
    assert [crossing.asked["url"] for crossing in recorded.crossings] == [
        f"{server.url}/a",
        f"{server.url}/b",
    ]
    assert live.json() == replayed.json() == {"b": 1}
    assert len(replayed.history) == 1


def test_multipart_is_asked_by_parts(caller):
    """Two uploads of the same parts are the same request, though each has a boundary of its own."""
    files = {"file": ("a.json", b'{"in": 1}', "application/json"), "blob": ("b", b"\x00\xff", "image/png")}
    with loopback(up=lambda call: call.answer(b"{}", **JSON)) as server:
        _, _, recorded, _ = _both(
            caller, server, "POST", f"{server.url}/up", data={"purpose": "[1]"}, files=files
        )
    parts = recorded.crossings[0].asked["body"]["multipart"]
    assert [next(iter(part["body"])) for part in parts] == ["text", "json", "base64"]
    assert parts[0]["headers"]["content-disposition"] == 'form-data; name="purpose"'
    assert parts[0]["body"] == {"text": "[1]"}


def test_a_streamed_request_body_is_read_asked_and_sent(caller):
    """A body from a generator reaches the server and the recording alike."""

    def pieces():
        yield b'{"a":'
        yield b"1}"

    async def pieces_async():
        for piece in pieces():
            yield piece

    with loopback(up=lambda call: call.answer(call.body)) as server, window(FakeRun()) as run:
        content = pieces_async() if caller.is_async else pieces()
        response = caller.request(
            "POST", f"{server.url}/up", content=content, headers={"content-type": "application/json"}
        )
    assert response.content == b'{"a":1}'
    assert run.crossings[0].asked["body"] == {"json": {"a": 1}}


def test_headers_are_passed_as_pairs(caller):
    """The run gets every header, repeated ones too, as [name, value]."""
    with loopback(x=lambda call: call.answer(b"", x_one="1")) as server, window(FakeRun()) as run:
        caller.request("GET", f"{server.url}/x", headers=[("x-twice", "a"), ("x-twice", "b")])
    asked = run.crossings[0].asked["headers"]
    assert [pair for pair in asked if pair[0] == "x-twice"] == [["x-twice", "a"], ["x-twice", "b"]]
    assert ["x-one", "1"] in run.crossings[0].answered["headers"]


def test_a_golden_with_non_ascii_headers_is_served(caller):
    """A recorded header may hold any text."""
    with window(FakeRun()) as recorded, loopback(x=lambda call: call.answer(b"hi")) as server:
        caller.request("GET", f"{server.url}/x")
    golden = recorded.replay()
    golden._golden[0].answered["headers"]["x-note"] = "naïve"
    with window(golden):
        assert caller.request("GET", f"{server.url}/x").headers["x-note"] == "naïve"


@pytest.mark.parametrize(
    "answered", [{"status": "200"}, {"status": 200, "body": {"what": 1}}, {"status": 200, "body": []}, {}]
)
def test_an_answer_that_we_never_wrote_is_refused_by_name(caller, answered):
    """A golden that was edited by hand into no answer at all gives a readable 418, and a violation."""
    with window(FakeRun()) as recorded, loopback(x=lambda call: call.answer(b"hi")) as server:
        caller.request("GET", f"{server.url}/x")
    golden = recorded.replay()
    golden._golden[0].answered = answered
    with window(golden) as run:
        response = caller.request("GET", f"{server.url}/x")
    assert response.status_code == 418
    assert "can't be served" in response.json()["error"]["message"]
    assert len(run.refused) == 1


def test_recorded_answers_are_json_that_can_be_stored(caller):
    """Nothing but JSON reaches the run."""
    with loopback(x=lambda call: call.answer(b"\xff", x="1")) as server, window(FakeRun()) as run:
        caller.request("POST", f"{server.url}/x", content=b"\xfe")
    for crossing in run.crossings:
        json.dumps([crossing.asked, crossing.answered])
