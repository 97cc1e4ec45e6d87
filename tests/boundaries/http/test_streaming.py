"""A stream is recorded as it comes, settled when the client is done, and replayed an event at a time."""

import asyncio
import gzip
import threading

import pytest

from boundaries.fakes import FakeRun, window
from boundaries.http.callers import ALONE
from pytest_sparrow.testing.loopback import loopback

EVENTS = [b'data: {"n": 1}\n\n', b'data: {"n": 2}\n\n', b"data: [DONE]\n\n"]
SSE = {"content_type": "text/event-stream"}


def _stream(events, after_first=None):
    def route(call):
        call.start(**SSE)
        for event in events:
            call.chunk(event)
            if after_first is not None:
                assert after_first.wait(10)
        call.end()

    return route


def test_the_first_chunk_arrives_while_the_server_is_still_at_it(caller):
    """Recording never buffers: the server sends the second event only after the client has the first."""
    has_first = threading.Event()
    with loopback(s=_stream(EVENTS, has_first)) as server, window(FakeRun()) as run:
        got = caller.chunks("GET", f"{server.url}/s", seen=lambda chunk: has_first.set())
    assert got == EVENTS
    assert run.crossings[0].answered["body"] == {"sse": ['data: {"n": 1}', 'data: {"n": 2}', "data: [DONE]"]}
    assert run.crossings[0].complete is True


def test_events_that_came_at_once_are_replayed_one_at_a_time(caller):
    """Each event is one chunk in replay, and the bytes are equal; a cut within an event comes again."""
    blob = b"".join(EVENTS)
    with loopback(s=_stream([blob])) as server:
        with window(FakeRun()) as recorded:
            caller.chunks("GET", f"{server.url}/s")
        with window(recorded.replay()) as replay_run:
            assert caller.chunks("GET", f"{server.url}/s") == EVENTS
    assert replay_run.crossings[0].complete is True


def test_a_torn_last_event_stays_torn(caller):
    """What no blank line follows is no event, in the recording and in the replay."""
    with loopback(s=_stream([b"data: a\r\n\r\ndata: tor"])) as server:
        with window(FakeRun()) as recorded:
            caller.chunks("GET", f"{server.url}/s")
        with window(recorded.replay()):
            assert caller.chunks("GET", f"{server.url}/s") == [b"data: a\r\n\r\n", b"data: tor"]
    assert recorded.crossings[0].answered["body"] == {
        "sse": ["data: a"],
        "torn": "data: tor",
        "newline": "\r\n",
    }


def test_a_client_that_closes_early_leaves_an_incomplete_record(caller):
    """What came is kept, complete is False, and a replay that stops at the same place says so, too."""
    go_on = threading.Event()
    with loopback(s=_stream(EVENTS, go_on)) as server:
        with window(FakeRun()) as recorded:
            caller.chunks("GET", f"{server.url}/s", first=1)
        go_on.set()
        with window(recorded.replay()) as replay_run:
            caller.chunks("GET", f"{server.url}/s", first=1)
    (crossing,) = recorded.crossings
    assert crossing.answered["body"] == {"sse": ['data: {"n": 1}']}
    assert crossing.complete is False
    assert crossing.settled == 1
    assert replay_run.crossings[0].settled == 1


def test_a_replay_that_stops_earlier_than_the_recording_is_incomplete(caller):
    """Closing with events left is breaking off."""
    with loopback(s=_stream(EVENTS)) as server:
        with window(FakeRun()) as recorded:
            caller.chunks("GET", f"{server.url}/s")
        with window(recorded.replay()) as replay_run:
            caller.chunks("GET", f"{server.url}/s", first=1)
    assert recorded.crossings[0].complete is True
    assert replay_run.crossings[0].complete is False


def test_closing_at_done_is_complete(caller):
    """OpenAI's SDK closes at [DONE] without draining: that stream said everything."""
    done, closed = [], threading.Event()

    def route(call):
        call.start(**SSE)
        for event in EVENTS:
            call.chunk(event)
        assert closed.wait(10)
        done.append("the server had not finished")
        call.end()

    with loopback(s=route) as server:
        with window(FakeRun()) as recorded:
            assert b"".join(caller.chunks("GET", f"{server.url}/s", first=3)).endswith(EVENTS[-1])
        closed.set()
        with window(recorded.replay()) as replay_run:
            caller.chunks("GET", f"{server.url}/s", first=3)
    assert recorded.crossings[0].complete is True
    assert replay_run.crossings[0].complete is True


def test_an_answer_closed_unread_is_complete_only_if_it_was_empty(caller):
    """Nothing to read means nothing broken off: no content, HEAD, length 0; and otherwise incomplete."""
    with (
        loopback(
            nothing=lambda call: call.answer(status=204),
            empty=lambda call: call.answer(),
            page=lambda call: call.answer(b"12345"),
        ) as server,
        window(FakeRun()) as run,
    ):
        for method, path in (("GET", "nothing"), ("GET", "empty"), ("HEAD", "page"), ("GET", "page")):
            caller.unread(method, f"{server.url}/{path}")
    assert [crossing.complete for crossing in run.crossings] == [True, True, True, False]


def test_a_stream_that_dies_after_done_still_died(caller):
    """An error is an error, also to a client that reads on after [DONE]."""

    def route(call):
        call.start(**SSE)
        call.chunk(EVENTS[-1])
        call.die()

    with (
        loopback(s=route) as server,
        window(FakeRun()) as run,
        pytest.raises(caller.errors.transport),
    ):
        caller.chunks("GET", f"{server.url}/s")
    assert run.crossings[0].complete is False
    assert "error" in run.crossings[0].answered


def test_a_compressed_stream_that_is_closed_early_keeps_what_it_said(caller):
    """A cut gzip stream is recorded as the events that it held so far."""
    squeezer, go_on = gzip.zlib.compressobj(wbits=31), threading.Event()
    first = squeezer.compress(EVENTS[0]) + squeezer.flush(gzip.zlib.Z_SYNC_FLUSH)

    def route(call):
        call.start(content_encoding="gzip", **SSE)
        call.chunk(first)
        go_on.wait(10)

    with loopback(s=route) as server, window(FakeRun()) as run:
        caller.chunks("GET", f"{server.url}/s", first=1)
        go_on.set()
    assert run.crossings[0].answered["body"] == {"sse": ['data: {"n": 1}']}
    assert run.crossings[0].complete is False


def test_a_server_that_dies_in_the_middle_dies_again_in_replay(caller):
    """What came is kept with the error; a replay serves it, and then raises the same class."""

    def route(call):
        call.start(**SSE)
        call.chunk(EVENTS[0])
        assert has_first.wait(10)
        call.die()

    has_first = threading.Event()
    live, replayed = [], []
    with loopback(s=route) as server:
        with window(FakeRun()) as recorded, pytest.raises(caller.errors.transport) as was:
            caller.chunks("GET", f"{server.url}/s", seen=lambda chunk: (live.append(chunk), has_first.set()))
        with window(recorded.replay()) as replay_run, pytest.raises(caller.errors.transport) as now:
            caller.chunks("GET", f"{server.url}/s", seen=replayed.append)
    (crossing,) = recorded.crossings
    assert live == replayed == EVENTS[:1]
    assert crossing.answered["status"] == 200
    assert crossing.answered["body"] == {"sse": ['data: {"n": 1}']}
    assert crossing.answered["error"] == {"type": was.type.__name__, "message": str(was.value)}
    assert crossing.complete is False
    assert (now.type, str(now.value)) == (was.type, str(was.value))
    assert (crossing.settled, replay_run.crossings[0].settled) == (1, 1)


@pytest.mark.parametrize("library", ["httpx2", "httpx"])
def test_a_cancelled_stream_is_kept_without_an_error(library):
    """Cancelling is the agent's own doing: no answer of the world's, so no error to replay."""
    httpx = __import__(library)
    go_on = threading.Event()

    async def main(url):
        got = asyncio.Event()

        async def read():
            async with httpx.AsyncClient(**ALONE) as client, client.stream("GET", url) as response:
                async for _ in response.aiter_raw():
                    got.set()

        task = asyncio.create_task(read())
        await got.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with loopback(s=_stream(EVENTS, go_on)) as server, window(FakeRun()) as run:
        asyncio.run(main(f"{server.url}/s"))
        go_on.set()
    (crossing,) = run.crossings
    assert "error" not in crossing.answered
    assert (crossing.complete, crossing.settled) == (False, 1)


@pytest.mark.parametrize("library", ["httpx2", "httpx"])
def test_a_request_cancelled_before_its_answer_settles_with_nothing(library):
    """A call that never got an answer has answered None and is incomplete."""
    httpx, asked, go_on = __import__(library), threading.Event(), threading.Event()

    def route(call):
        asked.set()
        go_on.wait(10)

    async def main(url):
        async with httpx.AsyncClient(**ALONE) as client:
            task = asyncio.create_task(client.get(url))
            await asyncio.to_thread(asked.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with loopback(s=route) as server, window(FakeRun()) as run:
        asyncio.run(main(f"{server.url}/s"))
        go_on.set()
    (crossing,) = run.crossings
    assert (crossing.answered, crossing.complete, crossing.settled) == (None, False, 1)


@pytest.mark.parametrize("library", ["httpx2", "httpx"])
def test_a_replayed_stream_lets_other_tasks_run(library):
    """Other tasks run between the events of a replayed stream, as between chunks of a live stream."""
    httpx, turns = __import__(library), []

    async def main(url):
        async def reader():
            async with httpx.AsyncClient(**ALONE) as client, client.stream("GET", url) as response:
                async for chunk in response.aiter_raw():
                    turns.append(chunk)

        async def other():
            while len(turns) < 6:
                turns.append("other")
                await asyncio.sleep(0)

        await asyncio.gather(reader(), other())

    with loopback(s=_stream(EVENTS)) as server:
        with window(FakeRun()) as recorded:
            asyncio.run(main(f"{server.url}/s"))
        turns.clear()
        with window(recorded.replay()):
            asyncio.run(main(f"{server.url}/s"))
    assert turns.index(EVENTS[1]) - turns.index(EVENTS[0]) > 1
