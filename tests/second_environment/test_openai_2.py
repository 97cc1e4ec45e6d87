"""openai 2, which stands on httpx: the environment is what it is meant to be."""

from __future__ import annotations

from importlib.metadata import version

import pytest

pytestmark = pytest.mark.skipif(
    not version("openai").startswith("2."),
    reason="openai 2 is not installed: .ci/run has a second environment for it",
)


def test_this_openai_asks_through_httpx():
    """This openai's client is httpx's: tests/cassettes records through httpx here, not through httpx2."""
    import httpx
    from openai import OpenAI

    with OpenAI(api_key="none") as client:
        assert isinstance(client._client, httpx.Client)
