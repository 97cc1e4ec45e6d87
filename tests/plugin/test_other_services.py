"""A replay where base URLs, regions and credentials are otherwise, or lacking, as in CI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edges.world import serving
from inner_runs import pytest_in

if TYPE_CHECKING:
    from pathlib import Path

INNER = """
import os

import boto3
import botocore.config
import openai
import pytest

CONFIG = botocore.config.Config(retries={"total_max_attempts": 1})


def ask():
    assert openai.OpenAI(max_retries=0).get("/models", cast_to=object)


def test_other_host(sparrow):
    ask()


@pytest.mark.sparrow(env="OPENAI_BASE_URL")
def test_recorded_host(sparrow):
    ask()


@pytest.mark.sparrow(ignore=["request.url"])
def test_any_host(sparrow):
    ask()


def test_no_endpoint(sparrow):
    assert openai.AzureOpenAI(max_retries=0, api_version="1").get("/models", cast_to=object)


def test_credentials(sparrow):
    url = os.environ.get("BASE", "http://127.0.0.1:9")
    assert boto3.client("dynamodb", "eu-west-1", endpoint_url=url, config=CONFIG).list_tables()
"""

KEYS = (
    "OPENAI_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)


def test_a_failure_names_the_variable_both_hosts_and_the_setting(tmp_path: Path, monkeypatch) -> None:
    """Recorded variables are set again, ignored hosts are equal, AWS gets dummies; the rest is named in the failure."""
    (tmp_path / "test_inner.py").write_text(INNER)
    for name in (*KEYS, "OPENAI_BASE_URL", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with serving() as url:
        options = {
            "BASE": url,
            "OPENAI_BASE_URL": url,
            "AZURE_OPENAI_ENDPOINT": url,
            "OPENAI_API_VERSION": "2026",
        }
        code, output = pytest_in(tmp_path, "--sparrow-record", **options, **dict.fromkeys(KEYS, "word" * 8))
    assert (code, "5 recorded" in output) == (0, True), output
    code, output = pytest_in(
        tmp_path, "--sparrow-replay", OPENAI_BASE_URL="http://proxy.example/v1", HOME=str(tmp_path)
    )
    assert "3 replayed equal, 2 diverged" in output, output
    host, endpoint = output.split("_ test_no_endpoint _")
    assert "OPENAI_BASE_URL went from loopback to proxy.example (sparrow_env = " in host, output
    assert "AZURE_OPENAI_ENDPOINT went from loopback to unset" in endpoint, output
