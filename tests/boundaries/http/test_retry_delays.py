"""A replay skips the delay of an SDK before a retry, whatever the failure was."""

import asyncio
import importlib
import json
import subprocess
import sys
import textwrap
import time

import anthropic
import anyio
import groq
import openai
import pytest
from mistralai.client import Mistral
from mistralai.client.utils import BackoffStrategy, RetryConfig

from boundaries.fakes import FakeRun, window
from pytest_sparrow.boundaries.http.retry_delays import SHORT_DELAY, skip_retry_delays
from pytest_sparrow.testing.loopback import loopback

MESSAGES = [{"role": "user", "content": "Hi."}]
CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 5,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Yes."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
EVER = RetryConfig("backoff", BackoffStrategy(20, 20, 1.0, 60_000), retry_connection_errors=True)


def _openai(url):
    return openai.OpenAI(base_url=url, api_key="k").chat.completions.create(model="m", messages=MESSAGES)


def _openai_async(url):
    async def ask():
        async with openai.AsyncOpenAI(base_url=url, api_key="k") as client:
            return await client.chat.completions.create(model="m", messages=MESSAGES)

    return asyncio.run(ask())


def _groq(url):
    return groq.Groq(base_url=url, api_key="k").chat.completions.create(model="m", messages=MESSAGES)


def _anthropic(url):
    client = anthropic.Anthropic(base_url=url, api_key="k")
    return client.messages.create(model="m", messages=MESSAGES, max_tokens=9)


def _anthropic_async(url):
    client = anthropic.AsyncAnthropic(base_url=url, api_key="k")
    return asyncio.run(client.messages.create(model="m", messages=MESSAGES, max_tokens=9))


def _mistral(url):
    return Mistral(api_key="k", server_url=url, retry_config=EVER).chat.complete(model="m", messages=MESSAGES)


def _mistral_async(url):
    client = Mistral(api_key="k", server_url=url, retry_config=EVER)
    return asyncio.run(client.chat.complete_async(model="m", messages=MESSAGES))


SDKS = [_openai, _openai_async, _groq, _anthropic, _anthropic_async, _mistral, _mistral_async]


@pytest.fixture
def slept(monkeypatch):
    """The seconds that SDKs want to sleep; nobody sleeps."""
    seconds = []

    async def sleep(wanted, *_):
        seconds.append(wanted)

    monkeypatch.setattr(time, "sleep", seconds.append)
    monkeypatch.setattr(anyio, "sleep", sleep)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return seconds


def _dropping():
    """A provider that drops the connection twice, then answers."""
    tried = []

    def route(call):
        tried.append(call.path)
        if len(tried) < 3:
            call.die()
        else:
            body = MESSAGE if call.path.endswith("/messages") else CHAT
            call.answer(json.dumps(body).encode(), content_type="application/json")

    return route


@pytest.mark.parametrize("ask", SDKS, ids=lambda ask: ask.__name__.strip("_"))
def test_delays_after_a_dropped_connection_are_skipped(ask, slept):
    """The real SDK retries as in the recording, sleeps a millisecond each time, and gets the same answer."""
    with loopback() as server:
        route = _dropping()
        for path in (
            "/chat/completions",
            "/openai/v1/chat/completions",
            "/v1/chat/completions",
            "/v1/messages",
        ):
            server.routes[path] = route
        with window(FakeRun()) as recorded:
            was = ask(server.url)
    delays, slept[:] = list(slept), []
    assert [delay > 10 * SHORT_DELAY for delay in delays] == [True, True]
    with window(recorded.replay()) as replay_run, skip_retry_delays():
        now = ask(server.url)
    assert [call.asked["method"] for call in replay_run.crossings] == ["POST"] * 3
    assert now == was
    assert slept == [SHORT_DELAY, SHORT_DELAY]


def test_a_live_retry_keeps_its_delay(slept):
    """A live fork, or a tool that runs, asks a real server, which needs the time."""
    with loopback() as server:
        server.routes["/chat/completions"] = _dropping()
        with window(FakeRun()), skip_retry_delays():
            _openai(server.url)
    assert [delay > 10 * SHORT_DELAY for delay in slept] == [True, True]


@pytest.mark.parametrize("ask", [_openai, _openai_async], ids=lambda ask: ask.__name__.strip("_"))
def test_an_allowed_host_keeps_its_delay_while_other_hosts_are_replayed(ask, slept):
    """A service that a fixture has just started needs the time; only replayed retries are not delayed."""
    with loopback() as server, loopback() as service:
        server.routes["/chat/completions"] = _dropping()
        with window(FakeRun()) as recorded:
            _openai(server.url)
        slept.clear()
        service.routes["/chat/completions"] = _dropping()
        hosts = {f"127.0.0.1:{service.port}": "allow"}
        with window(recorded.replay(hosts=hosts)), skip_retry_delays():
            ask(service.url)
            _openai(server.url)
    assert [delay > 10 * SHORT_DELAY for delay in slept] == [True, True, False, False]


PLACES = [
    ("openai._base_client", "time"),
    ("openai._base_client", "anyio"),
    ("mistralai.client.utils.retries", "time"),
    ("mistralai.client.utils.retries", "asyncio"),
    ("google.genai._api_client", "time"),
    ("google.genai._api_client", "asyncio"),
    ("urllib3.util.retry", "time"),
    ("botocore.endpoint", "time"),
]


@pytest.mark.parametrize(("module", "clock"), PLACES, ids=".".join)
def test_clocks_are_replaced_and_put_back(module, clock):
    """In the private modules that sleep, nested; the very module comes back, and its other functions stay its own."""
    module = importlib.import_module(module)
    real = vars(module)[clock]
    with skip_retry_delays():
        with skip_retry_delays():
            short = vars(module)[clock]
            assert short is not real
            assert getattr(short, "get_running_loop", None) is getattr(real, "get_running_loop", None)
            assert getattr(short, "time", None) is getattr(real, "time", None)
        assert vars(module)[clock] is short
    assert vars(module)[clock] is real


def test_delays_of_an_sdk_that_is_loaded_later_are_skipped():
    """The first import of an SDK often lies within the test."""
    program = """
        import sys, time
        from pytest_sparrow.boundaries import http
        from pytest_sparrow.boundaries.http.retry_delays import skip_retry_delays

        finders = list(sys.meta_path)
        http.install()
        with skip_retry_delays():
            import groq, urllib3.util.retry
            for module in (groq._base_client, urllib3.util.retry):
                assert module.time is not time
        http.uninstall()
        for module in (groq._base_client, urllib3.util.retry):
            assert module.time is time
        assert sys.meta_path == finders
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)


def test_a_module_of_a_like_name_keeps_its_clock(monkeypatch):
    """A user's own module _base_client is not an SDK's."""
    name = "my_agent._base_client"
    module = type(sys)(name)
    module.time = time
    monkeypatch.setitem(sys.modules, name, module)
    with skip_retry_delays():
        assert module.time is time
