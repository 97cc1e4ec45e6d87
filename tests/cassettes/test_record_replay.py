"""Real traffic through the whole plugin: recorded with the providers' own SDKs, then replayed with the server off."""

from __future__ import annotations

import pytest

from pytest_sparrow.events import Error

from .anthropic_facts import anthropic_compared
from .chat_facts import chat_compared
from .drivers import INSTALLED
from .gemini_facts import gemini_compared
from .replaying import check_events, check_replays, record_and_replay
from .responses_facts import responses_compared

COMPARED = {
    "anthropic": anthropic_compared,
    "chat": chat_compared,
    "gemini": gemini_compared,
    "responses": responses_compared,
}


@pytest.fixture(scope="module")
def recorded_runs(tmp_path_factory):
    """What the SDKs returned while recording and in replay, by driver."""
    return record_and_replay(tmp_path_factory.mktemp("traffic"))


@pytest.fixture(params=INSTALLED)
def runs(request, recorded_runs):
    """The same, of one driver."""
    return recorded_runs[request.param]


def test_replay_gives_the_sdk_what_it_got_before(runs):
    """With the server off, what the SDK returns is equal for every cassette, sync, async, raw and joined."""
    check_replays(runs)


def test_everything_in_the_traffic_is_in_the_events(runs, tell_row):
    """Texts, thinking, calls with their arguments, outputs, usage and errors, each exactly once."""
    compared = COMPARED[runs.driver.name]

    def facts(cassette, results, events):
        # A host's own SDK returns models of its own.
        results = runs.results(cassette, "openai") if runs.driver.ways_are_sdks else results
        return compared(cassette, results, events)

    check_events(runs, facts, tell_row)


@pytest.mark.skipif("anthropic" not in INSTALLED, reason="anthropic is not installed")
def test_every_error_of_anthropic_is_reported(recorded_runs):
    """An error's status, or one inside a stream, is one Error event with the provider's own words."""
    runs = recorded_runs["anthropic"]
    for name, words in {
        "error": "HTTP 429: Slow",
        "gateway-error": "HTTP 502: no upstream",
        "streamed-error": "Overloaded",
        "streamed-cut": None,
    }.items():
        (case,) = [each for each in runs.driver.cases() if each[0].name == name][:1]
        events = runs.events(*case)
        assert [each.message for each in events if isinstance(each, Error)] == [words] * bool(words)
