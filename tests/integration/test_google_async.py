"""google-genai's async client, which uses aiohttp where it can: whole, streamed, with tools and errors."""

from __future__ import annotations

import asyncio
import json

import pytest
from boundaries.http.twice import twice
from google import genai
from google.genai import types

from pytest_sparrow.testing.loopback import loopback

# google-genai derives from ClientSession; aiohttp would rather it didn't.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")

MODEL = "gemini-x"


def _answer(*parts):
    return {
        "candidates": [
            {"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP", "index": 0}
        ],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
        "modelVersion": MODEL,
    }


def _whole(call):
    call.answer(
        json.dumps(_answer({"text": "hello"})).encode(), content_type="application/json; charset=UTF-8"
    )


def _streamed(call):
    call.start(content_type="text/event-stream")
    for text in ("he", "ll", "o"):
        call.chunk(b"data: " + json.dumps(_answer({"text": text})).encode() + b"\r\n\r\n")
    call.end()


@pytest.fixture
def server():
    """Gemini's two ways to answer, on loopback, whatever the version of the API."""
    with loopback() as server:
        for version in ("v1", "v1beta"):
            server.routes[f"/{version}/models/{MODEL}:generateContent"] = _whole
            server.routes[f"/{version}/models/{MODEL}:streamGenerateContent"] = _streamed
        yield server


def _asking(server, ask):
    async def main():
        options = types.HttpOptions(base_url=server.url)
        client = genai.Client(api_key="k", http_options=options)
        assert client._api_client._use_aiohttp(), "these tests are about aiohttp"
        try:
            return await ask(client.aio.models)
        finally:
            await client.aio.aclose()

    return lambda: asyncio.run(main())


def test_an_answer_is_recorded_and_replayed(server):
    """Text and usage are equal, and Gemini's request is in the recording."""

    async def ask(models):
        answer = await models.generate_content(model=MODEL, contents="hi")
        return answer.text, answer.usage_metadata.total_token_count

    both = twice(server, _asking(server, ask))
    assert both.live == both.replayed == ("hello", 5)
    (crossing,) = both.recorded.crossings
    assert crossing.asked["body"]["json"]["contents"][0]["parts"] == [{"text": "hi"}]
    assert crossing.complete is True


def test_a_stream_is_recorded_and_replayed_by_its_events(server):
    """Each event is a chunk of the SDK's, live and replayed."""

    async def ask(models):
        stream = await models.generate_content_stream(model=MODEL, contents="hi")
        return [chunk.text async for chunk in stream]

    both = twice(server, _asking(server, ask))
    assert both.live == both.replayed == ["he", "ll", "o"]
    assert len(both.recorded.crossings[0].answered["body"]["sse"]) == 3


def test_a_stream_that_is_left_early_is_incomplete(server):
    """The client takes one chunk and goes."""

    async def ask(models):
        stream = await models.generate_content_stream(model=MODEL, contents="hi")
        first = await anext(aiter(stream))
        await stream.aclose()
        return first.text

    both = twice(server, _asking(server, ask))
    assert both.live == both.replayed == "he"
    assert both.recorded.crossings[0].complete is False


def test_many_at_once(server):
    """Gathered calls of one client each get an answer."""

    async def ask(models):
        asked = (models.generate_content(model=MODEL, contents=f"hi {n}") for n in range(10))
        return [answer.text for answer in await asyncio.gather(*asked)]

    both = twice(server, _asking(server, ask))
    assert both.live == both.replayed == ["hello"] * 10


def test_an_error_is_replayed_as_googles_own(server):
    """A 400 with Google's error body is the SDK's ClientError, live and replayed."""
    body = {"error": {"code": 400, "message": "no such model", "status": "INVALID_ARGUMENT"}}
    for path in server.routes:
        server.routes[path] = lambda call: call.answer(
            json.dumps(body).encode(), status=400, content_type="application/json"
        )

    async def ask(models):
        with pytest.raises(genai.errors.ClientError) as caught:
            await models.generate_content(model=MODEL, contents="hi")
        return caught.value.code, caught.value.message

    both = twice(server, _asking(server, ask))
    assert both.live == both.replayed == (400, "no such model")
