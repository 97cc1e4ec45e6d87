"""The provider of the examples: on this machine while they are recorded, nowhere in a replay."""

import asyncio

import pytest

from pytest_sparrow.testing.loopback import loopback
from pytest_sparrow.testing.provider import chat, gemini


@pytest.fixture(autouse=True)
def provider(sparrow, monkeypatch):
    """With a key of your own, leave it out, and set OPENAI_API_KEY."""
    with loopback(
        **{
            "v1/chat/completions": chat,
            "v1beta/models/gemini-3-flash:generateContent": gemini("clerk"),
        }
    ) as server:
        url = server.url if sparrow.golden is None else "http://127.0.0.1:9"
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", url)
        monkeypatch.setenv("GOOGLE_API_KEY", "not-a-key")
        yield


@pytest.fixture(autouse=True)
def loop_that_closes():
    """Else `run_sync` of pydantic-ai and openai-agents makes an event loop, and leaves it open: a ResourceWarning."""
    with asyncio.Runner() as runner:
        runner.get_loop()
        yield
