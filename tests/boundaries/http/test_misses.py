"""A miss never hides: 418, one try, and a message that the real SDKs show."""

import anthropic
import httpx
import openai
import pytest

from boundaries.fakes import FakeRun, window
from pytest_sparrow.run.context import close_window, open_window
from pytest_sparrow.testing.loopback import loopback

MISSED = "the golden holds no answer to POST"


def test_a_miss_is_answered_418(caller):
    """A request that the golden doesn't hold gets 418, without a retry, and the reason as JSON."""
    with window(FakeRun([])) as run:
        response = caller.request("GET", "http://api.example.com/v1/x")
    assert response.status_code == 418
    assert response.headers["x-should-retry"] == "false"
    error = response.json()["error"]
    assert error["type"] == "sparrow_replay_divergence"
    assert error["message"] == "the golden holds no answer to GET http://api.example.com/v1/x; closest: none"
    assert run.misses == ["GET http://api.example.com/v1/x"]


def _openai(**kwargs):
    openai.OpenAI(api_key="k", base_url="http://api.example.com/v1").chat.completions.create(
        model="m", messages=[{"role": "user", "content": "hi"}], **kwargs
    )


def _openai_stream():
    _openai(stream=True)


def _openai_on_httpx():
    openai.OpenAI(
        api_key="k", base_url="http://api.example.com/v1", http_client=httpx.Client()
    ).chat.completions.create(model="m", messages=[])


def _anthropic():
    anthropic.Anthropic(api_key="k", base_url="http://api.example.com").messages.create(
        model="m", max_tokens=5, messages=[{"role": "user", "content": "hi"}]
    )


@pytest.mark.parametrize("ask", [_openai, _openai_stream, _openai_on_httpx, _anthropic])
def test_sdks_show_a_miss_after_one_try(ask):
    """The real SDKs try once and raise their status error, with our words in it."""
    with (
        window(FakeRun([])) as run,
        pytest.raises((openai.APIStatusError, anthropic.APIStatusError)) as caught,
    ):
        ask()
    assert caught.value.status_code == 418
    assert MISSED in str(caught.value)
    assert len(run.misses) == 1


def test_the_openai_sdk_stream_is_equal_in_replay():
    """The openai SDK closes at [DONE]; what it yields live and replayed is equal, and the record is complete."""
    events = [
        b'data: {"id": "c", "choices": [{"index": 0, "delta": {"content": "%d"}}]}\n\n' % n for n in range(3)
    ]

    def route(call):
        call.start(content_type="text/event-stream")
        for event in [*events, b"data: [DONE]\n\n"]:
            call.chunk(event)
        call.end()

    def ask(server):
        client = openai.OpenAI(api_key="k", base_url=server.url)
        stream = client.chat.completions.create(model="m", messages=[], stream=True)
        return [chunk.choices[0].delta.content for chunk in stream]

    with loopback() as server:
        server.routes["/chat/completions"] = route
        with window(FakeRun()) as recorded:
            live = ask(server)
        with window(recorded.replay()) as replay_run:
            assert ask(server) == live == ["0", "1", "2"]
    assert recorded.crossings[0].complete is True
    assert replay_run.crossings[0].complete is True


def test_the_openai_sdk_retries_a_replayed_429_at_once():
    """A recorded 429 and its retry are both replayed."""
    answers = iter([429, 200])

    def route(call):
        status = next(answers)
        call.answer(
            b'{"id": "x", "choices": []}', status=status, content_type="application/json", retry_after_ms="1"
        )

    def ask(server):
        client = openai.OpenAI(api_key="k", base_url=server.url)
        return client.chat.completions.create(model="m", messages=[]).id

    with loopback() as server:
        server.routes["/chat/completions"] = route
        with window(FakeRun()) as recorded:
            assert ask(server) == "x"
        with window(recorded.replay()) as replay_run:
            assert ask(server) == "x"
    assert [crossing.answered["status"] for crossing in recorded.crossings] == [429, 200]
    assert replay_run.unplayed == 0


def test_a_request_that_may_be_of_two_runs_is_refused_naming_both(caller):
    """A thread without context, with two runs open: 418 with both names, and a violation in each."""
    import threading

    first, second, got = FakeRun(run_id="one"), FakeRun(run_id="two"), []
    with window(first):
        token = open_window(second)
        try:
            thread = threading.Thread(target=lambda: got.append(caller.request("GET", "http://127.0.0.1:9/")))
            thread.start()
            thread.join()
        finally:
            close_window(second, token)
    (response,) = got
    assert response.status_code == 418
    assert "'one' and 'two'" in response.json()["error"]["message"]
    assert len(first.refused) == len(second.refused) == 1
