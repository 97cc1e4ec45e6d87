"""Anthropic's recorded messages: the codec reads what the real SDK reads, and the driver sends what was recorded."""

from __future__ import annotations

import pytest

from pytest_sparrow.providers import AnthropicMessages, OpenAIChat
from pytest_sparrow.providers.codec import ModelAnswer, Output, Proposal, Reasoning, Text

from .anthropic_driving import drive_anthropic
from .anthropic_facts import expected_blocks, results_of, sdk_facts
from .drivers import DRIVERS
from .serving import as_exchange, serve

CODEC = AnthropicMessages()
DRIVER = DRIVERS["anthropic"]
CASES = DRIVER.cases()
CASSETTES = list({id(cassette): cassette for cassette, _ in CASES}.values())


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
        sent = [(block["tool_use_id"], bool(block.get("is_error"))) for block in results_of(interaction)]
        assert [(result.id, result.is_error) for result in request.results] == sent
        assert all(len(result.blocks) for result in request.results)


@pytest.mark.parametrize(("cassette", "way"), CASES, ids=[f"{each.name}-{way}" for each, way in CASES])
def test_the_sdk_sends_what_was_recorded(cassette, way):
    """The driver really is the recorded agent: in its way, the server gets the recorded body."""
    with serve(cassette) as served:
        for number, interaction in enumerate(cassette.interactions):
            drive_anthropic(served.root, interaction, way)
            assert served.requests[number] == interaction.request
