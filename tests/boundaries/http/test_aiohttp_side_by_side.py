"""aiohttp in many tasks, two threads, two event loops; and below httpx, where a request crosses once."""

import asyncio
import json

import aiohttp
import httpx
import httpx_aiohttp
import openai

from boundaries.fakes import FakeRun, window
from boundaries.http.twice import twice
from pytest_sparrow.testing.loopback import loopback


def _echo(call):
    call.answer(json.dumps({"you": call.path.partition("?")[2]}).encode(), content_type="application/json")


async def _ask(session, url):
    async with session.get(url) as response:
        return (await response.json())["you"]


def test_fifty_gathered_requests_get_their_own_answers():
    """Gather of 50 in one session with ten connections, recorded and replayed."""

    async def main():
        connector = aiohttp.TCPConnector(limit=10)
        async with aiohttp.ClientSession(connector=connector) as session:
            return await asyncio.gather(*(_ask(session, f"{server.url}/echo?{n}") for n in range(50)))

    with loopback(echo=_echo) as server:
        both = twice(server, lambda: asyncio.run(main()))
    assert both.live == both.replayed == [str(n) for n in range(50)]


def test_a_client_that_makes_a_session_for_each_loop_is_recorded_in_both():
    """Openai's client over aiohttp, kept across two event loops, has its answer in each."""
    answer = b'{"id": "x", "choices": []}'

    def ask_twice():
        client = openai.AsyncOpenAI(
            api_key="k", base_url=server.url, max_retries=0, http_client=openai.DefaultAioHttpClient()
        )

        async def ask():
            got = await client.chat.completions.create(model="m", messages=[])
            await client._client._transport.aclose()
            client._client._transport.client = None
            return got.id

        return [asyncio.run(ask()) for _ in range(2)]

    with loopback() as server:
        server.routes["/chat/completions"] = lambda call: call.answer(answer, content_type="application/json")
        both = twice(server, ask_twice)
    assert both.live == both.replayed == ["x", "x"]


def test_httpx_over_aiohttp_crosses_once():
    """The outer library's request is the crossing, and its inner one passes; a replay never gets there."""

    async def main():
        async with httpx_aiohttp.HttpxAiohttpClient() as client:
            # POST, since aiohttp would try a GET again on a connection that it should not have kept.
            return [(await client.post(f"{server.url}/echo?{n}")).json() for n in range(3)]

    with loopback(echo=_echo) as server:
        both = twice(server, lambda: asyncio.run(main()))
    assert both.live == both.replayed == [{"you": str(n)} for n in range(3)]
    assert len(both.recorded.crossings) == 3
    assert all("httpx" in dict(c.asked["headers"])["user-agent"] for c in both.recorded.crossings)


def _chunk(text):
    delta = {"index": 0, "delta": {"content": text}}
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [delta]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def test_openai_over_aiohttp_streams_once():
    """The openai SDK's aiohttp client streams the same, live and replayed, in one crossing."""

    def route(call):
        call.start(content_type="text/event-stream")
        for text in ("a", "b"):
            call.chunk(_chunk(text))
        call.chunk(b"data: [DONE]\n\n")
        call.end()

    async def main():
        http_client = openai.DefaultAioHttpClient()
        async with openai.AsyncOpenAI(api_key="k", base_url=server.url, http_client=http_client) as client:
            stream = await client.chat.completions.create(model="m", messages=[], stream=True)
            return [chunk.choices[0].delta.content async for chunk in stream]

    with loopback() as server:
        server.routes["/chat/completions"] = route
        both = twice(server, lambda: asyncio.run(main()))
    assert both.live == both.replayed == ["a", "b"]
    assert [crossing.complete for crossing in both.recorded.crossings] == [True]


def test_a_request_while_the_world_answers_passes():
    """A transport that asks over aiohttp is the world's: httpx's crossing holds all of it."""

    class Transport(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            async with aiohttp.ClientSession() as session:
                return httpx.Response(200, text=await _ask(session, str(request.url)))

    async def main():
        async with httpx.AsyncClient(transport=Transport()) as client:
            return (await client.get(f"{server.url}/echo?1")).text

    with loopback(echo=_echo) as server:
        both = twice(server, lambda: asyncio.run(main()))
    assert both.live == both.replayed == "1"
    assert len(both.recorded.crossings) == 1


def test_a_replayed_stream_lets_other_tasks_run():
    """Other tasks run between two pieces of a replayed stream, as between pieces of a live stream."""
    turns = []

    def route(call):
        call.start(content_type="text/event-stream")
        for n in range(3):
            call.chunk(b"data: %d\n\n" % n)
        call.end()

    async def main():
        async def reader():
            async with aiohttp.ClientSession() as session, session.get(f"{server.url}/s") as response:
                async for chunk in response.content.iter_any():
                    turns.append(chunk)

        async def other():
            while len(turns) < 6:
                turns.append("other")
                await asyncio.sleep(0)

        await asyncio.gather(reader(), other())

    with loopback(s=route) as server:
        with window(FakeRun()) as recorded:
            asyncio.run(main())
        turns.clear()
        with window(recorded.replay()):
            asyncio.run(main())
    assert turns.index(b"data: 1\n\n") - turns.index(b"data: 0\n\n") > 1
