"""Newline-delimited JSON keeps its lines, whole and half read, in the recording and in the replay."""

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundaries.fakes import FakeCrossing, FakeRun, window
from pytest_sparrow.boundaries.http.bodies import LiveBodyRecorder, ReplayedBodyRecorder, is_last
from pytest_sparrow.redact import Places, Redactor
from pytest_sparrow.testing.loopback import loopback
from pytest_sparrow.wire.bodies import body_of, chunks_of
from pytest_sparrow.wire.sse import LINE_TYPES, lines_of

NDJSON = [("content-type", "application/x-ndjson")]
LINES = [b'{"n": 1}\n', b'{"n": 2}\n', b'{"done": true}\n']


@given(st.text(alphabet='{}"a1\n\r\u2028\x85\x0cé', max_size=30), st.sampled_from(sorted(LINE_TYPES)))
def test_any_lines_come_back(text, kind):
    r"""Split at ``\n`` and joined again, a body is the same to the byte, one chunk a line."""
    raw = text.encode()
    body = body_of(raw, f"{kind}; charset=utf-8", answered=True)
    chunks = chunks_of(json.loads(json.dumps(body)))
    assert b"".join(chunks) == raw
    assert len(chunks) == raw.count(b"\n") + (not raw.endswith(b"\n") and bool(raw))
    assert all(chunk.count(b"\n") <= 1 for chunk in chunks)


def test_the_rest_without_a_newline_is_torn():
    """What no newline ends is kept apart: more may have been on its way."""
    assert lines_of(b'{"a": 1}\r\n\n{"b"') == {"lines": ['{"a": 1}\r', ""], "torn": '{"b"'}
    assert lines_of(b"{}\n") == {"lines": ["{}"]}


@pytest.mark.parametrize("raw", [b"\xff\n", b"\0\n"])
def test_what_is_no_text_is_kept_as_bytes(raw):
    """A body that isn't what its type says is not split."""
    assert set(body_of(raw, "application/x-ndjson", answered=True)) == {"base64"}


def test_a_request_of_lines_stays_text():
    """Only an answer is read while it comes; goldens that hold such a request go on matching."""
    assert body_of(b"{}\n{}\n", "application/x-ndjson", answered=False) == {"text": "{}\n{}\n"}


def test_done_is_the_last_line_only():
    """Only a stream whose last line says ``"done": true`` has said everything."""
    assert is_last(b'{"n": 1}\n{"done": true}\n')
    assert not is_last(b'{"done": true}\n{"n": 1}\n')
    assert not is_last(b'{"done": 1}\n')
    assert not is_last(b'{"done": tr')
    assert not is_last(b'"done"')
    assert not is_last(b'{"done": ' + b"[" * 100_000)
    assert not is_last(b"")


def _stream(pieces, after_first=None):
    def route(call):
        call.start(content_type="application/x-ndjson")
        for piece in pieces:
            call.chunk(piece)
            if after_first is not None:
                assert after_first.wait(10)
        call.end()

    return route


def test_lines_arrive_while_the_server_is_still_at_it_and_are_replayed_one_by_one(caller):
    """Recording never buffers, and in replay a line is a chunk."""
    has_first = threading.Event()
    with loopback(s=_stream(LINES, has_first)) as server:
        with window(FakeRun()) as recorded:
            assert caller.chunks("GET", f"{server.url}/s", seen=lambda chunk: has_first.set()) == LINES
        with window(recorded.replay()) as replay_run:
            assert caller.chunks("GET", f"{server.url}/s") == LINES
    assert recorded.crossings[0].answered["body"] == {"lines": [line.decode()[:-1] for line in LINES]}
    assert recorded.crossings[0].complete is True
    assert replay_run.crossings[0].complete is True


def test_a_blob_is_replayed_a_line_at_a_time_with_its_torn_end(caller):
    """Lines that came at once are replayed one at a time; the last one without a newline has none in replay."""
    blob = b"".join(LINES)[:-1]
    with loopback(s=_stream([blob])) as server:
        with window(FakeRun()) as recorded:
            caller.chunks("GET", f"{server.url}/s")
        with window(recorded.replay()):
            assert caller.chunks("GET", f"{server.url}/s") == [*LINES[:2], LINES[2][:-1]]


@pytest.mark.parametrize(("read", "complete"), [(1, False), (3, True)])
def test_a_client_that_leaves_after_the_last_line_has_it_all(read, complete):
    """A client that stops at ``"done": true`` has read the whole stream; a client that stops earlier has not."""
    body = {"lines": [line.decode()[:-1] for line in LINES]}
    live = FakeCrossing("http", {})
    replayed = FakeCrossing(
        "http", {}, replayed={"status": 200, "headers": {}, "body": {**body, "torn": " "}}
    )
    recorders = (
        LiveBodyRecorder(live, method="POST", status=200, headers=NDJSON),
        ReplayedBodyRecorder(replayed, pieces=4),
    )
    for recorder in recorders:
        for line in LINES[:read]:
            recorder.add(line)
        recorder.closed()
    assert (live.complete, replayed.complete) == (complete, complete)


def test_a_half_read_stream_is_peeked_line_by_line():
    """A recorder shows the lines that the agent has read so far, live and replayed."""
    body = {"lines": ['{"n": 1}', '{"n": 2}']}
    live = FakeCrossing("http", {})
    replayed = FakeCrossing("http", {}, replayed={"status": 200, "headers": {}, "body": body})
    recorders = (
        LiveBodyRecorder(live, method="POST", status=200, headers=NDJSON),
        ReplayedBodyRecorder(replayed, pieces=2),
    )
    for recorder, crossing in zip(recorders, (live, replayed), strict=True):
        for number in (1, 2):
            recorder.add(LINES[number - 1])
            assert crossing.peek()["body"] == {"lines": body["lines"][:number]}


def test_a_path_that_is_spelled_over_several_lines_is_hidden():
    """Directories are found across the pieces of one text, as in server-sent events; secrets within a line."""
    places = Places({"tmp": "/tmp/pytest-7"})
    redactor = Redactor({}, places=places)
    redactor.asked("http", {"url": "http://x", "body": {"text": "look at /tmp/pytest-7/a"}})
    lines = [
        json.dumps({"message": {"content": piece}}) for piece in ("/tmp/py", "test-7/a", " sk-" + "a1B2" * 12)
    ]
    clean = redactor.answered("http", {"status": 200, "headers": {}, "body": {"lines": lines}})
    texts = [json.loads(line)["message"]["content"] for line in clean["body"]["lines"]]
    assert "".join(texts[:2]) == "<dir:tmp>/a"
    assert texts[2].startswith(" <secret:")
