"""What a take tells of a stream that is still open."""

from boundaries.fakes import FakeCrossing
from pytest_sparrow.boundaries.http.bodies import FedTake, LiveTake

SSE = [("content-type", "text/event-stream")]
FED = {"status": 200, "headers": {}, "body": {"sse": ["data: 1", "data: 2"]}}


def test_a_stream_that_stands_still_is_read_once():
    """An agent that holds a stream open and does a thousand other things must not have it parsed a thousand times."""
    live, fed = FakeCrossing("http", {}), FakeCrossing("http", {}, fed=FED)
    takes = (LiveTake(live, method="POST", status=200, headers=SSE), FedTake(fed, pieces=2))
    for take, crossing in zip(takes, (live, fed), strict=True):
        assert crossing.peek() is None
        for read in (["data: 1"], ["data: 1", "data: 2"]):
            take.add(f"{read[-1]}\n\n".encode())
            assert crossing.peek()["body"]["sse"] == read
            assert crossing.peek() is None
