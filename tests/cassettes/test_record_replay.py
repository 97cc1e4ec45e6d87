"""Real traffic through the whole plugin: recorded with the real openai SDK, then replayed with the server off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from integration.inner import pytest_in

from pytest_sparrow.events import Error, TokenUsage, ToolOutput, ToolUseProposed
from pytest_sparrow.recording.blocks import text_block
from pytest_sparrow.store import load_transcript

from . import wire_samples
from .serving import CASSETTES_VARIABLE, cassette_files, chat_cassette
from .test_codec_against_sdk import sdk_facts, with_parsed_arguments

TESTS = Path(__file__).parents[1]

INNER = """
import json
import os
from pathlib import Path

import pytest

from cassettes import wire_samples
from cassettes.serving import cassette_files, chat_cassette, drive_openai, serve

CASSETTES = {each.name: each for each in filter(None, map(chat_cassette, cassette_files()))}
CASSETTES |= {each.name: each for each in wire_samples.ALL}


@pytest.mark.parametrize("name", CASSETTES)
def test_cassette(sparrow, name):
    cassette = CASSETTES[name]
    if sparrow.golden is None:
        with serve(cassette) as served:
            results = [drive_openai(served.base_url, each) for each in cassette.interactions]
    else:
        path = cassette.interactions[0].url.partition("://")[2].partition("/")[2].removesuffix("/chat/completions")
        results = [drive_openai(f"http://127.0.0.1:9/{path}", each) for each in cassette.interactions]
    out = Path(os.environ["OUT"]) / f"{list(CASSETTES).index(name)}.json"
    out.write_text(json.dumps({"name": name, "results": results, "golden": sparrow.run_id}))
"""


def cassettes():
    """Every cassette that holds chat completions, and the samples that we wrote."""
    return [*filter(None, map(chat_cassette, cassette_files())), *wire_samples.ALL]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What the SDK returned while recording and in replay, and the goldens' folder."""
    folder = tmp_path_factory.mktemp("cassettes")
    (folder / "test_inner.py").write_text(INNER)
    (folder / "conftest.py").write_text(f"import sys\nsys.path.insert(0, {str(TESTS)!r})\n")
    found = {}
    for mode in ("record", "replay"):
        out = folder / mode
        out.mkdir()
        code, output = pytest_in(folder, f"--sparrow-{mode}", OUT=str(out))
        assert code == 0, output
        found[mode] = {each["name"]: each for each in map(_read, out.iterdir())}
    return found, folder / "__sparrow__" / "test_inner"


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_replay_gives_the_sdk_what_it_got_before(runs):
    """With the server off, what the SDK returns is equal for every cassette."""
    found, _ = runs
    assert found["replay"] == found["record"]
    assert len(found["record"]) == len(cassettes())


def test_everything_in_the_traffic_is_in_the_events(runs):
    """Texts, calls with their arguments, tool outputs and usage, each exactly once."""
    found, goldens = runs
    for cassette in cassettes():
        recorded = found["record"][cassette.name]
        events = load_transcript(goldens / recorded["golden"]).events
        assert len(recorded["results"]) == len(cassette.interactions)
        facts = [_facts(results) for results in recorded["results"]]
        assert _texts(events) == [text for fact in facts for text in fact["texts"]], cassette.name
        calls = [(event.name, event.args) for event in events if isinstance(event, ToolUseProposed)]
        assert calls == [call for fact in facts for call in fact["calls"]], cassette.name
        usage = [(event.input, event.output) for event in events if isinstance(event, TokenUsage)]
        assert usage == [fact["usage"] for fact in facts if fact["usage"]], cassette.name
        errors = [event for event in events if isinstance(event, Error)]
        assert len(errors) == sum(fact["error"] for fact in facts), cassette.name
        assert _outputs(events) == _tool_messages(cassette), cassette.name


def _facts(results: Any) -> Any:
    if "sdk_error" in results[0]:
        return {"texts": [], "calls": [], "usage": None, "error": True}
    in_stream = any("error" in result for result in results)
    return {**with_parsed_arguments(sdk_facts(results)), "error": in_stream}


def _texts(events: Any) -> list[str]:
    return [event.text for event in events if event.type == "ThinkingDelta"]


def _outputs(events: Any) -> dict[str, Any]:
    return {event.id: list(event.blocks) for event in events if isinstance(event, ToolOutput)}


def _tool_messages(cassette: Any) -> dict[str, Any]:
    return {
        message["tool_call_id"]: [text_block(message["content"])]
        for interaction in cassette.interactions
        for message in interaction.request["messages"]
        if message["role"] == "tool" and isinstance(message["content"], str)
    }


def test_the_recorded_cassettes_are_there():
    """Skipped, visibly, where the folder of real traffic isn't."""
    if not cassette_files():
        pytest.skip(f"set {CASSETTES_VARIABLE} to the folder of recorded cassettes: only our own samples ran")
    assert any(cassettes())
