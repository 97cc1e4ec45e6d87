"""Anthropic's messages through the whole plugin: recorded with the real SDK, replayed with the server off."""

from __future__ import annotations

import copy
import json

import pytest

from pytest_sparrow.events import Error, TokenUsage, ToolOutput, ToolUseProposed
from pytest_sparrow.providers import AnthropicMessages, OpenAIChat
from pytest_sparrow.providers.blocks import slim
from pytest_sparrow.providers.codec import ModelAnswer, Output, Proposal, Reasoning, Text
from pytest_sparrow.providers.reading import text_block

from .anthropic_driving import drive_anthropic, facts
from .drivers import DRIVERS
from .replaying import check_events, check_replays, record_and_replay
from .serving import as_exchange, serve

CODEC = AnthropicMessages()
DRIVER = DRIVERS["anthropic"]
CASES = DRIVER.cases()
CASSETTES = list({id(cassette): cassette for cassette, _ in CASES}.values())


_JOINED = {}
"""What the SDK made of a stream, by the interaction's id; all of these live as long as the module."""


def sdk_facts(interaction):
    """What an answer says without our codec: a whole body by itself, a stream as the SDK's helper joins it.

    None for one that the SDK makes no message of: an error, or a stream that was cut.
    """
    if interaction.events is None:
        body = json.loads(interaction.body)
        return facts(body) if interaction.status == 200 else None
    if '"type":"message_stop"' not in interaction.events[-1].replace(" ", ""):
        return None
    if id(interaction) not in _JOINED:
        with serve(type(CASSETTES[0])(name="one", interactions=[interaction])) as served:
            _JOINED[id(interaction)] = facts(drive_anthropic(served.root, interaction, "sync-helper")[0])
    return copy.deepcopy(_JOINED[id(interaction)])


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
    """The same facts as ``sdk_facts`` gives, as the codec has them."""
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
        expected = sdk_facts(interaction)
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


@pytest.mark.parametrize(("cassette", "way"), CASES, ids=[f"{each.name}-{way}" for each, way in CASES])
def test_the_sdk_sends_what_was_recorded(cassette, way):
    """The driver really is the recorded agent: in its way, the server gets the recorded body."""
    with serve(cassette) as served:
        for number, interaction in enumerate(cassette.interactions):
            drive_anthropic(served.root, interaction, way)
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
    """What the SDK returned while recording and in replay."""
    return record_and_replay(tmp_path_factory.mktemp("anthropic"), DRIVER)


def test_replay_gives_the_sdk_what_it_got_before(runs):
    """With the server off, what the SDK returns is equal for every cassette, sync, async, raw and joined."""
    check_replays(runs)


def test_everything_in_the_traffic_is_in_the_events(runs, tell_row):
    """Texts, thinking, calls with their arguments, outputs and usage, each exactly once."""
    expected_of = {
        cassette.name: [sdk_facts(each) for each in cassette.interactions] for cassette in CASSETTES
    }
    check_events(runs, lambda *given: _compared(expected_of, *given), tell_row)


def _compared(expected_of, cassette, _, events):
    expected = expected_of[cassette.name]
    failed = [each.status >= 400 for each in cassette.interactions]
    if any(one is None and not bad for one, bad in zip(expected, failed, strict=True)):
        return None  # a stream that was cut, or broke by an error inside
    expected = [one for one in expected if one is not None]
    calls = [[each.id, each.name, each.args] for each in events if isinstance(each, ToolUseProposed)]
    usage = [[each.input, each.output] for each in events if isinstance(each, TokenUsage)]
    outputs = [[each.id, list(each.blocks)] for each in events if isinstance(each, ToolOutput)]
    wanted = [[call, blocks] for call, blocks in _outputs(cassette, expected).items()]
    return {
        "texts": (_texts(events, "ThinkingDelta"), [text for one in expected for text in one["texts"]]),
        "thoughts": (
            _texts(events, "ReasoningDelta"),
            [text for one in expected for text in one["thinking"]],
        ),
        "calls": (calls, [call for one in expected for call in one["calls"]]),
        "outputs": (sorted(outputs, key=_id), sorted(wanted, key=_id)),
        "usage": (usage, [one["usage"] for one in expected]),
        "errors": ([sum(isinstance(each, Error) for each in events)], [sum(failed)]),
    }


def _id(output):
    return output[0]


def test_every_error_is_reported(runs):
    """An error's status, or one inside a stream, is one Error event with the provider's own words."""
    by_name = {cassette.name: cassette for cassette in CASSETTES}
    for name, words in {
        "error": "HTTP 429: Slow",
        "gateway-error": "HTTP 502: no upstream",
        "streamed-error": "Overloaded",
        "streamed-cut": None,
    }.items():
        way = next(way for cassette, way in DRIVER.cases() if cassette.name == name)
        events = runs.events(by_name[name], way)
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
