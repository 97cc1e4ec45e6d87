"""What a run was recorded with, and what is said of a change."""

import getpass
import importlib.metadata
import json
import platform
import socket
import sys
from pathlib import Path

import httpx2
import pytest

from pytest_sparrow.provenance import changed_since, packages, snapshot


def test_a_snapshot_says_what_matters_and_nothing_of_the_machine():
    """Python, platform, locale, hash seed, and versions; no path, user or host name."""
    taken = snapshot()
    assert list(taken) == [
        "python",
        "implementation",
        "platform",
        "locale",
        "hash_seed",
        "packages",
        "services",
    ]
    assert taken["python"] == platform.python_version()
    text = json.dumps(taken)
    assert str(Path.home()) not in text
    assert str(Path.cwd()) not in text
    assert socket.gethostname() not in text
    assert getpass.getuser() == "root" or getpass.getuser() not in text


def test_only_what_is_loaded_is_noted():
    """An SDK that is installed and not loaded had no part in the run; ours always has."""
    noted = snapshot()["packages"]
    assert noted["httpx2"] == httpx2.__version__
    assert noted["pytest-sparrow"] == importlib.metadata.version("pytest-sparrow")
    loaded = {name for module, name in packages().items() if module in sys.modules}
    assert set(noted) <= {*loaded, "pytest-sparrow"}


def test_a_snapshot_has_not_changed_since_itself():
    """Nothing is said where nothing changed."""
    assert changed_since(snapshot()) == ""


def test_changes_are_reported_in_words():
    """Each change with both values: packages first, by name, then the interpreter's."""
    now = {**snapshot(), "python": "3.12.1", "packages": {"openai": "3.60.0", "groq": "1.0"}}
    then = {
        **now,
        "python": "3.11.7",
        "hash_seed": "0",
        "packages": {"openai": "3.54.0", "groq": "1.0", "mcp": "2.0"},
    }
    assert changed_since(then, now) == (
        "mcp 2.0 is gone, openai went from 3.54.0 to 3.60.0, python went from 3.11.7 to 3.12.1, "
        f"hash seed went from 0 to {now['hash_seed']}"
    )


def test_what_is_not_loaded_yet_is_looked_up():
    """A test that failed before it loaded its SDK: the version that is installed counts."""
    assert changed_since({"packages": {"pytest": "0.1"}}) == (
        f"pytest went from 0.1 to {importlib.metadata.version('pytest')}"
    )


def test_whom_an_sdk_asks_is_noted_and_named_first(monkeypatch):
    """A base URL by its host alone, another value as it is; what a replay sets again is not named."""
    monkeypatch.setenv("OPENAI_BASE_URL", "https://me:word@proxy.example/v1?token=t")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:11434")
    packages = {"openai": "0", "boto3": "0"}
    noted = changed_since({"packages": packages, "services": {}}).split(", boto3")[0]
    assert noted == (
        "AWS_REGION went from unset to eu-west-1, OPENAI_BASE_URL went from unset to proxy.example "
        "(sparrow_env = AWS_REGION OPENAI_BASE_URL records and sets it again)"
    )
    monkeypatch.delenv("OPENAI_BASE_URL")
    recorded = {"packages": packages, "services": {"OPENAI_BASE_URL": "loopback", "AWS_REGION": "eu-west-2"}}
    recorded["env"] = {"AWS_REGION": "eu-west-2"}
    assert changed_since(recorded).startswith("OPENAI_BASE_URL went from loopback to unset (")
    assert "AWS_REGION" not in changed_since(recorded)
    assert "_URL" not in changed_since({"packages": packages})


@pytest.mark.parametrize("recorded", [{}, None, [], "x", {"packages": []}, {"provider": "lamp"}])
def test_other_snapshots_say_nothing(recorded):
    """An older golden has none, and the cockpit's are its own."""
    assert changed_since(recorded) == ""
