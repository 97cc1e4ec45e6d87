"""The codec reads what the real openai SDK reads, on recorded traffic and on shapes that we wrote."""

from __future__ import annotations

import pytest

from pytest_sparrow.providers import OpenAIChat
from pytest_sparrow.providers.codec import ModelAnswer, Proposal, Text

from . import wire_samples
from .chat_driving import chat_cassette, drive_chat
from .chat_facts import sdk_facts, with_parsed_arguments
from .serving import (
    CASSETTES_VARIABLE,
    Cassette,
    as_exchange,
    cassette_files,
    serve,
)

CODEC = OpenAIChat()


def recorded():
    """One case for each cassette with chat completions; a skipped case where there are no cassettes."""
    files = cassette_files()
    if not files:
        reason = f"set {CASSETTES_VARIABLE} to the folder of recorded cassettes"
        return [pytest.param(None, id="no-cassettes", marks=pytest.mark.skip(reason=reason))]
    cassettes = filter(None, map(chat_cassette, files))
    return [pytest.param(cassette, id=cassette.name) for cassette in cassettes]


def codec_facts(answer: ModelAnswer):
    """The same facts, as the codec gives them."""
    return {
        "texts": [part.text for part in answer.parts if isinstance(part, Text)],
        "calls": [(part.name, part.args) for part in answer.parts if isinstance(part, Proposal)],
        "usage": answer.usage and (answer.usage.input, answer.usage.output),
    }


def check(cassette: Cassette) -> None:
    with serve(cassette) as server:
        for number, interaction in enumerate(cassette.interactions):
            results = drive_chat(server.root, interaction)
            assert server.requests[number] == interaction.request, "the SDK sent the recorded request"
            answer = CODEC.answer(*as_exchange(interaction))
            if "sdk_error" in results[0]:
                assert answer.failure is not None
                assert answer.failure.message.startswith(f"HTTP {interaction.status}: ")
            else:
                assert codec_facts(answer) == with_parsed_arguments(sdk_facts(results))


@pytest.mark.parametrize("cassette", recorded())
def test_recorded_answers_are_read_as_the_sdk_reads_them(cassette):
    """Texts, calls, arguments and usage of recorded traffic equal what the SDK returns."""
    check(cassette)


@pytest.mark.parametrize("cassette", wire_samples.ALL, ids=lambda cassette: cassette.name)
def test_written_answers_are_read_as_the_sdk_reads_them(cassette):
    """The same holds for the shapes of the format that the cassettes don't hold."""
    check(cassette)


@pytest.mark.parametrize("cassette", recorded())
def test_every_recorded_request_is_a_chat_and_continues_the_one_before(cassette):
    """A request is recognised, with its model, task, and a result for each tool message."""
    for interaction in cassette.interactions:
        asked, _ = as_exchange(interaction)
        request = CODEC.request(asked)
        assert request is not None
        messages = interaction.request["messages"]
        tool_ids = [message["tool_call_id"] for message in messages if message["role"] == "tool"]
        assert request.model == interaction.request["model"]
        assert request.task
        assert [result.id for result in request.results] == tool_ids
        assert all(len(result.blocks) for result in request.results)
        assert request.conversation == [one for one in messages if one["role"] != "system"]


@pytest.mark.parametrize("cassette", recorded())
def test_recorded_proposals_and_outputs_meet_by_id(cassette):
    """Each tool output in a request belongs to a call that an earlier recorded answer proposed."""
    proposed: set[str] = set()
    for interaction in cassette.interactions:
        asked, answered = as_exchange(interaction)
        assert {result.id for result in CODEC.request(asked).results} <= proposed
        proposed |= {part.id for part in CODEC.answer(asked, answered).parts if isinstance(part, Proposal)}


def test_a_request_beyond_the_cassette_is_an_error():
    """The server never makes an answer up."""
    cassette = wire_samples.ALL[0]
    with serve(cassette) as server:
        for interaction in cassette.interactions:
            drive_chat(server.root, interaction)
        further = drive_chat(server.root, cassette.interactions[0])
    assert further[0]["status"] == 410
