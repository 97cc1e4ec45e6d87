"""Pytest plugins of others that record and replay HTTP, or keep snapshots: what a test of theirs looks like."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

__all__ = ["BODIES", "PLUGINS", "Plugin"]


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin that a session loads alone.

    Attributes:
        module: the module that pytest loads.
        test: the test, with {count} for the number of its parameters, and {url} for the model's.
        record: the options that record, or write snapshots.
        body: the key in `BODIES` of the same test without the plugin.
    """

    module: str
    test: str
    record: tuple[str, ...]
    body: str

    @property
    def is_installed(self) -> bool:
        """Whether the rows can be measured."""
        return importlib.util.find_spec(self.module.partition(".")[0]) is not None


_CALLS = """
import httpx
import pytest

client = httpx.Client({transport})

def ask(n):
    for k in range(3):
        messages = [{{"role": "user", "content": f"Question {{n}}, {{k}}"}}]
        client.post("{url}", json={{"model": "m", "messages": messages}}).raise_for_status()
"""
_ASKING = """
{mark}
@pytest.mark.parametrize("n", range({count}))
def test_ask({fixture}n):
    ask(n)
"""
_MOCKED = (
    'transport=httpx.MockTransport(lambda request: httpx.Response(200, json={{"choices": [{{"message": '
    '{{"role": "assistant", "content": "You asked."}}}}], "model": "m"}}))'
)
_ADDING = """
import pytest

@pytest.mark.parametrize("n", range({count}))
def test_add({fixture}n):
    assert n + 2 == {expected}
"""


def _calls(mark: str = "", fixture: str = "", transport: str = "") -> str:
    return _CALLS.replace("{transport}", transport) + _ASKING.replace("{mark}", mark).replace(
        "{fixture}", fixture
    )


def _adding(fixture: str, expected: str) -> str:
    return _ADDING.replace("{fixture}", fixture).replace("{expected}", expected)


BODIES = {"calls": _calls(transport=_MOCKED), "adding": _adding("", "n + 2")}

PLUGINS = {
    "pytest-recording": Plugin(
        "pytest_recording.plugin",
        _calls("@pytest.mark.vcr(match_on=['method', 'uri', 'body'])"),
        ("--record-mode=once",),
        "calls",
    ),
    "cassetter": Plugin(
        "cassetter.pytest_plugin", _calls("@pytest.mark.vcr"), ("--record-mode=once",), "calls"
    ),
    # replex 0.1.0 is not among them: its replay of a model on loopback went to the network.
    "syrupy": Plugin("syrupy", _adding("snapshot, ", "snapshot"), ("--snapshot-update",), "adding"),
}
