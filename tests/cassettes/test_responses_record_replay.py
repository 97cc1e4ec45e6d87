"""Responses through the whole plugin: recorded with the real openai SDK, then replayed with the server off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from integration.inner import pytest_in

from pytest_sparrow.events import Error, ToolOutput, ToolUseProposed
from pytest_sparrow.store import load_transcript

from .responses_facts import facts_of, sent_outputs
from .responses_samples import ALL
from .responses_serving import responses_cassette
from .serving import CASSETTES_VARIABLE, cassette_files

TESTS = Path(__file__).parents[1]

INNER = """
import json
import os
from pathlib import Path

import pytest

from cassettes import responses_samples
from cassettes.responses_serving import drive, drive_async, prefix_of, responses_cassette, serve
from cassettes.serving import cassette_files

CASSETTES = {each.name: each for each in filter(None, map(responses_cassette, cassette_files()))}
CASSETTES |= {each.name: each for each in responses_samples.ALL}


@pytest.mark.parametrize("name", CASSETTES)
@pytest.mark.parametrize("client", [drive, drive_async])
def test_cassette(sparrow, name, client):
    cassette = CASSETTES[name]
    if sparrow.golden is None:
        with serve(cassette) as served:
            results = [client(served.base_url, each) for each in cassette.interactions]
    else:
        url = f"http://127.0.0.1:9{prefix_of(cassette)}"
        results = [client(url, each) for each in cassette.interactions]
    out = Path(os.environ["OUT"]) / f"{list(CASSETTES).index(name)}-{client.__name__}.json"
    key = f"{name} {client.__name__}"
    out.write_text(json.dumps({"key": key, "name": name, "results": results, "golden": sparrow.run_id}))
"""


def cassettes():
    """Every cassette that holds responses, and the samples that we wrote."""
    return [*filter(None, map(responses_cassette, cassette_files())), *ALL]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What the SDK returned while recording and in replay, and the goldens' folder."""
    folder = tmp_path_factory.mktemp("responses")
    (folder / "test_inner.py").write_text(INNER)
    (folder / "conftest.py").write_text(f"import sys\nsys.path.insert(0, {str(TESTS)!r})\n")
    found = {}
    for mode in ("record", "replay"):
        out = folder / mode
        out.mkdir()
        code, output = pytest_in(folder, f"--sparrow-{mode}", OUT=str(out))
        assert code == 0, output
        found[mode] = {each["key"]: each for each in map(_read, out.iterdir())}
    return found, folder / "__sparrow__" / "test_inner"


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_replay_gives_the_sdk_what_it_got_before(runs):
    """With the server off, what both clients of the SDK return is equal for every cassette."""
    found, _ = runs
    assert found["replay"] == found["record"]
    assert len(found["record"]) == 2 * len(cassettes())


def test_everything_in_the_traffic_is_in_the_events(runs):
    """Texts, reasoning, calls with their arguments, hosted and sent outputs, usage and errors, each exactly once."""
    found, goldens = runs
    by_name = {cassette.name: cassette for cassette in cassettes()}
    for key, recorded in found["record"].items():
        events = load_transcript(goldens / recorded["golden"]).events
        facts = [facts_of(result) for result in recorded["results"]]
        assert len(facts) == len(by_name[recorded["name"]].interactions)
        assert _texts(events, "ThinkingDelta") == _all(facts, "texts"), key
        assert _texts(events, "ReasoningDelta") == _all(facts, "thoughts"), key
        calls = [[event.name, event.args] for event in events if isinstance(event, ToolUseProposed)]
        assert calls == [list(call) for call in _all(facts, "calls")], key
        usage = [(event.input, event.output) for event in events if event.type == "TokenUsage"]
        assert usage == [fact["usage"] for fact in facts if fact["usage"]], key
        errors = [event for event in events if isinstance(event, Error)]
        assert len(errors) == sum(fact["failed"] for fact in facts), key
        sent = sent_outputs([each.request for each in by_name[recorded["name"]].interactions])
        outputs = [(event.id, list(event.blocks)) for event in events if isinstance(event, ToolOutput)]
        assert dict(outputs) == {
            **sent,
            **{key: value for fact in facts for key, value in fact["outputs"].items()},
        }
        assert len(outputs) == len(dict(outputs)), key


def _texts(events: Any, kind: str) -> list[str]:
    return [event.text for event in events if event.type == kind]


def _all(facts: Any, key: str) -> list[Any]:
    return [each for fact in facts for each in fact[key]]


def test_the_recorded_cassettes_are_there():
    """Skipped, visibly, where the folder of real traffic isn't."""
    if not cassette_files():
        pytest.skip(f"set {CASSETTES_VARIABLE} to the folder of recorded cassettes: only our own samples ran")
    assert any(map(responses_cassette, cassette_files()))
