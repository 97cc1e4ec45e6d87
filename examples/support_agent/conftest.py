"""The world of the example: there is a provider and a shop while it is recorded, neither in a replay."""

from __future__ import annotations

import provider
import pytest
import tools


@pytest.fixture(scope="session")
def provider_url():
    """A provider on this machine. With a key of your own, leave it out and set OPENAI_API_KEY."""
    with provider.serve() as url:
        yield url


@pytest.fixture(autouse=True)
def world(sparrow, request, tmp_path, monkeypatch):
    """Open the world where nothing is replayed; otherwise the agent's settings lead nowhere."""
    shop = tmp_path / "shop.sqlite"
    monkeypatch.setenv("SHOP", str(shop))
    if sparrow.golden is None:
        tools.create_shop(shop)
        monkeypatch.setenv("OPENAI_BASE_URL", request.getfixturevalue("provider_url"))
        monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    else:
        monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
