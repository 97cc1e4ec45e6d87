"""Responses through the whole plugin: recorded with the real openai SDK, then replayed with the server off."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_sparrow.events import Error, TokenUsage, ToolOutput, ToolUseProposed

from .drivers import DRIVERS
from .replaying import check_events, check_replays, record_and_replay
from .responses_facts import facts_of, sent_outputs


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What the SDK returned while recording and in replay."""
    return record_and_replay(tmp_path_factory.mktemp("responses"), DRIVERS["responses"])


def test_replay_gives_the_sdk_what_it_got_before(runs):
    """With the server off, what both clients of the SDK return is equal for every cassette."""
    check_replays(runs)


def test_everything_in_the_traffic_is_in_the_events(runs, tell_row):
    """Texts, reasoning, calls with their arguments, hosted and sent outputs, usage and errors, each exactly once."""
    check_events(runs, _facts, tell_row)


def _facts(cassette: Any, results: Any, events: Any) -> Any:
    facts = [facts_of(result) for result in results]
    calls = [[event.name, event.args] for event in events if isinstance(event, ToolUseProposed)]
    usage = [(event.input, event.output) for event in events if isinstance(event, TokenUsage)]
    outputs = [[event.id, list(event.blocks)] for event in events if isinstance(event, ToolOutput)]
    hosted = {key: value for fact in facts for key, value in fact["outputs"].items()}
    wanted = {**sent_outputs([each.request for each in cassette.interactions]), **hosted}
    return {
        "texts": (_texts(events, "ThinkingDelta"), _all(facts, "texts")),
        "thoughts": (_texts(events, "ReasoningDelta"), _all(facts, "thoughts")),
        "calls": (calls, [list(call) for call in _all(facts, "calls")]),
        "usage": (usage, [fact["usage"] for fact in facts if fact["usage"]]),
        "outputs": (_by_id(outputs), _by_id([[key, blocks] for key, blocks in wanted.items()])),
        "errors": (
            [sum(isinstance(event, Error) for event in events)],
            [sum(fact["failed"] for fact in facts)],
        ),
    }


def _by_id(outputs: list[Any]) -> list[Any]:
    return sorted(outputs, key=lambda output: output[0])


def _texts(events: Any, kind: str) -> list[str]:
    return [event.text for event in events if event.type == kind]


def _all(facts: Any, key: str) -> list[Any]:
    return [each for fact in facts for each in fact[key]]
