"""The responses codec reads what the real openai SDK reads, on recorded traffic and on shapes that we wrote."""

from __future__ import annotations

import pytest

from pytest_sparrow.providers import OpenAIResponses
from pytest_sparrow.providers.codec import Output, Proposal, Reasoning, Text

from .responses_driving import drive_response, responses_cassette
from .responses_facts import facts_of, sent_outputs
from .responses_samples import ALL
from .serving import CASSETTES_VARIABLE, as_exchange, cassette_files, serve

CODEC = OpenAIResponses()


def recorded():
    """One case for each cassette with responses; a skipped case where there are no cassettes."""
    files = cassette_files()
    if not files:
        reason = f"set {CASSETTES_VARIABLE} to the folder of recorded cassettes"
        return [pytest.param(None, id="no-cassettes", marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(each, id=each.name) for each in filter(None, map(responses_cassette, files))]


def codec_facts(answer):
    """The facts, as the codec gives them."""
    parts = answer.parts
    return {
        "texts": [part.text for part in parts if isinstance(part, Text)],
        "thoughts": [part.text for part in parts if isinstance(part, Reasoning)],
        "calls": [(part.name, part.args) for part in parts if isinstance(part, Proposal)],
        "outputs": {part.id: list(part.blocks) for part in parts if isinstance(part, Output)},
        "usage": answer.usage and (answer.usage.input, answer.usage.output),
        "failed": answer.failure is not None,
    }


def check(cassette):
    with serve(cassette) as server:
        for number, interaction in enumerate(cassette.interactions):
            found = drive_response(server.root, interaction)
            assert server.requests[number] == interaction.request, "the SDK sent the recorded request"
            assert codec_facts(CODEC.answer(*as_exchange(interaction))) == facts_of(found)


@pytest.mark.parametrize("cassette", recorded())
def test_recorded_answers_are_read_as_the_sdk_reads_them(cassette):
    """Texts, reasoning, calls, hosted outputs and usage of recorded traffic equal what the SDK returns."""
    check(cassette)


@pytest.mark.parametrize("cassette", ALL, ids=lambda cassette: cassette.name)
def test_written_answers_are_read_as_the_sdk_reads_them(cassette):
    """The same holds for the shapes of the format that the cassettes don't hold."""
    check(cassette)


@pytest.mark.parametrize(
    "cassette", [*recorded(), *ALL], ids=lambda cassette: getattr(cassette, "name", None)
)
def test_every_request_is_known_with_all_that_it_sends_back(cassette):
    """A request is recognised, with its model, and an output for each that it holds."""
    for interaction in cassette.interactions:
        request = CODEC.request(as_exchange(interaction)[0])
        assert request is not None
        assert request.model == (interaction.request or {}).get("model", "")
        sent = sent_outputs([interaction.request])
        assert {result.id: list(result.blocks) for result in request.results} == sent


@pytest.mark.parametrize("cassette", recorded())
def test_a_conversation_goes_on_from_the_one_before(cassette):
    """Where a request repeats the turns so far, its conversation begins with all of the one before it."""
    before = None
    for interaction in cassette.interactions:
        conversation = CODEC.request(as_exchange(interaction)[0]).conversation
        if before and len(conversation) > len(before) and "previous_response_id" not in interaction.request:
            assert conversation[: len(before)] == before or "modified_history" in cassette.name
        before = conversation or before
