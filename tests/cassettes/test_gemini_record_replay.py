"""Gemini's traffic through the whole plugin: recorded with the real google-genai SDK, replayed with the server off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from integration.inner import pytest_in

from pytest_sparrow.events import Error, TokenUsage, ToolOutput, ToolUseProposed
from pytest_sparrow.providers import Gemini
from pytest_sparrow.recording.codec import Proposal, Reasoning, Text
from pytest_sparrow.store import load_transcript

from . import gemini_samples
from .gemini_serving import chunks_of, gemini_cassettes
from .serving import CASSETTES_VARIABLE, as_exchange, cassette_files

TESTS = Path(__file__).parents[1]

INNER = """
import json
import os
from pathlib import Path

import pytest

from cassettes import gemini_samples
from cassettes.gemini_serving import drive_gemini, gemini_cassettes
from cassettes.serving import serve

CASSETTES = {each.name: each for each in [*gemini_cassettes(), *gemini_samples.ALL]}


@pytest.mark.parametrize("name", CASSETTES)
def test_cassette(sparrow, name):
    cassette = CASSETTES[name]
    if sparrow.golden is None:
        with serve(cassette) as served:
            results = [drive_gemini(served.base_url, each) for each in cassette.interactions]
            sent = [{"generationConfig": {}, **each.request} for each in cassette.interactions]
            assert served.requests == sent
    else:
        results = [drive_gemini("http://127.0.0.1:9", each) for each in cassette.interactions]
    out = Path(os.environ["OUT"]) / f"{list(CASSETTES).index(name)}.json"
    out.write_text(json.dumps({"name": name, "results": results, "golden": sparrow.run_id}))
"""


def cassettes():
    """Every cassette that holds generations, and the samples that we wrote."""
    return [*gemini_cassettes(), *gemini_samples.ALL]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What the SDK returned while recording and in replay, and the goldens' folder."""
    folder = tmp_path_factory.mktemp("gemini")
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
    """Texts, thoughts, calls with their arguments, outputs, usage and errors, by a reading of our own."""
    found, goldens = runs
    for cassette in cassettes():
        events = load_transcript(goldens / found["record"][cassette.name]["golden"]).events
        answers = [_facts(interaction) for interaction in cassette.interactions]
        for kind, key in (("ThinkingDelta", "text"), ("ReasoningDelta", "thought")):
            told = "".join(event.text for event in events if event.type == kind)
            assert told == "".join(answer[key] for answer in answers), cassette.name
        calls = [(event.name, event.args) for event in events if isinstance(event, ToolUseProposed)]
        wanted = [call for answer in answers for call in answer["calls"]]
        names = {name for name, _ in wanted}
        hosted = {name for answer in answers for name in answer["hosted"]}
        assert [call for call in calls if call[0] in names] == wanted, cassette.name
        assert {name for name, _ in calls} - names - _SEARCHES == hosted - names - _SEARCHES, cassette.name
        assert hosted <= {name for name, _ in calls}, cassette.name
        usage = [(event.input, event.output) for event in events if isinstance(event, TokenUsage)]
        assert usage == [answer["usage"] for answer in answers if answer["usage"]], cassette.name
        errors = [event for event in events if isinstance(event, Error)]
        assert len(errors) == sum(answer["failed"] for answer in answers), cassette.name
        outputs = [block for event in events if isinstance(event, ToolOutput) for block in event.blocks]
        given = [output for answer in answers for output in answer["outputs"]]
        assert [each for each in given + _sent(cassette) if each not in outputs] == [], cassette.name


def _facts(interaction: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "text": "",
        "thought": "",
        "calls": [],
        "hosted": [],
        "outputs": [],
        "usage": None,
    }
    reason, spoke = "", False
    facts["failed"] = interaction.status >= 400
    for chunk in chunks_of(interaction):
        facts["failed"] = (
            facts["failed"] or "error" in chunk or "blockReason" in chunk.get("promptFeedback", {})
        )
        usage = chunk.get("usageMetadata", {})
        keys = ("promptTokenCount", "toolUsePromptTokenCount"), ("candidatesTokenCount", "thoughtsTokenCount")
        if any(key in usage for pair in keys for key in pair):
            facts["usage"] = tuple(sum(usage.get(key, 0) for key in pair) for pair in keys)
        for candidate in chunk.get("candidates", ()):
            parts = candidate.get("content", {}).get("parts", [])
            spoke = spoke or any(part for part in parts if part.get("text") != "")
            reason = candidate.get("finishReason", reason)
            _add_parts(parts, facts)
            for found in candidate.get("groundingMetadata", {}).get("groundingChunks", ()):
                facts["outputs"].append({"Json": found})
            for found in candidate.get("urlContextMetadata", {}).get("urlMetadata", ()):
                facts["outputs"].append({"Json": found})
    if not spoke and reason not in ("", "STOP", "MAX_TOKENS"):
        facts["failed"] = True
    return facts


_SEARCHES = {"google_search", "file_search", "google_maps", "url_context"}


def _add_parts(parts: Any, facts: dict[str, Any]) -> None:
    for part in parts:
        facts["thought" if part.get("thought") else "text"] += part.get("text", "")
        if "functionCall" in part:
            call = part["functionCall"]
            facts["calls"].append((call["name"], call.get("args", {})))
        if "executableCode" in part:
            facts["hosted"].append("code_execution")
        if part.get("codeExecutionResult", {}).get("output"):
            facts["outputs"].append({"Text": part["codeExecutionResult"]["output"]})
        if "toolCall" in part:
            facts["hosted"].append(part["toolCall"]["toolType"].lower())
        if "inlineData" in part:
            facts["hosted"].append("inline_data")


def _sent(cassette: Any) -> list[Any]:
    """The functions' outputs in the requests."""
    return [
        {"Json": part["functionResponse"]["response"]}
        for interaction in cassette.interactions
        for content in interaction.request["contents"]
        for part in content.get("parts", ())
        if "functionResponse" in part
    ]


def test_recorded_answers_can_be_built_again():
    """What was read of real traffic is said by an answer that is built from it: words, calls, usage, failure."""
    codec = Gemini()
    for cassette in cassettes():
        for interaction in cassette.interactions:
            asked, answered = as_exchange(interaction)
            read = codec.answer(asked, answered)
            again = codec.answer(asked, codec.compose(asked, read))
            assert (again.usage, again.failure) == (read.usage, read.failure), cassette.name
            assert _said(again) == _said(read), cassette.name


def _said(answer: Any) -> list[Any]:
    """Words and calls; the bytes of a large image are in no event."""
    words = [
        "".join(part.text for part in answer.parts if isinstance(part, kind)) for kind in (Text, Reasoning)
    ]
    calls = [part for part in answer.parts if isinstance(part, Proposal) and part.name != "inline_data"]
    return [*words, *calls]


def test_the_recorded_cassettes_are_there():
    """Skipped, visibly, where the folder of real traffic isn't."""
    if not cassette_files():
        pytest.skip(f"set {CASSETTES_VARIABLE} to the folder of recorded cassettes: only our own samples ran")
    assert gemini_cassettes()
