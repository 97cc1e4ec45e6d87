"""Anthropic's messages through the whole plugin: recorded with the real SDK, replayed with the server off."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from integration.inner import pytest_in

from pytest_sparrow.events import Error, TokenUsage, ToolOutput, ToolUseProposed
from pytest_sparrow.providers import AnthropicMessages, OpenAIChat
from pytest_sparrow.providers.blocks import slim
from pytest_sparrow.recording.blocks import text_block
from pytest_sparrow.recording.codec import ModelAnswer, Output, Proposal, Reasoning, Text
from pytest_sparrow.store import load_transcript

from . import anthropic_samples
from .anthropic_driving import base_of, drive_anthropic, facts, message_cassette, ways
from .serving import CASSETTES_VARIABLE, as_exchange, cassette_files, serve

TESTS = Path(__file__).parents[1]
CODEC = AnthropicMessages()

INNER = """
import json
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cassettes.anthropic_driving import base_of, drive_anthropic, ways
from cassettes.serving import serve
from cassettes.test_anthropic_traffic import cassettes

CASSETTES = {each.name: each for each in cassettes()}
CASES = [(name, way) for name, each in CASSETTES.items() for way in ways(each)]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_cassette(sparrow, number):
    name, way = CASES[number]
    cassette = CASSETTES[name]

    def run(netloc):
        return [drive_anthropic(base_of(netloc, each), each, way) for each in cassette.interactions]

    if sparrow.golden is None:
        with serve(cassette) as served:
            results = run(urlsplit(served.base_url).netloc)
    else:
        results = run("127.0.0.1:9")
    out = Path(os.environ["OUT"]) / f"{number}.json"
    out.write_text(json.dumps({"name": name, "way": way, "results": results, "golden": sparrow.run_id}))
"""


def cassettes():
    """Every cassette that holds messages, and the samples that we wrote."""
    return [*filter(None, map(message_cassette, cassette_files())), *anthropic_samples.ALL]


def told(interaction):
    """What an answer says without our codec: a whole body by itself, a stream as the SDK's helper joins it.

    None for one that the SDK makes no message of: an error, or a stream that was cut.
    """
    if interaction.events is None:
        body = json.loads(interaction.body)
        return facts(body) if interaction.status == 200 else None
    if '"type":"message_stop"' not in interaction.events[-1].replace(" ", ""):
        return None
    with serve(type(CASSETTES[0])(name="one", interactions=[interaction])) as served:
        base = base_of(urlsplit(served.base_url).netloc, interaction)
        return facts(drive_anthropic(base, interaction, "sync-helper")[0])


CASSETTES = cassettes()


def expected_blocks(content):
    """A result's content as blocks, spelled out here a second time."""
    if isinstance(content, str):
        return [text_block(content)]
    if isinstance(content, dict):
        return [{"Json": slim(content)}]
    return [
        text_block(part["text"]) if part.get("type") == "text" else {"Json": slim(part)} for part in content
    ]


def codec_facts(answer: ModelAnswer):
    """The same facts as ``told`` gives, as the codec has them."""
    return {
        "texts": [part.text for part in answer.parts if isinstance(part, Text)],
        "thinking": [part.text for part in answer.parts if isinstance(part, Reasoning)],
        "calls": [[part.id, part.name, part.args] for part in answer.parts if isinstance(part, Proposal)],
        "outputs": [[part.id, part.blocks] for part in answer.parts if isinstance(part, Output)],
        "usage": answer.usage and [answer.usage.input, answer.usage.output],
    }


@pytest.mark.parametrize("cassette", CASSETTES, ids=lambda cassette: cassette.name)
def test_an_answer_is_read_as_the_sdk_reads_it(cassette):
    """Texts, thinking, calls, hosted outputs and usage equal what the SDK makes of the same bytes."""
    for interaction in cassette.interactions:
        answer = CODEC.answer(*as_exchange(interaction))
        expected = told(interaction)
        if expected is None:
            cut = interaction.events is not None and not answer.failure
            assert answer.parts if cut else answer.failure
            continue
        expected["outputs"] = [[call, expected_blocks(content)] for call, content in expected["outputs"]]
        assert codec_facts(answer) == expected


@pytest.mark.parametrize("cassette", CASSETTES, ids=lambda cassette: cassette.name)
def test_every_request_is_known_and_by_this_codec_alone(cassette):
    """Model, task, and a result for each tool_result block; the chat format never takes it."""
    for interaction in cassette.interactions:
        asked, _ = as_exchange(interaction)
        request = CODEC.request(asked)
        assert request is not None
        assert OpenAIChat().request(asked) is None
        assert request.model == interaction.request["model"]
        assert request.task
        sent = [(block["tool_use_id"], bool(block.get("is_error"))) for block in _results(interaction)]
        assert [(result.id, result.is_error) for result in request.results] == sent
        assert all(len(result.blocks) for result in request.results)


@pytest.mark.parametrize("cassette", CASSETTES, ids=lambda cassette: cassette.name)
def test_the_sdk_sends_what_was_recorded(cassette):
    """The driver really is the recorded agent: in every way, the server gets the recorded body."""
    for way in ways(cassette):
        with serve(cassette) as served:
            for number, interaction in enumerate(cassette.interactions):
                drive_anthropic(base_of(urlsplit(served.base_url).netloc, interaction), interaction, way)
                assert served.requests[number] == interaction.request


def _results(interaction):
    blocks = [
        block
        for message in interaction.request["messages"]
        if isinstance(message["content"], list)
        for block in message["content"]
    ]
    return [block for block in blocks if block["type"] == "tool_result"]


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
        read = [json.loads(path.read_text()) for path in out.iterdir()]
        found[mode] = {(each["name"], each["way"]): each for each in read}
    return found, folder / "__sparrow__" / "test_inner"


def test_replay_gives_the_sdk_what_it_got_before(runs):
    """With the server off, what the SDK returns is equal for every cassette, sync, async, raw and joined."""
    found, _ = runs
    assert found["replay"] == found["record"]
    assert set(found["record"]) == {(each.name, way) for each in CASSETTES for way in ways(each)}
    if not cassette_files():
        pytest.skip(f"set {CASSETTES_VARIABLE} to the folder of recorded cassettes: only our own samples ran")


def test_everything_in_the_traffic_is_in_the_events(runs):
    """Texts, thinking, calls with their arguments, outputs and usage, each exactly once."""
    found, goldens = runs
    counted = Counter()
    for cassette in CASSETTES:
        expected = [told(interaction) for interaction in cassette.interactions]
        if None in expected:
            continue
        for way in ways(cassette):
            events = load_transcript(goldens / found["record"][cassette.name, way]["golden"]).events
            assert _texts(events, "ThinkingDelta") == [text for one in expected for text in one["texts"]]
            assert _texts(events, "ReasoningDelta") == [text for one in expected for text in one["thinking"]]
            calls = [[each.id, each.name, each.args] for each in events if isinstance(each, ToolUseProposed)]
            assert calls == [call for one in expected for call in one["calls"]]
            usage = [[each.input, each.output] for each in events if isinstance(each, TokenUsage)]
            assert usage == [one["usage"] for one in expected]
            outputs = [each for each in events if isinstance(each, ToolOutput)]
            assert {each.id: list(each.blocks) for each in outputs} == _outputs(cassette, expected)
            assert len(outputs) == len({each.id for each in outputs})
            assert not [each for each in events if isinstance(each, Error)]
            counted["calls of a model"] += len(expected)
    assert counted["calls of a model"]


def test_every_error_is_told(runs):
    """An error's status, or one inside a stream, is one Error event with the provider's own words."""
    found, goldens = runs
    for name, words in {
        "error": "HTTP 429: Slow",
        "gateway-error": "HTTP 502: no upstream",
        "streamed-error": "Overloaded",
        "streamed-cut": None,
    }.items():
        events = load_transcript(goldens / found["record"][name, "sync"]["golden"]).events
        assert [each.message for each in events if isinstance(each, Error)] == [words] * bool(words)


def _texts(events, kind):
    return [event.text for event in events if event.type == kind]


def _outputs(cassette, expected):
    """Results of the answers, and of the requests as they were last sent, for calls that were proposed."""
    found = {call: expected_blocks(content) for one in expected for call, content in one["outputs"]}
    proposed = {call[0] for one in expected for call in one["calls"]}
    for interaction in cassette.interactions:
        for block in _results(interaction):
            if block["tool_use_id"] in proposed and block["tool_use_id"] not in found:
                found[block["tool_use_id"]] = expected_blocks(block["content"])
    return found
