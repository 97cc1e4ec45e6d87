"""What a body recorder shows of a stream that is still open."""

import pytest

from boundaries.fakes import FakeCrossing
from pytest_sparrow.boundaries.http.bodies import LiveBodyRecorder, ReplayedBodyRecorder

SSE = [("content-type", "text/event-stream")]
REPLAYED = {"status": 200, "headers": {}, "body": {"sse": ["data: 1", "data: 2"]}}


def test_a_stream_that_stands_still_is_read_once():
    """An agent that holds a stream open and does a thousand other things must not have it parsed a thousand times."""
    live, replayed = FakeCrossing("http", {}), FakeCrossing("http", {}, replayed=REPLAYED)
    recorders = (
        LiveBodyRecorder(live, method="POST", status=200, headers=SSE),
        ReplayedBodyRecorder(replayed, pieces=2),
    )
    for recorder, crossing in zip(recorders, (live, replayed), strict=True):
        assert crossing.peek() is None
        for read in (["data: 1"], ["data: 1", "data: 2"]):
            recorder.add(f"{read[-1]}\n\n".encode())
            assert crossing.peek()["body"]["sse"] == read
            assert crossing.peek() is None


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("end", ["cancelled", "closed"])
def test_a_listener_that_is_cancelled_left_nothing_unread(method, end):
    """How far a client got that only listens, until its session is over, is chance; how far others read is not."""
    crossing = FakeCrossing("http", {"method": method}, replayed=REPLAYED, read_whole=True)
    recorder = ReplayedBodyRecorder(crossing, pieces=2)
    recorder.add(b"data: 1\n\n")
    recorder.closed() if end == "closed" else recorder.broke(None)
    assert crossing.complete is False
    assert crossing.read_whole is not (method == "GET" and end == "cancelled")
