"""Threads, gathered tasks and clients that outlive an event loop: every call its own answer."""

import asyncio
import contextvars
import importlib
import json
import threading

import httpx
import openai
import pytest

from boundaries.fakes import FakeRun, window
from boundaries.http.callers import ALONE
from pytest_sparrow.testing.loopback import loopback

LIBRARIES = ["httpx2", "httpx"]


def _echo(call):
    call.answer(json.dumps({"you": call.path.partition("?")[2]}).encode(), content_type="application/json")


def test_fifty_gathered_requests_get_their_own_answers():
    """Gather of 50, recorded and replayed."""

    async def main(url):
        async with httpx.AsyncClient(**ALONE, timeout=30) as client:
            responses = await asyncio.gather(*(client.get(f"{url}/echo?{n}") for n in range(50)))
        return [response.json()["you"] for response in responses]

    with loopback(echo=_echo) as server:
        with window(FakeRun()) as recorded:
            live = asyncio.run(main(server.url))
        with window(recorded.replay()) as replay_run:
            replayed = asyncio.run(main(server.url))
    assert live == replayed == [str(n) for n in range(50)]
    assert replay_run.unplayed == 0
    assert {crossing.settled for crossing in recorded.crossings} == {1}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("with_context", [True, False])
def test_threads_get_their_own_answers(library, with_context):
    """Threads with the test's context, and threads without any, cross into the open run."""
    httpx = importlib.import_module(library)

    def ask_all(url):
        got = {}

        def ask(n):
            with httpx.Client(**ALONE) as client:
                got[n] = client.get(f"{url}/echo?{n}").json()["you"]

        contexts = [contextvars.copy_context() if with_context else contextvars.Context() for _ in range(2)]
        threads = [threading.Thread(target=contexts[n].run, args=(ask, n)) for n in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return got

    with loopback(echo=_echo) as server:
        with window(FakeRun()) as recorded:
            live = ask_all(server.url)
        with window(recorded.replay()):
            assert ask_all(server.url) == live == {0: "0", 1: "1"}
        assert len(server.calls) == 2


def test_an_async_client_survives_its_event_loop_while_recording():
    """A cached async client used in two event loops records both calls, and the caller's headers stay his."""
    answer = b'{"id": "x", "choices": []}'

    with loopback() as server:
        server.routes["/chat/completions"] = lambda call: call.answer(answer, content_type="application/json")
        client = openai.AsyncOpenAI(api_key="k", base_url=server.url, max_retries=0)

        async def ask():
            return await client.chat.completions.with_raw_response.create(model="m", messages=[])

        with window(FakeRun()) as run:
            for _ in range(2):
                raw = asyncio.run(ask())
                assert raw.http_response.request.headers.get("connection") == "keep-alive"
        assert [call.headers["connection"] for call in server.calls] == ["close", "close"]
    assert len(run.crossings) == 2
    assert ["connection", "keep-alive"] in run.crossings[0].asked["headers"]
